"""Rows of a large TIFF, decoded as they are asked for: of its file only the strips or tiles that hold them are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from translate.data.io import gate
from translate.data.io.codec import FORMATS, picture_of
from translate.data.io.images import as_image_error, of_header
from translate.data.io.picture import Picture
from translate.data.io.tiff import RARE, Page
from translate.data.io.tiff_samples import Parts, Samples, is_jpeg, parts_of, refuse_missing, samples_between
from translate.data.io.values import BadImageError

MOST_PIXELS = 1 << 34
"""A square of 131,072 pixels: what claims more is no slide."""
_DENSEST, _DENSEST_RARE = 1500, 40_000
"""More bytes than a compressed one can stand for: Deflate 1,032, LZW 1,365; LZMA and ZSTD know longer runs."""
_PART = 1 << 29
"""The most decoded bytes of a row of parts."""
_CHUNK = 64
"""Rows that are read at once of strips without compression, which may be as high as the image."""
T = TypeVar("T")


class TiffRows:
    """An open TIFF; a context manager. At most the parts that hold the last asked rows are in memory.

    Kinds: whole bytes of grey, RGB and many bands of any lossless compression (see `Page.plain`), and JPEG; in strips,
    tiles or planes; upright. Raises ImageError for others, whose message names the file, and if the file is damaged.
    """

    def __init__(self, path: Path, max_pixels: int = MOST_PIXELS) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise as_image_error(path, error) from error
        try:
            self.page = self._named(lambda: self._opened(max_pixels))
            self._parts = self._named(lambda: _readable(self.page))
        except BaseException:
            self._file.close()
            raise
        self.height, self.width = self.page.height, self.page.width
        self.dtype = self.page.type if self.page.plain else np.dtype(np.uint8)
        self._held: OrderedDict[int, Samples] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def rows(self, top: int, bottom: int) -> Samples:
        """Rows `top` to `bottom` - 1, all columns. Raises ImageError."""
        high = self._parts.rows
        first, last = top // high, -(-bottom // high)
        for number in [number for number in self._held if not first <= number < last]:
            del self._held[number]
        for number in range(first, last):
            if number not in self._held:
                self._held[number] = self._named(partial(self._decoded, number))
        found = [self._held[number] for number in range(first, last)]
        rows = slice(top - first * high, bottom - first * high)
        pixels = _joined([some.pixels for some in found])[rows]
        alphas = [some.alpha for some in found if some.alpha is not None]
        return Samples(pixels, _joined(alphas)[rows] if alphas else None, found[0].rgb)

    def picture(self, top: int, bottom: int) -> Picture:
        """Those rows as a picture, with profile and metadata of the whole. Raises ImageError."""
        return picture_of(self.page, self.rows(top, bottom))

    def _opened(self, max_pixels: int) -> Page:
        page = gate.opened(self._file, max_pixels)
        if not isinstance(page, Page):
            raise BadImageError("no TIFF: only TIFF is read by rows; save it as TIFF in tiles")
        return page

    def _decoded(self, number: int) -> Samples:
        return samples_between(self.page, self._parts, self._bytes, number, number + 1)

    def _bytes(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        return self._file.read(size)

    def _named(self, what: Callable[[], T]) -> T:
        try:
            return what()
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            raise as_image_error(self.path, error) from error


def pixels_of_tiff(path: Path) -> int:
    """How many pixels the header of a TIFF claims; 0 for other files. Raises ImageError."""
    if FORMATS.get(path.suffix.lower()) != "TIFF":
        return 0
    return of_header(path, lambda opened: opened.width * opened.height if isinstance(opened, Page) else 0)


def _readable(page: Page) -> Parts:
    """The parts by which the page is read. Raises BadImageError for pages that cannot be read so, in words."""
    if not (page.plain or is_jpeg(page)):
        raise BadImageError(
            f"TIFF compression {page.compression} of this kind is not read by rows; save it in tiles with LZW, "
            "Deflate, JPEG or none"
        )
    if page.orientation != 1:
        raise BadImageError("a turned TIFF is not read by rows; save it upright")
    parts = parts_of(page)
    refuse_missing(page, parts.sizes)
    length = page.directory.file.seek(0, 2)
    if any(place + size > length for place, size in zip(parts.places, parts.sizes, strict=False)):
        raise BadImageError("the file is truncated: it ends before its pixels do")
    stored = sum(parts.sizes)
    most = stored if page.compression == 1 else stored * (_DENSEST_RARE if page.compression in RARE else _DENSEST)
    if page.width * page.height * page.samples * page.bits // 8 > most:
        raise BadImageError(
            f"{page.width:,} x {page.height:,} pixels are claimed, and only {stored:,} bytes are there for them; the "
            "file is truncated or damaged"
        )
    if page.compression == 1 and not page.tiled and parts.rows > _CHUNK:
        parts = _chunks(page, parts)
    size = parts.across * page.tile[0] * parts.rows * page.samples * -(-page.bits // 8)
    if size > _PART:
        what = "row of tiles" if page.tiled else "strip"
        raise BadImageError(
            f"a {what} is {size:,} bytes once decoded, more than {_PART:,}; save it in tiles of 256 pixels"
        )
    return parts


def _chunks(page: Page, parts: Parts) -> Parts:
    """Strips without compression as lower ones: of 64 rows, wherever the strips themselves end."""
    group = 1 if page.planes > 1 else page.samples
    row = page.width * group * page.bits // 8
    if parts.down > 1 and parts.rows % _CHUNK:
        return parts
    places, sizes = [], []
    for plane in range(page.planes):
        for top in range(0, page.height, _CHUNK):
            strip = plane * parts.down + top // parts.rows
            places.append(parts.places[strip] + top % parts.rows * row)
            sizes.append(min(_CHUNK, page.height - top) * row)
    return Parts(places, sizes, _CHUNK, 1, -(-page.height // _CHUNK))


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
