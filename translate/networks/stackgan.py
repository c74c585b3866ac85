"""StackGAN's second generator, and the label codes that both stages draw (Zhang et al. 2017)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.networks import blocks
from translate.networks.blocks import beside, named
from translate.networks.resnet import ResidualBlock, stage
from translate.networks.settings import InitialisationSettings, Options


class StageTwoSettings(Options):
    """The second generator, which enlarges the first one's image."""

    filters: int = Field(64, ge=1)
    """Channels of the first layer; deeper ones have multiples of them."""
    residual_blocks: int = Field(4, ge=0)
    """Number of residual blocks."""
    initialisation: InitialisationSettings = InitialisationSettings()

    def initialised(self, channels: int, code: int, small: int, size: int) -> StageTwoGenerator:
        return self.initialisation.draw(StageTwoGenerator(channels, code, small, size, **self.options))


class ConditioningAugmentation(nn.Module):
    """Maps labels (batch, labels) to mean and log variance, each (batch, width), of the code that represents them."""

    def __init__(self, labels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(labels, 2 * width)

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.linear(labels).chunk(2, 1)
        return mean, log_variance


class StageTwoGenerator(nn.Module):
    """Maps small images (batch, channels, small, small) and codes (batch, code) to images (batch, channels, size,
    size).

    A 3x3 convolution to f filters, two 4x4 ones of stride 2 to 2f and 4f; the code appended to these features as planes
    and merged by a 3x3 convolution; `residual_blocks` residual blocks; nearest-neighbour upsampling with 3x3
    convolutions, each to half the filters but at least 8; tanh (figure 2). Batch norm everywhere but in the first and
    last layer. `options` are those of `StageTwoSettings`. Raises ValueError for others, and unless `small` is a
    multiple of 4 and `size` is 2, 4, 8, ... times `small`.
    """

    def __init__(self, channels: int, code: int, small: int, size: int, **options: Any) -> None:
        super().__init__()
        own = StageTwoSettings(**options)
        doublings = 2 + round(math.log2(size / small))
        if small % 4 or small // 4 * 2**doublings != size or size <= small:
            raise ValueError(f"{size} pixels are not 2, 4, 8, ... times {small}, itself a multiple of 4")
        filters, inner = own.filters, 4 * own.filters
        self.down = nn.Sequential(
            named(conv=nn.Conv2d(channels, filters, 3, padding=1), relu=nn.ReLU()),
            stage(nn.Conv2d(filters, 2 * filters, 4, 2, 1, bias=False), 2 * filters, "batch"),
            stage(nn.Conv2d(2 * filters, inner, 4, 2, 1, bias=False), inner, "batch"),
        )
        self.join = stage(nn.Conv2d(inner + code, inner, 3, padding=1, bias=False), inner, "batch")
        self.body = nn.Sequential(*(ResidualBlock(inner, "batch", padding="zeros") for _ in range(own.residual_blocks)))
        widths = [max(inner // 2**level, 8) for level in range(doublings + 1)]
        self.up = nn.Sequential(
            *(
                stage(blocks.upsampling_conv("resize", wide, narrow, bias=False), narrow, "batch")
                for wide, narrow in pairwise(widths)
            )
        )
        self.head = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        joined = self.join(beside(self.down(images), code))
        return torch.tanh(self.head(self.up(self.body(joined))))
