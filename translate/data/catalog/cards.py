"""Named data sets: their cards in `datasets/`, and the folders that may hold their images."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from translate.data.catalog.description import FILE_NAME, Description, describe, read_description
from translate.errors import ConfigurationError, command
from translate.utils.printing import shown
from translate.utils.shipped import shipped
from translate.utils.user_paths import expanded, home

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/]+/.+$")]
NOT_STATED = "not stated by the publisher"


class Card(Description):
    """Description of a published data set. Null means that the publisher did not state it."""

    name: str
    title: str
    layout: Literal["paired", "unpaired", "labelled"]
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Pairs only: the direction trained in the paper."""
    size: Annotated[str, StringConstraints(pattern=r"^\d+x\d+$")] | None
    """Width and height of the images, or of each half."""
    counts: dict[str, int | tuple[int, int]]
    """Images per split: (A, B) for unpaired domains, otherwise the number of pairs or of labelled images."""
    url: Url | None
    """An archive that contains the data set's folders."""
    by_hand: str | None = None
    """If there is no such archive: what to download, and how to arrange it in the folder."""
    mirrors: tuple[Url, ...] = ()
    bytes: int | None = Field(None, ge=1)
    """Size of the archive."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    licence: str = NOT_STATED
    citation: str

    @model_validator(mode="after")
    def _whole(self) -> Card:
        if self.layout != "labelled" and self.domains is None:
            raise ValueError("domains: Field required")
        if (self.a is None) != (self.b is None):
            raise ValueError("a and b: both sets or none")
        if not (self.url or self.by_hand or self.a):
            raise ValueError("url or by_hand is needed")
        return self


def cards() -> dict[str, Card]:
    """Returns all cards by name, sorted by file name."""
    found = (read_description(path, Card) for path in sorted(shipped("datasets").glob("*.yaml")))
    return {card.name: card for card in found}


def user_data() -> Path:
    """Returns the folder that data sets are downloaded to: $TRANSLATE_HOME/data, or one in the user's cache."""
    named = os.environ.get("TRANSLATE_HOME")
    return (expanded(named) if named else _cache()) / "data"


def places(name: str) -> list[Path]:
    """Returns the folders that may hold a named data set, in order of preference: $TRANSLATE_DATA, then `user_data`."""
    own = os.environ.get("TRANSLATE_DATA")
    mine = [expanded(own) / name] if own else []
    try:
        return [*mine, user_data() / name]
    except ConfigurationError:  # no home, which is no fault as long as there is another place
        if not mine:
            raise
        return mine


def locate(name_or_path: str) -> tuple[Path, Card | None]:
    """Returns the folder of a data set given by name or path, and its card if it has one.

    A named set found in one of its `places` takes precedence over a folder of that name in the working directory.
    Raises ConfigurationError that lists the places searched and what to do.
    """
    path = expanded(name_or_path)
    known = cards()
    card = known.get(name_or_path)
    looked = places(name_or_path) if card else []
    for place in [*looked, path]:
        if place.exists():
            return place, card
    if card and card.a and card.b:
        raise ConfigurationError(
            f"{card.name}: made of the sets {card.a} and {card.b}, for a method with a labelled source (unit-digits); "
            "for another one give one of them"
        )
    if card:
        listed = ", ".join(map(shown, [*looked, path.absolute()]))
        fetch = f"Fetch it with {command('data', 'fetch', card.name)}" if card.url else f"By hand: {card.by_hand}"
        raise ConfigurationError(
            f"{card.name}: not here; looked for {listed}. {fetch}, or point TRANSLATE_DATA to the folder that holds it"
        )
    if Path(name_or_path).name != name_or_path:
        raise ConfigurationError(f"{shown(path)}: no such folder")
    close = difflib.get_close_matches(name_or_path, known, n=3)
    meant = f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(known)}."
    raise ConfigurationError(
        f"no data set '{shown(path)}', and no folder of that name here. {meant} A path will do too"
    )


def locate_both(name_or_path: str) -> tuple[Path, Path]:
    """Returns the source and target folders that a set names as its `a` and `b`. Raises ConfigurationError."""
    card = cards().get(name_or_path)
    if card and card.a and card.b and not any(place.exists() for place in places(name_or_path)):
        return locate(card.a)[0], locate(card.b)[0]
    folder = locate(name_or_path)[0]
    said = describe(folder)
    if not (said.a and said.b):
        joint = ", ".join(name for name, card in cards().items() if card.a)
        raise ConfigurationError(
            f"{shown(folder)}: one set, where a labelled source and a target are needed: give {joint}, or a folder "
            f"whose {FILE_NAME} says `a: SET` and `b: SET`, names or paths of the two"
        )
    return _member(folder, said.a), _member(folder, said.b)


def whereabouts(card: Card) -> tuple[Path, ...]:
    """Returns the folder of a named set, or those of the two sets it combines; empty if not on this machine."""
    here = next((place for place in places(card.name) if place.is_dir()), None)
    if here or not (card.a and card.b):
        return (here,) if here else ()
    known = cards()
    parts = [whereabouts(known[name]) for name in (card.a, card.b)]
    return tuple(path for part in parts for path in part) if all(parts) else ()


def _member(folder: Path, name: str) -> Path:
    """Resolves a set named in a folder's description: a path relative to that folder, or a known name."""
    path = folder / expanded(name)
    return path if path.is_dir() else locate(name)[0]


def _cache() -> Path:
    """Returns the platform's cache folder for this application."""
    if sys.platform == "darwin":
        return home() / "Library" / "Caches" / "translate"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local") / "translate" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "translate"
