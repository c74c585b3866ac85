"""Writes TIFF, uncompressed, of any type and number of bands, with ICC profile, EXIF, GPS and position on Earth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from translate.data.io.metadata import EXIF, GPS, exact
from translate.data.io.nodata import text_of
from translate.data.io.place import RESOLUTIONS
from translate.data.io.values import BadImageError

_UNIT = 296
_FORMS = {"u": 1, "i": 2, "f": 3}
_LARGEST = (1 << 32) - (1 << 20)


def encode_tiff(
    pixels: np.ndarray,
    alpha: np.ndarray | None,
    rgb: bool | None,
    icc: bytes | None,
    exif: bytes | None,
    nodata: float | None = None,
) -> bytes:
    """Encodes pixels (height, width, bands) and alpha (height, width) in their type, as one strip.

    `rgb`: whether the first three bands are red, green and blue; None: if there are three. `nodata` is the value that
    stands for no data. Raises BadImageError for more than 4 GiB.
    """
    planes = pixels if alpha is None else np.dstack([pixels, alpha])
    height, width, samples = planes.shape
    body = planes.astype(planes.dtype.newbyteorder("<"), copy=False).tobytes()
    if len(body) > _LARGEST:
        raise BadImageError("more than TIFF's 4 GiB")
    tags = tags_of((height, width), pixels, samples, rgb, icc) | {273: 0, 278: height, 279: len(body)}
    if nodata is not None:
        tags[42113] = text_of(nodata)
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in (metadata_tags(exif) | tags).items():
        directory[tag] = value
    # Pillow adds the end of the directory to the strip's offset.
    return b"II*\0\x08\0\0\0" + directory.tobytes(8) + body


def tags_of(
    size: tuple[int, int], pixels: np.ndarray, samples: int, rgb: bool | None, icc: bytes | None
) -> dict[int, Any]:
    """The tags that say what samples are, for an image of (height, width) of the type and bands of `pixels`, beside
    which there may be alpha; not where they lie, and of no compression."""
    bands = pixels.shape[2]
    coloured = bands >= 3 and (bands == 3 if rgb is None else rgb)
    further = [0] * (bands - (3 if coloured else 1)) + [2] * (samples - bands)
    tags: dict[int, Any] = {
        256: size[1], 257: size[0], 258: (8 * pixels.itemsize,) * samples, 259: 1, 262: 2 if coloured else 1,
        277: samples, 284: 1, 339: (_FORMS[pixels.dtype.kind],) * samples,
    }  # fmt: skip
    if further:
        tags[338] = tuple(further)
    if icc:
        tags[34675] = icc
    return tags


def resolution_of(tags: Mapping[int, Any], share: float) -> dict[int, Any]:
    """The resolution among these tags, of an image with `share` times as many pixels across."""
    found = {tag: tags[tag] for tag in (*RESOLUTIONS, _UNIT) if tag in tags}
    return {tag: value if tag == _UNIT else exact(float(value) * share) for tag, value in found.items()}


def metadata_tags(exif: bytes | None) -> dict[int, Any]:
    """EXIF's entries, those of its camera and GPS folders as dictionaries."""
    metadata = Image.Exif()
    metadata.load(exif or b"")
    found = {tag: exact(value) for tag, value in metadata.items() if tag not in (EXIF, GPS)}
    for tag in (EXIF, GPS):
        if folder := metadata.get_ifd(tag):
            found[tag] = {inner: exact(value) for inner, value in folder.items()}
    return found
