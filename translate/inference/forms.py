"""Images as users of Python hold them, tensors, arrays and PIL images: checked, and turned into what is converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from translate.data.domain import Domain, Numbers
from translate.data.io.images import Picture, in_own_kind, suits, to_8_bits, to_float, to_pixels
from translate.data.io.values import UNIT, BadImageError, alpha_span, to_16_bits
from translate.data.label_maps import palette
from translate.errors import ImageError
from translate.inference.samples import sample_of

_GREY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_LARGEST = 1.01
"""The largest float accepted as 1: rounding, to bf16 for example, may exceed it."""


def array_of(image: Image.Image, domain: Domain | None = None) -> np.ndarray:
    """An array (height, width[, channels]): grey or RGB, either with alpha; uint16 for "I;16", else uint8.

    Of what is numbered its numbers, such as the indices of a palette. Rotated upright by its EXIF data. Raises
    ValueError for pixels without a known range (I, F) and other modes.
    """
    if domain and domain.numbered and image.mode in ("1", "L", "P", "I", "I;16"):
        return np.array(ImageOps.exif_transpose(image)).astype(np.int64)
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


def pil_image(array: np.ndarray, domain: Domain) -> Image.Image:
    """A PIL image of (height, width, channels): uint8 or uint16, of which several channels become 8 bits, Pillow's
    limit, or one channel of float32."""
    if domain.classes:
        image = Image.fromarray(array[..., 0])
        image.putpalette(palette(domain).tobytes())
        return image
    if array.shape[-1] == 1:
        return Image.fromarray(array[..., 0])
    return Image.fromarray(array if array.dtype == np.uint8 else to_8_bits(array))


def picture_from(images: Any, domain: Domain) -> Picture:
    """An array or a PIL image as a picture of the domain; where samples have several images, of a dict of them by
    layer. Raises TypeError, ValueError."""
    if domain.layers and isinstance(images, Mapping):
        return _sample(images, domain)
    if domain.layers and isinstance(images, np.ndarray | Image.Image):
        raise ValueError(f"one image, where samples are {domain}: {_as_dict(domain)}")
    if isinstance(images, Image.Image):
        return picture_of(array_of(images, domain), domain)
    if isinstance(images, np.ndarray):
        return picture_of(images, domain)
    raise TypeError(
        f"expected a tensor, an array or a PIL image, not {type(images).__name__}; open a file with "
        "PIL.Image.open, or convert a folder with `translate convert`"
    )


def _as_dict(domain: Domain) -> str:
    named = ", ".join(f'"{layer.name}": array' for layer in domain.layers)
    return f"give a dict {{{named}}}, or a tensor of all {domain.channels} planes"


def _sample(images: Mapping[str, Any], domain: Domain) -> Picture:
    names = [layer.name for layer in domain.layers]
    if images.keys() != set(names):
        raise ValueError(f"a dict of {', '.join(map(str, images)) or 'nothing'}: {_as_dict(domain)}")
    pictures = []
    for layer in domain.layers:
        if isinstance(images[layer.name], Tensor):
            raise TypeError(f"{layer.name}: a tensor in a dict: {_as_dict(domain)}")
        try:
            pictures.append(picture_from(images[layer.name], layer))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{layer.name}: {error}") from error
    try:
        return sample_of(pictures, domain, names, names.index(next(iter(images))))
    except ImageError as error:
        raise ValueError(str(error)) from error


def picture_of(array: np.ndarray, domain: Domain) -> Picture:
    """The array (height, width[, channels]) as an image of the domain: grey or RGB, either with alpha, or as many bands
    as the domain has.

    uint8 and uint16 range over all that they hold, as in files. Where the domain has a span, and for all other types,
    numbers are values of the domain. False and true are 0 and 1 where pixels are numbers or values, else black and
    white. Raises ValueError for any other shape, and for values outside of the domain's.
    """
    if array.ndim not in (2, 3) or array.dtype.kind not in "buif":
        raise ValueError(f"expected an array of numbers (height, width[, channels]), got {_kind(array)}")
    if array.dtype == bool:
        array = array * np.uint8(1 if domain.numbered or domain.measured else 255)
    _refuse_empty(array, array.size)
    if domain.numbers:
        return _numbered(array, domain, domain.numbers)
    pixels, alpha = _without_alpha(array if array.ndim == 3 else array[..., None], domain)
    shades = array.dtype == np.uint8 or (array.dtype == np.uint16 and (domain.type is not None or domain.span == UNIT))
    if shades and not domain.measured:
        return Picture(pixels, alpha)
    if domain.type is None and domain.span == UNIT:
        raise ValueError(f"expected a uint8 or uint16 array, got {_kind(array)}: this model's files say no range")
    span = domain.ends if domain.type is not None else domain.span
    if array.dtype.kind == "f" and span[1] >= 255 and not domain.measured and 0 < pixels.max() <= 1:
        raise ValueError(f"floats up to {pixels.max():g}, where white is {span[1]:g}: multiply by {span[1]:g}")
    try:
        mapped = to_16_bits(pixels, span)
        clear = None if alpha is None else to_16_bits(alpha, alpha_span(array.dtype))
    except BadImageError as error:
        unit = f"; values of {domain.name} are in {domain.unit}" if domain.unit else ""
        raise ValueError(f"{error}{unit}") from error
    return Picture(mapped, clear, span=span, kind=array.dtype)


def _numbered(array: np.ndarray, domain: Domain, numbers: Numbers) -> Picture:
    found = array if array.ndim == 3 else array[..., None]
    if found.shape[-1] != (3 if domain.colours else 1):
        raise ValueError(f"expected {domain}, got {_kind(array)}")
    try:
        return numbers.picture(found, domain, "the array")
    except ImageError as error:
        raise ValueError(str(error)) from error


def _without_alpha(pixels: np.ndarray, domain: Domain) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels, and alpha if they have it, of (height, width, channels). Raises ValueError."""
    bands = pixels.shape[-1]
    colours = bands if bands == domain.channels or bands in (1, 3) else bands - 1
    if not suits(colours, domain.channels) or (colours < bands and colours not in (1, 3)):
        raise ValueError(f"expected {domain.channels} channels, or grey or RGB for them, got {_kind(pixels)}")
    return pixels[..., :colours], pixels[..., colours] if colours < bands else None


