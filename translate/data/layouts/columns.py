"""Files of a domain by name: scanned, matched with another domain's, and split into training and test."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from translate.data.layouts import listing
from translate.data.layouts.listing import Seen
from translate.data.layouts.splits import held_out_as
from translate.data.telling import few
from translate.utils.printing import shown

TEST_SHARE, TEST_LIMIT = 0.1, 500
"""Test images held out of folders without a split: a share of the images, up to a limit."""

Column = dict[str, Path]
"""Files of a domain by pairing name: the path relative to its folder, without suffix."""


@dataclass
class Look:
    """One look at a data set below `root`: how to read its folders, and what is to be said of them."""

    root: Path
    follow: bool = True
    """Whether links to files outside of a scanned folder are taken."""
    warnings: list[str] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    untrained: list[Path] = field(default_factory=list)
    """Images that lie among training images, but in a folder named for tests or validation."""

    def notes(self) -> list[str]:
        """Describes what is worth knowing, and no fault."""
        return self.seen.notes(self.root, "data.follow_links: false")

    def all_warnings(self, used: Iterable[Path]) -> list[str]:
        """Returns all warnings; `used` are the images of all splits."""
        taken = set(used)
        held = [path for path in self.untrained if path not in taken]
        why = "images in folders named for tests or validation are not trained on"
        return [*self.warnings, *self.seen.warnings(self.root), *([f"{why}: {few(held)}"] if held else [])]


def scan(folder: Path, look: Look, *, training: bool = False) -> Column:
    """Returns the images below `folder` in natural order; adds to `look` what is to be said.

    `training`: leaves out folders below it that are named for tests or validation.
    """
    others: Counter[str] = Counter()
    look.seen.others = others
    column: Column = {}
    for path in listing.iterate_images(folder, look.seen, look.follow):
        inside = path.relative_to(folder)
        if training and held_out_as(inside.parts[:-1]):
            look.untrained.append(path)
            continue
        whole = inside.as_posix()
        name = same_letters(os.path.splitext(whole)[0])
        # If a.jpg is there too, a.png is a separate image, and pairs with another a.png.
        column[same_letters(whole) if name in column else name] = path
    if unread := listing.unread(others):
        look.warnings.append(f"{shown(folder)}: {unread}")
    return column


def same_letters(name: str) -> str:
    """Normalises Unicode: macOS writes accented letters as two code points, other systems as one."""
    return unicodedata.normalize("NFC", name)


def matched(split: str, columns: tuple[Column, ...], warnings: list[str]) -> tuple[Column, ...]:
    """Keeps the names present in all columns, in the first one's order; warns of the others."""
    common = [name for name in columns[0] if all(name in column for column in columns)]
    known = set(common)
    if alone := [path for column in columns for name, path in column.items() if name not in known]:
        warnings.append(f"{split} images without a partner of the same name are left out: {few(alone)}")
    return tuple({name: column[name] for name in common} for column in columns)


def held_out(column: Column) -> tuple[Column, Column]:
    """Splits into training and test images, by name alone so that pairs stay together."""
    count = min(TEST_LIMIT, max(1, round(TEST_SHARE * len(column)))) if len(column) > 1 else 0
    chosen = set(sorted(column, key=_rng)[:count])
    test = {name: path for name, path in column.items() if name in chosen}
    return {name: path for name, path in column.items() if name not in chosen}, test


def _rng(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
