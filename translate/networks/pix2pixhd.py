"""pix2pixHD's enhanced generator: a ResNet at half the size, and a few layers around it at full size (Wang et al. 2018,
section 3.1). The generator at half the size alone, the first stage, is a `resnet` of four downsamplings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.networks.blocks import Normalisation, needs_bias
from translate.networks.resnet import ResidualBlock, ResnetGenerator, conv7, doubling, halving, stage
from translate.networks.settings import Generator, GeneratorSettings, require_at_least
from translate.utils.sides import Size


class EnhancedSettings(GeneratorSettings):
    """A ResNet at half the size, with twice the filters, whose features are added to those at full size."""

    kind: Literal["enhanced"] = "enhanced"
    filters: int = Field(32, ge=1)
    """Width of the first layer at full size, in channels; the network at half the size begins with twice as many."""
    blocks: int = Field(9, ge=0)
    """Number of residual blocks of the network at half the size."""
    downsamplings: int = Field(4, ge=0, le=12)
    """How often the network at half the size halves it further; as in the run of the first stage."""
    local_blocks: int = Field(3, ge=0)
    """Number of residual blocks of the layers around it, 3 as published."""
    normalisation: Normalisation = "instance"
    """After each convolution but the last; `instance` as published."""
    fixed: bool = False
    """Leaves the network at half the size as `training.init_from` filled it, and trains the layers around it alone: for
    the first epochs of the second stage."""

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> EnhancedGenerator:
        # Reflection padding needs maps of more than one pixel, at half the size, too.
        least, fewer = 4 * 2**self.downsamplings, "take fewer model.generator.downsamplings"
        require_at_least(size, least, f"enhanced generators of {self.downsamplings} downsamplings", fewer)
        return EnhancedGenerator(channels_in, channels_out, **self.options)


class EnhancedGenerator(Generator):
    """Maps images (batch, channels_in, height, width) to images (batch, channels_out, height, width) in [-1, 1].

    G1, a `ResnetGenerator` without its last convolution, sees the image at half its size; its features are added to
    those of the enhancer G2 behind its downsampling. Height and width must be multiples of `stride`, twice that of G1,
    and at least 2 * `stride`. `options` are those of `EnhancedSettings`; raises ValueError for others.
    """

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = EnhancedSettings(**options)
        self.fixed, self.stride = own.fixed, 2 * 2**own.downsamplings
        same = {name: getattr(own, name) for name in ("blocks", "downsamplings", "normalisation")}
        half = ResnetGenerator(channels_in, channels_out, filters=2 * own.filters, **same)
        # By the names that they have in a run of the first stage, with whose weights they begin.
        self.stem, self.down, self.body, self.up = half.stem, half.down, half.body, half.up
        self.enhancer = Enhancer(channels_in, channels_out, own.filters, own.local_blocks, own.normalisation)

    def forward(self, images: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.fixed):
            halved = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
            coarse = self.up(self.body(self.down(self.stem(halved))))
        return self.enhancer(images, coarse)

    def begun_with(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights to begin with, given those of a run: of the second stage all of them; of the first all but the
        last convolution, and its own for the enhancer."""
        if any(key.startswith("enhancer.") for key in weights):
            return weights
        own = {key: value for key, value in self.state_dict().items() if key.startswith("enhancer.")}
        return own | {key: value for key, value in weights.items() if not key.startswith("head.")}


class Enhancer(nn.Module):
    """The layers at full size, G2: maps images, and features (batch, 2 filters, height / 2, width / 2) of the network
    at half the size, to images in [-1, 1]."""

    def __init__(
        self, channels_in: int, channels_out: int, filters: int, blocks: int, normalisation: Normalisation
    ) -> None:
        super().__init__()
        self.stem = stage(conv7(channels_in, filters, needs_bias(normalisation), "reflect"), filters, normalisation)
        self.down = halving(filters, 2 * filters, normalisation, "transposed")
        self.body = nn.Sequential(*(ResidualBlock(2 * filters, normalisation) for _ in range(blocks)))
        self.up = doubling(2 * filters, filters, normalisation, "transposed")
        self.head = conv7(filters, channels_out, bias=True, padding="reflect")

    def forward(self, images: Tensor, coarse: Tensor) -> Tensor:
        fine = self.down(self.stem(images))
        return torch.tanh(self.head(self.up(self.body(fine + coarse))))
