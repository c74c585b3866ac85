"""Image files in and out: the only module that decodes, encodes, or maps integers to [-1, 1] and back.

Whatever is wrong with a file ends here, as an ImageError that begins with its path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

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
"""A quarter of a gigabyte as 8-bit RGB, and where Pillow begins to warn; it refuses from twice as many on."""
MAX_BYTES = 1 << 30
"""Of a file, unless more pixels are allowed."""
WRITABLE = frozenset(codec.FORMATS)
ANIMATED = "animated (the first frame is used)"
"""What users are told of a file that holds more frames or pages."""
Told = TypeVar("Told")


@dataclass(frozen=True)
class Picture:
    """An image as a file holds it, turned upright."""

    pixels: np.ndarray
    """(height, width, channels), uint8 or uint16; 1 channel (grey), 3 (RGB), or as many bands as a TIFF holds."""
    alpha: np.ndarray | None = None
    """(height, width), same dtype; 0 is transparent."""
    icc: bytes | None = None
    """Colour profile of the pixels."""
    exif: bytes | None = None
    """Camera, time, place, author; no orientation, sizes or thumbnail, which a new image would belie."""
    animated: bool = False
    """The file holds more frames or pages; this is the first."""
    span: Span | None = None
    """Of a file of values (floating point, signed or 32-bit whole numbers, 16-bit ones as `within` says): those that 0
    and 65535 stand for."""
    kind: np.dtype = FLOAT
    """Of a file of values: their type, which TIFF gets again."""


def read(path: Path, max_pixels: int = MAX_PIXELS, span: Span = UNIT) -> Picture:
    """The first frame of an image file, fully decoded. Pixels that are values (see `Picture.span`) lie within `span`.

    Raises ImageError for whatever is wrong: missing, empty, damaged, cut short, no image, too many pixels.
    """
    # Four channels of 16 bits each, and what else a file has.
    return decode(read_bytes(path, max(MAX_BYTES, 9 * max_pixels)), path, max_pixels, span)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """A file whole, if it is one, holds anything, and is no larger than `max_bytes`. Raises ImageError."""
    try:
        _check_file(path, max_bytes)
        return path.read_bytes()
    except OSError as error:
        raise _as_image_error(path, error) from error


def decode(data: bytes, name: Path | str, max_pixels: int = MAX_PIXELS, span: Span | None = UNIT) -> Picture:
    """The same for the bytes of a file; `name` begins messages. Nothing above twice `MAX_PIXELS` is read, unless
    `allow_pixels` said so. `span` None: the file's own, its least and largest value."""
    if not data:
        raise ImageError(f"{shown(name)}: the file is empty")
    try:
        return within(Picture(*_decoded(data, max_pixels)), span)
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise _as_image_error(name, error) from error


def refuse_other_bands(picture: Picture, channels: int, name: Path | str) -> None:
    """Raises ImageError unless `with_channels` can give so many, see `suits`."""
    found = picture.pixels.shape[2]
    if not suits(found, channels):
        several = "; its other pages are not read: save them as bands of one" if picture.animated else ""
        bands = "1 band" if found == 1 else f"{found} bands"
        raise ImageError(f"{shown(name)}: {bands}, where the recipe says data.channels: {channels}{several}")


def suits(bands: int, channels: int) -> bool:
    """Whether a picture of so many bands can be given that many channels: exactly as many, or 1, 3 or 4 of 1 or 3."""
    return bands == channels or (bands in (1, 3) and channels in (1, 3, 4))


def allow_pixels(count: int) -> None:
    """Lets Pillow read images of so many pixels in this process, where that is more than it would."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, count)


def version(path: Path) -> str:
    """Where a file lies, its size and when it was changed last. Raises ImageError."""
    try:
        status = path.stat()
    except OSError as error:
        raise _as_image_error(path, error) from error
    return f"{os.path.abspath(path)}:{status.st_size}:{status.st_mtime_ns}"


def dimensions(path: Path) -> tuple[int, int]:
    """(height, width) of the upright image, from the file's header. Raises ImageError."""
    return _of_header(path, codec.upright_size, bands_size)


def holds_more(path: Path) -> bool:
    """Whether the file holds more frames or pages than the first, from its header. Raises ImageError."""
    return _of_header(path, codec.holds_more, holds_more_bands)


