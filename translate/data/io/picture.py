"""The content of an image file, and what becomes of channels, alpha, depth and measured values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from translate.data.io.png import unusual_gamma
from translate.data.io.values import (
    FLOAT,
    UNIT,
    BadImageError,
    Span,
    alpha_span,
    are_values,
    from_16_bits,
    kind_in_words,
    own_span,
    to_16_bits,
)

WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF", "BMP"})
WITH_16_BITS = frozenset({"PNG", "TIFF"})
JPEG_EXIF_LIMIT = 65_500


@dataclass(frozen=True)
class Picture:
    """The content of an image file, turned upright."""

    pixels: np.ndarray
    """(height, width, channels), uint8 or uint16; 1 channel (grey), 3 (RGB), or as many as the bands of a TIFF."""
    alpha: np.ndarray | None = None
    """(height, width), same dtype; 0 is transparent."""
    icc: bytes | None = None
    """ICC colour profile of the pixels."""
    exif: bytes | None = None
    """Camera, time, place, author; no orientation, sizes or thumbnail, which would be wrong for a new image."""
    animated: bool = False
    """The file holds more frames or pages; this is the first."""
    span: Span | None = None
    """Only for files of measured values (floats, signed or 32-bit integers, 16-bit ones as `within` says): the values
    that 0 and 65535 stand for."""
    kind: np.dtype = FLOAT
    """Only for files of measured values: their type, restored when writing TIFF."""
    rgb: bool | None = None
    """Only for TIFF of three or more bands: whether the first three are red, green, blue; None: those of three are."""
    colour: bytes | None = None
    """Chunks of a PNG without a profile that say what colours mean: gamma, primaries, sRGB."""
    lossless: bool = False
    """A WebP without loss, which is written as such."""
    palette: np.ndarray | None = None
    """Only of label maps: the colours, uint8 (colours, 3), of which the pixels, of one channel, are indices."""
    nodata: str = ""
    """The value that stands for "no data" in a TIFF of GDAL's. It is written to TIFF, where the type holds it."""
    missing: np.ndarray | None = None
    """(height, width), bool: which pixels hold no data; None: all hold data."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What users should know of the file that a translation was made from."""
        several = "holds more frames or pages; the first was converted"
        return (several,) * self.animated


def not_kept(picture: Picture, format: str) -> tuple[str, ...]:
    """What a file of that format (PNG, JPEG, ...) does not hold of a picture, in words; empty if it holds all."""
    return tuple(_not_kept(picture, format))


def _not_kept(picture: Picture, format: str) -> Iterable[str]:
    if picture.span is not None and not in_own_kind_as(picture, format):
        yield f"{kind_in_words(picture.kind)} values became {16 if format in WITH_16_BITS else 8}-bit shades"
    elif picture.pixels.dtype == np.uint16 and format not in WITH_16_BITS:
        yield f"16 bits became 8, as {format} has no more"
    if picture.alpha is not None and format not in WITH_ALPHA:
        yield f"alpha was laid on white, as {format} has none"
    if picture.nodata and (format != "TIFF" or picture.palette is not None):
        what = "label maps have" if format == "TIFF" else f"{format} has"
        yield f"its no-data value {picture.nodata} is left out, as {what} none; its pixels there mean nothing"
    if format == "BMP" and (picture.icc or picture.exif):
        yield "colour profile and EXIF are left out, as BMP has none"
    if format == "JPEG" and len(picture.exif or b"") > JPEG_EXIF_LIMIT:
        yield f"EXIF of more than {JPEG_EXIF_LIMIT:,} bytes is left out, as JPEG takes no more"
    if format != "PNG" and not picture.icc and unusual_gamma(picture.colour):
        yield f"the gamma that the file names is left out, as {format} has none"


def in_own_kind_as(picture: Picture, format: str) -> bool:
    """Whether measured values are written to that format in their own type and range."""
    return format == "TIFF" or (picture.kind == np.uint16 and format in WITH_16_BITS)


def suits(bands: int, channels: int) -> bool:
    """Returns whether `bands` can become `channels`: equal numbers can, and 1 or 3 bands become 1, 3 or 4 channels."""
    return bands == channels or (bands in (1, 3) and channels in (1, 3, 4))


