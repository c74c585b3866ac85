"""`dataset.yaml`, which describes a folder of images with the same keys as the cards of named data sets."""

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError, ValidationInfo, field_validator

from translate.errors import ConfigurationError
from translate.utils.settings import Settings
from translate.utils.stored import UnreadableError, read_text
from translate.utils.yaml_reader import MAX_BYTES, read_yaml

FILE_NAME = "dataset.yaml"


class Description(Settings):
    """Description of a data set. Everything is optional; what is missing is inferred from the folders."""

    name: str | None = None
    title: str | None = None
    layout: Literal["paired", "unpaired", "labelled"] | None = None
    domains: tuple[str, ...] | None = None
    """Names of the two domains; of a labelled set, the domains to use, in this order."""
    direction: Literal["AtoB", "BtoA"] | None = None
    """Pairs only: the default direction."""
    test_paired: bool = False
    """Test images with equal names in different domains show the same thing, so that errors can be measured."""
    alternatives: tuple[tuple[str, ...], ...] = ()
    """Groups of attributes of which an image has at most one."""
    a: str | None = None
    """Instead of own images: name or path of the labelled set that is the source. Paths are relative to this folder."""
    b: str | None = None
    """Likewise for the target."""
    licence: str | None = None
    citation: str | None = None

    @field_validator("domains")
    @classmethod
    def _two_or_labelled(cls, domains: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        layout = info.data.get("layout")
        if domains is not None and layout != "labelled" and (len(domains) < 2 or (layout and len(domains) > 2)):
            raise ValueError(f"two different names are needed, not {len(domains)}; only layout: labelled has others")
        return domains


Kind = TypeVar("Kind", bound=Description)


def read_description(path: Path, kind: type[Kind]) -> Kind:
    """Reads and validates a description. Raises ConfigurationError that names the file and, if known, the line."""
    try:
        text = read_text(path, MAX_BYTES)
    except UnreadableError as error:
        raise ConfigurationError(str(error)) from error
    values, lines = read_yaml(text, str(path))
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = first["loc"][:1]
        line = f", line {lines[key]}" if key in lines else ""
        where = [".".join(map(str, first["loc"]))] if key else []
        raise ConfigurationError(": ".join([f"{path}{line}", *where, first["msg"]])) from error


def describe(folder: Path) -> Description:
    """Returns the description in `folder`, or an empty one if there is none."""
    path = folder / FILE_NAME
    return read_description(path, Description) if path.exists() else Description()
