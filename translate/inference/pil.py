"""Converts PIL images to arrays and back, by the same rules as files."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from translate.data.io.images import to_8_bits

_GREY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


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
