"""Names outputs after their inputs, in the wanted format, and never two alike."""

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import PurePath, PurePosixPath

import numpy as np

from translate.data.io.images import WRITABLE
from translate.inference.options import ImageFormat

SUFFIXES = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg", ".jfif"),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}
"""Suffixes of each format; files converted from other formats get the first."""
LONGEST = 255
"""The most bytes in a file's name, on nearly every file system."""


def output_name(name: str, format: ImageFormat) -> str:
    """The output name in that format, unless another file claims it too; "same" turns unwritable formats into PNG."""
    suffix = PurePosixPath(name).suffix
    if format == "same":
        # The whole name is kept, so that a.gif and a.png do not collide.
        return name if suffix.lower() in WRITABLE else name + ".png"
    if suffix.lower() in SUFFIXES[format]:
        return name
    return name.removesuffix(suffix) + SUFFIXES[format][0]


def renamed(names: Collection[str], format: ImageFormat) -> dict[str, str]:
    """Maps input names to output names for files that cannot have `output_name` because another file has it.

    Names that differ only in case or in the encoding of accents count as equal, as they are on some systems. A file
    already in the format keeps its name (of several, the first in alphabetical order); the others get the whole input
    name and a suffix: `a.jpg.png` next to `a.png`. The result does not depend on the order of `names`.
    """
    wanted = np.fromiter((hash(key_of(output_name(name, format))) for name in names), np.int64, len(names))
    wanted.sort()
    crowded = set(wanted[1:][wanted[1:] == wanted[:-1]].tolist())
    groups: dict[str, list[str]] = defaultdict(list)
    # For the many names without a conflict, only hashes are kept.
    for name in sorted(names) if crowded else ():
        key = key_of(output_name(name, format))
        if hash(key) in crowded:
            groups[key].append(name)
    found: dict[str, str] = {}
    given: set[str] = set()
    for group in groups.values():
        for name in _losers(group, format):
            output = _long(name, format)
            while key_of(output) in given or _holds(wanted, hash(key_of(output))):
                output = _long(output, format)
            given.add(key_of(output))
            found[name] = output
    return found


def with_suffix_behind(path: PurePath, suffix: str) -> str:
    """The name of `path` and the suffix; one too long for a file system is shortened, and told apart by its hash."""
    name = os.fsencode(path.name)
    if len(name) + len(suffix) <= LONGEST:
        return path.name + suffix
    mark = f"~{hashlib.sha256(name).hexdigest()[:16]}"
    kept = name[: LONGEST - len(suffix) - len(mark)]
    # A character of several bytes is not cut; bytes that are no characters stay as they are.
    while kept and (name[len(kept)] & 0xC0) == 0x80:
        kept = kept[:-1]
    return os.fsdecode(kept) + mark + suffix


def _losers(group: list[str], format: ImageFormat) -> Iterable[str]:
    if len(group) == 1:  # a hash collision between different names
        return ()
    keeps = next((name for name in group if output_name(name, format) == name), None)
    return (name for name in group if name != keeps)


def _long(name: str, format: ImageFormat) -> str:
    return name + (SUFFIXES[format][0] if format != "same" else PurePosixPath(output_name(name, format)).suffix)


def key_of(name: str) -> str:
    """Equal for names that are one on some systems: they differ only in case or in the encoding of accents."""
    return unicodedata.normalize("NFC", name).casefold()


def _holds(values: np.ndarray, value: int) -> bool:
    place = int(np.searchsorted(values, value))
    return place < len(values) and int(values[place]) == value