def array_from(picture: Picture) -> np.ndarray:
    """An array (height, width, channels) of the picture, with its alpha."""
    pixels, alpha = in_own_kind(picture)
    return pixels if alpha is None else np.dstack([pixels, alpha])


def floats_of(images: Tensor) -> Tensor:
    """A batch of floats in [-1, 1] of a tensor ([batch,] channels, height, width), true the highest. Raises
    ValueError."""
    if images.dim() not in (3, 4):
        raise ValueError(f"expected a tensor ([batch,] channels, height, width), got {_kind(images)}")
    _refuse_empty(images, images.numel())
    batch = images if images.dim() == 4 else images[None]
    if not batch.is_floating_point():
        return to_float(batch * batch.new_tensor(255, dtype=torch.uint8) if batch.dtype == torch.bool else batch)
    # `not <=` rather than `>`, so that NaN is refused too.
    if not batch.float().abs().amax() <= _LARGEST:
        found = f"{images.amin():g} to {images.amax():g}"
        raise ValueError(f"floats are expected in [-1, 1], these lie from {found}; give 0 to 255 as uint8")
    return batch.float()


def tensor_like(images: Tensor, output: Tensor) -> Tensor:
    """A batch of floats as a tensor of the device, type and dimensions of `images`, uint8 for booleans."""
    placed = output.to(images.device)
    whole = torch.uint8 if images.dtype == torch.bool else images.dtype
    typed = placed if images.is_floating_point() else to_pixels(placed, whole)
    return typed if images.dim() == 4 else typed[0]


def _refuse_empty(images: Tensor | np.ndarray, values: int) -> None:
    if not values:
        raise ValueError(f"expected images of at least one pixel, got {_kind(images)}")


def _kind(value: Tensor | np.ndarray) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}"
