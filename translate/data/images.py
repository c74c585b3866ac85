"""Reads and writes image files, and maps integers to [-1, 1] and back; the only module that does.

Anything wrong with a file is raised as an ImageError whose message begins with its path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from translate.data import codec
from translate.data.bands import bands_size, holds_more_bands, is_tiff
from translate.data.deep_colour import BadImageError
from translate.data.values import FLOAT, UNIT, Span, alpha_span, are_values, from_16_bits, own_span, to_16_bits
from translate.errors import ImageError
from translate.whole_file import appearing

MAX_PIXELS = 89_478_485
"""A quarter of a gigabyte as 8-bit RGB. Pillow warns above this and refuses above twice as many."""
MAX_BYTES = 1 << 30
"""Largest file, unless more pixels are allowed."""
WRITABLE = frozenset(codec.FORMATS)
Interpolation = Literal["nearest", "bilinear", "bicubic"]
"""A filter of Pillow's, for resizing."""
ANIMATED = "animated (the first frame is used)"
"""How messages describe a file that holds more frames or pages."""
Told = TypeVar("Told")


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


def read(path: Path, max_pixels: int = MAX_PIXELS, span: Span = UNIT) -> Picture:
    """Reads the first frame of an image file, fully decoded. Measured values (see `Picture.span`) must be in `span`.

    Raises ImageError if the file is missing, empty, damaged, truncated, no image, or has too many pixels.
    """
    # Four 16-bit channels are 8 bytes a pixel; the ninth is for the rest of the file.
    return decode(read_bytes(path, max(MAX_BYTES, 9 * max_pixels)), path, max_pixels, span)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Reads a file. Raises ImageError if it is not a regular file, empty, or larger than `max_bytes`."""
    try:
        _check_file(path, max_bytes)
        return path.read_bytes()
    except OSError as error:
        raise _as_image_error(path, error) from error


def decode(data: bytes, name: Path | str, max_pixels: int = MAX_PIXELS, span: Span | None = UNIT) -> Picture:
    """Like `read`, for the bytes of a file; error messages begin with `name`. Above twice `MAX_PIXELS` Pillow refuses,
    unless `allow_pixels` was called. `span=None` uses the file's minimum and maximum."""
    if not data:
        raise ImageError(f"{shown(name)}: the file is empty")
    try:
        return within(Picture(*_decoded(data, max_pixels)), span)
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise _as_image_error(name, error) from error


def refuse_other_bands(picture: Picture, channels: int, name: Path | str) -> None:
    """Raises ImageError unless `with_channels` can convert to that many channels, see `suits`."""
    found = picture.pixels.shape[2]
    if not suits(found, channels):
        several = "; its other pages are not read: save them as bands of one" if picture.animated else ""
        bands = "1 band" if found == 1 else f"{found} bands"
        raise ImageError(f"{shown(name)}: {bands}, where the recipe says data.channels: {channels}{several}")


def suits(bands: int, channels: int) -> bool:
    """Returns whether `bands` can become `channels`: equal numbers can, and 1 or 3 bands become 1, 3 or 4 channels."""
    return bands == channels or (bands in (1, 3) and channels in (1, 3, 4))


def allow_pixels(count: int) -> None:
    """Raises Pillow's limit in this process to `count` pixels, if that is more."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, count)


def version(path: Path) -> str:
    """Returns a file's absolute path, size and modification time as one string. Raises ImageError."""
    try:
        status = path.stat()
    except OSError as error:
        raise _as_image_error(path, error) from error
    return f"{os.path.abspath(path)}:{status.st_size}:{status.st_mtime_ns}"


def dimensions(path: Path) -> tuple[int, int]:
    """Returns (height, width) of the upright image; reads only the header. Raises ImageError."""
    return _of_header(path, codec.upright_size, bands_size)


def holds_more(path: Path) -> bool:
    """Returns whether the file has more than one frame or page, judging by its header. Raises ImageError."""
    return _of_header(path, codec.holds_more, holds_more_bands)


def write(path: Path, picture: Picture, quality: int = 95) -> None:
    """Writes atomically in the format of the suffix: JPEG (4:4:4), PNG, WebP, TIFF or BMP.

    `quality` (1..100) is for JPEG and WebP; WebP at 100 is lossless. PNG and TIFF keep 16 bits, other formats round
    to 8; PNG, WebP and TIFF keep alpha, other formats composite it over white.
    Raises ImageError if the file cannot be written, ValueError if pixels are not (height, width, channels).
    """
    if picture.pixels.ndim != 3:
        raise ValueError(f"pixels are (height, width, channels), not {picture.pixels.shape}")
    format = codec.FORMATS.get(path.suffix.lower())
    if format is None:
        raise ImageError(f"{shown(path)}: cannot write '{path.suffix}'; use {', '.join(codec.FORMATS)}")
    pixels, alpha = picture.pixels, picture.alpha
    if pixels.shape[2] not in (1, 3) and format != "TIFF":
        raise ImageError(f"{shown(path)}: {pixels.shape[2]} bands go into TIFF only")
    if format == "TIFF" or (picture.kind == np.uint16 and format in codec.WITH_16_BITS):
        pixels, alpha = in_own_kind(picture)
    if alpha is not None and format not in codec.WITH_ALPHA:
        pixels, alpha = on_white(pixels, alpha), None
    if pixels.dtype != np.uint8 and format not in codec.WITH_16_BITS:
        pixels, alpha = to_8_bits(pixels), None if alpha is None else to_8_bits(alpha)
    try:
        data = codec.encode(format, pixels, alpha, picture.icc, picture.exif, quality)
        with appearing(path) as working:
            working.write_bytes(data)
    except Exception as error:
        raise _as_image_error(path, error, "cannot be written") from error


