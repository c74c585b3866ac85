"""Reads and writes image files, and maps integers to [-1, 1] and back; the only module that does.

Anything wrong with a file is raised as an ImageError whose message begins with its path.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from translate.data.io import codec, gate
from translate.data.io.codec import Header
from translate.data.io.picture import (
    WITH_16_BITS,
    WITH_ALPHA,
    Picture,
    display_bands,
    in_own_kind,
    in_own_kind_as,
    luma,
    not_kept,
    on_white,
    suits,
    to_8_bits,
    with_channels,
    within,
)
from translate.data.io.tiff import Page
from translate.data.io.values import UNIT, BadImageError, Span
from translate.errors import ImageError
from translate.utils.atomic_files import atomic_file
from translate.utils.printing import shown

MAX_PIXELS = 89_478_485
"""A quarter of a gigabyte as 8-bit RGB. Pillow warns above this and refuses above twice as many."""
MAX_BYTES = 1 << 30
"""Largest file, unless more pixels are allowed."""
ENDS = 4096
"""Bytes at the beginning and at the end of a file that its `version` depends on."""
WRITABLE = frozenset(codec.FORMATS)
Interpolation = Literal["nearest", "bilinear", "bicubic"]
"""A filter of Pillow's, for resizing."""
ANIMATED = "animated (the first frame is used)"
"""How messages describe a file that holds more frames or pages."""
Found = TypeVar("Found")
__all__ = [
    "ANIMATED",
    "MAX_BYTES",
    "MAX_PIXELS",
    "UNIT",
    "WRITABLE",
    "Header",
    "ImageError",
    "Interpolation",
    "Picture",
    "Span",
    "allow_pixels",
    "as_image_error",
    "decode",
    "dimensions",
    "display_bands",
    "header",
    "holds_more",
    "in_own_kind",
    "lost",
    "luma",
    "numbers",
    "on_white",
    "read",
    "read_bytes",
    "read_stretched",
    "refuse_other_bands",
    "resize",
    "suits",
    "to_8_bits",
    "to_float",
    "to_pixels",
    "version",
    "with_channels",
    "within",
    "write",
]  # fmt: skip


def read(path: Path, max_pixels: int = MAX_PIXELS, span: Span = UNIT) -> Picture:
    """Reads the first frame of an image file, fully decoded. Measured values (see `Picture.span`) must be in `span`.

    Raises ImageError if the file is missing, empty, damaged, truncated, no image, or would take too much memory.
    """
    # Four 16-bit channels are 8 bytes a pixel; the ninth is for the rest of the file.
    return decode(read_bytes(path, max(MAX_BYTES, 9 * max_pixels)), path, max_pixels, span)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Reads a file. Raises ImageError if it is not a regular file, empty, or larger than `max_bytes`."""
    try:
        _check_file(path, max_bytes)
        return path.read_bytes()
    except OSError as error:
        raise as_image_error(path, error) from error


def decode(data: bytes, name: Path | str, max_pixels: int = MAX_PIXELS, span: Span | None = UNIT) -> Picture:
    """Like `read`, for the bytes of a file; error messages begin with `name`. Above twice `MAX_PIXELS` Pillow refuses,
    unless `allow_pixels` was called. `span=None` uses the file's minimum and maximum."""
    if not data:
        raise ImageError(f"{shown(name)}: the file is empty")
    try:
        return within(codec.decode(data, max_pixels), span)
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise as_image_error(name, error) from error


def refuse_other_bands(picture: Picture, channels: int, name: Path | str) -> None:
    """Raises ImageError unless `with_channels` can convert to that many channels, see `suits`."""
    found = picture.pixels.shape[2]
    if not suits(found, channels):
        several = "; its other pages are not read: save them as bands of one" if picture.animated else ""
        bands = "1 band" if found == 1 else f"{found} bands"
        raise ImageError(f"{shown(name)}: {bands}, where images of the domain have {channels} (data.channels){several}")


def allow_pixels(count: int) -> None:
    """Raises Pillow's limit in this process to `count` pixels, if that is more."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, count)


def version(path: Path) -> str:
    """Returns what distinguishes a file from every other: its absolute path, inode, size, times, and a hash of its
    first and last bytes, because another disk may be mounted at the same place. Raises ImageError."""
    try:
        _check_file(path, sys.maxsize)
        with open(path, "rb", buffering=0) as file:
            status, ends = os.fstat(file.fileno()), hashlib.blake2b(file.read(ENDS), digest_size=16)
            file.seek(max(0, status.st_size - ENDS))
            ends.update(file.read(ENDS))
    except OSError as error:
        raise as_image_error(path, error) from error
    facts = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, ends.hexdigest())
    return ":".join(map(str, (os.path.abspath(path), *facts)))


def dimensions(path: Path) -> tuple[int, int]:
    """Returns (height, width) of the upright image; reads only the header. Raises ImageError."""
    return of_header(path, codec.upright_size)


def numbers(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, bytes | None] | None:
    """Returns the numbers that stand in a file of one band, see `codec.numbers`; None of one that has more. Raises
    ImageError."""
    data = read_bytes(path, max(MAX_BYTES, 9 * max_pixels))
    try:
        return codec.numbers(data, max_pixels)
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise as_image_error(path, error) from error


def header(path: Path) -> Header:
    """Returns what the file's header says of the image in it. Raises ImageError."""
    return of_header(path, codec.header_of)


