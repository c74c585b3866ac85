"""Facts gathered by reading a set's images: sizes, kinds, unreadable files, duplicates and look-alikes."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from pathlib import Path
from statistics import median_low

import numpy as np

from translate.data import images
from translate.data.columns import few
from translate.data.folders import Source
from translate.data.images import Picture
from translate.data.source import Readable
from translate.data.values import DEEP, kind_in_words
from translate.errors import ImageError

GLANCE = (8, 8)
ALIKE = 2.0
"""Largest RMS difference (of 255) of look-alikes. In horse2zebra re-saved copies stay below 1, others above 8."""
DARK = 8
"""Shades are reported if they reach at most 1/DARK of their range: 12-bit data in 16 bits, class numbers in 8."""
COMPARED = 64
"""Number of images compared with all others at a time."""


@dataclass(frozen=True, eq=False)
class Facts:
    """Facts about one file, or one image of an array."""

    path: Path
    size: tuple[int, int] = (0, 0)
    """(height, width), upright."""
    kind: str = ""
    flat: bool = False
    """A single colour everywhere, which leaves instance normalisation nothing to divide by."""
    digest: str = ""
    """SHA-256 of the file, or of the pixels of an array."""
    glance: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    """The image at 8 x 8 pixels, as 192 numbers."""
    error: str = ""
    bands: int = 3
    """Channels without alpha."""
    full: int = 0
    """White at this bit depth, 255 or 65535; 0 for measured values."""
    span: images.Span = (0, 0)
    """Minimum and maximum of the pixels."""


def read_all(sources: Iterable[Readable]) -> dict[Path, Facts]:
    """Reads all images and returns facts by path; a file that holds both halves of a pair is read once."""
    every = {source.path: source for source in sources}
    paths = sorted(every)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(paths, pool.map(_read, (every[path] for path in paths)), strict=True))


def _read(source: Readable) -> Facts:
    try:
        if isinstance(source, Source):
            data = images.read_bytes(source.path)
            picture = images.decode(data, source.path, span=None)
        else:
            picture = Picture(source.read(1))
            data = picture.pixels.tobytes()
    except ImageError as error:
        return Facts(source.path, error=str(error))
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    flat = bool((picture.pixels == picture.pixels[0, 0]).all())
    bands = picture.pixels.shape[2]
    glance = images.resize(images.with_channels(images.seen(picture), 3), *GLANCE).ravel()
    if glance.dtype != np.uint8:
        glance = images.to_8_bits(glance)
    digest = hashlib.sha256(data).hexdigest()
    full = 0 if picture.span else int(np.iinfo(picture.pixels.dtype).max)
    span = picture.span or (int(picture.pixels.min()), int(picture.pixels.max()))
    return Facts(source.path, size, _kind(picture), flat, digest, glance, bands=bands, full=full, span=span)


def _kind(picture: Picture) -> str:
    bands = picture.pixels.shape[2]
    colour = {1: "grey", 3: "RGB"}.get(bands, f"of {bands} bands")
    depth = kind_in_words(picture.kind if picture.span else picture.pixels.dtype)
    alpha = " with alpha" if picture.alpha is not None else ""
    animated = f", {images.ANIMATED}" if picture.animated else ""
    return f"{depth} {colour}{alpha}{animated}"


def in_words(sound: Sequence[Facts]) -> str:
    """Summarises readable images: how many, of which sizes and kinds."""
    if not sound:
        return "nothing readable"
    sizes = Counter(facts.size for facts in sound)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(f.kind for f in sound).most_common())
    if len(sizes) == 1:
        return f"{len(sound)} of {_size(sound[0].size)}; {kinds}"
    by_area = sorted((height * width, (height, width)) for height, width in sizes.elements())
    middle = median_low(by_area)
    smallest, largest = _size(by_area[0][1]), _size(by_area[-1][1])
    return f"{len(sound)} of {smallest} to {largest}, median {_size(middle[1])}, {len(sizes)} sizes; {kinds}"


def remarks(sound: Sequence[Facts]) -> Iterable[str]:
    """Reports what is unusual about readable images."""
    kinds = Counter(facts.kind for facts in sound)
    usual = kinds.most_common(1)[0][0] if kinds else ""
    if unusual := [facts.path for facts in sound if facts.kind != usual]:
        yield f"not {usual} as most are, and turned into the recipe's channels: {few(unusual)}"
    if values := [facts for facts in sound if not facts.full]:
        low, high = _hull(values)
        yield f"values from {low:g} to {high:g}"
    for full, name in ((255, "8-bit"), (DEEP, "16-bit")):
        shades = [facts for facts in sound if facts.full == full]
        if shades and DARK * (white := _hull(shades)[1]) <= full:
            yield f"{name} shades up to {white:,} of {full:,} only, nearly black to a network; stretch them"
    if odd := [facts.path for facts in sound if facts.size[0] % 4 or facts.size[1] % 4]:
        yield f"sides that are no multiple of 4, which are resized or padded: {few(odd)}"
    if flat := [facts.path for facts in sound if facts.flat]:
        yield f"one colour all over, nothing to learn from: {few(flat)}"


def settings(sound: Sequence[Facts]) -> Iterable[str]:
    """Suggests the recipe settings that the images require or would profit from."""
    deep = [facts for facts in sound if facts.full != 255]
    if any(not facts.full for facts in deep):
        low, high = (f"{rounded:g}" for rounded in _outwards(*_hull(deep)))
        yield f"the recipe says data.range: [{low}, {high}], which holds all values"
    elif deep and DARK * (white := int(_hull(deep)[1])) <= DEEP:
        yield f"the recipe says data.range: [0, {2 ** white.bit_length() - 1}], which stretches all 16-bit shades"
    bands = {facts.bands for facts in sound}
    if bands == {1}:
        yield "all are grey: where the recipe says data.channels: 1, translations are grey, too"
    elif bands - {1, 3} and (channels := _channels(bands)):
        yield f"the recipe says data.channels: {channels}, as many as the bands of TIFF"


def unlike(sound: Sequence[Facts]) -> Iterable[str]:
    """Reports a problem if no number of channels suits all images."""
    bands = {facts.bands for facts in sound}
    if bands and not _channels(bands):
        listed = " and ".join(map(str, sorted(bands)))
        yield f"images of {listed} bands, where a recipe has one number of channels for all; save all with as many"


def _channels(bands: set[int]) -> int:
    """Returns the smallest number of channels that suits all of `bands`; 0 if none does."""
    return next((count for count in sorted(bands | {4}) if all(images.suits(one, count) for one in bands)), 0)


def _hull(facts: Iterable[Facts]) -> images.Span:
    lows, highs = zip(*(one.span for one in facts), strict=True)
    return min(lows), max(highs)


def _outwards(low: float, high: float) -> tuple[Decimal, Decimal]:
    """Rounds outwards to six significant digits, so that the range still contains both."""
    floor, ceiling = (Context(prec=6, rounding=rounding) for rounding in (ROUND_FLOOR, ROUND_CEILING))
    return floor.create_decimal_from_float(low), ceiling.create_decimal_from_float(high)


def unreadable(read: Iterable[Facts]) -> list[str]:
    """Reports a problem for each unreadable image."""
    return [f"{facts.error}. Repair or remove it" for facts in read if facts.error]


def repeated(paths: Iterable[Path], read: Mapping[Path, Facts]) -> list[Path]:
    """Returns the paths that are byte-identical to an earlier one."""
    first: dict[str, Path] = {}
    return [path for path in paths if read[path].digest and first.setdefault(read[path].digest, path) != path]


def alike(paths: Iterable[Path], others: Iterable[Path], read: Mapping[Path, Facts]) -> set[Path]:
    """Returns those of `paths` that look like one of `others`, as re-saved copies do; single-colour images never do."""
    known = _glances(others, read)
    asked = [path for path in paths if read[path].digest and not read[path].flat]
    if not len(known):
        return set()
    squares = (known**2).sum(1)
    found = set()
    for start in range(0, len(asked), COMPARED):
        part = asked[start : start + COMPARED]
        glances = _glances(part, read)
        nearest = (squares - 2 * glances @ known.T).min(1) + (glances**2).sum(1)
        found |= {path for path, distance in zip(part, nearest, strict=True) if distance <= ALIKE**2 * known.shape[1]}
    return found


def _glances(paths: Iterable[Path], read: Mapping[Path, Facts]) -> np.ndarray:
    """Returns the glances (images, 192), float32, of readable images that are not a single colour."""
    glances = [read[path].glance for path in paths if read[path].digest and not read[path].flat]
    return np.stack(glances).astype(np.float32) if glances else np.empty((0, 0), np.float32)


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
