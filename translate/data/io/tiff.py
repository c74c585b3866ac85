"""The first page of a TIFF file: what its tags say, and its samples in the type that they were stored in.

Grey and RGB of whole bytes are read as the bytes that they are, whatever byte order, depth, number of bands, planes,
tiles or predictor: Pillow's libtiff decompresses them as if they were 8-bit grey, and all else is done here, by the
tags. Other kinds (palettes, inks, YCbCr, fewer than 8 bits, JPEG and fax compression) are Pillow's.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import PIL
from PIL import Image, TiffImagePlugin

from translate.data.io.tiff_directory import Directory, first_directory
from translate.data.io.values import BadImageError

_LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
"""No compression, LZW, Deflate (two numbers), PackBits, LZMA, ZSTD."""
_RARE = {34925: "LZMA", 50000: "ZSTD"}
"""Compressions that not every build of Pillow has."""
_PILLOWS = (*_LOSSLESS, 2, 3, 4, 6, 7)
"""Fax and JPEG, too."""
_WHITE_IS_ZERO, _RGB = 0, 2
_COLOURS = {0: "white-is-zero", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab",
            10: "Lab", 32803: "raw camera", 32844: "LogL", 32845: "LogLuv", 34892: "raw camera"}  # fmt: skip
_KINDS = {1: "u", 2: "i", 3: "f"}
_TYPES = {"u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"}
_UNSPECIFIED, _MULTIPLIED, _STRAIGHT = 0, 1, 2
"""TIFF's ExtraSamples: a further band, alpha that colours were multiplied by, straight alpha."""
_SAVE = "save it as grey or RGB of 8 or 16 bits"


