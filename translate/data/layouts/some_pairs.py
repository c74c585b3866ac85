"""The pairs among unpaired images, by their names (`data.pairs: some`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from translate.data.layouts.columns import Column, held_out, same_letters
from translate.data.layouts.likeness import no_pairs
from translate.data.layouts.pairing import Columns, named_alike
from translate.data.layouts.splits import WHOLE
from translate.errors import ConfigurationError
from translate.utils.printing import shown

Pairs = tuple[tuple[Path, Path], ...]
"""The files of both domains that show the same thing."""


def with_some_pairs(root: Path, columns: Columns) -> Columns:
    """The images by names that are equal in both domains for those that are pairs. Raises ConfigurationError for names
    that are not clear, and for files that hold both images of a pair."""
    if any(len(sides) == 1 for sides in columns.values()):
        raise ConfigurationError(
            f"{shown(root)}: data.pairs=some, and each file holds a pair, side by side: set data.pairs=all"
        )
    for sides in columns.values():
        _require_clear(sides)
    return named_alike(columns)


def held_out_together(columns: Columns, column: Column) -> tuple[Column, Column]:
    """Training and test images of a column of images that are not split, so that pairs stay together: of those in
    pairs and of the others, each its share."""
    both = set(_in_both(columns[WHOLE]))
    parts = [{name: path for name, path in column.items() if (name in both) == pairs} for pairs in (True, False)]
    (train, test), (others, more) = map(held_out, parts)
    return {**train, **others}, {**test, **more}


def pairs_in(columns: Columns, warnings: list[str]) -> Pairs:
    """The pairs of all splits; warns if training images of one name seem to be none."""
    pairs = {split: [(sides[0][name], sides[1][name]) for name in _in_both(sides)] for split, sides in columns.items()}
    if doubt := no_pairs(pairs["train"]):
        warnings.append(f"pairs by equal names: {doubt}; rename those that are none, or leave data.pairs out")
    return tuple(pair for of_split in pairs.values() for pair in of_split)


def _in_both(columns: Sequence[Column]) -> list[str]:
    """The names that are in all columns, in the order of the first."""
    return [name for name in columns[0] if all(name in column for column in columns)]


def _require_clear(columns: Sequence[Column]) -> None:
    """Raises ConfigurationError for files of one name but other suffixes, if the other domain has not the same ones."""
    a, b = map(_by_stem, columns)
    for stem in a.keys() & b.keys():
        of_a, of_b = ([path.name for path in by_stem[stem]] for by_stem in (a, b))
        if sorted(of_a) == sorted(of_b) or len(of_a) == len(of_b) == 1:
            continue
        several, other = (a, b) if len(of_a) > 1 else (b, a)
        files, partner = (" and ".join(shown(path) for path in by_stem[stem]) for by_stem in (several, other))
        raise ConfigurationError(f"{files}: which of them is the pair of {partner}? Rename those that are not")


def _by_stem(column: Column) -> dict[str, list[Path]]:
    """The files by the name that they would have alone: that of a second one of a name ends in its suffix."""
    found: dict[str, list[Path]] = {}
    for name, path in column.items():
        second = same_letters(path.name) == os.path.basename(name)
        found.setdefault(os.path.splitext(name)[0] if second else name, []).append(path)
    return found
