"""Finds out whether the files of a domain are instance maps: things numbered from 1 on in each, every one an area."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from translate.data.checks.files import Files
from translate.data.checks.finding_labels import EXACT, FEW, FIRST, FLAT, files_of, flatness, strays
from translate.data.domain import Domain
from translate.data.domain_settings import DomainSettings
from translate.data.instance_maps import PLANES
from translate.data.source import Readable
from translate.data.source_file import Source

MANY = 16
"""Some file holds more things than this, as class numbers without a gap hardly ever do."""
GAPS = 0.1
"""The largest share of numbers, up to the highest, that a file leaves out."""
FILLED = 0.4
"""The least share of its bounding box that the median thing fills; what is scattered fills less."""


def instances_in(name: str, sources: Sequence[Readable], said: DomainSettings, files: Files) -> Domain | None:
    """The domain of instance maps that the settings say it is, or that the files look like; None if they do not.

    Files look like instance maps if all have one band of integers, most often 0, and otherwise from 1 on with hardly a
    gap, each in one flat area; if their things differ in number, and are more than `MANY` in some. Reading stops at the
    first file that speaks against it, or with a stray one that holds colours, at the second; files that cannot be read
    do not speak.
    """
    found = Domain(name, PLANES, dtype="uint16", kind="instances", ignore=said.ignore)
    return found if said.said or _look_like(files_of(sources), said.ignore, files) else None


def _look_like(sources: Sequence[Source], ignore: int | None, files: Files) -> bool:
    found: list[int | None] = []
    counts: list[int] = []
    for part in (*([source] for source in sources[:FIRST]), sources[FIRST:]):
        found += files.of_each(partial(_things, files, ignore), part)
        counts = [count for count in found if count is not None]
        if min(counts, default=0) < 0 or strays(len(found) - len(counts), len(found)):
            return False
    return max(counts, default=0) > MANY and len(set(counts)) > 1 and len(counts) >= FEW * (len(found) - len(counts))


def _things(files: Files, ignore: int | None, source: Source) -> int | None:
    """How many things a file holds that may be an instance map; -1 of one that cannot be one, None if it is no map, and
    is refused when it is read."""
    held = files.integers(source) if source.path.suffix.lower() in EXACT and source.half is None else None
    if held is None:
        return None
    if flatness(held[0]) < FLAT:
        return -1
    pixels = held[0][..., 0].astype(np.int64)
    pixels[pixels == ignore] = 0
    if pixels.min() != 0 or pixels.max() >= pixels.size:  # more numbers than pixels have gaps
        return -1
    counts = np.bincount(pixels.ravel())
    things = int((counts[1:] > 0).sum())
    if counts.argmax() != 0 or things < (1 - GAPS) * (len(counts) - 1):
        return -1
    return things if not things or _filled(pixels, counts) >= FILLED else -1


def _filled(pixels: np.ndarray, counts: np.ndarray) -> float:
    """The share of its bounding box that the median thing fills; `counts`: the pixels of each number."""
    box, places = np.ones(len(counts)), np.nonzero(pixels)
    things = pixels[places]
    for across in places:
        first, last = np.full(len(counts), max(pixels.shape)), np.zeros(len(counts), int)
        np.minimum.at(first, things, across)
        np.maximum.at(last, things, across)
        box *= last - first + 1
    there = np.unique(things)
    return float(np.median(counts[there] / box[there]))
