"""Reads recipes from YAML files: finds them by name or path, resolves bases, applies `--set`, validates."""

import json
from collections.abc import Iterable, Mapping
from os.path import isfile  # False, not an error, for impossible file names
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from translate.errors import ConfigurationError, command, nearest
from translate.recipe.mistakes import Places, explained, path_of
from translate.recipe.plugins import beside, require_plugins
from translate.recipe.schema import Recipe
from translate.utils.shipped import shipped
from translate.utils.stored import UnreadableError, read_text
from translate.utils.yaml_reader import MAX_BYTES, read_yaml, read_yaml_value

_WHOLE = "data.domains="
"""Names all domains: it comes before what is said of one, whichever was written first."""


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def load_recipe(name_or_path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Loads a shipped recipe by name, or a YAML file by path, and applies `section.key=value` overrides.

    A recipe may be based on another: `base: NAME` takes that recipe's values wherever its own are missing. Raises
    ConfigurationError naming file, line and key, what was expected, and the nearest known key.
    """
    path = _recipe_path(str(name_or_path))
    require_plugins(beside(path), path.parent)
    values, places = _read(path)
    _override(values, places, overrides)
    return parse_recipe(values, str(path), places)


def parse_recipe(values: dict[str, Any], source: str, places: Places | None = None) -> Recipe:
    """Converts plain values to typed settings. Raises ConfigurationError with one line per mistake."""
    try:
        return _validated(values)
    except ValidationError as error:
        raise ConfigurationError(explained(error, values, source, places or {})) from error


def recipe_of(facts: Mapping[str, Any], folder: Path) -> Recipe:
    """The recipe in the facts of the checkpoint in `folder`. Raises ConfigurationError, also if a plugin is missing."""
    require_plugins(facts.get("plugins", ()), folder)
    return parse_recipe(facts.get("recipe", {}), f"the recipe in {folder}")


def _validated(values: dict[str, Any]) -> Recipe:
    """Accepts 1e4 where the schema wants an integer, and changes it in `values`. Raises ValidationError."""
    try:
        # Through JSON, because strict mode then still accepts lists as tuples and integers as floats.
        return Recipe.model_validate_json(json.dumps(values))
    except ValidationError as error:
        wanted = [mistake for mistake in error.errors() if mistake["type"].startswith("int_")]
        whole = [mistake for mistake in wanted if isinstance(mistake["input"], float) and mistake["input"].is_integer()]
        if not whole:
            raise
    for mistake in whole:
        *above, key = path_of(mistake, values)
        section: Any = values
        for name in above:
            section = section[name]
        section[key] = int(mistake["input"])
    return Recipe.model_validate_json(json.dumps(values))


def _recipe_path(name_or_path: str) -> Path:
    if name_or_path in recipe_names():
        return shipped("recipes") / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if isfile(path):
        return path
    if isfile(path / "recipe.yaml"):
        raise ConfigurationError(
            f"{path}: a run's folder; go on with {command('train', path / 'recipe.yaml', '--out', path, '--resume')}"
        )
    hint = nearest(name_or_path, recipe_names())
    raise ConfigurationError(f"no recipe '{name_or_path}', neither by name nor as a file{hint}")


def _base_path(path: Path, base: str) -> Path:
    """The path of a recipe's base: a shipped recipe, a file next to the recipe, or one in the working folder."""
    beside = path.parent / base
    if base not in recipe_names() and isfile(beside):
        return beside
    try:
        return _recipe_path(base)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: base: {error}; also looked for as {beside}") from None


def _read(path: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], Places]:
    try:
        values, lines = read_yaml(read_text(path, MAX_BYTES), str(path))
    except UnreadableError as error:
        raise ConfigurationError(f"{error}; expected a recipe") from error
    base = values.pop("base", None)
    values.setdefault("name", path.stem)
    places = {key: f"{path}: line {line}" for key, line in lines.items()}
    if base is None:
        return values, places
    base_path, seen = _base_path(path, str(base)), (*seen, path.resolve())
    if base_path.resolve() in seen:
        raise ConfigurationError(f"{path}: recipes are based on each other in a circle ({base})")
    below, places_below = _read(base_path, seen)
    return _merged(below, values), places_below | places


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merges `above` over `below`, section by section; a section of another kind replaces the one below entirely."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict) and value.get("kind") in (None, under.get("kind")):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    training = above.get("training", {})
    if isinstance(training, dict) and isinstance(merged.get("training"), dict):
        _one_length(merged["training"], training)
    return merged


def _override(values: dict[str, Any], places: Places, overrides: Iterable[str]) -> None:
    """Applies overrides, kinds first: another kind clears its section, which then takes its other overrides. Domains
    that are named in a list become sections where one says what a domain is, and keep their order."""
    for override in sorted(overrides, key=lambda override: (_WHOLE not in override, ".kind=" not in override)):
        key, equals, text = override.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise ConfigurationError(f"--set {override}: expected section.key=value, e.g. training.lr=1e-4")
        section = values
        for name in path[:-1]:
            if section.get(name) is None:
                section[name] = {}
            if section is values.get("data") and name == "domains" and isinstance(section[name], list):
                _in_order(section, section[name])
                section[name] = {str(domain): {} for domain in section[name]}
            if not isinstance(section[name], dict):
                raise ConfigurationError(f"--set {override}: '{name}' is a value, not a section")
            section = section[name]
        value = read_yaml_value(text)
        if path[-1] == "kind" and section.get("kind") != value:
            section.clear()
        section[path[-1]] = value
        if path == ("data", "domains"):
            _in_order(section, value if isinstance(value, dict) else [])
        for inside in [key for key in places if key[: len(path)] == path]:
            del places[inside]
        places[path] = f"--set {override}"
        if path[0] == "training":
            _one_length(section, {path[-1]: value})


def _in_order(data: dict[str, Any], names: Iterable[Any]) -> None:
    """Notes the order of two domains, which sections do not tell; forgets that of others."""
    two = [str(name) for name in names]
    if len(two) == 2:
        data["order"] = two
    else:
        data.pop("order", None)


def _one_length(training: dict[str, Any], given: dict[str, Any]) -> None:
    """Clears one of `steps` and `epochs` if only the other is given, so that a later length replaces an earlier one."""
    for unit, other in (("steps", "epochs"), ("epochs", "steps")):
        if given.get(unit) is not None and given.get(other) is None:
            training[other] = None
