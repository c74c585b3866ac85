"""The one recogniser of split words (train, test, val, ...) in the names of folders, for every layout and method."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
SPLIT_ORDER = ("train", "test", "validation")
WHOLE = "whole"
"""Split name of images that are not split."""
_WORD = "|".join(sorted(SPLITS, key=len, reverse=True))
_BEFORE = re.compile(rf"({_WORD})([-_ .]*)(.+)", re.IGNORECASE)
_BEHIND = re.compile(rf"(.+?)([-_ .]*)({_WORD})", re.IGNORECASE)


class Marked(NamedTuple):
    """What a name says: `split`, of the domain `rest` ("" for a bare split word)."""

    split: str
    rest: str
    clear: bool
    """Whether the word stands apart (test_cats, testCats, testA); else only a sibling shows that it is one: valley."""


def readings(name: str) -> list[Marked]:
    """Returns every way to read a split word at the beginning or end of `name`; empty if there is none."""
    if name.lower() in SPLITS:
        return [Marked(SPLITS[name.lower()], "", True)]
    found = []
    for pattern, word, rest in ((_BEFORE, 1, 3), (_BEHIND, 3, 1)):
        if (match := pattern.fullmatch(name)) and (kept := match[rest].strip("-_ .")):
            clear = bool(match[2]) or _apart(match[word], match[rest], name)
            found.append(Marked(SPLITS[match[word].lower()], kept, clear))
    return found


def _apart(word: str, rest: str, name: str) -> bool:
    """Returns whether a word without a separator stands apart by its case (testCats, HorsesTest), or the rest is A or B
    in any case, or another single capital beside a word in lower case."""
    if rest.lower() in ("a", "b"):
        return True
    left, right = (word, rest) if name.startswith(word) else (rest, word)
    if not (left[-1].isalpha() and right[0].isalpha()):
        return False
    # Oval is a shape, so one capital before a word in lower case says nothing.
    return (left[-1].islower() and right[0].isupper()) or (len(left) > 1 and left.isupper() and right.islower())


@lru_cache(1024)  # asked for each of many files in the same folders
def held_out_as(folders: tuple[str, ...]) -> str | None:
    """Returns "test" or "validation" if the name of one of these folders, by itself, says so; else None."""
    marks = (mark for name in folders for mark in readings(name))
    return next((mark.split for mark in marks if mark.clear and mark.split != "train"), None)


@dataclass(frozen=True)
class Splits:
    """What the names of sibling folders say together."""

    by_domain: dict[str, dict[str, str]]
    """Folder name of each split, by domain as its training folder spells it; "" is the domain of bare split words."""
    held_out: tuple[str, ...]
    """Names of test or validation folders without training images of the same domain."""
    plain: tuple[str, ...]
    """Names without a split word."""

    @property
    def domains(self) -> dict[str, dict[str, str]]:
        """The named domains with training images."""
        return {name: found for name, found in self.by_domain.items() if name and "train" in found}


def sort_out(names: Sequence[str]) -> Splits:
    """Reads sibling names together.

    A word counts where it stands apart, or where another name shows it: valley is a place, but not beside trainley; and
    train_station is one, too, if the other folders (airport) have no split word. Of two folders of one domain and
    split, the first in the order of `SPLITS` is taken, and the other counts as held out or, if for training, as left
    out.
    """
    every = {name: readings(name) for name in names}
    trained = {mark.rest.lower() for marks in every.values() for mark in marks if mark.split == "train"}
    tested = {mark.rest.lower() for marks in every.values() for mark in marks if mark.split != "train"}
    unmarked = {name.lower() for name, marks in every.items() if not marks}
    chosen = {name: mark for name, marks in every.items() if (mark := _chosen(marks, trained | unmarked, tested))}
    plain = [name for name in names if name not in chosen]
    stations = _stations(chosen, plain, tested)
    chosen = {name: mark for name, mark in chosen.items() if name not in stations}
    return _gathered(chosen, [name for name in names if name not in chosen])


def _stations(chosen: dict[str, Marked], plain: list[str], tested: set[str]) -> list[str]:
    """Returns names like train_station: nobody tells one from a class's name, if the others are named plainly, and no
    test belongs to it."""
    trains = [name for name, mark in chosen.items() if mark.split == "train" and mark.rest]
    lettered = any(len(chosen[name].rest) == 1 for name in trains)
    alone = not lettered and len(trains) < max(2, len(plain))
    return trains if plain and alone and not any(chosen[name].rest.lower() in tested for name in trains) else []


def _chosen(marks: Iterable[Marked], trained: set[str], tested: set[str]) -> Marked | None:
    """Returns the reading that siblings confirm, else one that stands apart, else None."""
    for mark in marks:
        if mark.rest and mark.rest.lower() in (tested if mark.split == "train" else trained):
            return mark
    return next((mark for mark in marks if mark.clear), None)


def _gathered(chosen: dict[str, Marked], plain: list[str]) -> Splits:
    spelt = {name.lower(): name for name in plain}
    spelt |= {mark.rest.lower(): mark.rest for mark in chosen.values() if mark.split == "train"}
    found: dict[str, dict[str, str]] = {}
    for name, mark in sorted(chosen.items(), key=_rank):
        found.setdefault(spelt.get(mark.rest.lower(), mark.rest), {}).setdefault(mark.split, name)
    if any(name in found for name in plain):  # horses beside test_horses: plain names are those of training images
        for name in plain:
            found.setdefault(name, {}).setdefault("train", name)
    used = {folder for splits in found.values() if "train" in splits for folder in splits.values()}
    return Splits(
        by_domain={name: splits for name, splits in found.items() if not name or "train" in splits},
        held_out=tuple(name for name, mark in chosen.items() if name not in used and mark.split != "train"),
        plain=tuple(name for name in plain if name not in used),
    )


def _rank(item: tuple[str, Marked]) -> tuple[int, str]:
    words = list(SPLITS)
    name = item[0].lower()
    return min((words.index(word) for word in words if name.startswith(word) or name.endswith(word)), default=0), name
