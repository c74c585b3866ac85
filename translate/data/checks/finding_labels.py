"""Finds out whether the files of a domain are label maps: integers that stand for classes, in areas of one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from translate.data.checks.files import Files
from translate.data.checks.scan import of_each
from translate.data.domain import Domain
from translate.data.domain_settings import DomainSettings
from translate.data.label_maps import MOST, NOTHING, raw
from translate.data.source import Readable
from translate.data.source_file import Source

FIRST = 8
"""Files that are read one by one, so that little is read of what holds no labels."""
SMALL = 64
"""Numbers of classes are below this; only `NOTHING` may stand beside them, for what nobody labelled."""
FLAT = 0.8
"""The least share of pixels that equal their right neighbour."""
LOOKED = 200
"""Files that are looked at for colours of classes."""
NEAR = 12
"""Colours differ by more in some channel; JPEG's compression changes them by less."""
AREAS = 0.1
"""The least share of pixels that equal their right and lower neighbours."""
RARE = 0.0002
"""The least share of a colour in flat areas."""
EXACTLY, NEARLY = 0.8, 0.65
"""The least share of flat pixels that are exactly of the colours, and of all pixels that are near one."""
STRAY = 20
"""One file in so many, and one in any case, may be of another kind than the others: it is broken, and refused by name
when it is read."""
FEW = 4
"""Others that must be there for each of them."""
EXACT = (".png", ".tif", ".tiff", ".bmp", ".gif")
"""Files that keep numbers as they are."""


@dataclass(frozen=True)
class Numbers:
    """What a file of one band holds: its different numbers, how flat it is (see `FLAT`), the palette if it has one."""

    values: frozenset[int]
    flat: float = 0.0
    palette: bytes | None = None

    @property
    def classes(self) -> frozenset[int]:
        return self.values - {NOTHING}

    @property
    def like_labels(self) -> bool:
        """Whether it may be a label map."""
        return all(0 <= value < SMALL for value in self.classes) and self.flat >= FLAT


def labels_in(name: str, sources: Sequence[Readable], said: DomainSettings, files: Files) -> Domain | None:
    """The domain of label maps that the settings say it is, or that the files look like; None if they do not.

    Files look like label maps if they have one band and keep numbers exactly, each holds numbers below `SMALL` in flat
    areas, most hold more than one, and those with palettes share one of colours, as drawings and scans do not.
    Reading stops when more files speak against it than a `STRAY` one; files that cannot be read do not speak.
    """
    if said.colours:
        return _domain(name, len(said.colours), said, None)
    if said.classes:
        return _domain(name, said.classes, said, None)
    if said.said:
        everywhere = Domain(name, MOST, kind="labels")
        found = files.of_each(partial(_held, everywhere), files_of(sources))
    else:
        found = _looked_at(files_of(sources), files)
    if not found:
        return _domain(name, 2, said, None) if said.said else None
    values = frozenset[int]().union(*(one.values for one in found))
    classes = frozenset[int]().union(*(one.classes for one in found))
    ignore = NOTHING if NOTHING in values and max(classes, default=0) < SMALL else None
    kept = [value for value in values if value != (ignore if said.ignore is None else said.ignore)]
    return _domain(name, min(max([*kept, 1]) + 1, MOST), said, ignore)


