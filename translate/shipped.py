"""Where the files that travel with the code are: recipes, and the cards of named data sets."""

from pathlib import Path
from typing import Literal

from translate.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: Literal["recipes", "datasets"]) -> Path:
    """The folder of YAML files: inside the installed package, else at the top of the checkout.

    Raises ConfigurationError where neither is there.
    """
    places = [_PACKAGE / kind, _PACKAGE.parent / kind]
    for place in places:
        # A folder without YAML at the second place may be another package of that name in site-packages.
        if next(place.glob("*.yaml"), None):
            return place
    looked = " and ".join(map(str, places))
    raise ConfigurationError(f"{kind}/ is missing (looked at {looked}): the installation is incomplete")
