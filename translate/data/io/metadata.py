"""Metadata of image files (EXIF, TIFF tags), and what of it stays true of a translated image."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from PIL import Image

from translate.data.io import place
from translate.data.io.tiff import Page

ORIENTATION, EXIF, GPS = 274, 34665, 34853
_DESCRIPTION, _PROFILE, _GDAL, _NO_DATA = 270, 34675, 42112, 42113
# Description, make, model, resolution (3), software, time, artist, host, copyright; then Exif and GPS.
_KEPT = (_DESCRIPTION, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432)
# Position on Earth (GeoTIFF): scale, tie points, transformation, keys with their numeric and text parameters; RPC.
_PLACE = (33550, 33922, 34264, 34735, 34736, 34737, 50844)
_RESOLUTION = (282, 283, 296)
_PIXEL_SIZES = (40962, 40963)
_MEANING = re.compile(r"<Item\b[^<>]*\brole=[\"'](?:scale|offset|unittype)[\"'][^<>]*>[^<>]*</Item>")
"""GDAL's entries that say what numbers mean; others, such as statistics, are untrue of new pixels."""


class _Text(str):
    """Text as Pillow reads it, in Latin-1, which it would write with "?" for all but ASCII: byte for byte instead."""

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        return str.encode(self, "latin-1", "replace")


def exact(value: Any) -> Any:
    """A value of EXIF, to be given to Pillow so that texts are written as they were read."""
    return _Text(value) if isinstance(value, str) else value


def of_image(image: Image.Image) -> bytes | None:
    """The EXIF of an opened image that stays true, as a block; None if there is none, or it is damaged."""
    return _block(Image.Image.getexif(image), orientation_of(image))


def of_page(page: Page) -> bytes | None:
    """Like `of_image` for a TIFF, whose first directory is read as EXIF."""
    exif, tags = Image.Exif(), page.directory
    exif.endian, exif.bigtiff = tags.order, tags.big
    try:
        exif.load_from_fp(tags.file, tags.start)
    except Exception:  # damaged metadata is no reason to reject an intact image
        return None
    return _block(exif, page.orientation)


def profile_of(page: Page) -> bytes | None:
    return page.directory.content(_PROFILE) or None


def no_data_of(page: Page) -> str:
    """The value that GDAL says stands for "no data", as it is written; empty if there is none."""
    return page.directory.content(_NO_DATA)[:40].decode("ascii", "replace").strip("\0 ")


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8."""
    # The base class's method: PNG's override would decode the image to look for a late chunk, which the gate has found.
    try:
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # damaged metadata is no reason to reject an intact image
        return 1
    return value if value in range(1, 9) else 1


def without_meanings(exif: bytes | None) -> bytes | None:
    """A block without what GDAL says that numbers mean (scale, offset, unit): for an image of other values."""
    return _without(exif, (_GDAL,))


def without_place(exif: bytes | None) -> bytes | None:
    """A block without resolution and position on Earth, which say where each pixel lies: for an image of another
    size."""
    return _without(exif, (*_PLACE, *_RESOLUTION))


def enlarged_place(exif: bytes | None, times: int) -> bytes | None:
    """A block whose resolution and position on Earth are those of the image with `times` x `times` pixels in place of
    each."""
    if exif is None:
        return None
    block = Image.Exif()
    block.load(exif)
    moved = place.enlarged(dict(block), times)
    for tag, value in moved.items():
        block[tag] = value
    return block.tobytes() if moved else exif


def has_place(exif: bytes | None) -> bool:
    """Whether a block says where on Earth each pixel lies."""
    return _without(exif, _PLACE) != exif


def _without(exif: bytes | None, tags: Collection[int]) -> bytes | None:
    if exif is None:
        return None
    block = Image.Exif()
    block.load(exif)
    there = [tag for tag in tags if tag in block]
    if not there:
        return exif
    for tag in there:
        del block[tag]
    return block.tobytes() if len(block) else None


def _block(found: Image.Exif, orientation: int) -> bytes | None:
    try:
        kept = Image.Exif()
        for tag, value in _true(found, orientation).items():
            kept[tag] = exact(value)
        for folder in (EXIF, GPS):
            entries = {tag: exact(value) for tag, value in found.get_ifd(folder).items() if tag not in _PIXEL_SIZES}
            if entries:
                kept[folder] = entries
        return kept.tobytes() if len(kept) else None
    except Exception:  # damaged metadata is no reason to reject an intact image
        return None


def _true(found: Mapping[int, Any], orientation: int) -> dict[int, Any]:
    """The tags that remain true of a translated image. A position on Earth only does if nothing was rotated."""
    kept = {tag: found[tag] for tag in _KEPT + (_PLACE if orientation == 1 else ()) if tag in found}
    if _describes_a_stack(kept.get(_DESCRIPTION)):
        del kept[_DESCRIPTION]
    if meanings := _MEANING.findall(str(found.get(_GDAL, ""))):
        kept[_GDAL] = f"<GDALMetadata>{''.join(meanings)}</GDALMetadata>"
    return kept


def _describes_a_stack(description: object) -> bool:
    """Returns whether an image description states the file's layout for programs (ImageJ, OME, tifffile), which would
    be wrong for another file."""
    return isinstance(description, str) and (description.startswith(("ImageJ=", '{"shape"')) or "<OME" in description)
