"""How close translations come to the truth, where it is known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from translate.evaluation.intervals import bootstrap_mean
from translate.evaluation.metrics import apply_affine_colour, l1, psnr, ssim
from translate.evaluation.table import Better, Protocol, Score, score
from translate.evaluation.unpaired import Convert
from translate.training.runtime import Runtime

# Table, function, which direction is better, and the score of the truth itself.
_MEASURES: tuple[tuple[str, Callable[[Tensor, Tensor], Tensor], Better, float], ...] = (
    ("L1 to the truth, 0-1 scale", l1, "lower", 0.0),
    ("PSNR to the truth, dB", psnr, "higher", float("inf")),
    ("SSIM to the truth, 0-1 scale", ssim, "higher", 1.0),
)


@torch.no_grad()
def evaluate_truth(
    convert: Convert,
    inputs: Tensor,
    truths: Tensor,
    colour_map: Tensor,
    name: str,
    runtime: Runtime,
    *,
    batch_size: int = 8,
    protocol: Protocol | None = None,
) -> list[Score]:
    """L1, PSNR and SSIM between the translations of `inputs` and `truths`, both (images, channels, height, width) in
    [-1, 1].

    `colour_map` (channels, channels + 1) comes from `metrics.fit_affine_colour`, preferably fitted on training pairs,
    else on these. Each measure is computed per image and averaged. `name` is that of the direction.
    """
    mapped = apply_affine_colour(inputs, colour_map).clamp(-1, 1)
    outputs = []
    for images in inputs.split(batch_size):
        with runtime.autocast():
            outputs.append(convert(runtime.layout(images.to(runtime.device))).float().cpu())
    translated = torch.cat(outputs)
    return [
        score(
            table,
            name,
            bootstrap_mean(_of_each(measure, translated, truths)),
            better=better,
            floor={
                "untouched input": float(_of_each(measure, inputs, truths).mean()),
                "best colour map": float(_of_each(measure, mapped, truths).mean()),
            },
            ceiling={"the truth itself": best},
            protocol={**(protocol or {}), "interval": "95 %, bootstrap over images"},
        )
        for table, measure, better, best in _MEASURES
    ]


def _of_each(measure: Callable[[Tensor, Tensor], Tensor], images: Tensor, truths: Tensor) -> Tensor:
    """The measure of each image: (images,), float64."""
    pairs = zip(images.split(1), truths.split(1), strict=True)
    return torch.stack([measure(image.cpu(), truth.cpu()) for image, truth in pairs])
