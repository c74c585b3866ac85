"""Cross-validation: of a set's training images, one fold is held out and measured, the others are trained on.

Which image is in which fold follows from names and a seed alone, wherever the set lies.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from translate.data.labelled.labelling import LabelledFolder
from translate.data.layouts.folders import Folder
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.utils.printing import shown

Set = TypeVar("Set", bound=Folder | LabelledFolder)


@dataclass(frozen=True)
class Fold:
    """Number `number` of `count` folds, from 1."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Fold:
        """Reads `2/5`. Raises ValueError."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ValueError("expected a fold, such as 1/5, the first of five")
        if int(count) < 2:
            raise ValueError("expected two folds or more")
        return cls(int(number), int(count))


def folded(folder: Set, fold: str | None, seed: int) -> Set:
    """The set with this fold of its training samples as test images; as it is without a fold. Its own test images are
    left out: they stay unseen for a last measurement.

    The images of a pair, or of one name in both domains, are one sample; labelled ones are dealt class by class. Raises
    ConfigurationError if there are too few.
    """
    if fold is None:
        return folder
    which = Fold.of(fold)
    held = _of_labels(folder, which, seed) if isinstance(folder, LabelledFolder) else _of_domains(folder, which, seed)
    return held_out(folder, held, f"fold {which.number} of {which.count}")


def held_out(folder: Set, paths: Collection[Path], words: str) -> Set:
    """The set with the training images of these files as its only test images."""
    aside = sum(_count(folder, split) for split in folder.splits if split != "train")
    train, test = _parted(folder, paths)
    paired = isinstance(folder, Folder) and folder.kind == "paired"
    splits: Any = {"train": train, "test": test}
    split = replace(folder, splits=splits, test_is_paired=paired, test_split=words)
    line = f"{words}: trained on {_count(split, 'train')} files, measured on {_count(split, 'test')} others of the same"
    unseen = f"; {aside} test images of the set are left out" if aside else ""
    return replace(split, found=(*split.found, f"{line}{unseen}"))


def _parted(folder: Folder | LabelledFolder, paths: Collection[Path]) -> tuple[Any, Any]:
    """The training images of other files, and those of these."""
    if isinstance(folder, LabelledFolder):
        part = folder.splits["train"]
        chosen = np.array([source.path in paths for source in part.sources], bool)
        return part.rows(~chosen), part.rows(chosen)
    columns = folder.splits["train"]
    others = tuple(tuple(one for one in column if one.path not in paths) for column in columns)
    return others, tuple(tuple(one for one in column if one.path in paths) for column in columns)


def _of_domains(folder: Folder, fold: Fold, seed: int) -> set[Path]:
    """The files of both domains in the fold."""
    columns = folder.splits["train"]
    names = [_samples(column) for column in columns]
    if folder.kind == "paired":
        names = [[min(pair) for pair in zip(*names, strict=True)]] * 2
    a, b = map(set, names)
    _require(folder, fold, min(len(a), len(b)))
    chosen = {name for some in (a & b, a - b, b - a) for name in dealt(some, fold, seed)}
    return {
        one.path
        for column, named in zip(columns, names, strict=True)
        for one, name in zip(column, named, strict=True)
        if name in chosen
    }


def _samples(column: Sequence[Any]) -> list[str]:
    """What is dealt as one: an image by its name without suffix, slices of volumes by their patient."""
    names = _names([one.path for one in column])
    return [getattr(one, "patient", name.rpartition(".")[0] or name) for one, name in zip(column, names, strict=True)]


def _of_labels(folder: LabelledFolder, fold: Fold, seed: int) -> set[Path]:
    """The files in the fold, of every class and joined set alike."""
    part = folder.splits["train"]
    names: dict[Path, str] = {}
    for number in np.unique(part.sets):
        paths = [source.path for source, of in zip(part.sources, part.sets, strict=True) if of == number]
        names.update(zip(paths, _names(paths), strict=True))
    _require(folder, fold, len(names))
    rows = zip(part.sets.tolist(), part.labels, (source.path for source in part.sources), strict=True)
    keyed = sorted((number, label.tobytes(), _hash(names[path], seed), path) for number, label, path in rows)
    return {path for *_, path in keyed[fold.number - 1 :: fold.count]}


def dealt(names: Iterable[str], fold: Fold, seed: int) -> list[str]:
    """The names in the fold; folds differ by one in number."""
    return sorted(names, key=lambda name: _hash(name, seed))[fold.number - 1 :: fold.count]


def _hash(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()


def _names(paths: Sequence[Path]) -> list[str]:
    """Names below their common folder, in composed letters as on every system."""
    home = os.path.commonpath([path.parent for path in paths] or [Path()])
    return [unicodedata.normalize("NFC", path.relative_to(home).as_posix()) for path in paths]


def _require(folder: Folder | LabelledFolder, fold: Fold, samples: int) -> None:
    if samples < fold.count:
        raise ConfigurationError(
            f"{shown(folder.root)}: data.fold is one of {fold.count}, and there are {samples} samples to train on: "
            "take fewer folds"
        )


def _count(folder: Folder | LabelledFolder, split: str) -> int:
    found = folder.splits[split]
    columns: Sequence[Sequence[Readable]] = [found.sources] if hasattr(found, "sources") else found
    return len({one.path for column in columns for one in column})
