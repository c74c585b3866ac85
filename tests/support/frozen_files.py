"""Small files of frozen classifiers, with torchvision's keys."""

from pathlib import Path

import torch
from torch import Tensor

WIDTHS = (2, 3, 4, 5, 6)
"""Of the five blocks, of two convolutions each, as in VGG-13."""


def vgg_file(path: Path, seed: int = 0) -> tuple[Path, dict[str, Tensor]]:
    """Writes the state dict of a VGG of few channels, with a head for classes; the path, and what was written."""
    rng, state, narrow = torch.Generator().manual_seed(seed), {}, 3
    for block, wide in enumerate(WIDTHS):
        for number in (5 * block, 5 * block + 2):
            scale = (2 / (9 * narrow)) ** 0.5
            state[f"features.{number}.weight"] = scale * torch.randn(wide, narrow, 3, 3, generator=rng)
            state[f"features.{number}.bias"] = 0.1 * torch.randn(wide, generator=rng)
            narrow = wide
    state["classifier.0.weight"] = torch.randn(2, narrow, generator=rng)
    torch.save(state, path)
    return path, state
