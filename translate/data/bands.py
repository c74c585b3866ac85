"""TIFF kinds that Pillow cannot read or write: many bands, multi-band measured values, 16-bit grey with alpha.

Uses tifffile. Raises RuntimeError with installation instructions if it is missing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL.TiffImagePlugin import IFDRational

INSTALL = 'pip install "image-translate[tiff]"'
CODECS = "imagecodecs: pip install imagecodecs"
_RATIONAL = 5
_ALPHA = 2
"""TIFF's ExtraSamples code for straight alpha."""


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Bands:
    """The first page of a TIFF file."""

    pixels: np.ndarray
    """(height, width, bands), float32 or integers of at most 32 bits."""
    alpha: np.ndarray | None
    orientation: int
    """EXIF orientation, 1 to 8."""
    icc: bytes | None
    tags: dict[int, Any]
    """Tags that hold text or numbers: author, software, resolution, ..."""
    more: bool
    """Whether the file has more pages."""


def read_bands(data: bytes, max_pixels: int) -> Bands:
    """Reads the first page. May raise nearly any exception on unreadable data."""
    with _tifffile().TiffFile(BytesIO(data)) as file:
        if not len(file.pages):
            raise ValueError("a TIFF without an image, or damaged")
        page = file.pages[0]
        if page.imagewidth * page.imagelength > max_pixels:
            raise ValueError(f"{page.imagewidth} x {page.imagelength} pixels are more than the limit of {max_pixels:,}")
        values, axes = _decoded(page), page.axes
        alpha = _ALPHA in (page.extrasamples or ())
        orientation = int(page.tags.valueof("Orientation", 1))
        icc = page.tags.valueof("InterColorProfile")
        tags = {tag.code: _plain(tag.value, tag.dtype) for tag in page.tags if isinstance(tag.value, str | int | tuple)}
        more = len(file.pages) > 1
    if axes == "YX":
        values = values[..., None]
    elif axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif axes != "YXS":
        raise ValueError(f"a TIFF of axes {axes} is no image")
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
    if values.dtype != np.float32 and (values.dtype.kind not in "iu" or values.dtype.itemsize > 4):
        raise ValueError(f"pixels of type {values.dtype} are not read; save it with 8, 16 or 32 bits or as floats")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    clear = values[..., -1] if alpha and values.shape[2] in (2, 4) else None
    return Bands(values if clear is None else values[..., :-1], clear, orientation, icc, tags, more)


def _decoded(page: Any) -> np.ndarray:
    try:
        return page.asarray()
    except (ValueError, ImportError) as error:  # without imagecodecs, tifffile decodes few compressions
        if find_spec("imagecodecs") is None and ("imagecodecs" in str(error) or isinstance(error, ImportError)):
            raise RuntimeError(f"a TIFF of bands with {page.compression.name} compression needs {CODECS}") from error
        raise


def bands_size(path: Path) -> tuple[int, int]:
    """Returns the upright (height, width) of the first page; reads only the header."""
    with _tifffile().TiffFile(path) as file:
        page = file.pages[0]
        size = page.imagelength, page.imagewidth
        return size[::-1] if page.tags.valueof("Orientation", 1) >= 5 else size


def holds_more_bands(path: Path) -> bool:
    """Returns whether the file has more than one page."""
    with _tifffile().TiffFile(path) as file:
        return len(file.pages) > 1


def write_bands(planes: np.ndarray, alpha: bool) -> bytes:
    """Encodes (height, width, bands), float32 or integers, as uncompressed TIFF. `alpha`: the last band is alpha."""
    buffer = BytesIO()
    bands = planes.shape[2]
    kind, own = ("rgb", 3) if bands - alpha == 3 else ("minisblack", 1)
    extra = [0] * (bands - own - alpha) + [_ALPHA] * alpha
    several = {"planarconfig": "contig", "extrasamples": extra or None} if bands > 1 else {}
    stored = planes if several else planes[..., 0]
    _tifffile().imwrite(buffer, stored, photometric=kind, metadata=None, **several)
    return buffer.getvalue()


def can_write() -> bool:
    """Returns whether tifffile is installed."""
    return find_spec("tifffile") is not None


def _plain(value: Any, kind: int) -> Any:
    """Converts a tag value to Pillow's representation: rationals become fractions, enum members plain integers."""
    if kind == _RATIONAL and len(value) == 2:
        return IFDRational(*value)
    return int(value) if isinstance(value, int) else value


def _tifffile() -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise RuntimeError(f"a TIFF of this kind needs tifffile: {INSTALL}") from error
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # errors are raised instead, with the file's name
    return tifffile
