"""Writes a TIFF in tiles with Deflate and a pyramid of smaller pages, from rows as they are made.

Of each page only the rows of one row of tiles are held, so that memory does not depend on the height. Layout: TIFF 6.0,
BigTIFF where it may need more than 4 GiB; the full size first, then halves (NewSubfileType 1), as GDAL's overviews and
what OpenSlide reads as generic tiled TIFF.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from translate.data.io.nodata import text_of
from translate.data.io.tiff_writing import metadata_tags, resolution_of, tags_of
from translate.errors import ImageError

TILE = 256
_LEVEL = 6
_CLASSIC = (1 << 32) - (1 << 20)
_DESCRIPTION, _WHERE, _SIZES, _NODATA = 270, 324, 325, 42113
_LONG, _LONG8 = 4, 16


class TiledWriter:
    """Takes rows of (rows, width, samples) from the top; `close` writes what is left and the directories.

    `bands` of the samples are not alpha; `rgb` as for `encode_tiff`. `nodata` is the value, of the type of the samples,
    that stands for no data; it is left out of the means that smaller pages are made of.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, int, int],
        dtype: np.dtype,
        bands: int,
        rgb: bool | None = None,
        icc: bytes | None = None,
        exif: bytes | None = None,
        nodata: float | None = None,
    ) -> None:
        height, width, samples = shape
        self._file, self._exif, self._icc, self._nodata = file, exif, icc, nodata
        self._like = (np.empty((0, 0, bands), dtype), rgb, samples)
        self._big = height * width * samples * dtype.itemsize * 4 // 3 + height * width // 1024 > _CLASSIC
        self._pages: list[_Page] = []
        while True:
            self._pages.append(_Page(self, height, width, samples, dtype))
            if max(height, width) <= TILE:
                break
            height, width = -(-height // 2), -(-width // 2)
        file.write(b"II+\0\x08\0\0\0" + bytes(8) if self._big else b"II*\0" + bytes(4))

    def write(self, rows: np.ndarray) -> None:
        """The next rows. Raises OSError."""
        self._push(0, rows)

    def close(self) -> None:
        """Writes what remains. Raises ValueError if rows are lacking, OSError."""
        for level, page in enumerate(self._pages):
            if page.last is not None:  # an odd row is its own neighbour
                self._push(level + 1, self._halved(np.concatenate([page.last] * 2)))
                page.last = None
            page.finish()
        link = 8 if self._big else 4
        for number, page in enumerate(self._pages):
            body, after = self._directory(page, number)
            start = self._file.seek(0, 2)
            start += self._file.write(b"\0" * (start % 2))
            self._file.write(body)
            self._file.seek(link)
            self._file.write(struct.pack("<Q" if self._big else "<I", start))
            link = start + after

    def _push(self, level: int, rows: np.ndarray) -> None:
        page = self._pages[level]
        page.add(rows)
        if level + 1 == len(self._pages):
            return
        held = rows if page.last is None else np.concatenate([page.last, rows])
        even = len(held) - len(held) % 2
        page.last = held[even:].copy() if even < len(held) else None
        if even:
            self._push(level + 1, self._halved(held[:even]))

    def _halved(self, rows: np.ndarray) -> np.ndarray:
        bands = self._like[0].shape[2]
        return _halved(rows, self._nodata, bands if bands < rows.shape[2] else None)

    def put(self, tile: np.ndarray) -> tuple[int, int]:
        """Compresses and appends a tile, and says where it lies and how long it is."""
        if tile.dtype.kind != "f":  # differences to the left neighbour
            tile = np.diff(tile, axis=1, prepend=tile.dtype.type(0))
        body = zlib.compress(tile.astype(tile.dtype.newbyteorder("<"), copy=False).tobytes(), _LEVEL)
        place = self._file.tell()
        self._file.write(body)
        if not self._big and place + len(body) > _CLASSIC:
            raise ImageError("more than TIFF's 4 GiB")
        return place, len(body)

    def _directory(self, page: _Page, number: int) -> tuple[bytes, int]:
        """The bytes of a page's directory, which lies at the end of the file, and where in them the next one's place
        goes."""
        like, rgb, samples = self._like
        directory = ImageFileDirectory_v2(b"II+\0\x08\0\0\0" + bytes(8) if self._big else b"II*\0" + bytes(4))
        found = metadata_tags(self._exif)
        tags: dict[int, Any] = found if number == 0 else resolution_of(found, 0.5**number)
        tags |= tags_of((page.height, page.width), like, samples, rgb, self._icc)
        tags |= {254: int(number > 0), 259: 8, 317: 1 if like.dtype.kind == "f" else 2, 322: TILE, 323: TILE}
        tags |= {_WHERE: tuple(page.places), _SIZES: tuple(page.sizes)}
        if self._nodata is not None:
            tags[_NODATA] = text_of(self._nodata)
        for tag, value in tags.items():
            if tag in (_WHERE, _SIZES):
                directory.tagtype[tag] = _LONG8 if self._big else _LONG
            directory[tag] = value
        start = self._file.seek(0, 2)
        body = directory.tobytes(start + start % 2)
        count = len(tags)
        return body, 8 + 20 * count if self._big else 2 + 12 * count


class _Page:
    """One size of the image: its unfinished row of tiles, and where its tiles lie."""

    def __init__(self, writer: TiledWriter, height: int, width: int, samples: int, dtype: np.dtype) -> None:
        self.height, self.width, self._writer = height, width, writer
        across = -(-width // TILE)
        self._row = np.zeros((TILE, across * TILE, samples), dtype)
        self._filled = self._done = 0
        self.places: list[int] = []
        self.sizes: list[int] = []
        self.last: np.ndarray | None = None
        """A row that waits for its neighbour, to be halved."""

    def add(self, rows: np.ndarray) -> None:
        while len(rows):
            some, rows = rows[: TILE - self._filled], rows[TILE - self._filled :]
            self._row[self._filled : self._filled + len(some), : self.width] = some
            self._filled += len(some)
            if self._filled == TILE:
                self._put()

    def finish(self) -> None:
        if self._filled:
            self._row[self._filled :] = 0
            self._put()
        if self._done != self.height:
            raise ValueError(f"{self._done} rows were written of {self.height}")

    def _put(self) -> None:
        for left in range(0, self._row.shape[1], TILE):
            place, size = self._writer.put(self._row[:, left : left + TILE])
            self.places.append(place)
            self.sizes.append(size)
        self._done += self._filled
        self._filled = 0


def _halved(rows: np.ndarray, nodata: float | None, alpha: int | None = None) -> np.ndarray:
    """Means of 2 x 2 pixels, rounded, of an even number of rows; a last odd column is its own neighbour. Pixels whose
    value is `nodata` do not count; four of them are one. Where sample number `alpha` is alpha, colours count by it, so
    that those of clear pixels, which mean nothing, do not run into others."""
    if rows.shape[1] % 2:
        rows = np.concatenate([rows, rows[:, -1:]], 1)
    four = rows.reshape(len(rows) // 2, 2, rows.shape[1] // 2, 2, rows.shape[2])
    if nodata is None and alpha is None and rows.dtype.kind != "f":
        wide = four.sum((1, 3), dtype=np.int64)
        return ((wide + 2) // 4).astype(rows.dtype)
    void = np.zeros(four.shape, bool)
    if nodata is not None:
        void = np.isnan(four) if np.isnan(nodata) else four == nodata
    weights = (~void).astype(np.float64)
    if alpha is not None:
        opacity = four[..., alpha : alpha + 1].astype(np.float64)
        clear = opacity.sum((1, 3), keepdims=True) == 0
        weights[..., :alpha] *= np.where(clear, 1, opacity)
        weights[..., alpha:] = 1
    total = weights.sum((1, 3))
    mean = (np.where(weights > 0, four, 0) * weights).sum((1, 3)) / np.where(total > 0, total, 1)
    if rows.dtype.kind != "f":
        mean = np.floor(mean + 0.5)
    return np.where(total > 0, mean, 0 if nodata is None else nodata).astype(rows.dtype)
