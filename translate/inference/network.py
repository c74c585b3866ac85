"""A trained network on its device, which translates pixels of any size as the memory allows."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import to_float, to_pixels
from translate.errors import ConfigurationError, TranslateError
from translate.inference.fitting import Fitting
from translate.inference.padding import pad, padded_size
from translate.inference.reasons import finite
from translate.inference.rehearsal import Plan, rehearsed
from translate.inference.tiling.banded import RowsOfPixels, convert_banded, convert_rows
from translate.inference.tiling.rowmap import Bands
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Runtime
from translate.utils.out_of_memory import out_of_memory
from translate.utils.printing import Log, shown
from translate.utils.sides import Sides


class Network:
    """Takes over the model: it moves to the runtime's device, and bf16 rounds its weights."""

    def __init__(self, model: ImageTranslator, images: ImageSpec, runtime: Runtime, origin: Path | None) -> None:
        self.model, self.images, self.runtime, self.origin = model, images, runtime, origin
        runtime.adopt_trained(model)
        first = Request.to(model.targets()[0])  # all targets take about the same memory
        channels = images.to_translate(first).channels
        self.fitting = Fitting(
            lambda images: self.run(images, first), channels, model.stride, runtime, _whole(model), model.scale
        )

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        return padded_size(height, width, self.model.stride)

    def convert(self, arrays: Sequence[np.ndarray], request: Request, depth: torch.dtype, log: Log) -> list[np.ndarray]:
        """Translates pixels (height, width, channels), uint8 or uint16, to as many of type `depth`.

        Those of equal padded size and type go in one batch if memory suffices, else in halves, which it reports to
        `log`. Pixels that do not fit by themselves are processed in bands of rows."""
        height, width = self.padded_size(*arrays[0].shape[:2])
        bands = self.fitting.bands(height, width)
        if bands is not None:
            return [self.convert_in_bands(array, bands, request, depth) for array in arrays]
        most = self.fitting.most
        if len(arrays) > most:
            parts = (arrays[first : first + most] for first in range(0, len(arrays), most))
            return [converted for part in parts for converted in self.convert(part, request, depth, log)]
        try:
            return self._convert_whole(arrays, height, width, request, depth)
        except Exception as error:
            alone = len(arrays) == 1
            if not out_of_memory(error) or (alone and not (self.fitting.divisible and self.fitting.tile != "off")):
                raise
        # Outside the except clause, where the error would keep the tensors alive.
        if len(arrays) == 1:
            log(f"{width} x {height} pixels are too much for the memory at once: converted in bands of rows")
            return [self.convert_in_bands(arrays[0], self.fitting.smaller(height, width), request, depth)]
        self.fitting.most = len(arrays) // 2
        log(f"{len(arrays)} images are too much for the memory at once: {self.fitting.most} from here on")
        return self.convert(arrays, request, depth, log)

    def convert_in_bands(self, array: np.ndarray, bands: Bands, request: Request, depth: torch.dtype) -> np.ndarray:
        size = self.padded_size(*array.shape[:2])
        with self.runtime.autocast():
            try:
                network = partial(self.model.translate, request=request)
                return convert_banded(network, array, *size, bands, depth, self.model.scale)
            except NotImplementedError as error:
                raise TranslateError(f"this network cannot be run in bands of rows: {error}") from error

    def plan_rows(self, shape: tuple[int, int, int], dtype: np.dtype, request: Request) -> Plan:
        """How an image of (rows, columns, channels) and that type is translated of which only some rows are in memory,
        and what it takes. Raises TranslateError if that is more than there is."""
        height, width = self.padded_size(*shape[:2])

        def rehearse(bands: Bands) -> Plan:
            def work(pixels: RowsOfPixels, height: int, width: int, bands: Bands) -> None:
                self._by_rows(pixels, (height, width), bands, request, torch.uint8, lambda top, rows: None)

            return rehearsed(work, bands, (height, width), self.model.stride, shape[2], dtype)

        return self.fitting.rows_only(height, width, rehearse)

    def convert_rows(
        self,
        pixels: RowsOfPixels,
        bands: Bands,
        request: Request,
        depth: torch.dtype,
        put: Callable[[int, np.ndarray], None],
    ) -> None:
        """Like `convert`, for one image of which only some rows are in memory, in the bands of its plan: `put` gets
        those of the translation."""
        self._by_rows(pixels, self.padded_size(*pixels.shape[:2]), bands, request, depth, put)

    def _by_rows(
        self,
        pixels: RowsOfPixels,
        size: tuple[int, int],
        bands: Bands,
        request: Request,
        depth: torch.dtype,
        put: Callable[[int, np.ndarray], None],
    ) -> None:
        with self.runtime.autocast():
            try:
                convert_rows(partial(self.model.translate, request=request), pixels, *size, bands, depth, put)
            except NotImplementedError as error:
                raise TranslateError(f"this network cannot be run in bands of rows: {error}") from error

    def _convert_whole(
        self, arrays: Sequence[np.ndarray], height: int, width: int, request: Request, depth: torch.dtype
    ) -> list[np.ndarray]:
        floats = [to_float(torch.from_numpy(np.array(array)).permute(2, 0, 1)) for array in arrays]
        outputs = self.run(torch.stack([pad(image, height, width) for image in floats]), request)
        sizes = [Sides(*array.shape[:2]).times(self.model.scale) for array in arrays]
        return [
            _pixels(output[:, : size.height, : size.width], depth) for size, output in zip(sizes, outputs, strict=True)
        ]

    @torch.no_grad()  # not inference_mode: losses may be computed on the outputs
    def run(self, images: Tensor, request: Request) -> Tensor:
        """Translates images (batch, channels, height, width) in [-1, 1] of a padded size; both sides become the model's
        `scale` times as large."""
        parts = [images] if self.fitting.together else images.split(1)
        return torch.cat([self._run_at_once(part, request) for part in parts])

    def _run_at_once(self, images: Tensor, request: Request) -> Tensor:
        placed = self.runtime.layout(images.to(self.runtime.device))
        with self.runtime.autocast():
            converted = self.model.translate(placed, request).float()
        require_scale(images, converted, self.model.scale, shown(self.origin or "this model"))
        return converted


def require_scale(images: Tensor, translations: Tensor, scale: int, who: str) -> None:
    """Raises ConfigurationError, which begins with `who`, unless translations are `scale` times as high and wide as the
    images."""
    if Sides(*images.shape[-2:]).times(scale) != tuple(translations.shape[-2:]):
        before, after = (" x ".join(map(str, tensor.shape[-2:])) for tensor in (images, translations))
        wanted = "keep the size" if scale == 1 else f"make both sides {scale} times as large"
        raise ConfigurationError(f"{who}: turns {before} pixels into {after}; it has to {wanted}")


def _whole(model: ImageTranslator) -> str:
    """See `Fitting.whole`."""
    if next(model.parameters(), None) is None:  # a graph that another library runs, into which torch cannot look
        return "an exported file takes whole images only; give the run"
    if any(getattr(network, "attends", False) for network in model.modules()):
        return "its generator attends to the whole image at once; give --tile off, and --size 256 if memory is short"
    return ""


def _pixels(image: Tensor, depth: torch.dtype) -> np.ndarray:
    """Turns (channels, height, width) in [-1, 1] into pixels (height, width, channels), uint8 or uint16."""
    return to_pixels(finite(image.cpu()), depth).permute(1, 2, 0).numpy()
