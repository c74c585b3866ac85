"""Files of a domain by name: scanned, matched with another domain's, and split into training and test."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from translate.data import listing
from translate.data.images import shown

TEST_SHARE, TEST_LIMIT = 0.1, 500
"""Test images held out of folders without a split: a share of the images, up to a limit."""
LISTED = 10

Column = dict[str, Path]
"""Files of a domain by pairing name: the path relative to its folder, without suffix."""


def scan(folder: Path, warnings: list[str]) -> Column:
    """Returns the images below `folder` in natural order; adds to `warnings` what it leaves out."""
    links: list[Path] = []
    others: Counter[str] = Counter()
    column: Column = {}
    for path in listing.iterate_images(folder, links, others):
        inside = path.relative_to(folder)
        name = same_letters(inside.with_suffix("").as_posix())
        # If a.jpg is there too, a.png is a separate image, and pairs with another a.png.
        column[same_letters(inside.as_posix()) if name in column else name] = path
    if links:
        warnings.append(f"{shown(folder)}: links that lead out of it are left out: {few(links)}")
    if unread := listing.unread(others):
        warnings.append(f"{shown(folder)}: {unread}")
    return column


def same_letters(name: str) -> str:
    """Normalises Unicode: macOS writes accented letters as two code points, other systems as one."""
    return unicodedata.normalize("NFC", name)


def matched(split: str, columns: tuple[Column, ...], warnings: list[str]) -> tuple[Column, ...]:
    """Keeps the names present in all columns, in the first one's order; warns of the others."""
    common = [name for name in columns[0] if all(name in column for column in columns)]
    alone = [path for column in columns for name, path in column.items() if name not in set(common)]
    if alone:
        warnings.append(f"{split} images without a partner of the same name are left out: {few(alone)}")
    return tuple({name: column[name] for name in common} for column in columns)


def held_out(column: Column) -> tuple[Column, Column]:
    """Splits into training and test images, by name alone so that pairs stay together."""
    count = min(TEST_LIMIT, max(1, round(TEST_SHARE * len(column)))) if len(column) > 1 else 0
    chosen = set(sorted(column, key=_dice)[:count])
    test = {name: path for name, path in column.items() if name in chosen}
    return {name: path for name, path in column.items() if name not in chosen}, test


def _dice(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def few(paths: Sequence[Path]) -> str:
    """Formats the number of paths and the first ten of them."""
    listed = ", ".join(shown(path) for path in paths[:LISTED])
    return f"{len(paths)}: {listed}" + (", ..." if len(paths) > LISTED else "")
