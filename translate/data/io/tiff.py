"""The first page of a TIFF file: what its tags say of its samples, and which kinds are read.

Grey and RGB of whole bytes are read as the bytes that they are, whatever byte order, depth, number of bands, planes,
tiles or predictor: Pillow's libtiff decompresses them as if they were 8-bit grey, and all else is done by the tags
(`tiff_samples`). Other kinds (palettes, inks, YCbCr, fewer than 8 bits, JPEG and fax compression) are Pillow's.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL

from translate.data.io.tiff_directory import Directory, first_directory
from translate.data.io.values import BadImageError

_LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
"""No compression, LZW, Deflate (two numbers), PackBits, LZMA, ZSTD."""
RARE = {34925: "LZMA", 50000: "ZSTD"}
"""Compressions that not every build of Pillow has."""
_PILLOWS = (*_LOSSLESS, 2, 3, 4, 6, 7)
"""Fax and JPEG, too."""
WHITE_IS_ZERO, RGB = 0, 2
_COLOURS = {0: "white-is-zero", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab",
            10: "Lab", 32803: "raw camera", 32844: "LogL", 32845: "LogLuv", 34892: "raw camera"}  # fmt: skip
KINDS = {1: "u", 2: "i", 3: "f"}
_TYPES = {"u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"}
UNSPECIFIED, MULTIPLIED, _STRAIGHT = 0, 1, 2
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
        return self.samples - (bool(self.extras) and self.extras[-1] != UNSPECIFIED)

    @property
    def type(self) -> np.dtype:
        """The type of its samples, if it is `plain`."""
        return np.dtype(f"{KINDS[self.form]}{self.bits // 8}")

    @property
    def plain(self) -> bool:
        """Whether the samples are whole bytes of grey or RGB, losslessly compressed."""
        return self.bits in (8, 16, 32, 64) and self.photometric in (0, 1, 2) and self.compression in _LOSSLESS


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
    if page.form not in KINDS:
        raise BadImageError(f"complex numbers or samples without a type are not read; {_SAVE}")
    if page.bits not in (1, 2, 4, 8, 16, 32, 64):
        raise BadImageError(f"samples of {page.bits} bits are not read; {_SAVE}")
    if page.compression not in _PILLOWS:
        raise BadImageError(f"TIFF compression {page.compression} is not read; save it with LZW, Deflate or none")
    if page.photometric not in (0, 1, 2, 3, 5, 6) or (page.photometric > 2 and page.bits > 8):
        colour = _COLOURS.get(page.photometric, f"photometric {page.photometric}")
        raise BadImageError(f"{colour} of {page.bits} bits is not read; {_SAVE}")
    (_refuse_plain if page.plain else _refuse_pillows)(page)
    alphas = [place for place, extra in enumerate(page.extras) if extra in (MULTIPLIED, _STRAIGHT)]
    if alphas and alphas != [len(page.extras) - 1]:
        raise BadImageError("alpha is read as the last band only; save it so")


def _refuse_plain(page: Page) -> None:
    """Refuses what `tiff_samples` does not read."""
    kind = f"{KINDS[page.form]}{page.bits // 8}"
    if kind not in _TYPES:
        raise BadImageError(f"pixels of type {np.dtype(kind) if kind != 'f1' else 'float8'} are not read; {_SAVE}")
    if page.photometric == WHITE_IS_ZERO and (page.form != 1 or page.samples > 1):
        raise BadImageError(
            "white-is-zero is read for one band of unsigned whole numbers only; save it as black-is-zero"
        )
    if MULTIPLIED in page.extras and page.form != 1:
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
    colours = {RGB: 3, 5: 4, 6: 3, 8: 3}.get(photometric, 1)
    count = max(0, samples - colours)
    if not stored and photometric == RGB and count == 1 and shades:
        return (_STRAIGHT,)  # not said; widespread programs mean alpha
    return (*stored, *[UNSPECIFIED] * count)[:count]


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
