"""Combines labelled sets: joins several into one, and makes buckets to draw from in equal shares."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from translate.data.labelled.labelling import LabelledFolder, LabelledSplit
from translate.data.labels import UNKNOWN, LabelGroup
from translate.data.layouts.splits import SPLIT_ORDER
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.utils.printing import shown

Buckets = tuple[list[list[Readable]], list[np.ndarray]]
"""Buckets of images to draw from in turn, and each bucket's labels (images, domains)."""


def buckets(split: LabelledSplit, groups: Sequence[LabelGroup], balanced: bool) -> Buckets:
    """Returns the buckets that `Loader` draws `Labelled` images from: one per set, so that small sets come as often.

    `balanced`: per set, one bucket for every class, or two for every attribute (images with and without it); empty
    buckets are dropped. Images without any known label are then never drawn, and each set is drawn from in proportion
    to its number of buckets.
    """
    chosen = [np.flatnonzero(split.sets == number) for number in np.unique(split.sets)]
    if balanced:
        chosen = [part for rows in chosen for part in _parts(split.labels, rows, groups) or [rows]]
    return [[split.sources[row] for row in rows] for rows in chosen], [split.labels[rows] for rows in chosen]


def _parts(labels: np.ndarray, rows: np.ndarray, groups: Sequence[LabelGroup]) -> list[np.ndarray]:
    parts, start = [], 0
    for group in groups:
        for domain in range(start, start + group.size):
            for value in (1,) if group.exclusive else (1, 0):
                parts.append(rows[labels[rows, domain] == value])
        start += group.size
    return [part for part in parts if len(part)]


def join(folders: Sequence[LabelledFolder]) -> LabelledFolder:
    """Joins labelled sets for joint training: concatenates their domains; labels of other sets' domains are unknown.

    Names used by several sets get the folder's name as prefix: celeba_Male. Raises ConfigurationError if names are
    still equal. `root` is that of the first set.
    """
    names = Counter(name for folder in folders for name in folder.domains)
    domains = tuple(
        f"{folder.root.resolve().name}_{name}" if names[name] > 1 else name
        for folder in folders
        for name in folder.domains
    )
    if twice := [name for name, count in Counter(domains).items() if count > 1]:
        raise ConfigurationError(f"sets to be joined need different domains or folder names; twice: {', '.join(twice)}")
    starts = np.cumsum([0, *(len(folder.domains) for folder in folders)]).tolist()
    return replace(
        folders[0],
        domains=domains,
        groups=tuple(group for folder in folders for group in folder.groups),
        splits={
            split: _joined(split, folders, starts)
            for split in SPLIT_ORDER
            if any(split in folder.splits for folder in folders)
        },
        test_is_paired=False,
        found=_prefixed(folders, [folder.found for folder in folders]),
        warnings=_prefixed(folders, [folder.warnings for folder in folders]),
        notes=_prefixed(folders, [folder.notes for folder in folders]),
        test_split="validation" if any(folder.test_split == "validation" for folder in folders) else "test",
        alternatives=tuple(
            tuple(start + index for index in group)
            for folder, start in zip(folders, starts, strict=False)
            for group in folder.alternatives
        ),
    )


def _joined(split: str, folders: Sequence[LabelledFolder], starts: Sequence[int]) -> LabelledSplit:
    parts = [(number, folder.splits[split]) for number, folder in enumerate(folders) if split in folder.splits]
    labels = [np.full((len(part), starts[-1]), UNKNOWN, np.float32) for _, part in parts]
    for rows, (number, part) in zip(labels, parts, strict=True):
        rows[:, starts[number] : starts[number + 1]] = part.labels
    return LabelledSplit(
        sources=tuple(source for _, part in parts for source in part.sources),
        labels=np.concatenate(labels),
        sets=np.concatenate([np.full(len(part), number, np.int64) for number, part in parts]),
    )


def _prefixed(folders: Sequence[LabelledFolder], lines: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(f"{shown(folder.root.name)}: {line}" for folder, of in zip(folders, lines, strict=True) for line in of)
