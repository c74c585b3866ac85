"""Translations that are larger than their inputs: both brought to one size, to be compared, stacked and shown."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from translate.networks.enlarging import BicubicEnlargement


def enlargement(scale: int) -> nn.Module:
    """Maps images to images `scale` times as high and wide, bicubically; for 1, to themselves. It has no weights."""
    return nn.Identity() if scale == 1 else BicubicEnlargement(scale)


def reduced(images: Tensor, scale: int) -> Tensor:
    """The mean of each block of `scale` x `scale` pixels: what a camera of that many fewer pixels sees."""
    return images if scale == 1 else F.avg_pool2d(images, scale)


def in_blocks(images: Tensor, scale: int) -> Tensor:
    """Every pixel as a block of `scale` x `scale`, to look at beside what is so many times larger."""
    return images if scale == 1 else F.interpolate(images, scale_factor=scale, mode="nearest")
