"""The samples of a `plain` page of a TIFF: its strips or tiles decompressed by Pillow's libtiff, all else by the tags.

A run of strips or tiles is handed to libtiff as a small TIFF of its own, so that rows of a large file can be read
without the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from translate.data.io.tiff import KINDS, MULTIPLIED, RARE, RGB, UNSPECIFIED, WHITE_IS_ZERO, Page, quiet_libtiff
from translate.data.io.values import BadImageError

Bytes = Callable[[int, int], bytes]
"""The bytes of the file from a place on, so many; fewer where the file ends."""
_JPEG, _TABLES, _SUBSAMPLING = 7, 347, 530
_CUT = "the file is truncated or damaged"


class Samples(NamedTuple):
    """Decoded rows of a page."""

    pixels: np.ndarray
    """(height, width, bands), stored as the tags say, not yet upright."""
    alpha: np.ndarray | None
    rgb: bool
    """Whether the first three bands are red, green and blue."""


class Parts(NamedTuple):
    """Where the strips or tiles of a page lie, those of each group of samples one after another."""

    places: Sequence[int]
    sizes: Sequence[int]
    rows: int
    """Rows of a strip or tile."""
    across: int
    """Tiles side by side."""
    down: int


class _Piece(TiffImagePlugin.TiffImageFile):
    """A TIFF made here of parts of a file that the gate let pass: Pillow's limit is for pixels of whole files."""

    def load_prepare(self) -> None:
        self.im = Image.core.new(self.mode, self.size)
        super().load_prepare()


