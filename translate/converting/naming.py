"""What outputs are called: as their inputs, in the wanted format, and never two the same."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from translate.data.images import WRITABLE

Format = Literal["same", "png", "jpeg", "webp", "tiff"]

SUFFIXES = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg", ".jfif"),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}
"""The first is given to files of other formats."""


def output_name(name: str, format: Format) -> str:
    """The name in that format, if no other file wants it too; "same" writes as PNG what cannot be written."""
    suffix = PurePosixPath(name).suffix
    if format == "same":
        # The whole name is kept, so that a.gif and a.png stay two files.
        return name if suffix.lower() in WRITABLE else name + ".png"
    if suffix.lower() in SUFFIXES[format]:
        return name
    return name.removesuffix(suffix) + SUFFIXES[format][0]


def renamed(names: Collection[str], format: Format) -> dict[str, str]:
    """The outputs of those files that cannot have `output_name`, because another has it, by name of the input.

    Names that differ in case or in the form of accents count as the same, for on some systems they are. The file that
    is in the format already keeps its name (of several, the first in alphabetical order); others get the whole name of
    the input and a suffix: `a.jpg.png` beside `a.png`. Which one gets which does not depend on the order of `names`.
    """
    wanted = np.fromiter((hash(_key(output_name(name, format))) for name in names), np.int64, len(names))
    wanted.sort()
    crowded = set(wanted[1:][wanted[1:] == wanted[:-1]].tolist())
    groups: dict[str, list[str]] = defaultdict(list)
    # Hashes alone are kept of the many names that nobody else wants.
    for name in sorted(names) if crowded else ():
        key = _key(output_name(name, format))
        if hash(key) in crowded:
            groups[key].append(name)
    found: dict[str, str] = {}
    given: set[str] = set()
    for group in groups.values():
        for name in _losers(group, format):
            output = _long(name, format)
            while _key(output) in given or _holds(wanted, hash(_key(output))):
                output = _long(output, format)
            given.add(_key(output))
            found[name] = output
    return found


def _losers(group: list[str], format: Format) -> Iterable[str]:
    if len(group) == 1:  # another's hash is the same, its name is not
        return ()
    keeps = next((name for name in group if output_name(name, format) == name), None)
    return (name for name in group if name != keeps)


def _long(name: str, format: Format) -> str:
    return name + (SUFFIXES[format][0] if format != "same" else PurePosixPath(output_name(name, format)).suffix)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _holds(values: np.ndarray, value: int) -> bool:
    place = int(np.searchsorted(values, value))
    return place < len(values) and int(values[place]) == value