@dataclass(frozen=True)
class Page:
    """The tags of the first page that say how its samples are stored."""

    directory: Directory
    width: int
    height: int
    samples: int
    bits: int
    form: int
    """TIFF's SampleFormat: 1 unsigned, 2 signed, 3 floating point."""
    photometric: int
    compression: int
    predictor: int
    planes: int
    """Groups of samples that are stored apart: 1, or one for each sample."""
    tile: tuple[int, int]
    """(width, height) of the tiles; those of a strip for files in strips."""
    tiled: bool
    extras: tuple[int, ...]
    """What the samples beyond the colours are."""
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) once it is upright."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    @property
    def more(self) -> bool:
        return self.directory.following != 0

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded samples, with what tiles hold beyond the image."""
        width, height = (
            -(-side // tile) * tile for side, tile in zip((self.width, self.height), self.tile, strict=True)
        )
        return width * (height if self.tiled else self.height) * self.samples * -(-self.bits // 8)

    @property
    def bands(self) -> int:
        """The bands that its pixels have once decoded, without alpha."""
        if not self.plain:
            return 1 if self.photometric in (0, 1) else 3
        return self.samples - (bool(self.extras) and self.extras[-1] != _UNSPECIFIED)

    @property
    def type(self) -> np.dtype:
        """The type of its samples, if it is `plain`."""
        return np.dtype(f"{_KINDS[self.form]}{self.bits // 8}")

    @property
    def plain(self) -> bool:
        """Whether the samples are whole bytes of grey or RGB, losslessly compressed."""
        return self.bits in (8, 16, 32, 64) and self.photometric in (0, 1, 2) and self.compression in _LOSSLESS


class Samples(NamedTuple):
    pixels: np.ndarray
    """(height, width, bands), stored as the tags say, not yet upright."""
    alpha: np.ndarray | None
    rgb: bool
    """Whether the first three bands are red, green and blue."""


class _Bytes(TiffImagePlugin.TiffImageFile):
    """A TIFF whose pixels are the bytes of another's, which the gate let pass: Pillow's limit is for pixels."""

    def load_prepare(self) -> None:
        self.im = Image.core.new(self.mode, self.size)
        super().load_prepare()


def first_page(file: BinaryIO) -> Page:
    """Reads the tags of an open file. Raises BadImageError if they describe no image."""
    tags = first_directory(file)
    width, height, samples = tags.number(256, 0), tags.number(257, 0), tags.number(277, 1)
    bits, forms = set(tags.numbers(258)) or {1}, set(tags.numbers(339)) or {1}
    tiled = 322 in tags.entries
    rows = min(tags.number(278, height), height)
    tile = (tags.number(322, 0), tags.number(323, 0)) if tiled else (width, rows)
    if min(width, height, samples, *tile) < 1:
        raise BadImageError("a TIFF without an image, or damaged")
    if len(bits) > 1 or len(forms) > 1:
        raise BadImageError(f"bands of different types or depths ({_listed(bits)} bits) are not read; {_SAVE}")
    photometric = tags.number(262, 1)
    planes = samples if tags.number(284, 1) == 2 else 1
    kind = (next(iter(bits)), next(iter(forms)))
    extras = _extras(tags.numbers(338), photometric, samples, kind in ((8, 1), (16, 1)))
    turned = tags.number(274, 1)
    return Page(
        tags, width, height, samples, bits.pop(), forms.pop(), photometric, tags.number(259, 1), tags.number(317, 1),
        planes, tile, tiled, extras, turned if turned in range(1, 9) else 1,
    )  # fmt: skip


def refuse_kind(page: Page) -> None:
    """Raises BadImageError for kinds of TIFF that no decoder here gets right, in words."""
    if page.form not in _KINDS:
        raise BadImageError(f"complex numbers or samples without a type are not read; {_SAVE}")
    if page.bits not in (1, 2, 4, 8, 16, 32, 64):
        raise BadImageError(f"samples of {page.bits} bits are not read; {_SAVE}")
    if page.compression not in _PILLOWS:
        raise BadImageError(f"TIFF compression {page.compression} is not read; save it with LZW, Deflate or none")
    if page.photometric not in (0, 1, 2, 3, 5, 6) or (page.photometric > 2 and page.bits > 8):
        colour = _COLOURS.get(page.photometric, f"photometric {page.photometric}")
        raise BadImageError(f"{colour} of {page.bits} bits is not read; {_SAVE}")
    (_refuse_plain if page.plain else _refuse_pillows)(page)
    alphas = [place for place, extra in enumerate(page.extras) if extra in (_MULTIPLIED, _STRAIGHT)]
    if alphas and alphas != [len(page.extras) - 1]:
        raise BadImageError("alpha is read as the last band only; save it so")


def _refuse_plain(page: Page) -> None:
    """Refuses what `samples_of` does not read."""
    kind = f"{_KINDS[page.form]}{page.bits // 8}"
    if kind not in _TYPES:
        raise BadImageError(f"pixels of type {np.dtype(kind) if kind != 'f1' else 'float8'} are not read; {_SAVE}")
    if page.photometric == _WHITE_IS_ZERO and (page.form != 1 or page.samples > 1):
        raise BadImageError(
            "white-is-zero is read for one band of unsigned whole numbers only; save it as black-is-zero"
        )
    if _MULTIPLIED in page.extras and page.form != 1:
        raise BadImageError("values multiplied by alpha are not read; save it with straight alpha")


def _refuse_pillows(page: Page) -> None:
    """Refuses what Pillow does not read, or reads wrongly."""
    if page.bits > 8 or page.form != 1:
        raise BadImageError(f"TIFF compression {page.compression} of {page.bits} bits is not read; save it with LZW")
    counts = page.directory.numbers(279) or page.directory.numbers(325)
    if page.photometric == 6 and page.compression == 1 and sum(counts) < page.width * page.height * page.samples:
        raise BadImageError("YCbCr with fewer samples of colour is read with JPEG compression only; save it as RGB")
    if page.photometric == 3 and page.bits < 8 and page.directory.number(266, 1) == 2:
        raise BadImageError("a palette whose bits are in reversed order is not read; save it as RGB")


def samples_of(page: Page, data: bytes) -> Samples:
    """Decodes a `plain` page of the file `data`. Raises BadImageError if it is damaged."""
    group = 1 if page.planes > 1 else page.samples
    planes = [_plane(page, data, number, group) for number in range(page.planes)]
    values = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
    if page.photometric == _WHITE_IS_ZERO:
        values = np.iinfo(values.dtype).max - values
    if not page.extras or page.extras[-1] == _UNSPECIFIED:
        return Samples(values, None, page.photometric == _RGB)
    pixels, alpha = values[..., :-1], values[..., -1]
    if page.extras[-1] == _MULTIPLIED:
        pixels = _divided(pixels, alpha)
    return Samples(pixels, alpha, page.photometric == _RGB)


@cache
def quiet_libtiff() -> None:
    """Stops the libtiff of Pillow's wheels from writing to stderr; what it finds is raised by Pillow anyway."""
    package = Path(PIL.__file__).parent
    for folder in (package.parent / "pillow.libs", package / ".dylibs"):
        for path in folder.glob("libtiff*"):
            library = ctypes.CDLL(str(path))
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