def parts_of(page: Page) -> Parts:
    """The parts of a page as its tags say. Raises BadImageError if they are not as many as the page needs."""
    across, down = -(-page.width // page.tile[0]), -(-page.height // page.tile[1])
    where, counts = (324, 325) if page.tiled else (273, 279)
    places, sizes = page.directory.numbers(where), page.directory.numbers(counts)
    group = 1 if page.planes > 1 else page.samples
    sizes = sizes or (page.tile[0] * page.tile[1] * group * -(-page.bits // 8),) * len(places)
    if len(places) < across * down * page.planes or len(sizes) < len(places):
        raise BadImageError(_CUT)
    return Parts(places, sizes, page.tile[1], across, down)


def samples_of(page: Page, data: bytes) -> Samples:
    """Decodes a `plain` page of the file `data`. Raises BadImageError if it is damaged."""
    parts = parts_of(page)
    return samples_between(page, parts, lambda place, size: data[place : place + size], 0, parts.down)


def samples_between(page: Page, parts: Parts, read: Bytes, first: int, last: int) -> Samples:
    """Decodes the rows of parts `first` to `last` - 1 of a page that is `plain`, or of a JPEG's kind that
    `is_jpeg` says. Raises BadImageError if they are damaged."""
    rows = min(last * parts.rows, page.height) - first * parts.rows
    if not page.plain:
        pixels = _decoded(page, parts, read, 0, first, last).reshape(-1, parts.across * page.tile[0], page.samples)
        return Samples(pixels[:rows, : page.width], None, page.samples == 3)
    group = 1 if page.planes > 1 else page.samples
    planes = [_plane(page, parts, read, number, group, first, last)[:rows] for number in range(page.planes)]
    values = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
    if page.photometric == WHITE_IS_ZERO:
        values = np.iinfo(values.dtype).max - values
    if not page.extras or page.extras[-1] == UNSPECIFIED:
        return Samples(values, None, page.photometric == RGB)
    pixels, alpha = values[..., :-1], values[..., -1]
    if page.extras[-1] == MULTIPLIED:
        pixels = _divided(pixels, alpha)
    return Samples(pixels, alpha, page.photometric == RGB)


def is_jpeg(page: Page) -> bool:
    """Whether its parts are JPEGs of grey or colour, each of which can be decoded without the others."""
    colours = {1: 1, 2: 3, 6: 3}.get(page.photometric)
    return page.compression == _JPEG and page.bits == 8 and page.planes == 1 and page.samples == colours


def refuse_missing(page: Page, sizes: Sequence[int], first: int = 0) -> None:
    """Raises BadImageError if a part, of which `first` is the first, has no bytes."""
    if (empty := next((number for number, size in enumerate(sizes) if not size), None)) is not None:
        part = f"{'tile' if page.tiled else 'strip'} {first + empty:,}"
        raise BadImageError(f"its {part} is missing: {_CUT}, or saved sparsely; save it whole")


def _plane(page: Page, parts: Parts, read: Bytes, number: int, group: int, first: int, last: int) -> np.ndarray:
    """Rows of one group of samples, (rows, width, samples), in the machine's byte order."""
    raw = _decoded(page, parts, read, number, first, last)
    values = _unpredicted(page, raw.reshape(len(raw), parts.across, -1), group)
    return values.reshape(len(raw), -1, group)[:, : page.width]


def _decoded(page: Page, parts: Parts, read: Bytes, number: int, first: int, last: int) -> np.ndarray:
    """What libtiff makes of some rows of parts of one group of samples: (rows, bytes), or a JPEG's pixels."""
    start = number * parts.across * parts.down
    which = slice(start + first * parts.across, start + last * parts.across)
    pieces = [read(*part) for part in zip(parts.places[which], parts.sizes[which], strict=True)]
    refuse_missing(page, [len(piece) for piece in pieces], which.start)
    size = 1 if not page.plain else (1 if page.planes > 1 else page.samples) * page.bits // 8
    rows = (last - first) * parts.rows
    if not page.tiled:
        rows = min(rows, page.height - first * parts.rows)
    fields: dict[int, Sequence[int] | bytes] = {
        256: [parts.across * page.tile[0] * size], 257: [rows], 258: [8], 259: [page.compression], 262: [1],
        266: [page.directory.number(266, 1)], 277: [1],
    }  # fmt: skip
    if not page.plain:
        fields |= {258: [8] * page.samples, 262: [page.photometric], 277: [page.samples]}
        if coarser := page.directory.numbers(_SUBSAMPLING):
            fields[_SUBSAMPLING] = coarser
        if tables := page.directory.content(_TABLES):
            fields[_TABLES] = tables
    tile = {322: [page.tile[0] * size], 323: [parts.rows]} if page.tiled else {278: [parts.rows]}
    return _by_libtiff(_small_tiff(fields | tile, pieces, page.tiled), RARE.get(page.compression, ""))


def _by_libtiff(data: bytes, rare: str) -> np.ndarray:
    quiet_libtiff()
    try:
        with _Piece(BytesIO(data)) as image:
            return np.asarray(image)
    except (OSError, SyntaxError) as error:
        lacking = f", or this Pillow lacks {rare}" if rare else ""
        raise BadImageError(f"its parts cannot be decompressed; {_CUT}{lacking}") from error


def _small_tiff(fields: dict[int, Sequence[int] | bytes], pieces: Sequence[bytes], tiled: bool) -> bytes:
    """A TIFF of those parts: the directory first, so that nothing is taken for pixels that a part lacks."""
    where, counts = (324, 325) if tiled else (273, 279)
    fields |= {where: [0] * len(pieces), counts: [len(piece) for piece in pieces]}
    start = 8 + len(_encoded(fields, 8))
    ends = np.cumsum([start, *map(len, pieces)]).tolist()
    return b"II*\0\x08\0\0\0" + _encoded(fields | {where: ends[:-1]}, 8) + b"".join(pieces)


def _encoded(fields: dict[int, Sequence[int] | bytes], start: int) -> bytes:
    """A directory of whole numbers, or of bytes as they are, that lies at `start`, with the lists after it."""
    entries, lists = b"", b""
    after = start + 2 + 12 * len(fields) + 4
    for tag, values in sorted(fields.items()):
        body = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}I", *values)
        kind = 7 if isinstance(values, bytes) else 4
        if len(body) > 4:
            padded = body + bytes(len(body) % 2)
            body, lists = struct.pack("<I", after + len(lists)), lists + padded
        entries += struct.pack("<HHI", tag, kind, len(values)) + body.ljust(4, b"\0")
    return struct.pack("<H", len(fields)) + entries + bytes(4) + lists


def _unpredicted(page: Page, raw: np.ndarray, group: int) -> np.ndarray:
    """(rows, tiles across, bytes) as values: differences between neighbours within a tile are summed up."""
    kind, item, order = KINDS[page.form], page.bits // 8, page.directory.order
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
