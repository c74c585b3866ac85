"""Checks of labels: images per domain, domains with too few or none, contradictory labels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from translate.data.catalog.cards import cards
from translate.data.checks.facts import Facts
from translate.data.labelled import LabelledFolder, places_of
from translate.data.messages import few
from translate.errors import LEAST, folded

TINY, TINY_SHARE = 50, 0.01
"""A domain with fewer training images than this, or a smaller share of them, is hard to learn."""


def shares(folder: LabelledFolder) -> list[str]:
    """Returns a line per domain with its number of images in each split."""
    lines = []
    for index, name in enumerate(folder.domains):
        counts = []
        for split, part in folder.splits.items():
            column = part.labels[:, index]
            known = int((column >= 0).sum())
            unknown = f" ({len(column) - known} unknown)" if known < len(column) else ""
            counts.append(f"{int((column == 1).sum())} of {known} {split}{unknown}")
        lines.append(f"{name}: {', '.join(counts)}")
    return lines


def empty(folder: LabelledFolder) -> Iterable[str]:
    """Reports domains without training images."""
    bare = [side for side, count, _ in _sides(folder) if count == 0]
    if len(bare) > LEAST:
        yield f"no training image, and so nothing to learn from: {len(bare)}: {folded(bare)}; choose other domains"
    else:
        yield from (f"no training image {side}: nothing to learn it from; choose other domains" for side in bare)


def tiny(folder: LabelledFolder) -> Iterable[str]:
    """Reports domains with few training images."""
    sides = [each for each in _sides(folder) if 0 < each[1] < max(TINY, TINY_SHARE * each[2])]
    rarer = len({count for _, count, _ in _sides(folder)}) > 1
    remedy = "few to learn from" + ("; set data.balanced=true to show them more often" if rarer else "")
    if len(sides) > LEAST:
        listed = folded([f"{count} {side}" for side, count, _ in sides])
        yield f"{len(sides)} kinds of training images are {remedy}: {listed}"
    else:
        yield from (f"{count} training images {side}, of {known}: {remedy}" for side, count, known in sides)


def contradicting(folder: LabelledFolder) -> Iterable[str]:
    """Reports images labelled with more than one of a set of mutually exclusive domains (`alternatives`)."""
    alternatives = folder.alternatives
    card = cards().get(folder.root.resolve().name)
    if card and not alternatives:
        alternatives = places_of(card.alternatives, folder.domains)
    for split, part in folder.splits.items():
        for group in alternatives:
            rows = np.flatnonzero((part.labels[:, group] == 1).sum(1) > 1)
            if len(rows):
                names = ", ".join(folder.domains[index] for index in group)
                yield f"{split} images with more than one of {names}: {few([part.sources[row].path for row in rows])}"


def differently_labelled(folder: LabelledFolder, read: Mapping[Path, Facts]) -> Iterable[str]:
    """Reports byte-identical files with different labels."""
    copies: dict[str, dict[Path, bytes]] = defaultdict(dict)
    for part in folder.splits.values():
        for source, labels in zip(part.sources, part.labels, strict=True):
            if digest := read[source.path].digest:
                copies[digest][source.path] = labels.tobytes()
    unlike = [path for same in copies.values() if len(set(same.values())) > 1 for path in same]
    if unlike:
        yield f"files that are the same byte for byte and have different labels; keep one of each: {few(unlike)}"


def _sides(folder: LabelledFolder) -> Iterable[tuple[str, int, int]]:
    """Yields (words, training images, images labelled for it) of each class, or each attribute and its absence."""
    labels, start = folder.splits["train"].labels, 0
    for group in folder.groups:
        for index in range(start, start + group.size):
            column, name = labels[:, index], folder.domains[index]
            known = int((column >= 0).sum())
            yield f"of {name}", int((column == 1).sum()), known
            if not group.exclusive:
                yield f"without {name}", int((column == 0).sum()), known
        start += group.size