def _extras(stored: tuple[int, ...], photometric: int, samples: int, shades: bool) -> tuple[int, ...]:
    colours = {_RGB: 3, 5: 4, 6: 3, 8: 3}.get(photometric, 1)
    count = max(0, samples - colours)
    if not stored and photometric == _RGB and count == 1 and shades:
        return (_STRAIGHT,)  # not said; widespread programs mean alpha
    return (*stored, *[_UNSPECIFIED] * count)[:count]


def _plane(page: Page, data: bytes, number: int, group: int) -> np.ndarray:
    """One group of samples, (height, width, samples), in the machine's byte order."""
    (width, height), item = page.tile, page.bits // 8
    across, down = -(-page.width // width), -(-page.height // height)
    rows = down * height if page.tiled else page.height
    raw = _bytes(page, data, slice(number * across * down, (number + 1) * across * down), group * item, across, rows)
    values = _unpredicted(page, raw.reshape(rows, across, width * group * item), group)
    return values.reshape(rows, across * width, group)[: page.height, : page.width]


def _bytes(page: Page, data: bytes, which: slice, size: int, across: int, rows: int) -> np.ndarray:
    """The decompressed bytes of some strips or tiles, as (rows, bytes): an 8-bit grey TIFF to libtiff."""
    width, height = page.tile[0] * size, page.tile[1]
    tags = page.directory
    where, counts = (324, 325) if page.tiled else (273, 279)
    offsets = tags.numbers(where)[which]
    lengths = tags.numbers(counts)[which] or (width * height,) * len(offsets)
    if len(offsets) != which.stop - which.start or len(lengths) != len(offsets):
        raise BadImageError("the file is truncated or damaged")
    fields: dict[int, Sequence[int]] = {256: [across * width], 257: [rows], 258: [8], 259: [page.compression], 262: [1],
              266: [tags.number(266, 1)], 277: [1], where: offsets, counts: lengths}  # fmt: skip
    fields |= {322: [width], 323: [height]} if page.tiled else {278: [height]}
    start = len(data) + len(data) % 2
    whole = b"II*\0" + struct.pack("<I", start) + data[8:].ljust(start - 8, b"\0") + _encoded(fields, start)
    quiet_libtiff()
    try:
        with _Bytes(BytesIO(whole)) as image:
            return np.asarray(image)
    except (OSError, SyntaxError) as error:
        lacking = f", or this Pillow lacks {_RARE[page.compression]}" if page.compression in _RARE else ""
        raise BadImageError(f"its parts cannot be decompressed; the file is truncated or damaged{lacking}") from error


def _encoded(fields: dict[int, Sequence[int]], start: int) -> bytes:
    """A directory of numbers that lies at `start`, with the lists after it."""
    entries, lists = b"", b""
    after = start + 2 + 12 * len(fields) + 4
    for tag, values in sorted(fields.items()):
        body = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            body, lists = struct.pack("<I", after + len(lists)), lists + body
        entries += struct.pack("<HHI", tag, 4, len(values)) + body
    return struct.pack("<H", len(fields)) + entries + bytes(4) + lists


def _unpredicted(page: Page, raw: np.ndarray, group: int) -> np.ndarray:
    """(rows, tiles across, bytes) as values: differences between neighbours within a tile are summed up."""
    kind, item, order = _KINDS[page.form], page.bits // 8, page.directory.order
    rows, across = raw.shape[:2]
    if page.predictor == 3:  # bytes of floats, those of most weight first
        summed = np.cumsum(raw.reshape(rows, across, -1, group), axis=2, dtype=np.uint8)
        split = summed.reshape(rows, across, item, -1).swapaxes(2, 3)
        return np.ascontiguousarray(split).view(f">{kind}{item}").astype(f"{kind}{item}")
    if page.predictor == 2:
        values = raw.view(f"{order}u{item}").reshape(rows, across, -1, group)
        return np.cumsum(values, axis=2, dtype=f"u{item}").view(f"{kind}{item}")
    return raw.view(f"{order}{kind}{item}").astype(f"{kind}{item}", copy=False)


def _divided(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by alpha as they were, rounded; black where alpha is 0."""
    top, share = np.iinfo(pixels.dtype).max, alpha[..., None].astype(np.uint64)
    divided = (pixels.astype(np.uint64) * top + share // 2) // np.maximum(share, 1)
    return np.where(share > 0, divided.clip(0, top), 0).astype(pixels.dtype)


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
