"""Compares translations with the truth, if the data set has it: L1, PSNR and SSIM, and two baselines without
learning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from translate.data.batch import Batch, Labelled
from translate.evaluation.metrics import apply_affine_colour, fit_affine_colour, l1, psnr, ssim
from translate.models.base import Translator
from translate.training.runtime import Runtime

MEASURES = {"l1": l1, "psnr": psnr, "ssim": ssim}


@dataclass(frozen=True)
class Direction:
    """Conversion to domain number `to`: true pairs to measure it by, and their best affine colour map.

    The map (3x4 for RGB) is fitted on the training truth if the training set is paired, else on these very images,
    which favours the baseline; `fitted_on` says which.
    """

    name: str
    to: int
    inputs: Tensor
    truths: Tensor
    colour_map: Tensor
    fitted_on: str = "these images"

    @property
    def protocol(self) -> str:
        height, width = self.inputs.shape[-2:]
        return (
            f"{len(self.inputs)} test images of {width} x {height} pixels beside their true translations: l1 where "
            "black is 0 and white 1, psnr in dB, ssim as Wang et al. 2004 have it; the best colour map is fitted on "
            f"{self.fitted_on}"
        )

    def measure(self, model: Translator, runtime: Runtime, batch_size: int = 8) -> dict[str, float]:
        """L1 (0-1 scale), PSNR (dB) and SSIM between the model's translations and the truth."""
        outputs = []
        with torch.no_grad(), runtime.autocast():
            for images in self.inputs.split(batch_size):
                outputs.append(model.convert(runtime.layout(images.to(runtime.device)), self.to).float().cpu())
        return measure(torch.cat(outputs), self.truths)

    def baselines(self) -> dict[str, dict[str, float]]:
        """The measures of the untouched input and of the best colour map."""
        mapped = apply_affine_colour(self.inputs, self.colour_map).clamp(-1, 1)
        return {
            "untouched input": measure(self.inputs, self.truths),
            "best colour map": measure(mapped, self.truths),
        }


def directions(
    model: Translator,
    domains: Sequence[str],
    test: Iterable[Batch],
    training: Iterable[Batch],
    runtime: Runtime,
) -> list[Direction]:
    """One direction for each domain `model` converts to; empty without `test`. `test` holds true pairs, as does
    `training` if not empty."""
    tested = _sides(test, runtime)
    if tested is None:
        return []
    trained = _sides(training, runtime)
    known = trained or tested
    return [
        Direction(
            f"to {domains[to]}",
            to,
            inputs=tested[1 - to],
            truths=tested[to],
            colour_map=fit_affine_colour(known[1 - to], known[to]),
            fitted_on="training pairs" if trained else "these images",
        )
        for to in model.targets()
    ]


def class_directions(domains: Sequence[str], test: Iterable[Labelled], runtime: Runtime) -> list[Direction]:
    """One direction from every domain to every other. `test` holds labelled images, class by class; image i of every
    class shows the same thing."""
    placed = [runtime.place(batch).map(Tensor.cpu) for batch in test]
    images = torch.cat([batch.images for batch in placed])
    classes = torch.cat([batch.labels for batch in placed]).argmax(1)
    of_class = [images[classes == number] for number in range(len(domains))]
    return [
        Direction(
            f"to {domains[to]} from {domains[origin]}",
            to,
            inputs=of_class[origin],
            truths=of_class[to],
            colour_map=fit_affine_colour(of_class[origin], of_class[to]),
        )
        for origin, to in permutations(range(len(domains)), 2)
    ]


def measure(images: Tensor, truths: Tensor) -> dict[str, float]:
    """`l1` (0-1 scale), `psnr` (dB) and `ssim` of images (batch, channels, height, width) in [-1, 1]."""
    return {name: float(function(images, truths)) for name, function in MEASURES.items()}


def _sides(batches: Iterable[Batch], runtime: Runtime) -> tuple[Tensor, Tensor] | None:
    """All images of both domains, each (images, channels, size, size) in [-1, 1] on the CPU; None without batches."""
    sides = [runtime.place(batch).map(Tensor.cpu).sides() for batch in batches]
    return (torch.cat([a for a, _ in sides]), torch.cat([b for _, b in sides])) if sides else None
