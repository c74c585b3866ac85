"""The files of one domain by name, matched with another domain's, or parted into training and test."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from translate.data import listing
from translate.data.images import shown

TEST_SHARE, TEST_LIMIT = 0.1, 500
"""What is held out of folders that come without a split."""
LISTED = 10

Column = dict[str, Path]
"""Files of one domain by their name for pairing: the path within its folder, without suffix."""


def scan(folder: Path, warnings: list[str]) -> Column:
    """The images below `folder` in natural order."""
    links: list[Path] = []
    others: Counter[str] = Counter()
    column: Column = {}
    for path in listing.iterate_images(folder, links, others):
        inside = path.relative_to(folder)
        name = same_letters(inside.with_suffix("").as_posix())
        # a.png beside a.jpg is another image, and pairs with another a.png.
        column[same_letters(inside.as_posix()) if name in column else name] = path
    if links:
        warnings.append(f"{shown(folder)}: links that lead out of it are left out: {few(links)}")
    if unread := listing.unread(others):
        warnings.append(f"{shown(folder)}: {unread}")
    return column


def same_letters(name: str) -> str:
    """macOS spells an accented letter as two code points, others as one."""
    return unicodedata.normalize("NFC", name)


def matched(split: str, columns: tuple[Column, ...], warnings: list[str]) -> tuple[Column, ...]:
    """The columns reduced to the names that stand in all of them, in the order of the first."""
    common = [name for name in columns[0] if all(name in column for column in columns)]
    alone = [path for column in columns for name, path in column.items() if name not in set(common)]
    if alone:
        warnings.append(f"{split} images without a partner of the same name are left out: {few(alone)}")
    return tuple({name: column[name] for name in common} for column in columns)


def held_out(column: Column) -> tuple[Column, Column]:
    """Training and test images. Which are which hangs on their names alone, so that pairs stay together."""
    count = min(TEST_LIMIT, max(1, round(TEST_SHARE * len(column)))) if len(column) > 1 else 0
    chosen = set(sorted(column, key=_dice)[:count])
    test = {name: path for name, path in column.items() if name in chosen}
    return {name: path for name, path in column.items() if name not in chosen}, test


def _dice(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def few(paths: Sequence[Path]) -> str:
    """How many, and the first ten."""
    listed = ", ".join(shown(path) for path in paths[:LISTED])
    return f"{len(paths)}: {listed}" + (", ..." if len(paths) > LISTED else "")
