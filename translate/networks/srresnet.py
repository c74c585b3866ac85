"""The generator of super-resolution: residual blocks at the input's size, then sub-pixel convolutions.

Those of SRResNet (Ledig et al. 2017) without its batch norm and the second half of its activations, as in EDSR (Lim et
al. 2017), whose baseline is the default.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.networks import blocks
from translate.networks.blocks import Normalisation, PaddedConv2d, Padding, named, needs_bias
from translate.networks.enlarging import BicubicEnlargement
from translate.networks.recompute import recomputed
from translate.networks.resnet import ResidualBlock
from translate.networks.settings import Generator, GeneratorSettings
from translate.utils.sides import Size


class SRResnetSettings(GeneratorSettings):
    """`blocks` residual blocks of `filters` channels at the input's size, then the enlargement by `scale`."""

    kind: Literal["srresnet"] = "srresnet"
    scale: Literal[1, 2, 3, 4, 8] = 4
    """How many times higher and wider the output is than the input; 1 to restore it at its own size."""
    filters: int = Field(64, ge=1)
    """Width of all layers, in channels: 64 in SRResNet and in EDSR's baseline, 256 in EDSR."""
    blocks: int = Field(16, ge=0)
    """Number of residual blocks: 16 in SRResNet and in EDSR's baseline, 32 in EDSR."""
    normalisation: Normalisation = "none"
    """After each convolution at the input's size but the first: `batch` in SRResNet, `none` in EDSR."""
    padding: Padding = "zeros"
    """How borders are filled; `zeros` as published."""
    bicubic: bool = True
    """Learns what the bicubic enlargement of the input lacks, and starts from about that. Not published so; without it,
    the output is learnt from nothing."""
    checkpointing: bool = False
    """Recomputes activations in the backward pass instead of storing them: less memory, slower, same result."""

    @property
    def enlarges(self) -> int:
        return self.scale

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> SRResnetGenerator:
        return SRResnetGenerator(channels_in, channels_out, **self.options)


class SRResnetGenerator(Generator):
    """Maps images (batch, channels_in, height, width) to images (batch, channels_out, scale * height, scale * width) in
    [-1, 1], of any height and width.

    A 3x3 convolution to f filters, `blocks` residual blocks, and a convolution whose output is added to that of the
    first; a convolution to 4 f filters and a pixel shuffle for each doubling (9 f for a scale of 3), and a convolution
    to the image. With `bicubic`, and as many channels in as out, that is added to the enlarged input; what leaves the
    range is cut off. `options` are those of `SRResnetSettings`; raises ValueError for others.
    """

    stride = 1

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = SRResnetSettings(**options)
        self.scale, self.checkpointing = own.scale, own.checkpointing
        filters, norm, padding = own.filters, own.normalisation, own.padding
        self.stem = _conv3(channels_in, filters, padding)
        self.body = nn.Sequential(*(ResidualBlock(filters, norm, padding) for _ in range(own.blocks)))
        after = _conv3(filters, filters, padding, needs_bias(norm))
        self.after = named(conv=after, norm=blocks.normalisation(norm, filters))
        steps = [3] if own.scale == 3 else [2] * (own.scale.bit_length() - 1)
        self.up = nn.Sequential(*(_up(filters, step, padding) for step in steps))
        self.head = _conv3(filters, channels_out, padding)
        added = own.bicubic and channels_in == channels_out
        self.enlarged = BicubicEnlargement(own.scale) if added else None

    def forward(self, images: Tensor) -> Tensor:
        features = inner = self.stem(images)
        for block in self.body:
            inner = recomputed(block, inner) if self.checkpointing and self.training else block(inner)
        made = self.head(self.up(features + self.after(inner)))
        return torch.clamp(made if self.enlarged is None else made + self.enlarged(images), -1, 1)


def _up(filters: int, step: int, padding: Padding) -> nn.Sequential:
    """An enlargement by 2 or 3 (Shi et al. 2016), without the PReLU of SRResNet, as in EDSR."""
    return named(conv=_conv3(filters, step**2 * filters, padding), shuffle=nn.PixelShuffle(step))


def _conv3(channels_in: int, channels_out: int, padding: Padding, bias: bool = True) -> nn.Conv2d:
    return PaddedConv2d(channels_in, channels_out, 3, padding=1, padding_mode=padding, bias=bias)
