"""What a `dataset.yaml` says about a folder of images: the same words as the cards of named data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError, ValidationInfo, field_validator

from translate.errors import ConfigurationError
from translate.settings import Settings
from translate.yaml_reader import read_yaml

FILE_NAME = "dataset.yaml"


class Description(Settings):
    """All of it is optional; what is not said is taken from the folders."""

    name: str | None = None
    title: str | None = None
    layout: Literal["paired", "unpaired", "labelled"] | None = None
    domains: tuple[str, ...] | None = None
    """Two, or of a labelled set those to take, in this order."""
    direction: Literal["AtoB", "BtoA"] | None = None
    """Pairs only: which domain is the input unless told otherwise."""
    test_paired: bool = False
    """Test images of different domains with equal names show the same thing, so that errors can be measured."""
    alternatives: tuple[tuple[str, ...], ...] = ()
    """Sets of attributes of which an image has one at most."""
    a: str | None = None
    """Instead of images of its own: the name or path of a labelled set that is the source,"""
    b: str | None = None
    """and of the one that is the target. Paths start from the folder of the description."""
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
    """Raises ConfigurationError that names the file, and the line where one is at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    values, lines = read_yaml(text, str(path))
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = first["loc"][:1]
        line = f", line {lines[key]}" if key in lines else ""
        where = "".join(f"{part}: " for part in (".".join(map(str, first["loc"])),) if part)
        raise ConfigurationError(f"{path}{line}: {where}{first['msg']}") from error


def describe(folder: Path) -> Description:
    """The description inside `folder`, an empty one where there is none."""
    path = folder / FILE_NAME
    return read_description(path, Description) if path.is_file() else Description()
