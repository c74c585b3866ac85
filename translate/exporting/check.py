"""An exported graph beside PyTorch: the largest difference."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from translate.converting.exported import Run
from translate.data.images import to_float
from translate.errors import TranslateError
from translate.exporting.graph import Painting, Subject


def random_images(painting: Painting) -> list[Tensor]:
    """uint8 noise of three sizes, from the smallest that suits the network, and of as many batch lengths."""
    sizes = enumerate([(1, 1, 1), (2, 1, 2), (3, 2, 1)])
    return [painting.noise(batch, rows, columns, seed) for seed, (batch, rows, columns) in sizes]


@torch.inference_mode()
def largest_difference(run: Run, painting: Painting, model: Subject, images: Iterable[Tensor]) -> float:
    """Between what `run` makes of uint8 images and what the model converts them to, on the scale of [-1, 1].

    What rounding to bytes accounts for does not count. NaN where either gives it.
    """
    largest = torch.zeros(())
    for pixels in images:
        wanted = model.edit(to_float(pixels), painting.changes)
        painted = torch.from_numpy(run(painting.accepts(pixels).numpy()))
        if painted.shape != wanted.shape:
            raise TranslateError(f"the exported file gives {tuple(painted.shape)} for {tuple(wanted.shape)}")
        rounding = 1 / 255 if painting.as_bytes else 0.0
        difference = (to_float(painted) if painting.as_bytes else painted) - wanted
        # torch's maximum keeps NaN, Python's may not.
        largest = torch.maximum(largest, (difference.abs() - rounding).max())
    return largest.item()