def colours_in(sources: Sequence[Readable]) -> list[list[int]]:
    """The colours of files that may be label maps in colours, the most frequent first; none if they hold much else, as
    photographs do. They are found in flat areas, where JPEG keeps them exact."""
    some = sources[:: -(-len(sources) // LOOKED)] if sources else []
    pictures = _bytes(some[:FIRST])
    if not pictures or np.mean([_flat_colours(pixels).total() / pixels[..., 0].size for pixels in pictures]) < AREAS:
        return []
    pictures += _bytes(some[FIRST:])
    counts = sum((_flat_colours(pixels) for pixels in pictures), Counter())
    table: dict[int, np.ndarray] = {}
    for value, count in counts.most_common(SMALL * 16):
        colour = np.array([value >> 16, value >> 8 & 255, value & 255])
        if count >= RARE * counts.total() and all(np.abs(colour - other).max() > NEAR for other in table.values()):
            table[value] = colour
    known = sum(counts[value] for value in table) >= EXACTLY * counts.total()
    if not (2 < len(table) <= SMALL and known and _share_of([*table.values()], pictures[:FIRST]) >= NEARLY):
        return []
    return [colour.tolist() for colour in table.values()]


def _bytes(sources: Sequence[Readable]) -> list[np.ndarray]:
    """The files that hold 8-bit RGB, as int32."""
    read = of_each(lambda source: source.read(3), files_of(sources))
    return [pixels.astype(np.int32) for pixels in read if pixels.dtype == np.uint8]


def _flat_colours(pixels: np.ndarray) -> Counter[int]:
    """How often each colour equals its right and its lower neighbour."""
    packed = pixels @ (1 << 16, 1 << 8, 1)
    inner = packed[:-1, :-1]
    flat = inner[(inner == packed[:-1, 1:]) & (inner == packed[1:, :-1])]
    values, counts = np.unique(flat, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _share_of(table: Sequence[np.ndarray], pictures: Sequence[np.ndarray]) -> float:
    """The share of pixels that are near one of the colours."""
    near = [np.min([np.abs(pixels - colour).max(2) for colour in table], 0) <= NEAR for pixels in pictures]
    return float(np.mean([one.mean() for one in near]))


def _domain(name: str, classes: int, said: DomainSettings, ignore: int | None) -> Domain:
    chosen = ignore if said.ignore is None else said.ignore
    return Domain(name, classes, dtype="uint8", kind="labels", ignore=chosen, colours=said.colours or ())


def _looked_at(sources: Sequence[Source], files: Files) -> list[Numbers]:
    """What the files hold that look like label maps, if hardly any does not; nothing if they do not."""
    found: list[Numbers] = []
    alike: list[Numbers] = []
    for part in (*([source] for source in sources[:FIRST]), sources[FIRST:]):
        found += files.of_each(partial(_looked, files), part)
        alike = _alike(found)
        if strays(len(found) - len(alike), len(found)):
            return []
    several = sum(len(one.classes) > 1 for one in alike)
    return alike if 2 * several > len(alike) >= FEW * (len(found) - len(alike)) else []


def _alike(found: Sequence[Numbers]) -> list[Numbers]:
    """Those that look like label maps, and have the palette that most of these have."""
    like = [one for one in found if one.like_labels]
    (usual, _), *_ = Counter(one.palette for one in like).most_common(1) or [(None, 0)]
    return [one for one in like if one.palette == usual]


def strays(odd: int, count: int) -> bool:
    """Whether so many of the files are of another kind that they are not broken, but the kind of the set."""
    return odd > max(1, count // STRAY)


def files_of(sources: Sequence[Readable]) -> list[Source]:
    """Those that are files, or halves of them."""
    return [source for source in sources if isinstance(source, Source)]


def _looked(files: Files, source: Source) -> Numbers:
    """What a file holds that may be a label map, and no number at all of one that cannot be one."""
    held = files.integers(source) if source.path.suffix.lower() in EXACT and source.half is None else None
    if held is None or _is_grey(held[1]):
        return Numbers(frozenset())
    pixels, palette = held
    return Numbers(frozenset(np.unique(pixels).tolist()), flatness(pixels), palette)


def _is_grey(palette: bytes | None) -> bool:
    """Whether a palette holds shades of grey only, as scans have it."""
    return palette is not None and palette[0::3] == palette[1::3] == palette[2::3]


def _held(domain: Domain, source: Source) -> Numbers:
    """What a file holds that is said to be a label map."""
    return Numbers(frozenset(np.unique(source.halved(raw(source.path, domain))).astype(int).tolist()))


def flatness(pixels: np.ndarray) -> float:
    """The share of pixels (height, width, ...) that equal their right neighbour."""
    return float((pixels[:, 1:] == pixels[:, :-1]).mean()) if pixels.shape[1] > 1 else 1.0
