"""Explains mistakes in a recipe to the user: where each key was set, what was expected, and the nearest known key."""

import itertools
import json
import shlex
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from translate.errors import nearest
from translate.recipe.keys import Key, keys_of, meant
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
    told = [mistake for number, mistake in enumerate(found[:MISTAKES]) if not _follows(mistake, found[:number])]
    lines = list(dict.fromkeys(_explain(mistake, values, source, places) for mistake in told))
    if len(found) > MISTAKES:
        lines.append(f"{source}: and {len(found) - MISTAKES} more mistakes")
    return "\n".join(lines)


def _follows(mistake: ErrorDetails, others: Sequence[ErrorDetails]) -> bool:
    """Whether it is a list's that has too few items, once those of another kind were left out."""
    place = mistake["loc"]
    if mistake["type"] == "missing" and isinstance(place[-1], int):
        place = place[:-1]
    return any(other["loc"][: len(place)] == place for other in others)


def _explain(mistake: ErrorDetails, values: dict[str, Any], source: str, places: Places) -> str:
    path = path_of(mistake, values)
    key, where = ".".join(map(str, path)), _where(path, source, places)
    if mistake["type"] == "extra_forbidden":
        known = [
            name for name in (_with_names(name, path) for name in known_keys(Recipe)) if not key.startswith(f"{name}.")
        ]
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
        if given.lower().endswith("3d"):
            return f"{named}: there are no 3-D networks; volumes go by slices, and data.neighbours adds more"
        return f"{named}{nearest(given, choice['known'])} (a plugin's: give it as --plugin FILE)"
    if mistake["type"] != "value_error" and (wanted := _wanted(path, values)):
        return f"{where}: {_expected(*wanted, mistake, values, where)}"
    message = mistake["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    given = "" if isinstance(mistake["input"], dict) else f", got {_short(json.dumps(mistake['input']))}"
    return f"{where}: '{_short(key)}': {message[0].lower()}{message[1:]}{given}"


def _wanted(path: KeyPath, values: dict[str, Any]) -> tuple[Key, KeyPath] | None:
    """The known key at a mistake's place or above it; None within a list of sections, whose keys are not known."""
    words = tuple(itertools.takewhile(lambda word: isinstance(word, str), path))
    if any(isinstance(word, str) for word in path[len(words) :]):
        return None
    chosen = _choices(values, words)
    keys = [(key, _with_names(key.name, words)) for key in keys_of(Recipe)]
    for depth in range(len(words), 0, -1):
        if found := [key for key, name in keys if name == ".".join(map(str, words[:depth]))]:
            return max(found, key=lambda key: chosen.index(key.of) if key.of in chosen else -1), words[:depth]
    return None


def _expected(key: Key, path: KeyPath, mistake: ErrorDetails, values: Any, where: str) -> str:
    """What the key takes, with an example, and what it was given."""
    name = ".".join(map(str, path))
    missing = mistake["type"] == "missing" and not isinstance(mistake["loc"][-1], int)
    for word in () if missing else path:
        values = values[word]
    given = "" if missing else f", got {_short(json.dumps(values))}"
    if mistake["type"] == "string_type" and isinstance(mistake["input"], int | float):
        given += f"; in quotes it is text: '\"{json.dumps(mistake['input'])}\"'"
    example = shlex.quote(f"{name}={key.example}") if where.startswith("--set ") else f"{path[-1]}: {key.example}"
    wanted = f"{key.values}, e.g. {example}" if key.example else key.values
    return f"'{_short(name)}'{' is missing' * missing}: expected {wanted}{given}"


def _choices(values: Any, words: KeyPath) -> list[Any]:
    """The methods and kinds that the sections on the way to a key name."""
    found: list[Any] = []
    for word in words:
        values = values.get(word) if isinstance(values, dict) else None
        found += [values.get("name"), values.get("kind")] if isinstance(values, dict) else []
    return found


def _with_names(key: str, path: KeyPath) -> str:
    """The known key with the names that `path` has where it says NAME."""
    words = key.split(".")
    return ".".join(str(path[at]) if word == "NAME" and at < len(path) else word for at, word in enumerate(words))


def path_of(mistake: ErrorDetails, values: Any) -> KeyPath:
    """The keys of a mistake's place, without the names of the forms that a value may have."""
    keys: list[str | int] = []
    for key in mistake["loc"]:
        if isinstance(values, list) and isinstance(key, int):
            keys, values = [*keys, key], values[key] if key < len(values) else None
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
