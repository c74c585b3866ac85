"""Explains mistakes in a recipe to the user: where each key was set, what was expected, and the nearest known key."""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from translate.errors import nearest
from translate.models import MODELS
from translate.recipe.schema import Recipe
from translate.utils.settings import Settings
from translate.utils.yaml_reader import KeyPath

MISTAKES = 10
"""How many mistakes of a recipe are explained; the rest are counted."""
Places = dict[KeyPath, str]
"""Where each key was set: a file and line, or `--set KEY=VALUE`."""


def explained(error: ValidationError, values: dict[str, Any], source: str, places: Places) -> str:
    """One line for each of the first mistakes in `values`, which come from `source`."""
    found = error.errors()
    lines = [_explain(mistake, values, source, places) for mistake in found[:MISTAKES]]
    if len(found) > MISTAKES:
        lines.append(f"{source}: and {len(found) - MISTAKES} more mistakes")
    return "\n".join(lines)


def _explain(mistake: ErrorDetails, values: dict[str, Any], source: str, places: Places) -> str:
    path = path_in(values, mistake["loc"])
    key, where = ".".join(map(str, path)), _where(path, source, places)
    if mistake["type"] == "extra_forbidden":
        known = known_keys(Recipe)
        if key in known:
            return f"{where}: unknown key '{key}': '{mistake['loc'][-2]}' has no such key, though others do"
        beside = [name for name in known if name.rpartition(".")[0] == key.rpartition(".")[0]]
        return f"{where}: unknown key '{_short(key)}'{nearest(key, known, beside)}"
    if mistake["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = mistake["ctx"]["discriminator"].strip("'")
        given = mistake["ctx"].get("tag", "missing")
        expected = [word.strip(" '") for word in mistake["ctx"].get("expected_tags", "").split(",") if word]
        return f"{_where((*path, tag), source, places)}: '{key}.{tag}' is {given}{nearest(given, expected or MODELS)}"
    message = mistake["msg"].removeprefix("Value error, ")
    given = "" if isinstance(mistake["input"], dict) else f", got {_short(json.dumps(mistake['input']))}"
    return f"{where}: '{_short(key)}': {message[0].lower()}{message[1:]}{given}"


def _where(path: KeyPath, source: str, places: Places) -> str:
    """Where a key was set, or the section it is missing from; for a whole section, also the `--set` options within
    it."""
    given = next((places[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in places), source)
    below = [place for key, place in places.items() if key[: len(path)] == path and place.startswith("--set ")]
    return ", ".join(dict.fromkeys([given, *below]))


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def path_in(values: Any, location: tuple[str | int, ...]) -> KeyPath:
    """pydantic's location of a mistake without the names of union members, which occur in no file."""
    path: list[str | int] = []
    for position, name in enumerate(location):
        inside = isinstance(values, dict) and name in values
        tagged = isinstance(values, dict) and name in (values.get("name"), values.get("kind"))
        if tagged and not inside and position + 1 < len(location):
            continue
        path.append(name)
        listed = isinstance(values, list) and isinstance(name, int) and name < len(values)
        values = values[name] if inside or listed else None
    return tuple(path)


def known_keys(settings: Any, prefix: str = "") -> list[str]:
    """Every dotted key that a recipe may have."""
    if isinstance(settings, type) and issubclass(settings, Settings):
        keys = []
        for name, field in settings.model_fields.items():
            keys += [prefix + name, *known_keys(field.annotation, f"{prefix}{name}.")]
        return list(dict.fromkeys(keys))
    return list(dict.fromkeys(key for part in get_args(settings) for key in known_keys(part, prefix)))
