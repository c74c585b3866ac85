"""Images with labels: what a folder tells of all of them, and the set that is made of the domains chosen."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translate.data.labels import LabelGroup
from translate.data.source import Readable

SPLIT_ORDER = ("train", "test", "validation")


@dataclass(frozen=True, eq=False)
class Part:
    """The images of one split, and what is said of each."""

    sources: tuple[Readable, ...]
    labels: np.ndarray
    """(images, domains) float32: 1 belongs, 0 does not, -1 nobody said."""


@dataclass(frozen=True)
class Labelling:
    """Every image below a root, before domains are chosen."""

    arrangement: str
    """How it is told: "class folders", or the name of a table."""
    domains: tuple[str, ...]
    exclusive: bool
    """Whether domains are classes, or attributes."""
    parts: dict[str, Part]
    origin: str = ""
    """How the test images were chosen, where no one else did."""
    by_class: bool = False
    """Whether images stand class by class."""
    test_is_paired: bool = False
    """Whether test image i of every class shows the same."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LabelledSplit:
    """Images and what is known of them."""

    sources: tuple[Readable, ...]
    labels: np.ndarray
    """(images, domains) float32: 1 belongs, 0 does not, -1 nobody said."""
    sets: np.ndarray
    """(images,) int64: which of the joined sets an image came from."""

    def __len__(self) -> int:
        return len(self.sources)

    def where(self, kept: np.ndarray) -> LabelledSplit:
        """The images whose row in `kept` (images,) bool is true."""
        sources = tuple(self.sources[row] for row in np.flatnonzero(kept))
        return LabelledSplit(sources, self.labels[kept], self.sets[kept])


@dataclass(frozen=True, eq=False)
class LabelledFolder:
    """A data set on disk whose images are labelled."""

    root: Path
    domains: tuple[str, ...]
    """Classes or attributes, in the order of the labels."""
    groups: tuple[LabelGroup, ...]
    """Which neighbouring domains are labelled together; none where there are no labels."""
    splits: dict[str, LabelledSplit]
    """"train"; "test" where there are images to measure on; "validation" where that is another set."""
    test_is_paired: bool
    """Whether test image i of every class shows the same; then they stand class by class, as many of each."""
    found: tuple[str, ...]
    warnings: tuple[str, ...]
    alternatives: tuple[tuple[int, ...], ...] = ()
    """Attributes of which an image has one at most, such as the colours of hair."""

    def without(self, paths: Collection[Path]) -> LabelledFolder:
        """The same set without these images, their labels, and what shows the same; an empty test split goes too."""
        splits = {split: part.where(self._kept(split, part, paths)) for split, part in self.splits.items()}
        splits = {split: part for split, part in splits.items() if split == "train" or len(part)}
        return replace(self, splits=splits, test_is_paired=self.test_is_paired and "test" in splits)

    def _kept(self, split: str, part: LabelledSplit, paths: Collection[Path]) -> np.ndarray:
        kept = np.array([source.path not in paths for source in part.sources], bool)
        if split == "test" and self.test_is_paired:  # they stand class by class
            kept = np.tile(kept.reshape(len(self.domains), -1).all(0), len(self.domains))
        return kept


def one_hot(indices: Sequence[int], classes: int) -> np.ndarray:
    """(images, classes) float32."""
    return np.eye(classes, dtype=np.float32)[np.asarray(indices, np.int64)]


def in_order(names: Iterable[str]) -> list[str]:
    """Natural order: 2 before 10."""

    def key(name: str) -> tuple[list[object], str]:
        return [int(p) if i % 2 else p for i, p in enumerate(re.split(r"([0-9]+)", name))], name

    return sorted(names, key=key)


def with_a_test(parts: dict[str, Part]) -> tuple[dict[str, Part], str]:
    """The splits that hold images, in order; validation images stand in for test images, and that in words."""
    parts = {split: parts[split] for split in SPLIT_ORDER if split in parts and parts[split].sources}
    if "test" in parts or "validation" not in parts:
        return parts, ""
    parts["test"] = parts.pop("validation")
    return parts, "the validation images, as there are no test images"
