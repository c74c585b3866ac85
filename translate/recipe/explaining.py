"""Explains a word to the user: a key of recipes, a section, a method, a kind of network, or a recipe."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from translate.data.domain import KINDS
from translate.errors import ConfigurationError, folded, nearest
from translate.models import MODELS
from translate.recipe.keys import Key, keys_of, meant
from translate.recipe.reading import load_recipe, recipe_names
from translate.recipe.schema import Recipe
from translate.utils.printing import shown
from translate.utils.settings import Settings

MOST = 8
"""Most keys of one ending that are explained in full; more are listed."""


def explained(word: str) -> list[str]:
    """Lines that explain a dotted key, its last part, a section, a method, a kind of network, a recipe, or a value that
    a key takes.

    Raises ConfigurationError, with the nearest known words, for any other.
    """
    keys = list(keys_of(Recipe))
    named = [_with_names(word.removeprefix("--"), key.name) for key in keys]
    found = [key for key, name in zip(keys, named, strict=True) if key.name == name]
    found = found or [key for key in keys if key.name.endswith(f".{word}")]
    kinds = {key.of for key in keys if key.of} - set(MODELS)
    if word in MODELS:
        return _method(word, keys)
    if word in recipe_names():
        return _recipe(word)
    if word in kinds:
        return _kind(word, keys)
    if taken := [] if found else _distinct([key for key in keys if word in key.words]):
        return [line for key in taken for line in (*_value(word, key, keys), "")][:-1]
    if not found:
        others = [*MODELS, *sorted(kinds), *recipe_names(), *(str(one) for key in keys for one in key.words)]
        near = meant(word, keys)
        hint = f"; did you mean '{near}'?" if near else nearest(word, others, ["data", "training", *MODELS])
        raise ConfigurationError(
            f"{_on_a_line(word)}: neither a key nor a value of one, a method, a network or a recipe{hint}"
        )
    one = _distinct(found)
    if len(one) > MOST:
        return [f"{len(one)} keys end so; give one of them whole:", *_table(one)]
    lines = []
    for key in one:
        lines += [*_key(key, keys), ""]
    return lines[:-1]


def _with_names(word: str, key: str) -> str:
    """The word with NAME where the key has it: `data.domains.ct.unit` is `data.domains.NAME.unit`."""
    words, parts = word.split("."), key.split(".")
    if len(words) != len(parts):
        return word
    return ".".join("NAME" if part == "NAME" else given for given, part in zip(words, parts, strict=True))


def _distinct(keys: Sequence[Key]) -> list[Key]:
    """One key for all that mean the same, first come first."""
    return list({_same(key): key for key in reversed(keys)}.values())[::-1]


def _same(key: Key) -> tuple[str, ...]:
    return key.name, key.values, key.meaning


def _key(key: Key, keys: Sequence[Key]) -> Iterator[str]:
    alike = [other for other in keys if _same(other) == _same(key)]
    owners = list(dict.fromkeys(other.of for other in alike))
    of = f" (of {folded(owners)})" if any(owners) else ""
    yield f"{key.name}{of}: {key.values}"
    yield f"  {' '.join(key.meaning.split())}"
    if key.choice:
        yield f"  more of each: translate explain {'|'.join(key.choice.table)}"
        return
    if not key.section:
        yield f"  default: {'none, a recipe says it' if key.default is None else key.default}"
        if said := _said(key):
            yield f"  other recipes: {said}"
        if touched := _touched(key, keys):
            yield f"  see also: {', '.join(touched)}"
    yield from _table(_distinct([one for one in keys if one.of == key.of and _directly_below(one, key)]))


def _directly_below(key: Key, section: Key) -> bool:
    rest = key.name.removeprefix(f"{section.name}.")
    return key.name != rest and "." not in rest.removeprefix("NAME.")


def _table(keys: Sequence[Key]) -> list[str]:
    width = min(48, max((len(key.name) for key in keys), default=0))
    same = [key.name for key in keys]
    ofs = [f" (of {key.of})" if same.count(key.name) > 1 else "" for key in keys]
    return [f"  {key.name:{width}}  {key.short}{of}" for key, of in zip(keys, ofs, strict=True)]


def _said(key: Key) -> str:
    """What shipped recipes set where it is not the default."""
    said: dict[str, list[str]] = {}
    for name, value in _shipped().items():
        for part in key.name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if value is not None and text != str(key.default).strip('"'):
            said.setdefault(text, []).append(name)
    most = sorted(said.items(), key=lambda item: -len(item[1]))[:4]
    return "; ".join(f"{text} in {', '.join(names[:3])}{' ...' * (len(names) > 3)}" for text, names in most)


@cache
def _shipped() -> dict[str, Any]:
    """What each recipe that ships says, defaults included; read once, however many keys are explained."""
    return {name: load_recipe(name).to_json() for name in recipe_names()}


def _touched(key: Key, keys: Sequence[Key]) -> list[str]:
    """The keys that its meaning names, and those whose meaning names it."""
    names = dict.fromkeys(other.name for other in keys)
    mine = {_resolved(word, key, names) for word in _quoted(key)}
    theirs = {other.name for other in keys if key.name in {_resolved(word, other, names) for word in _quoted(other)}}
    return [name for name in names if name in (mine | theirs) - {key.name}]


def _quoted(key: Key) -> list[str]:
    return re.findall(r"`([\w.]+)`", key.meaning)


def _resolved(word: str, key: Key, names: dict[str, None]) -> str | None:
    """The key that a word in the meaning of another names: a whole one, or one beside it."""
    beside = f"{key.name.rpartition('.')[0]}.{word}"
    return next((name for name in (word, beside) if name in names), None)


def _value(word: str, key: Key, keys: Sequence[Key]) -> Iterator[str]:
    """Lines that explain a value of a key; of a kind of domain also which keys go with it."""
    yield f"{word}, a value of {key.name}"
    yield from _key(key, keys)
    if key.name == "data.domains.NAME.kind":
        yield f"keys of {word}:"
        yield from _table(
            [one for one in keys if one.name in {f"data.domains.NAME.{of}" for of in KINDS[word].settings}]
        )


def _kind(kind: str, keys: Sequence[Key]) -> list[str]:
    chosen = [key for key in keys if key.of == kind and key.values == kind]
    section, owner = chosen[0].name.rpartition(".")[0], chosen[0].owner
    own = [key for key in keys if key.owner is owner and key.name.rpartition(".")[0] == section and key.of == kind]
    places = dict.fromkeys(f"{key.name}={kind}" for key in chosen)
    return [f"{kind}, a kind of network: {', '.join(places)}", _about(owner), *_table(_distinct(own))]


def _method(name: str, keys: Sequence[Key]) -> list[str]:
    model = MODELS[name]
    recipes = {one: says["summary"] for one, says in _shipped().items() if says["model"]["name"] == name}
    lines = [f"{name}, a method that learns from {model.batch_type.called}", _about(model)]
    width = max(map(len, recipes), default=0)
    lines += ["recipes:", *(f"  {one:{width}}  {summary}" for one, summary in recipes.items())] if recipes else []
    return [*lines, "keys:", *_table(_distinct([key for key in keys if key.of == name]))]


def _recipe(name: str) -> list[str]:
    recipe = load_recipe(name)
    method = recipe.model.name  # type: ignore[attr-defined]
    return [
        f"{name}, a recipe of the method {method}: {recipe.summary}",
        f"  train it: translate train {name} --data FOLDER",
        f"  all its keys: translate recipes {name}",
        f"  the method: translate explain {method}",
    ]


def _about(kind: type) -> str:
    """The first paragraph of what the class says of itself."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    return f"  {' '.join(text.split())}"


def commented(recipe: Recipe) -> str:
    """`Recipe.to_yaml`, with the first sentence of what each key means behind it."""
    said, path, lines = dict(_sentences(recipe)), [""], []
    for line in recipe.to_yaml(width=math.inf).splitlines():
        if match := re.match(r"( *)([\w-]+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
        meaning = said.get(".".join(path), "") if match else ""
        lines.append(f"{line:38}  # {meaning}" if meaning else line)
    return "\n".join(lines) + "\n"


def _sentences(settings: Settings, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The dotted name of each value in these settings, and the first sentence of what it means."""
    for name, value in settings:
        if isinstance(value, Settings):
            yield from _sentences(value, f"{prefix}{name}.")
        else:
            yield prefix + name, Key(prefix + name, type(settings)).short


def _on_a_line(word: str) -> str:
    """A word that somebody gave, on one line, of a length that can be read."""
    return f"{shown(word[:60])}{'...' * (len(word) > 60)}" or "''"
