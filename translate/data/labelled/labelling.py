"""Labelled images: all labels found in a folder, and the data set made from the chosen domains."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from translate.data.labels import LabelGroup
from translate.data.layouts.columns import Scan, TestSplit, validation_as_test
from translate.data.source import Readable
from translate.errors import ConfigurationError

MAX_TABLE = 256 << 20
MAX_DOMAINS = 10_000
MAX_LABELS = 1 << 29
"""Values of 4 bytes in a table of labels."""


@dataclass(frozen=True, eq=False)
class LabelledSplit:
    """The images of one split and their labels."""

    sources: tuple[Readable, ...]
    labels: np.ndarray
    """(images, domains) float32: 1 belongs, 0 does not, -1 unknown."""
    sets: np.ndarray
    """(images,) int64: the joined set that each image came from."""

    @classmethod
    def of(cls, sources: Iterable[Readable], labels: np.ndarray | None = None) -> LabelledSplit:
        """Returns the images of a single set; without `labels`, those are (images, 0)."""
        sources = tuple(sources)
        count = len(sources)
        return cls(sources, np.zeros((count, 0), np.float32) if labels is None else labels, np.zeros(count, np.int64))

    @classmethod
    def of_classes(cls, classes: Sequence[Sequence[Readable]]) -> LabelledSplit:
        """Returns the images of a single set, given class by class."""
        indices = [index for index, sources in enumerate(classes) for _ in sources]
        return cls.of(chain.from_iterable(classes), one_hot(indices, len(classes)))

    def __len__(self) -> int:
        return len(self.sources)

    def rows(self, chosen: np.ndarray) -> LabelledSplit:
        """Returns the images of these rows, given by number or as a mask."""
        rows = np.arange(len(self))[chosen]
        return LabelledSplit(tuple(self.sources[row] for row in rows), self.labels[rows], self.sets[rows])


@dataclass(frozen=True)
class Labelling:
    """All labelled images below a folder, before domains are chosen."""

    arrangement: str
    """Where the labels come from: "class folders", or the name of a table, for example."""
    domains: tuple[str, ...]
    exclusive: bool
    """True if domains are classes, False if attributes."""
    parts: dict[str, LabelledSplit]
    origin: str = ""
    """How the test images were chosen, if the data set does not say."""
    by_class: bool = False
    """Whether images are ordered by class."""
    test_is_paired: bool = False
    """Whether test image i of every class shows the same thing."""
    notes: tuple[str, ...] = ()
    """Worth knowing, but no fault."""
    warnings: tuple[str, ...] = ()

    def scanned(self, scan: Scan) -> Labelling:
        """Returns the non-empty splits, in order, with what `scan` found; validation stands in for a missing test."""
        parts, stand_in = validation_as_test({split: part for split, part in self.parts.items() if part.sources})
        warnings = scan.all_warnings(source.path for part in parts.values() for source in part.sources)
        return replace(self, parts=parts, origin=self.origin or stand_in, notes=scan.notes(), warnings=warnings)


@dataclass(frozen=True, eq=False)
class LabelledFolder:
    """A labelled data set on disk."""

    root: Path
    domains: tuple[str, ...]
    """Classes or attributes, in the order of the labels."""
    groups: tuple[LabelGroup, ...]
    """Adjacent domains that are labelled together; empty if there are no labels."""
    splits: dict[str, LabelledSplit]
    """"train"; "test" if there are images to measure on; "validation" if it is a separate split."""
    test_is_paired: bool
    """Whether test image i of every class shows the same thing; if so, they are ordered by class, equally many each."""
    found: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Worth knowing, but no fault."""
    alternatives: tuple[tuple[int, ...], ...] = ()
    """Groups of attributes of which an image has at most one, such as hair colours."""
    test_split: TestSplit = "test"

    def columns(self) -> dict[str, list[Readable]]:
        """The images of all splits, which are of one kind, whatever their labels."""
        return {"images": [source for part in self.splits.values() for source in part.sources]}

    def without(self, paths: Collection[Path]) -> LabelledFolder:
        """Returns the set without these images, their labels and paired test images; drops emptied splits but train."""
        splits = {split: part.rows(self._kept(split, part, paths)) for split, part in self.splits.items()}
        splits = {split: part for split, part in splits.items() if split == "train" or len(part)}
        return replace(self, splits=splits, test_is_paired=self.test_is_paired and "test" in splits)

    def _kept(self, split: str, part: LabelledSplit, paths: Collection[Path]) -> np.ndarray:
        kept = np.array([source.path not in paths for source in part.sources], bool)
        if split == "test" and self.test_is_paired:  # ordered by class
            kept = np.tile(kept.reshape(len(self.domains), -1).all(0), len(self.domains))
        return kept


def require_few(where: str, domains: int, images: int) -> None:
    """Raises ConfigurationError, starting with `where`, for more domains than can be trained on, or more labels than
    fit into memory: a column of names or numbers was taken for one of classes."""
    if domains > MAX_DOMAINS or domains * images > MAX_LABELS:
        raise ConfigurationError(
            f"{where}: {domains:,} different labels of {images:,} images; at most {MAX_DOMAINS:,} labels, and "
            f"{MAX_LABELS:,} values in all, are taken: give fewer, broader ones"
        )


def require_small(path: Path) -> None:
    """Raises ConfigurationError for a table of labels that is too large to be one."""
    if path.stat().st_size > MAX_TABLE:
        raise ConfigurationError(f"{path}: larger than {MAX_TABLE:,} bytes, the most that is read of a table of labels")


def one_hot(indices: Sequence[int], classes: int) -> np.ndarray:
    """Returns one-hot labels (images, classes), float32."""
    labels = np.zeros((len(indices), classes), np.float32)
    labels[np.arange(len(indices)), np.asarray(indices, np.int64)] = 1
    return labels


def in_order(names: Iterable[str]) -> list[str]:
    """Sorts names in natural order: 2 before 10."""

    def key(name: str) -> tuple[list[object], str]:
        return [int(p) if i % 2 else p for i, p in enumerate(re.split(r"([0-9]+)", name))], name

    return sorted(names, key=key)