def holds_more(path: Path) -> bool:
    """Returns whether the file has more than one frame or page, judging by its header. Raises ImageError."""
    return of_header(path, codec.holds_more)


def write(path: Path, picture: Picture, quality: int = 95) -> None:
    """Writes atomically in the format of the suffix: JPEG (4:4:4), PNG, WebP, TIFF or BMP.

    `quality` (1..100) is for JPEG and WebP; WebP is lossless at 100, and where the picture came from a lossless one.
    PNG and TIFF keep 16 bits, other formats round to 8; JPEG composites alpha over white. `lost` is told what is lost.
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
    if picture.palette is not None and format not in WITH_16_BITS:
        raise ImageError(f"{shown(path)}: label maps go into PNG and TIFF only: {path.suffix} would change the numbers")
    if in_own_kind_as(picture, format):
        pixels, alpha = in_own_kind(picture)
    if alpha is not None and format not in WITH_ALPHA:
        pixels, alpha = on_white(pixels, alpha), None
    if pixels.dtype != np.uint8 and format not in WITH_16_BITS:
        pixels, alpha = to_8_bits(pixels), None if alpha is None else to_8_bits(alpha)
    try:
        data = codec.encode(format, replace(picture, pixels=pixels, alpha=alpha), quality)
        with atomic_file(path) as working:
            working.write_bytes(data)
    except Exception as error:
        raise as_image_error(path, error, "cannot be written") from error


def lost(path: Path, picture: Picture) -> tuple[str, ...]:
    """Says in words what `write` to that path would not keep of the picture; empty if it keeps all."""
    return not_kept(picture, codec.FORMATS.get(path.suffix.lower(), ""))


def to_float(pixels: Tensor) -> Tensor:
    """Maps uint8 or uint16 of any shape to float32 in [-1, 1]. Measured values are already uint16 after reading."""
    return pixels.to(torch.float32) / (_top(pixels.dtype) / 2) - 1


def to_pixels(images: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Maps floats in [-1, 1] of any shape to uint8 or uint16, rounded and clamped: the inverse of `to_float`."""
    top = _top(dtype)
    return ((images.to(torch.float32) + 1) * (top / 2)).round().clamp(0, top).to(dtype)


def resize(pixels: np.ndarray, height: int, width: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """Resizes (H, W, C), uint8, uint16 or float32, to (height, width, C) with a filter of Pillow's; all but `nearest`
    antialias when shrinking."""
    size, resample = (width, height), Image.Resampling[interpolation.upper()]
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(size, resample))
    return np.stack([_resize_plane(pixels[..., i], size, resample) for i in range(pixels.shape[2])], axis=2)


def read_stretched(path: Path, height: int, width: int, interpolation: Interpolation = "bicubic") -> np.ndarray | None:
    """Reads upright 8-bit RGB, resized to (height, width, 3); returns None for any other image. Raises ImageError.

    Identical to `resize(read(path).pixels, height, width, interpolation)`, but faster: an array in between would cost
    three copies.
    """
    data = read_bytes(path)
    try:
        found = gate.opened(BytesIO(data), MAX_PIXELS)
        if isinstance(found, Page):
            return None
        with found as image:
            if codec.is_upright_rgb(image, data):
                return np.asarray(image.resize((width, height), Image.Resampling[interpolation.upper()]))
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise as_image_error(path, error) from error
    return None


def of_header(path: Path, asked: Callable[[Page | Image.Image], Found]) -> Found:
    """Returns what `asked` says of an opened image. Raises ImageError."""
    try:
        # Open the file rather than read it all: only the header is needed.
        _check_file(path, sys.maxsize)
        with path.open("rb") as file:
            return asked(gate.opened(file))
    except Exception as error:
        raise as_image_error(path, error) from error


def _top(dtype: torch.dtype) -> int:
    if dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"pixels are uint8 or uint16, not {dtype}")
    return torch.iinfo(dtype).max


def _resize_plane(plane: np.ndarray, size: tuple[int, int], resample: Image.Resampling) -> np.ndarray:
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(plane).resize(size, resample))
    floats = np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, resample))
    if plane.dtype.kind == "f":
        return floats
    return floats.round().clip(0, np.iinfo(plane.dtype).max).astype(plane.dtype)


def _check_file(path: Path, max_bytes: int = MAX_BYTES) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would block forever
        raise ImageError(f"{shown(path)}: not a file")
    if status.st_size == 0:
        raise ImageError(f"{shown(path)}: the file is empty")
    if status.st_size > max_bytes:
        raise ImageError(f"{shown(path)}: {status.st_size:,} bytes, more than {max_bytes:,}")


def as_image_error(name: Path | str, error: Exception, what: str = "cannot be read") -> ImageError:
    """The error as one whose message begins with the name."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, BadImageError):
        return ImageError(f"{shown(name)}: {error}")
    if isinstance(error, OSError) and error.strerror:
        return ImageError(f"{shown(name)}: {what}: {error.strerror}")
    return ImageError(f"{shown(name)}: {what}: {shown(str(error)) or type(error).__name__}")
