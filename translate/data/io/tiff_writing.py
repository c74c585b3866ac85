"""Writes TIFF, uncompressed, of any type and number of bands, with ICC profile, EXIF, GPS and position on Earth."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from translate.data.io.metadata import EXIF, GPS, exact
from translate.data.io.values import BadImageError

_FORMS = {"u": 1, "i": 2, "f": 3}
_LARGEST = (1 << 32) - (1 << 20)


def encode_tiff(
    pixels: np.ndarray, alpha: np.ndarray | None, rgb: bool | None, icc: bytes | None, exif: bytes | None
) -> bytes:
    """Encodes pixels (height, width, bands) and alpha (height, width) in their type, as one strip.

    `rgb`: whether the first three bands are red, green and blue; None: if there are three. Raises BadImageError for
    more than 4 GiB.
    """
    planes = pixels if alpha is None else np.dstack([pixels, alpha])
    height, width, samples = planes.shape
    body = planes.astype(planes.dtype.newbyteorder("<"), copy=False).tobytes()
    if len(body) > _LARGEST:
        raise BadImageError("more than TIFF's 4 GiB")
    bands = pixels.shape[2]
    coloured = bands >= 3 and (bands == 3 if rgb is None else rgb)
    further = [0] * (bands - (3 if coloured else 1)) + [2] * (samples - bands)
    tags: dict[int, Any] = {
        256: width, 257: height, 258: (8 * planes.itemsize,) * samples, 259: 1, 262: 2 if coloured else 1, 273: 0,
        277: samples, 278: height, 279: len(body), 284: 1, 339: (_FORMS[planes.dtype.kind],) * samples,
    }  # fmt: skip
    if further:
        tags[338] = tuple(further)
    if icc:
        tags[34675] = icc
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in (_metadata(exif) | tags).items():
        directory[tag] = value
    # Pillow adds the end of the directory to the strip's offset.
    return b"II*\0\x08\0\0\0" + directory.tobytes(8) + body


def _metadata(exif: bytes | None) -> dict[int, Any]:
    """EXIF's entries, those of its camera and GPS folders as dictionaries."""
    metadata = Image.Exif()
    metadata.load(exif or b"")
    found = {tag: exact(value) for tag, value in metadata.items() if tag not in (EXIF, GPS)}
    for tag in (EXIF, GPS):
        if folder := metadata.get_ifd(tag):
            found[tag] = {inner: exact(value) for inner, value in folder.items()}
    return found
