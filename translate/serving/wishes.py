"""What a request may ask for: the fields of the API, read from a query or a form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, get_args

from translate.errors import nearest
from translate.inference.options import Depth, ImageFormat, OutputOptions, Size
from translate.serving.refusal import Refusal


@dataclass(frozen=True)
class Wish:
    """What is to be done with a picture; empty fields leave it to the server."""

    model: str = ""
    to: tuple[str, ...] = ()
    checkpoint: str = ""
    size: Size = "auto"
    depth: Depth = "target"
    format: ImageFormat = "same"
    previews: bool = False


@dataclass(frozen=True)
class Field:
    """How a field is described (`schema` as in OpenAPI), and read; `parse` raises ValueError, which says why."""

    about: str
    schema: dict[str, Any]
    parse: Callable[[str], Any] = str


def _one_of(*words: str) -> Field:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"'{text[:40]}' is none of {', '.join(words)}")
        return text

    return Field("", {"type": "string", "enum": list(words)}, parse)


def _option(name: str) -> Any:
    """The option of `translate convert` of that name."""
    return next(each.metadata["option"] for each in fields(OutputOptions) if each.name == name)


def _yes(text: str) -> bool:
    return {"true": True, "false": False}[_one_of("true", "false").parse(text)]


def _described(about: str, field: Field) -> Field:
    return Field(about, field.schema, field.parse)


FIELDS: dict[str, Field] = {
    "model": Field("Name of the model, as /api/models lists it; by default the first.", {"type": "string"}),
    "to": Field(
        "The domain to translate to, which may be left out if there is one. Of attributes any number, each in a field "
        "of its own: NAME sets one, -NAME clears one.",
        {"type": "array", "items": {"type": "string"}},
    ),
    "checkpoint": Field(
        "latest, best, or the number of a step, as /api/models lists them; by default what the server was started "
        "with.",
        {"type": "string"},
    ),
    "size": Field(
        "At which size the picture is translated: auto, native (its own), trained (the scale that the model was "
        "trained at), or so many pixels on the shorter side. The translation has the picture's own size, or "
        "as many times that as the model enlarges; such a model takes pictures as they are by auto.",
        {
            "oneOf": [
                {"type": "string", "enum": ["auto", "native", "trained"]},
                {"type": "integer", "minimum": 1, "maximum": 1 << 16},
            ]
        },
        _option("size").parse,
    ),
    "depth": _described(
        "What the translation is: as the images of its domain (target), as the picture that came (same), 8 or 16 bits, "
        "or floats.",
        _one_of(*get_args(Depth)),
    ),
    "format": _described(
        "Format of the file; same is that of the picture that came, or one that holds what the model gives.",
        _one_of(*get_args(ImageFormat)),
    ),
    "previews": Field(
        "Whether to answer with multipart/form-data: the translation, and small PNGs before and after to look at.",
        {"type": "boolean"},
        _yes,
    ),
}


def wish_of(given: Iterable[tuple[str, str]]) -> Wish:
    """The wish that the fields make, in any order. Raises Refusal (400)."""
    found: dict[str, Any] = {}
    for name, text in given:
        if name not in FIELDS:
            raise Refusal(400, f"there is no field '{name[:40]}'{nearest(name[:40], FIELDS)}")
        try:
            value = FIELDS[name].parse(text)
        except ValueError as error:
            raise Refusal(400, f"{name}: {error}") from error
        if name == "to":
            value = (*found.get("to", ()), value)
        elif name in found:
            raise Refusal(400, f"{name} is given twice; only 'to' may be")
        found[name] = value
    return Wish(**found)
