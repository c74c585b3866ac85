"""Locates the files shipped with the code: recipes, and the cards of named data sets."""

from pathlib import Path
from typing import Literal

from translate.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(kind: Literal["recipes", "datasets"]) -> Path:
    """The folder of YAML files in the package or the checkout. Raises ConfigurationError if neither has it."""
    places = [_PACKAGE / kind, _PACKAGE.parent / kind]
    for place in places:
        # At the second place, a folder without YAML may belong to another package in site-packages.
        if next(place.glob("*.yaml"), None):
            return place
    looked = " and ".join(map(str, places))
    raise ConfigurationError(f"{kind}/ is missing (looked at {looked}): the installation is incomplete")
