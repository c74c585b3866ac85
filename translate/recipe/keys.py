"""The keys of recipes: where each may stand, what it means, which values it takes, and what it is by default."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from translate.utils.one_of import OneOf
from translate.utils.settings import Settings, meanings


@dataclass(frozen=True)
class Key:
    """A key that a recipe may have."""

    name: str
    """Dotted, such as `training.lr`; NAME stands for those that users name."""
    owner: type[Settings]
    """The settings that it is one of."""
    of: str = ""
    """The method or the kind of network that alone has it; empty where all have it."""

    @property
    def field(self) -> FieldInfo:
        return self.owner.model_fields[self.name.rpartition(".")[2]]

    @property
    def meaning(self) -> str:
        """What it means, in sentences: as written beside it, else as the settings say that it holds."""
        if written := meanings(self.owner).get(self.name.rpartition(".")[2]):
            return written
        held = [kind for before, _, kind in _sections(self.field) if not before]
        if get_origin(self.field.annotation) is Literal:
            return f"Chooses {self.values}."
        return (held[0] if len(held) == 1 else self.field.annotation).__doc__ or "" if held else ""

    @property
    def short(self) -> str:
        """The first sentence of its meaning."""
        return first_sentence(self.meaning)

    @property
    def choice(self) -> OneOf | None:
        """The table that it chooses from, if it is a section of one of several kinds."""
        return _choice(self.field)

    @property
    def values(self) -> str:
        """Which values it takes, in words."""
        if self.choice:
            return f"a section, whose {self.choice.key} is {_listed(self.choice.table)}"
        return _listed(self._known) if self._known else _in_words(self.field.annotation, self.field.metadata)

    @property
    def words(self) -> list[Any]:
        """The values that it takes, if they are listed."""
        return self._known or _literals(self.field.annotation)

    @property
    def _known(self) -> list[Any] | None:
        """The names that it takes, if it is checked against a table of them."""
        return _named(self.owner).get(self.name.rpartition(".")[2])

    @property
    def default(self) -> str | None:
        """What it is where a recipe does not say it, as in YAML; None where it must be said, or is a section."""
        if self.field.is_required() or self.section:
            return None
        value = self.field.get_default(call_default_factory=True)  # type: ignore[call-arg]
        return json.dumps(value, default=str)

    @property
    def example(self) -> str | None:
        """A value as it stands in YAML; None where there is none to show, and where `values` are all that there are."""
        value = self._example
        if value in (None, "", [], {}):
            return None
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf)
        return text.removesuffix("...\n").strip()

    @property
    def _example(self) -> Any:
        """What the settings name as one, else the default; of a section, one of its keys with a value."""
        if self.choice:
            return {self.choice.key: next(iter(self.choice.table))}
        if self.section:
            kind = next(kind for before, _, kind in _sections(self.field) if not before)
            inside = {name: Key(name, kind)._example for name in kind.model_fields}
            return next(({name: value} for name, value in inside.items() if value not in (None, "", [], {})), None)
        if self.words:
            return None
        return self.field.examples[0] if self.field.examples else json.loads(self.default or "null")

    @property
    def section(self) -> bool:
        """Whether it holds other keys, whose names the settings know."""
        return any(not before for before, _, _ in _sections(self.field))


def first_sentence(text: str) -> str:
    """The text up to the first full stop that ends a sentence."""
    return re.split(r"(?<!e\.g)(?<! al)(?<! eq)\. ", " ".join(text.split()))[0].removesuffix(".")


def meant(word: str, keys: Sequence[Key]) -> str | None:
    """The name of the key that somebody who wrote `word` may mean: by its last part, by a slip of the fingers, or by
    the first words of what it means, so that `learning_rate` is `training.lr`."""
    names = sorted(dict.fromkeys(key.name for key in keys), key=lambda name: name.count("."))
    last = {name.rpartition(".")[2]: name for name in reversed(names)}
    phrase = " ".join(re.split(r"[_.-]", word)).lower()
    close = [last[one] for one in get_close_matches(word, last, n=1, cutoff=0.75)]
    said = [key.name for key in keys if len(phrase) > 2 and f"{key.short.lower()} ".startswith(f"{phrase} ")]
    found = [*([last[word]] if word in last else []), *close, *said, *get_close_matches(word, names, n=1, cutoff=0.6)]
    return found[0] if found else None


def keys_of(settings: type[Settings], prefix: str = "", of: str = "") -> Iterator[Key]:
    """Every key below `prefix`, in the order of the settings; one that several methods have, once for each."""
    for name, field in settings.model_fields.items():
        yield Key(prefix + name, settings, of)
        for before, chosen, section in _sections(field):
            yield from keys_of(section, f"{prefix}{name}.{before}", chosen or of)


@cache
def _named(settings: type[Settings]) -> dict[str, list[Any]]:
    """The names that each key takes which is checked against a table, such as an objective."""
    keys = settings.model_json_schema().get("properties", {})
    return {name: said["enum"] for name, said in keys.items() if "enum" in said}


def _literals(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [word for one in get_args(kind) for word in _literals(one)]


def _choice(field: FieldInfo) -> OneOf | None:
    return next((mark for mark in field.metadata if isinstance(mark, OneOf)), None)


def _sections(field: FieldInfo) -> list[tuple[str, str, type[Settings]]]:
    """The classes of settings that the field may hold: with what comes before their keys, and the name that chooses
    each; none for a plain value."""
    if choice := _choice(field):
        return [("", name, kind) for name, kind in choice.classes().items()]
    return [(before, "", kind) for before, kind in _within(field.annotation)]


def _within(kind: Any, before: str = "") -> Iterator[tuple[str, type[Settings]]]:
    if isinstance(kind, type) and issubclass(kind, Settings):
        yield before, kind
    elif get_origin(kind) is not tuple:
        for one in get_args(kind):
            yield from _within(one, "NAME." if get_origin(kind) is dict else before)


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}
_BOUNDS = {"ge": "{} or more", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def _in_words(kind: Any, metadata: list[Any]) -> str:
    """The values of a type, in words, with the bounds that `metadata` sets."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _in_words(arguments[0], [*arguments[1:], *metadata])
    if origin in (Union, UnionType):
        words = [_in_words(one, [] if one is NoneType else metadata) for one in arguments]
        return ", or ".join(dict.fromkeys(words))
    if origin is Literal:
        return _listed(arguments)
    if origin is dict:
        return f"a section of NAME: {_in_words(arguments[1], [])}"
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list{_length(metadata)}, each {_in_words(arguments[0], [])}"
        return f"a list of {len(arguments)}, each {_in_words(arguments[0], [])}"
    if isinstance(kind, type) and issubclass(kind, Settings):
        return "a section"
    if kind not in _WORDS:
        return f"text{_length(metadata)}{' letters' * bool(_length(metadata))}"
    return f"{_WORDS[kind]}{_range(metadata)}"


def _range(metadata: list[Any]) -> str:
    """The bounds of a number."""
    said = {name: f"{bound:g}" if bound < 1e6 else f"{bound:,}" for name, bound in _marks(metadata, _BOUNDS).items()}
    if said.keys() == {"ge", "le"}:
        return f" from {said['ge']} to {said['le']}"
    return "".join(f", {_BOUNDS[name].format(bound)}" for name, bound in said.items())


def _length(metadata: list[Any]) -> str:
    """How long a list or a text may be."""
    found = _marks(metadata, ("min_length", "max_length"))
    least, most = found.get("min_length"), found.get("max_length")
    if least and most:
        return f" of {least} to {most}"
    return f" of {least} or more" if least else f" of at most {most}" if most else ""


def _marks(metadata: list[Any], names: Iterable[str]) -> dict[str, Any]:
    """The bounds of these names that are set, in their order."""
    flat = [one for mark in metadata for one in (getattr(mark, "metadata", None) or [mark])]
    return {name: getattr(mark, name) for name in names for mark in flat if getattr(mark, name, None) is not None}


def _listed(words: Any) -> str:
    *most, last = ("null" if word is None else str(word) for word in words)
    return f"{', '.join(most)} or {last}" if most else last
