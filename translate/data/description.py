"""What a `dataset.yaml` says about a folder of images: the same words as the cards of named data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from translate.errors import ConfigurationError
from translate.settings import Settings
from translate.yaml_reader import read_yaml

FILE_NAME = "dataset.yaml"


class Description(Settings):
    """All of it is optional; what is not said is taken from the folders."""

    name: str | None = None
    title: str | None = None
    layout: Literal["paired", "unpaired"] | None = None
    domains: tuple[str, str] | None = None
    direction: Literal["AtoB", "BtoA"] | None = None
    """Pairs only: which domain is the input unless told otherwise."""
    test_paired: bool = False
    """Test images of an unpaired set with equal names show the same thing, so that errors can be measured."""
    licence: str | None = None
    citation: str | None = None


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
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{path}{line}: {where}: {first['msg']}") from error


def describe(folder: Path) -> Description:
    """The description inside `folder`, an empty one where there is none."""
    path = folder / FILE_NAME
    return read_description(path, Description) if path.is_file() else Description()
