"""Images as users of Python hold them, tensors, arrays and PIL images: checked, and turned into what is converted."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from translate.data.io.images import Picture, in_own_kind, to_8_bits, to_float, to_pixels, within
from translate.data.io.values import BadImageError, Span

_GREY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_LARGEST = 1.01
"""The largest float accepted as 1: rounding, to bf16 for example, may exceed it."""


def array_of(image: Image.Image) -> np.ndarray:
    """An array (height, width[, channels]): grey or RGB, either with alpha; uint16 for "I;16", else uint8.

    Rotated upright by its EXIF data. Raises ValueError for pixels without a known range (I, F) and other modes.
    """
    transparent, upright = image.has_transparency_data, ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return np.array(upright).astype(np.uint16)
    if upright.mode in _GREY:
        return np.array(upright.convert("LA" if transparent else "L"))
    if upright.mode in _COLOUR:
        return np.array(upright.convert("RGBA" if transparent else "RGB"))
    raise ValueError(
        f"a PIL image of mode '{upright.mode}' has no range that is known here; give one of 8 bits, 'I;16', or an array"
    )


def pil_image(array: np.ndarray) -> Image.Image:
    """A PIL image of (height, width, channels), uint8 or uint16; several channels become 8 bits, Pillow's limit."""
    if array.shape[-1] == 1:
        return Image.fromarray(array[..., 0])
    return Image.fromarray(array if array.dtype == np.uint8 else to_8_bits(array))


def picture_of(array: np.ndarray, span: Span) -> Picture:
    """The array as grey, grey with alpha, RGB or RGBA, by its number of channels; 16-bit values are mapped as those of
    files. Raises ValueError for any other shape or type, and for values outside `span`."""
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3):
        raise ValueError(f"expected a uint8 or uint16 array (height, width[, channels]), got {_kind(array)}")
    _refuse_empty(array, array.size)
    pixels = array if array.ndim == 3 else array[..., None]
    colours = pixels.shape[-1] - (pixels.shape[-1] in (2, 4))
    if colours not in (1, 3):
        raise ValueError(f"expected 1 to 4 channels, got {_kind(array)}")
    alpha = pixels[..., colours] if colours < pixels.shape[-1] else None
    try:
        return within(Picture(pixels[..., :colours], alpha), span)
    except BadImageError as error:
        raise ValueError(str(error)) from error


def array_from(picture: Picture) -> np.ndarray:
    """An array (height, width, channels) of the picture, with its alpha."""
    pixels, alpha = in_own_kind(picture)
    return pixels if alpha is None else np.dstack([pixels, alpha])


def floats_of(images: Tensor) -> Tensor:
    """A batch of floats in [-1, 1] of a tensor ([batch,] channels, height, width). Raises ValueError."""
    if images.dim() not in (3, 4):
        raise ValueError(f"expected a tensor ([batch,] channels, height, width), got {_kind(images)}")
    _refuse_empty(images, images.numel())
    batch = images if images.dim() == 4 else images[None]
    if not batch.is_floating_point():
        return to_float(batch)
    # `not <=` rather than `>`, so that NaN is refused too.
    if not batch.float().abs().amax() <= _LARGEST:
        found = f"{images.amin():g} to {images.amax():g}"
        raise ValueError(f"floats are expected in [-1, 1], these lie from {found}; give 0 to 255 as uint8")
    return batch.float()


def tensor_like(images: Tensor, output: Tensor) -> Tensor:
    """A batch of floats as a tensor of the device, type and dimensions of `images`."""
    placed = output.to(images.device)
    typed = placed if images.is_floating_point() else to_pixels(placed, images.dtype)
    return typed if images.dim() == 4 else typed[0]


def _refuse_empty(images: Tensor | np.ndarray, values: int) -> None:
    if not values:
        raise ValueError(f"expected images of at least one pixel, got {_kind(images)}")


def _kind(value: Tensor | np.ndarray) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}"
