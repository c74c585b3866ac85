"""Explains mistakes in a recipe to the user: where each key was set, what was expected, and the nearest known key."""

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from translate.errors import nearest
from translate.recipe.keys import keys_of, meant
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
    path = path_of(mistake, values)
    key, where = ".".join(map(str, path)), _where(path, source, places)
    if mistake["type"] == "extra_forbidden":
        known = [_with_names(name, path) for name in known_keys(Recipe)]
        if key in known:
            return f"{where}: unknown key '{key}': '{_chosen(values, path[:-1])}' has no such key, though others do"
        section, _, last = key.rpartition(".")
        beside = [name for name in known if name.rpartition(".")[0] == section]
        near = meant(last, [one for one in keys_of(Recipe) if not section or one.name.rpartition(".")[0] == section])
        hint = f"; did you mean '{near}'?" if near else nearest(key, known, beside)
        return f"{where}: unknown key '{_short(key)}'{hint}"
    if mistake["type"] == "unknown_name":
        choice = mistake["ctx"]
        where, given = _where((*path, choice["key"]), source, places), str(choice["given"])
        named = f"{where}: '{key}.{choice['key']}' is {_short(given)}"
        return f"{named}{nearest(given, choice['known'])} (a plugin's: give it as --plugin FILE)"
    message = mistake["msg"].removeprefix("Value error, ")
    given = "" if isinstance(mistake["input"], dict) else f", got {_short(json.dumps(mistake['input']))}"
    return f"{where}: '{_short(key)}': {message[0].lower()}{message[1:]}{given}"


def _with_names(key: str, path: KeyPath) -> str:
    """The known key with the names that `path` has where it says NAME."""
    words = key.split(".")
    return ".".join(str(path[at]) if word == "NAME" and at < len(path) else word for at, word in enumerate(words))


def path_of(mistake: ErrorDetails, values: Any) -> KeyPath:
    """The keys of a mistake's place, without the names of the forms that a value may have."""
    keys: list[str | int] = []
    for key in mistake["loc"]:
        if isinstance(values, list) and isinstance(key, int):
            keys, values = [*keys, key], values[key]
        elif isinstance(values, dict) and (key in values or key == mistake["loc"][-1]):
            keys, values = [*keys, key], values.get(key)
    return tuple(keys)


def _where(path: KeyPath, source: str, places: Places) -> str:
    """Where a key was set, or the section it is missing from; for a section, also the `--set` options within it."""
    given = next((places[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in places), source)
    below = [place for key, place in places.items() if key[: len(path)] == path and place.startswith("--set ")]
    return ", ".join(dict.fromkeys([given, *below]))


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _chosen(values: Any, path: KeyPath) -> Any:
    """The method or kind that a section says it is, or else the section's own name."""
    for name in path:
        values = values[name]
    return values.get("kind", values.get("name", path[-1]))


def known_keys(settings: type[Settings]) -> list[str]:
    """Every dotted key that a recipe may have; NAME stands for those that users name."""
    return list(dict.fromkeys(key.name for key in keys_of(settings)))