def within(picture: Picture, span: Span | None) -> Picture:
    """Maps measured values to 16 bits: the span's ends become 0 and 65535. A span of None is the picture's minimum and
    maximum.

    With a span other than `UNIT`, unsigned 16-bit pixels count as measured values too, as few cameras use the full
    range. Returns other pictures unchanged. Raises BadImageError for values that are not finite or outside the span.
    """
    values, kind = picture.pixels, picture.pixels.dtype
    if not (are_values(values) or (kind == np.uint16 and span not in (None, UNIT))):
        return picture
    span, opaque = span or own_span(values), alpha_span(kind)
    alpha = None if picture.alpha is None else to_16_bits(picture.alpha.clip(*opaque), opaque)
    return replace(picture, pixels=to_16_bits(values, span), alpha=alpha, span=span, kind=kind)


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
        raise ValueError(f"pixels of {pixels.shape[2]} channels do not become {channels}: 1, 3 or 4 of 1 or 3")
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


def seen(picture: Picture) -> Picture:
    """Returns the picture as shown to people: the first three of many bands, the first of two."""
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


def to_float(pixels: Tensor) -> Tensor:
    """Maps uint8 or uint16 of any shape to float32 in [-1, 1]. Measured values are already uint16 after reading."""
    return pixels.to(torch.float32) / (_top(pixels.dtype) / 2) - 1


def to_pixels(images: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Maps floats in [-1, 1] of any shape to uint8 or uint16, rounded and clamped: the inverse of `to_float`."""
    top = _top(dtype)
    return ((images.to(torch.float32) + 1) * (top / 2)).round().clamp(0, top).to(dtype)


def resize(pixels: np.ndarray, height: int, width: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """Resizes (H, W, C) to (height, width, C) with a filter of Pillow's; all but `nearest` antialias when shrinking."""
    size, resample = (width, height), Image.Resampling[interpolation.upper()]
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(size, resample))
    return np.stack([_resize_plane(pixels[..., i], size, resample) for i in range(pixels.shape[2])], axis=2)


def read_square(path: Path, side: int, interpolation: Interpolation = "bicubic") -> np.ndarray | None:
    """Reads upright 8-bit RGB, resized to (side, side, 3); returns None for any other image. Raises ImageError.

    Identical to `resize(read(path).pixels, side, side, interpolation)`, but faster: an array in between would cost
    three copies.
    """
    data = read_bytes(path)
    try:
        with codec.open_image(data) as image:
            _refuse_bomb(image, MAX_PIXELS)
            if codec.is_upright_rgb(image, data):
                return np.asarray(image.resize((side, side), Image.Resampling[interpolation.upper()]))
    except codec.UnknownImageError:
        return None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise _as_image_error(path, error) from error
    return None


def shown(path: Path | str) -> str:
    """Formats a path as one line for any terminal: escapes undecodable bytes and unprintable characters."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _decoded(data: bytes, max_pixels: int) -> codec.Decoded:
    try:
        with codec.open_image(data) as image:
            _refuse_bomb(image, max_pixels)
            if not codec.has_other_bands(image):
                return codec.decode(image, data)
    except codec.UnknownImageError:
        if not is_tiff(data):
            raise
    return codec.decode_bands(data, max_pixels)


def _of_header(path: Path, asked: Callable[[Image.Image], Told], of_bands: Callable[[Path], Told]) -> Told:
    """Returns what `asked` tells of an opened image, or `of_bands` of a TIFF unknown to Pillow. Raises ImageError."""
    try:
        # Open the file rather than read it all: only the header is needed.
        _check_file(path)
        try:
            with codec.open_image(path) as image:
                return asked(image)
        except codec.UnknownImageError:
            with path.open("rb") as file:
                if not is_tiff(file.read(4)):
                    raise
        return of_bands(path)
    except Exception as error:
        raise _as_image_error(path, error) from error


def _top(dtype: torch.dtype) -> int:
    if dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"pixels are uint8 or uint16, not {dtype}")
    return torch.iinfo(dtype).max


def _resize_plane(plane: np.ndarray, size: tuple[int, int], resample: Image.Resampling) -> np.ndarray:
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(plane).resize(size, resample))
    floats = Image.fromarray(plane.astype(np.float32)).resize(size, resample)
    return np.asarray(floats).round().clip(0, np.iinfo(plane.dtype).max).astype(plane.dtype)


def _check_file(path: Path, max_bytes: int = MAX_BYTES) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would block forever
        raise ImageError(f"{shown(path)}: not a file")
    if status.st_size == 0:
        raise ImageError(f"{shown(path)}: the file is empty")
    if status.st_size > max_bytes:
        raise ImageError(f"{shown(path)}: {status.st_size:,} bytes, more than {max_bytes:,}")


def _refuse_bomb(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        size = f"{image.width} x {image.height}"
        raise BadImageError(
            f"{size} pixels are more than the limit of {max_pixels:,}; scale it down, or convert with --max-pixels"
        )


def _as_image_error(name: Path | str, error: Exception, what: str = "cannot be read") -> ImageError:
    if isinstance(error, ImageError):
        return error
    if isinstance(error, BadImageError):
        return ImageError(f"{shown(name)}: {error}")
    if isinstance(error, OSError) and error.strerror:
        return ImageError(f"{shown(name)}: {what}: {error.strerror}")
    return ImageError(f"{shown(name)}: {what}: {shown(str(error)) or type(error).__name__}")