def within(picture: Picture, span: Span | None) -> Picture:
    """Maps measured values to 16 bits: the span's ends become 0 and 65535. A span of None is the picture's minimum and
    maximum.

    Pixels without data become the lower end, whatever they hold. With a span other than `UNIT`, unsigned 16-bit pixels
    count as measured values too, as few cameras use the full range. Returns other pictures unchanged. Raises
    BadImageError for values that are not finite or outside the span.
    """
    values, kind = picture.pixels, picture.pixels.dtype
    if not (are_values(kind) or (kind == np.uint16 and span not in (None, UNIT))):
        return picture
    span, opaque = span or own_span(_with_data(picture)), alpha_span(kind)
    if picture.missing is not None:
        values = np.where(picture.missing[..., None], np.asarray(span[0], kind), values)
    alpha = None if picture.alpha is None else to_16_bits(_clear_to_opaque(picture.alpha, opaque), opaque)
    return replace(picture, pixels=to_16_bits(values, span), alpha=alpha, span=span, kind=kind)


def _with_data(picture: Picture) -> np.ndarray:
    """The values of the pixels that hold data; a zero if none does."""
    if picture.missing is None:
        return picture.pixels
    return picture.pixels[~picture.missing] if not picture.missing.all() else np.zeros(1, picture.pixels.dtype)


def _clear_to_opaque(alpha: np.ndarray, ends: Span) -> np.ndarray:
    """Alpha within its ends, which rounding may exceed. Raises BadImageError if it is beyond them."""
    spare = 0.01 * ends[1]
    if not (alpha.min() >= ends[0] - spare and alpha.max() <= ends[1] + spare):
        raise BadImageError(f"alpha from {alpha.min():g} to {alpha.max():g}, where {ends[1]:g} is opaque; rescale it")
    return alpha.clip(*ends)


def in_own_kind(picture: Picture) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns pixels and alpha in their original type and range; inverts `within`."""
    pixels, alpha, span, kind = picture.pixels, picture.alpha, picture.span, picture.kind
    if span is None:
        return pixels, alpha
    return from_16_bits(pixels, span, kind), None if alpha is None else from_16_bits(alpha, alpha_span(kind), kind)


def with_channels(picture: Picture, channels: int) -> np.ndarray:
    """Converts to (height, width, channels) with 1 (grey), 3 (RGB) or 4 channels (RGBA, opaque if there is no alpha).

    Grey is repeated into RGB; RGB becomes grey by ITU-R 601 luma; unwanted alpha is composited over white. For other
    numbers of channels the picture must have as many bands, and its pixels are returned unchanged. Raises ValueError
    for impossible conversions (`refuse_other_bands` names the file).
    """
    pixels, alpha = picture.pixels, picture.alpha
    if channels not in (1, 3) and pixels.shape[2] == channels:
        return pixels
    if channels not in (1, 3, 4) or pixels.shape[2] not in (1, 3):
        raise ValueError(
            f"pixels of {pixels.shape[2]} channels cannot become {channels}: expected 1, 3 or 4 from 1 or 3"
        )
    if alpha is not None and channels != 4:
        pixels = on_white(pixels, alpha)
    if channels == 1:
        return luma(pixels) if pixels.shape[2] == 3 else pixels
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if channels == 3:
        return pixels
    if alpha is None:
        alpha = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
    return np.concatenate([pixels, alpha[..., None]], axis=2)


def display_bands(picture: Picture) -> Picture:
    """Returns the bands that are displayed: the first three of many bands, the first of two, the colours of labels."""
    if picture.palette is not None:
        return replace(picture, pixels=picture.palette[picture.pixels[..., 0]], palette=None)
    bands = picture.pixels.shape[2]
    return picture if bands in (1, 3) else replace(picture, pixels=picture.pixels[..., : 3 if bands > 3 else 1])


def luma(pixels: np.ndarray) -> np.ndarray:
    """Converts (H, W, 3) to grey (H, W, 1): 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, as Pillow does."""
    red, green, blue = (pixels[..., i].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)[..., None]


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Composites (H, W, C) with alpha (H, W) over white, rounded to nearest."""
    top = np.uint32(np.iinfo(pixels.dtype).max)
    share = alpha[..., None].astype(np.uint32)
    # At most top * top + top / 2, which fits 32 bits for 16-bit pixels.
    return ((pixels * share + top * (top - share) + top // 2) // top).astype(pixels.dtype)


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Converts uint16 to uint8, rounded to nearest: 65535 = 257 * 255."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
