"""The one way to a decoder: whatever is opened has passed here, and what it would take in memory is known.

A file of a few bytes may claim gigabytes: in its size, its tiles, its bands, in tags or EXIF entries that overlap, in
hundreds of scans. Claims are read by code that allocates nothing for them, and refused before a library sees the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from translate.data.io import png
from translate.data.io.tiff import Page, first_page, quiet_libtiff, refuse_kind
from translate.data.io.tiff_directory import is_tiff, refuse_claims, refuse_exif, refuse_sums
from translate.data.io.values import BadImageError

READ = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's other decoders are never tried: less C code that a malicious file can reach."""
MOST_SCANS = 100
"""Scans of a progressive JPEG; programs write about ten, and each costs the time of a whole image. libtiff's number."""
BYTES_A_PIXEL = 12
"""The most that a pixel may take on average once decoded, so that a limit on pixels bounds memory."""


def opened(file: BinaryIO, max_pixels: int | None = None) -> Page | Image.Image:
    """Opens an image, reads its header only, and refuses what is too large or claims what it does not hold.

    A TIFF is a `Page`, all else Pillow's. `max_pixels` None is for those who ask about the header and decode nothing.
    Raises BadImageError.
    """
    head = file.read(32)
    file.seek(0)
    if is_tiff(head):
        return _page(file, max_pixels)
    if head[:2] == b"\xff\xd8":
        _refuse_jpeg(file, whole=max_pixels is not None)
    elif head[8:12] == b"WEBP":  # whose decoder takes memory when it is opened
        _refuse_size(*_webp_size(head), max_pixels)
    noted = png.notes(file) if png.is_png(head) else {}
    image = by_pillow(file)
    image.info.update(noted)
    _refuse_size(image.width, image.height, max_pixels)
    refuse_exif(image.info.get("exif", b""))
    return image


def by_pillow(file: BinaryIO) -> Image.Image:
    """Pillow's image of an open file, of which it has read the header. Raises BadImageError for unknown kinds."""
    quiet_libtiff()
    file.seek(0)
    try:
        return Image.open(file, formats=READ)
    except UnidentifiedImageError as error:
        known = ", ".join(READ)
        raise BadImageError(f"not an image of a supported kind ({known}), or damaged") from error


def _page(file: BinaryIO, max_pixels: int | None) -> Page:
    page = first_page(file)
    tags, length = page.directory, file.seek(0, 2)
    refuse_claims(tags)
    for where, sizes in ((273, 279), (324, 325)):
        refuse_sums(zip(tags.numbers(where), tags.numbers(sizes), strict=False), length, "its strips or tiles")
    refuse_kind(page)
    _refuse_size(page.width, page.height, max_pixels)
    if max_pixels is not None and page.nbytes > BYTES_A_PIXEL * max_pixels:
        raise BadImageError(
            f"{page.samples} bands of {page.bits} bits are {page.nbytes:,} bytes once decoded, more than the limit of "
            f"{BYTES_A_PIXEL * max_pixels:,}; cut it into parts, or convert with --max-pixels"
        )
    stored = page.width * page.height * page.samples * page.bits // 8
    if page.compression == 1 and page.photometric != 6 and stored > length:
        raise BadImageError("the file is truncated: it is smaller than its pixels")
    return page


def _refuse_size(width: int, height: int, max_pixels: int | None) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise BadImageError(
            f"{width} x {height} pixels are more than the limit of {max_pixels:,}; scale it down, or convert with "
            "--max-pixels"
        )


def _refuse_jpeg(file: BinaryIO, whole: bool) -> None:
    """Refuses EXIF that claims more than there is, and, if the image is to be decoded, hundreds of scans."""
    exif = b""
    for kind, body in _segments(file):
        if kind == 0xE1 and body.startswith(b"Exif\0\0"):
            exif += body[6:] if exif else body
    refuse_exif(exif)
    if whole:
        rest = file.read()
        scans = 1 + rest.count(b"\xff\xda", 0, rest.find(b"\xff\xd9"))
        if scans > MOST_SCANS:
            raise BadImageError(f"a JPEG of {scans:,} scans, more than {MOST_SCANS}; save it again")


def _segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of a JPEG's segments before its first scan, after whose marker the file then stands."""
    file.seek(2)
    while len(marker := file.read(2)) == 2 and marker[0] == 0xFF and marker[1] != 0xDA:
        if marker[1] == 0xFF:  # filling
            file.seek(-1, 1)
            continue
        length = int.from_bytes(file.read(2), "big")
        yield marker[1], file.read(max(0, length - 2))


def _webp_size(head: bytes) -> tuple[int, int]:
    """(width, height) of a WebP, lossy, lossless or with a canvas; (0, 0) if it is damaged."""
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        packed = int.from_bytes(head[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head.ljust(32, b"\0"), 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0
