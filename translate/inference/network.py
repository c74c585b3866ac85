"""A trained network on its device, which converts pictures of any size as the memory allows."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import Picture, to_float, to_pixels
from translate.data.label_maps import planes_of
from translate.errors import ConfigurationError, TranslateError
from translate.inference.delivery import delivered, depth_of, form_of
from translate.inference.fitting import Fitting
from translate.inference.options import Depth
from translate.inference.padding import pad, padded_size
from translate.inference.reasons import finite
from translate.inference.tiling.banded import convert_banded
from translate.inference.tiling.rowmap import Bands
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Runtime
from translate.utils.out_of_memory import out_of_memory
from translate.utils.printing import Log, shown


class Network:
    """Takes over the model: it moves to the runtime's device, and bf16 rounds its weights."""

    def __init__(self, model: ImageTranslator, images: ImageSpec, runtime: Runtime, origin: Path | None) -> None:
        self.model, self.images, self.runtime, self.origin = model, images, runtime, origin
        runtime.adopt_trained(model)
        # A graph that another library runs has no parameters in torch.
        divisible = next(model.parameters(), None) is not None
        first = Request.to(model.targets()[0])  # all targets take about the same memory
        channels = images.to_translate(first).channels
        self.fitting = Fitting(lambda images: self.run(images, first), channels, model.stride, runtime, divisible)

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        return padded_size(height, width, self.model.stride)

    def convert(self, pictures: Sequence[Picture], request: Request, depth: Depth, log: Log) -> list[Picture]:
        """Converts pictures of equal padded size and depth in one batch if memory suffices, else in halves, which it
        reports to `log`. A picture that does not fit by itself is processed in bands of rows."""
        height, width = self.padded_size(*pictures[0].pixels.shape[:2])
        bands = self.fitting.bands(height, width)
        if bands is not None:
            return [self.convert_in_bands(picture, bands, request, depth) for picture in pictures]
        most = self.fitting.most
        if len(pictures) > most:
            parts = (pictures[first : first + most] for first in range(0, len(pictures), most))
            return [converted for part in parts for converted in self.convert(part, request, depth, log)]
        try:
            return self._convert_whole(pictures, height, width, request, depth)
        except Exception as error:
            alone = len(pictures) == 1
            if not out_of_memory(error) or (alone and not (self.fitting.divisible and self.fitting.tile != "off")):
                raise
        # Outside the except clause, where the error would keep the tensors alive.
        if len(pictures) == 1:
            log(f"{width} x {height} pixels are too much for the memory at once: converted in bands of rows")
            return [self.convert_in_bands(pictures[0], self.fitting.smaller(height, width), request, depth)]
        self.fitting.most = len(pictures) // 2
        log(f"{len(pictures)} images are too much for the memory at once: {self.fitting.most} from here on")
        return self.convert(pictures, request, depth, log)

    def convert_in_bands(self, picture: Picture, bands: Bands, request: Request, depth: Depth = "target") -> Picture:
        array = planes_of(picture, self.images.to_translate(request))
        form = form_of(self.images.translated(request), picture, depth)
        size = self.padded_size(*array.shape[:2])
        with self.runtime.autocast():
            try:
                pixels = convert_banded(
                    partial(self.model.translate, request=request), array, *size, bands, depth_of(form)
                )
            except NotImplementedError as error:
                raise TranslateError(f"this network cannot be run in bands of rows: {error}") from error
        return delivered(picture, pixels, form)

    def _convert_whole(
        self, pictures: Sequence[Picture], height: int, width: int, request: Request, depth: Depth
    ) -> list[Picture]:
        given, target = self.images.to_translate(request), self.images.translated(request)
        arrays = [planes_of(picture, given) for picture in pictures]
        floats = [to_float(torch.from_numpy(np.array(array)).permute(2, 0, 1)) for array in arrays]
        outputs = self.run(torch.stack([pad(image, height, width) for image in floats]), request)
        forms = [form_of(target, picture, depth) for picture in pictures]
        return [
            delivered(picture, _pixels(output[:, : array.shape[0], : array.shape[1]], depth_of(form)), form)
            for picture, array, output, form in zip(pictures, arrays, outputs, forms, strict=True)
        ]

    @torch.no_grad()  # not inference_mode: losses may be computed on the outputs
    def run(self, images: Tensor, request: Request) -> Tensor:
        """Translates images (batch, channels, height, width) in [-1, 1] of a padded size."""
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


def _pixels(image: Tensor, depth: torch.dtype) -> np.ndarray:
    """Turns (channels, height, width) in [-1, 1] into pixels (height, width, channels), uint8 or uint16."""
    return to_pixels(finite(image.cpu()), depth).permute(1, 2, 0).numpy()
