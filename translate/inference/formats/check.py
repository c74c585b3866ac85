"""Compares an exported graph with the PyTorch model."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from translate.data.io.images import to_float
from translate.errors import TranslateError
from translate.inference.formats.exported import Run
from translate.inference.formats.graph import TranslationGraph
from translate.models.base import ImageTranslator


def random_images(painting: TranslationGraph) -> list[Tensor]:
    """uint8 noise in three sizes, starting at the smallest that the network takes, and three batch lengths."""
    sizes = enumerate([(1, 1, 1), (2, 1, 2), (3, 2, 1)])
    return [painting.noise(batch, rows, columns, seed) for seed, (batch, rows, columns) in sizes]


@torch.inference_mode()
def largest_difference(run: Run, painting: TranslationGraph, model: ImageTranslator, images: Iterable[Tensor]) -> float:
    """The largest difference between the outputs of `run` and of the model for uint8 images, on the scale of [-1, 1].

    Ignores rounding to bytes. NaN if either output has NaN. Raises TranslateError if the shapes differ.
    """
    largest = torch.zeros(())
    for pixels in images:
        wanted = model.translate(to_float(pixels), painting.request)
        fakes = torch.from_numpy(run(painting.accepts(pixels).numpy()))
        if fakes.shape != wanted.shape:
            raise TranslateError(f"the exported file gives {tuple(fakes.shape)} for {tuple(wanted.shape)}")
        rounding = 1 / 255 if painting.as_bytes else 0.0
        difference = (to_float(fakes) if painting.as_bytes else fakes) - wanted
        # torch's maximum propagates NaN, Python's may not.
        largest = torch.maximum(largest, (difference.abs() - rounding).max())
    return largest.item()
