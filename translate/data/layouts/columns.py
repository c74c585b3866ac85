"""Files of a domain by name: scanned, matched with another domain's, and split into training and test."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from translate.data.layouts import listing
from translate.data.layouts.listing import ListingReport
from translate.data.layouts.splits import SPLIT_ORDER, WHOLE, held_out_as
from translate.data.layouts.subfolders import around
from translate.data.messages import few
from translate.utils.printing import shown

Images = TypeVar("Images")
TEST_SHARE, TEST_LIMIT = 0.1, 500
"""Test images held out of folders without a split: a share of the images, up to a limit."""
STAND_IN = "the validation images, as there are no test images"
TestSplit = str
"""Which images are measured: "test", "validation" where there are no others, or a fold, such as "fold 2 of 5"."""

Column = dict[str, Path]
"""Files of a domain by pairing name: the path relative to its folder, without suffix."""


@dataclass
class Scan:
    """One reading of the data set below `root`: how its folders are listed, and what is to be said of them."""

    root: Path
    follow: bool = True
    """Whether links to files outside of a scanned folder are taken."""
    warnings: list[str] = field(default_factory=list)
    report: ListingReport = field(default_factory=ListingReport)
    untrained: list[Path] = field(default_factory=list)
    """Images that lie among training images, but in a folder named for tests or validation."""

    def splits(self, places: Mapping[str, Sequence[Path]]) -> dict[str, tuple[Column, ...]]:
        """Returns the images of each split: a column for each of its folders."""
        for folder in around(self.root, [folder for folders in places.values() for folder in folders]):
            self.report.pass_over(folder)
        return {
            split: tuple(self.column(folder, training=split in ("train", WHOLE)) for folder in folders)
            for split, folders in places.items()
        }

    def column(self, folder: Path, *, training: bool = False) -> Column:
        """Returns the images below `folder`, in natural order; with `training`, none in folders named for tests."""
        others: Counter[str] = Counter()
        self.report.others = others
        column: Column = {}
        for path in listing.iterate_images(folder, self.report, self.follow):
            inside = path.relative_to(folder)
            if training and held_out_as(inside.parts[:-1]):
                self.untrained.append(path)
                continue
            whole = inside.as_posix()
            name = same_letters(os.path.splitext(whole)[0])
            # If a.jpg is there too, a.png is a separate image, and pairs with another a.png.
            column[same_letters(whole) if name in column else name] = path
        if unread := listing.unread(others):
            self.warnings.append(f"{shown(folder)}: {unread}")
        return column

    def notes(self) -> tuple[str, ...]:
        """Describes what is worth knowing, and no fault."""
        return tuple(self.report.notes(self.root, "data.follow_links: false"))

    def all_warnings(self, used: Iterable[Path]) -> tuple[str, ...]:
        """Returns all warnings; `used` are the images of all splits."""
        taken = set(used)
        held = [path for path in self.untrained if path not in taken]
        why = "images in folders named for tests or validation are not trained on"
        return (*self.warnings, *self.report.warnings(self.root), *([f"{why}: {few(held)}"] if held else []))


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


def with_test(
    columns: dict[str, tuple[Column, ...]], parted: Callable[[Column], tuple[Column, Column]] | None = None
) -> tuple[dict[str, tuple[Column, ...]], str]:
    """Returns the splits with test images, and how these were chosen (held out, or validation) if not by the set.
    `parted` holds out, as `held_out` does."""
    if WHOLE in columns:
        train, test = zip(*map(parted or held_out, columns[WHOLE]), strict=True)
        return {"train": train, "test": test}, "held out, chosen by a hash of the names"
    return validation_as_test(columns)


def validation_as_test(splits: dict[str, Images]) -> tuple[dict[str, Images], str]:
    """Returns the splits in order, validation in place of missing test images, and a note if so."""
    splits = {split: splits[split] for split in SPLIT_ORDER if split in splits}
    if "test" in splits or "validation" not in splits:
        return splits, ""
    splits["test"] = splits.pop("validation")
    return splits, STAND_IN


def split_of_test(origin: str) -> TestSplit:
    """From how the test images were chosen."""
    return "validation" if origin == STAND_IN else "test"


def with_origin(lines: list[str], origin: str) -> list[str]:
    """Returns lines of counts, "test: ..." among them, and what is to be said of the test images."""
    if not any(line.startswith("test:") for line in lines):
        return [*lines, "no test images, so nothing can be measured"]
    return [f"{line} ({origin})" if origin and line.startswith("test:") else line for line in lines]


def held_out(column: Column) -> tuple[Column, Column]:
    """Splits into training and test images, by name alone so that pairs stay together."""
    count = min(TEST_LIMIT, max(1, round(TEST_SHARE * len(column)))) if len(column) > 1 else 0
    chosen = set(sorted(column, key=_hash)[:count])
    test = {name: path for name, path in column.items() if name in chosen}
    return {name: path for name, path in column.items() if name not in chosen}, test


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
