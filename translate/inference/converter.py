"""A trained translator for tensors, arrays and PIL images of any height and width."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from translate.data.io.images import (
    Picture,
    in_own_kind,
    refuse_other_bands,
    to_float,
    to_pixels,
    with_channels,
    within,
)
from translate.data.io.values import BadImageError, Span
from translate.errors import ConfigurationError, ImageError, TranslateError, nearest
from translate.inference.finite import finite
from translate.inference.fitting import Fitting
from translate.inference.formats.exported import BYTES_ONLY
from translate.inference.padding import pad, padded_size
from translate.inference.pil import array_of, pil_image
from translate.inference.tiling.banded import convert_banded
from translate.inference.tiling.rowmap import Bands
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Runtime
from translate.utils.out_of_memory import out_of_memory
from translate.utils.printing import shown

Images = TypeVar("Images", Tensor, np.ndarray, Image.Image)
BF16_APART = "in five trained models pixels were off from float32's by .2 levels of 255 or less in the mean, 6 at most"
"""See benchmarks/results/2026-11-29-precision-cpu.md."""
_LARGEST = 1.01
"""The largest float accepted as 1: rounding, to bf16 for example, may exceed it."""


class Converter:
    """Wraps a `Translator`, a generator trained by another project or an exported file, together with its domain names.

    converter = translate.load("runs/horse2zebra")
    zebra = converter.convert(Image.open("horse.jpg"), to="zebra")

    The converter takes over the model: it moves to the engine's device, and bf16 rounds its weights. `deep` is the
    engine for 16-bit pictures, of which bf16 would keep only 9 bits; None uses the same engine for all.
    """

    def __init__(
        self,
        model: ImageTranslator,
        images: ImageSpec,
        runtime: Runtime,
        origin: Path | None = None,
        deep: Runtime | None = None,
    ) -> None:
        self.model, self.images, self.runtime = model, images, runtime
        # Copied here because bf16 rounds the weights below.
        self._deep = Converter(copy.deepcopy(model), images, deep, origin) if deep not in (None, runtime) else None
        self.origin = origin
        """The file or checkpoint folder that the model was read from."""
        runtime.adopt_trained(model)
        # A graph that another library runs has no parameters in torch.
        divisible = next(model.parameters(), None) is not None
        self.fitting = Fitting(self._run_some, images.channels, model.stride, runtime, divisible)
        """Decides by memory how many images to batch and which to process in bands (`fitting.tile`)."""
        self.log: Callable[[str], None] = lambda line: None
        """Called with a line for the user when memory did not suffice."""

    @property
    def runs_on(self) -> str:
        """How it runs, in words, for each kind of picture."""
        deep = f" (files of more than 8 bits: {self._deep.runtime.precision})" if self._deep else ""
        return f"{self.runtime}{deep}"

    @property
    def targets(self) -> list[str]:
        """The names of the domains that it converts to."""
        return [self.images.domains[target] for target in self.model.targets()]

    def convert(self, images: Images, to: str | Sequence[str] | None = None) -> Images:
        """Returns the translation of `images` in the same form: tensor, array or PIL image.

        Tensor: (channels, height, width) or (batch, channels, height, width), floating point in [-1, 1] or uint8.
        Array: (height, width) or (height, width, channels), uint8 or uint16; grey or RGB, either with alpha; 16-bit
        values must lie within the `data.range` that the model was trained on, if any.
        PIL image: 8 bits of any mode, or 16-bit grey; rotated upright by its EXIF data. 16-bit grey stays so if the
        model gives grey, else it becomes 8-bit RGB (Pillow has no 16-bit colour).
        Alpha is carried through; a model of 3 channels gives RGB for grey.
        `to` is a domain, or any number of attributes to set ("Blond_Hair") and to clear ("-Male"); it may be omitted
        if the model has a single target. Raises ConfigurationError for an unknown domain, TypeError for any other kind
        of object or a domain that is not a string, ValueError for any other shape, type, mode or range, or no pixels.
        """
        request = self.request(to)
        if isinstance(images, Image.Image):
            return pil_image(self.convert(array_of(images), to))
        if isinstance(images, np.ndarray):
            if images.dtype not in (np.uint8, np.uint16) or images.ndim not in (2, 3):
                raise ValueError(f"expected a uint8 or uint16 array (height, width[, channels]), got {_kind(images)}")
            _refuse_empty(images, images.size)
            picture = _within(_picture(images), self.images.span)
            pixels, alpha = in_own_kind(self.convert_pictures([picture], request)[0])
            return pixels if alpha is None else np.dstack([pixels, alpha])
        if not isinstance(images, Tensor):
            raise TypeError(
                f"expected a tensor, an array or a PIL image, not {type(images).__name__}; open a file with "
                "PIL.Image.open, convert a folder with `translate convert`, and give several images one by one"
            )
        if images.dim() not in (3, 4):
            raise ValueError(f"expected a tensor ([batch,] channels, height, width), got {_kind(images)}")
        _refuse_empty(images, images.numel())
        batch = images if images.dim() == 4 else images[None]
        floats = _in_range(batch.float()) if batch.is_floating_point() else to_float(batch)
        output = self.convert_floats(floats, request).to(images.device)
        output = output if images.is_floating_point() else to_pixels(output, images.dtype)
        return output if images.dim() == 4 else output[0]

    def refuse(self, picture: Picture, name: Path) -> None:
        """Raises ImageError, with a message that begins with `name`, if the model cannot take the picture."""
        refuse_other_bands(picture, self.images.channels, name)
        if self.model.bytes_only and picture.pixels.dtype != np.uint8:
            raise ImageError(f"{shown(name)}: {BYTES_ONLY}")

    def convert_pictures(self, pictures: Sequence[Picture], request: Request) -> list[Picture]:
        """Converts pictures of equal padded size and depth; each keeps its own size, depth and alpha.

        They run in one batch if memory suffices, else in halves. An image that does not fit by itself is processed in
        bands of rows with the statistics of the whole image, which gives the same result up to rounding.
        """
        if self._deep and pictures[0].pixels.dtype == np.uint16:
            self._deep.fitting.tile, self._deep.log = self.fitting.tile, self.log
            return self._deep.convert_pictures(pictures, request)
        height, width = self.padded_size(*pictures[0].pixels.shape[:2])
        bands = self.fitting.bands(height, width)
        if bands is not None:
            return [self._convert_banded(picture, bands, request) for picture in pictures]
        most = self.fitting.most
        if len(pictures) > most:
            parts = (pictures[first : first + most] for first in range(0, len(pictures), most))
            return [converted for part in parts for converted in self.convert_pictures(part, request)]
        try:
            return self._convert_whole(pictures, height, width, request)
        except Exception as error:
            alone = len(pictures) == 1
            if not out_of_memory(error) or (alone and not (self.fitting.divisible and self.fitting.tile != "off")):
                raise
        # Outside the except clause, where the error would keep the tensors alive.
        if len(pictures) == 1:
            self.log(f"{width} x {height} pixels are too much for the memory at once: converted in bands of rows")
            return [self._convert_banded(pictures[0], self.fitting.smaller(height, width), request)]
        self.fitting.most = len(pictures) // 2
        self.log(f"{len(pictures)} images are too much for the memory at once: {self.fitting.most} from here on")
        return self.convert_pictures(pictures, request)

    def _convert_whole(self, pictures: Sequence[Picture], height: int, width: int, request: Request) -> list[Picture]:
        arrays = [with_channels(picture, self.images.channels) for picture in pictures]
        floats = [to_float(torch.from_numpy(np.array(array)).permute(2, 0, 1)) for array in arrays]
        outputs = self._run(torch.stack([pad(image, height, width) for image in floats]), request)
        return [
            _with_pixels(picture, _pixels(output[:, : array.shape[0], : array.shape[1]], array))
            for picture, array, output in zip(pictures, arrays, outputs, strict=True)
        ]

    def _convert_banded(self, picture: Picture, bands: Bands, request: Request) -> Picture:
        array = with_channels(picture, self.images.channels)
        size = self.padded_size(*array.shape[:2])
        with self.runtime.autocast():
            try:
                pixels = convert_banded(partial(self.model.translate, request=request), array, *size, bands)
            except NotImplementedError as error:
                raise TranslateError(f"this network cannot be worked on in bands: {error}") from error
        return _with_pixels(picture, pixels)

    def convert_floats(self, images: Tensor, request: Request) -> Tensor:
        """Converts images (batch, channels, height, width) in [-1, 1] of any height and width; keeps shape and range.

        Raises ValueError if the number of channels is not the model's.
        """
        if images.shape[1] != self.images.channels:
            raise ValueError(
                f"the model was trained on {self.images.channels} channels, the images have {images.shape[1]}"
            )
        height, width = images.shape[-2:]
        return self._run(pad(images, *self.padded_size(height, width)), request)[..., :height, :width]

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        return padded_size(height, width, self.model.stride)

    def request(self, to: str | Sequence[str] | None) -> Request:
        """The request that `to` names: domains to set and ("-Male") to clear.

        Raises ConfigurationError, naming the known domains, for an unknown domain, and if this model cannot make the
        changes; TypeError for a domain that is not a string.
        """
        wanted = list(to or ()) if isinstance(to, Iterable | None) and not isinstance(to, str) else [to]
        for name in wanted:
            if not isinstance(name, str):
                known = " or ".join(self.targets)
                raise TypeError(f"to={name!r}: expected the name of a domain, {known}, not {type(name).__name__}")
        if not wanted and len(self.targets) == 1:
            return Request.to(self.model.targets()[0])
        if not wanted:
            raise ConfigurationError(f"--to is needed: this model converts to {' or '.join(self.targets)}")
        cleared = {name for name in wanted if name not in self.targets and name.startswith("-")}
        request = Request(
            frozenset(map(self._number, {*wanted} - cleared)),
            frozenset(self._number(name.removeprefix("-")) for name in cleared),
        )
        if request.set & request.clear:
            raise ConfigurationError(f"--to {' --to '.join(wanted)}: an attribute is set or cleared, not both")
        self.model.require(request, self.images.domains)
        return request

    def _number(self, name: str) -> int:
        """The number of a target."""
        if name not in self.targets:
            raise ConfigurationError(
                f"--to {name}: this model converts to {' or '.join(self.targets)}{nearest(name, self.targets)}"
            )
        return self.model.targets()[self.targets.index(name)]

    @torch.no_grad()  # not inference_mode: losses may be computed on the outputs
    def _run(self, images: Tensor, request: Request) -> Tensor:
        parts = [images] if self.fitting.together else images.split(1)
        return torch.cat([self._run_at_once(part, request) for part in parts])

    def _run_at_once(self, images: Tensor, request: Request) -> Tensor:
        placed = self.runtime.layout(images.to(self.runtime.device))
        with self.runtime.autocast():
            converted = self.model.translate(placed, request).float()
        if converted.shape[-2:] != images.shape[-2:]:
            before, after = (" x ".join(map(str, tensor.shape[-2:])) for tensor in (images, converted))
            raise ConfigurationError(
                f"{shown(self.origin or 'this model')}: turns {before} pixels into {after}; it has to keep the size"
            )
        return converted

    def _run_some(self, images: Tensor) -> Tensor:
        """Converts to the first target, to measure memory: all targets take the same."""
        return self._run(images, Request.to(self.model.targets()[0]))


def _with_pixels(picture: Picture, pixels: np.ndarray) -> Picture:
    """The picture with new pixels (height, width, channels); keeps its colour profile only if that still fits."""
    alpha = picture.alpha
    if pixels.shape[-1] == 4 and picture.pixels.shape[-1] != 4:  # RGBA, not four bands
        pixels, alpha = pixels[..., :3], pixels[..., 3]
    icc = picture.icc if pixels.shape[-1] == picture.pixels.shape[-1] else None
    return replace(picture, pixels=pixels, alpha=alpha, icc=icc)


def _pixels(image: Tensor, like: np.ndarray) -> np.ndarray:
    """Turns (channels, height, width) in [-1, 1] into pixels (height, width, channels) of the bit depth of `like`."""
    return to_pixels(finite(image.cpu()), _depth(like)).permute(1, 2, 0).numpy()


def _picture(array: np.ndarray) -> Picture:
    """The array as grey, grey with alpha, RGB or RGBA, by its number of channels. Raises ValueError for any other."""
    pixels = array if array.ndim == 3 else array[..., None]
    colours = pixels.shape[-1] - (pixels.shape[-1] in (2, 4))
    if colours not in (1, 3):
        raise ValueError(f"expected 1 to 4 channels, got {_kind(array)}")
    return Picture(pixels[..., :colours], pixels[..., colours] if colours < pixels.shape[-1] else None)


def _within(picture: Picture, span: Span) -> Picture:
    """Maps values within `span` to 16 bits, as when reading files. Raises ValueError."""
    try:
        return within(picture, span)
    except BadImageError as error:
        raise ValueError(str(error)) from error


def _in_range(images: Tensor) -> Tensor:
    """Returns `images` unchanged. Raises ValueError for values outside [-1, 1], beyond rounding, or not finite."""
    # `not <=` rather than `>`, so that NaN is refused too.
    if images.numel() and not images.abs().amax() <= _LARGEST:
        found = f"{images.amin():g} to {images.amax():g}"
        raise ValueError(f"floats are expected in [-1, 1], these lie from {found}; give 0 to 255 as uint8")
    return images


def _refuse_empty(images: Tensor | np.ndarray, values: int) -> None:
    if not values:
        raise ValueError(f"expected images of at least one pixel, got {_kind(images)}")


def _depth(array: np.ndarray) -> torch.dtype:
    return torch.uint16 if array.dtype == np.uint16 else torch.uint8


def _kind(value: Tensor | np.ndarray) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}"