def write(path: Path, picture: Picture, quality: int = 95) -> None:
    """Writes in the format of the suffix, whole or not at all: JPEG (4:4:4), PNG, WebP, TIFF or BMP.

    `quality` (1..100) is for JPEG and WebP; WebP at 100 is lossless. 16 bits stay in PNG and TIFF and are
    rounded to 8 elsewhere; alpha stays in PNG, WebP and TIFF and is laid on white elsewhere.
    Raises ImageError where the file cannot be written, ValueError where `picture` is none.
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
    """Values become 16 bits, 0 for the lower end of the span and 65535 for its upper; None is the picture's own, its
    least and largest value.

    Unsigned 16 bits are values, too, where a span other than `UNIT` is given: few cameras fill them. Other pictures
    stay. Raises BadImageError for values that are not finite or lie outside.
    """
    values, kind = picture.pixels, picture.pixels.dtype
    if not (are_values(values) or (kind == np.uint16 and span not in (None, UNIT))):
        return picture
    span, opaque = span or own_span(values), alpha_span(kind)
    alpha = None if picture.alpha is None else to_16_bits(picture.alpha.clip(*opaque), opaque)
    return replace(picture, pixels=to_16_bits(values, span), alpha=alpha, span=span, kind=kind)


def in_own_kind(picture: Picture) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and alpha as they were before `within`."""
    pixels, alpha, span, kind = picture.pixels, picture.alpha, picture.span, picture.kind
    if span is None:
        return pixels, alpha
    return from_16_bits(pixels, span, kind), None if alpha is None else from_16_bits(alpha, alpha_span(kind), kind)


def with_channels(picture: Picture, channels: int) -> np.ndarray:
    """(height, width, channels) for 1 (grey), 3 (RGB) or 4 channels (RGBA, opaque where there is no alpha).

    Grey is repeated into RGB; RGB becomes grey by ITU-R 601 luma; alpha not asked for is laid on white. A picture of
    as many bands is taken as it is; ValueError for one of others (`refuse_other_bands` says it with a file's name).
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
    """What people are shown of it: of many bands the first three, of two the first."""
    bands = picture.pixels.shape[2]
    return picture if bands in (1, 3) else replace(picture, pixels=picture.pixels[..., : 3 if bands > 3 else 1])


def luma(pixels: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, as Pillow computes it: (H, W, 3) to (H, W, 1)."""
    red, green, blue = (pixels[..., i].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)[..., None]


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, C) seen through alpha (H, W) in front of white, rounded to nearest."""
    top = np.uint32(np.iinfo(pixels.dtype).max)
    share = alpha[..., None].astype(np.uint32)
    # At most top * top + top / 2, which fits 32 bits for 16-bit pixels.
    return ((pixels * share + top * (top - share) + top // 2) // top).astype(pixels.dtype)


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """uint16 to uint8, rounded to nearest: 65535 = 257 * 255."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_float(pixels: Tensor) -> Tensor:
    """uint8 or uint16 of any shape to float32 in [-1, 1]; files of values have become uint16 on reading."""
    return pixels.to(torch.float32) / (_top(pixels.dtype) / 2) - 1


def to_pixels(images: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Floats in [-1, 1] of any shape to uint8 or uint16, rounded and clamped: the inverse of `to_float`."""
    top = _top(dtype)
    return ((images.to(torch.float32) + 1) * (top / 2)).round().clamp(0, top).to(dtype)


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, C) to (height, width, C) by Pillow's bicubic filter, which averages when it shrinks."""
    size = (width, height)
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return np.stack([_resize_plane(pixels[..., i], size) for i in range(pixels.shape[2])], axis=2)


def read_square(path: Path, side: int) -> np.ndarray | None:
    """Upright RGB of 8 bits, resized to (side, side, 3); None for any other image. Raises ImageError.

    Bit for bit `resize(read(path).pixels, side, side)`, and sooner: as an array in between it would be copied three
    times.
    """
    data = read_bytes(path)
    try:
        with codec.open_image(data) as image:
            _refuse_bomb(image, MAX_PIXELS)
            if codec.is_upright_rgb(image, data):
                return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
    except codec.UnknownImageError:
        return None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise _as_image_error(path, error) from error
    return None


def shown(path: Path | str) -> str:
    """A path that prints on one line on any terminal: odd bytes and control characters are escaped."""
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
    """What an opened image tells, or a TIFF that Pillow does not know. Raises ImageError."""
    try:
        # From the open file, not its bytes: a header is a few of many.
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


def _resize_plane(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))
    floats = Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(floats).round().clip(0, np.iinfo(plane.dtype).max).astype(plane.dtype)


def _check_file(path: Path, max_bytes: int = MAX_BYTES) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever
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
