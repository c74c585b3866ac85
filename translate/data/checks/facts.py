"""Facts gathered by reading a set's images: sizes, kinds, unreadable files, duplicates and look-alikes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

import numpy as np

from translate.data.checks.files import Files
from translate.data.checks.shades import SHADE, mostly_black
from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.io.values import UNIT, kind_in_words
from translate.data.messages import by_fault, few
from translate.data.source import OfDomain, Readable
from translate.errors import ImageError

GLANCE = (8, 8)
ALIKE = 2.0
"""Largest RMS difference (of 255) of look-alikes. In horse2zebra re-saved copies stay below 1, others above 8."""
FAINT = 128.0
"""Glances that span less (of 255), as few photographs do, are stretched to so much before they are compared: dark
slices would all look alike."""
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
    glance: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    """The image at 8 x 8 pixels, as 192 numbers from 0 to 255, stretched if they are faint."""
    error: str = ""
    bands: int = 3
    """Channels without alpha."""
    full: int = 0
    """White at this bit depth, 255 or 65535; 0 for measured values."""
    span: images.Span = (0, 0)
    """Minimum and maximum of the pixels."""
    void: int = 0
    """How many pixels hold no data."""


def read_all(sources: Iterable[Readable], files: Files) -> dict[Path, Facts]:
    """Reads all images and returns facts by path; a file that holds both halves of a pair is read once. The `files`
    need not be decoded again to know their values."""
    every = {source.path: source for source in sources}
    found = {facts.path: facts for facts in files.of_each(_read, [every[path] for path in sorted(every)])}
    files.know({path: facts.span for path, facts in found.items() if not facts.error})
    return found


def _read(source: Readable) -> Facts:
    try:
        if isinstance(source, OfDomain):
            picture, data = source.decoded()
        else:
            picture = Picture(source.read(1))
            data = picture.pixels.tobytes()
    except ImageError as error:
        return Facts(source.path, error=str(error))
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    flat = bool((picture.pixels == picture.pixels[0, 0]).all())
    bands = picture.pixels.shape[2]
    glance = _glance(images.with_channels(images.display_bands(picture), 3))
    digest = hashlib.sha256(data).hexdigest()
    full = 0 if picture.span else int(np.iinfo(picture.pixels.dtype).max)
    span = picture.span or (int(picture.pixels.min()), int(picture.pixels.max()))
    void = 0 if picture.missing is None else int(picture.missing.sum())
    return Facts(source.path, size, _kind(picture), flat, digest, glance, bands=bands, full=full, span=span, void=void)


def _glance(pixels: np.ndarray) -> np.ndarray:
    """Returns what `Facts.glance` says of (H, W, 3), uint8 or uint16, as float32."""
    small = images.resize(pixels, *GLANCE)
    wide = small.astype(np.float32) / (1 if small.dtype == np.uint8 else SHADE)
    if np.ptp(wide) >= FAINT:
        return wide.ravel()
    deep = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * SHADE
    fine = images.resize(deep, *GLANCE).astype(np.float32).ravel() / SHADE
    spread = float(np.ptp(fine))
    return fine.min() + (fine - fine.min()) * (FAINT / spread) if spread else fine


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


def remarks(sound: Sequence[Facts], span: images.Span | None = UNIT) -> Iterable[str]:
    """Reports what is unusual about readable images; a span of None is that of label maps, which may well be dark."""
    kinds = Counter(facts.kind for facts in sound)
    usual = kinds.most_common(1)[0][0] if kinds else ""
    if unusual := [facts.path for facts in sound if facts.kind != usual]:
        yield f"not {usual} like the others, and converted as the recipe says: {few(unusual)}"
    if values := [facts for facts in sound if not facts.full]:
        low, high = _hull(values)
        yield f"values from {low:g} to {high:g}"
    if span:
        yield from (dark for _, dark in mostly_black([(one.full, one.span[1]) for one in sound], span))
    if void := [facts for facts in sound if facts.void]:
        count, all_pixels = sum(one.void for one in void), sum(one.size[0] * one.size[1] for one in sound)
        yield f"{count / all_pixels:.1%} of the pixels hold no data, in {len(void)} of {len(sound)} images"
        if empty := [one.path for one in void if one.void == one.size[0] * one.size[1]]:
            yield f"no pixel holds data; training refuses them, leave them out: {few(empty)}"
    if flat := [facts.path for facts in sound if facts.flat]:
        yield f"one colour all over, nothing to learn from: {few(flat)}"


def outside(sound: Sequence[Facts], kind: Domain, key: str) -> Iterable[str]:
    """Reports images with values outside of those that the domain spans, which training refuses; `key` sets them."""
    low, high = kind.ends
    asked = [facts for facts in sound if facts.full != 255] if kind.measured else []
    if wrong := [facts.path for facts in asked if facts.span[0] < low or facts.span[1] > high]:
        yield f"values outside {key}, {low:g} to {high:g}; set a wider {key}: {few(wrong)}"


def unlike(sound: Sequence[Facts], kind: Domain, key: str) -> Iterable[str]:
    """Reports images that do not suit the channels of their domain, which `key` sets."""
    for count in sorted({facts.bands for facts in sound}):
        if not images.suits(count, kind.channels):
            wrong = [facts.path for facts in sound if facts.bands == count]
            yield f"images of {count} bands, where {key} is {kind.channels}: {few(wrong)}"


def _hull(facts: Iterable[Facts]) -> images.Span:
    lows, highs = zip(*(one.span for one in facts), strict=True)
    return min(lows), max(highs)


def unreadable(read: Iterable[Facts]) -> list[str]:
    """Reports a problem for each fault of unreadable images."""
    return [f"{line}. Repair or remove" for line in by_fault({one.path: one.error for one in read if one.error})]


def repeated(paths: Iterable[Path], read: Mapping[Path, Facts]) -> list[Path]:
    """Returns the paths that are byte-identical to an earlier one."""
    first: dict[str, Path] = {}
    return [path for path in paths if read[path].digest and first.setdefault(read[path].digest, path) != path]


def alike(paths: Iterable[Path], others: Iterable[Path], read: Mapping[Path, Facts]) -> dict[Path, Path]:
    """Returns those of `paths` that look like one of `others`, as re-saved copies do, each with the one that it is most
    like; single-colour images never do."""
    asked, known = ([path for path in some if read[path].digest and not read[path].flat] for some in (paths, others))
    if not known:
        return {}
    glances = np.stack([read[path].glance for path in known])
    squares = (glances**2).sum(1)
    found: dict[Path, Path] = {}
    for start in range(0, len(asked), COMPARED):
        part = asked[start : start + COMPARED]
        looks = np.stack([read[path].glance for path in part])
        products = squares - 2 * looks @ glances.T
        twins = products.argmin(1)
        distances = products.min(1) + (looks**2).sum(1)
        limit = ALIKE**2 * glances.shape[1]
        found |= {path: known[twins[row]] for row, path in enumerate(part) if distances[row] <= limit}
    return found


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
