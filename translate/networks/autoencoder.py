"""UNIT's auto-encoders, in parts that two domains can share (Liu et al. 2017; layers of the 2018 release).

An encoder is `Encoder` then `SharedBlocks`, a decoder `SharedBlocks` then `Decoder`. As published in 2018, each has its
own four residual blocks and shares none; to share n, give both domains the same `SharedBlocks` of n and make their own
parts with 4 - n. The posterior is normal with that mean and deviation 1, so in training the code is the mean plus
noise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from translate.networks.blocks import Normalisation, PaddedConv2d, named
from translate.networks.resnet import ResidualBlock, conv7, stage

Normalised = Literal["all", "blocks"]
"""Which layers are normalised: all but the last (release of 2018), or only the branches of residual blocks (COCOResGen2
of the 2017 release). Instance norm along the main path removes an image's own mean colour and contrast from its
code."""


class Encoder(nn.Module):
    """Maps images (batch, channels, height, width) to mean codes (batch, code_channels, height / stride, width /
    stride).

    A 7x7 convolution to f filters, `downsamplings` 4x4 convolutions of stride 2 that each double the filters, and
    `blocks` residual blocks, all with reflection padding. `normalised`: see `Normalised`. `code_channels` = f *
    `stride`. Height and width must be multiples of `stride`, and at least 2 * `stride`: reflection needs two pixels.
    """

    def __init__(
        self,
        channels: int,
        filters: int = 64,
        downsamplings: int = 2,
        blocks: int = 4,
        normalisation: Normalisation = "instance",
        normalised: Normalised = "all",
    ) -> None:
        super().__init__()
        outer: Normalisation = normalisation if normalised == "all" else "none"
        self.stride = 2**downsamplings
        self.code_channels = filters * self.stride
        widths = [filters * 2**level for level in range(downsamplings + 1)]
        self.stem = stage(conv7(channels, filters, bias=True, padding="reflect"), filters, outer)
        self.down = nn.Sequential(*(_down(narrow, wide, outer) for narrow, wide in pairwise(widths)))
        self.body = SharedBlocks(self.code_channels, blocks, normalisation)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.down(self.stem(images)))


class SharedBlocks(nn.Sequential):
    """Residual blocks on codes (batch, channels, height, width) that keep their shape. With 0 blocks, the identity."""

    def __init__(self, channels: int, blocks: int, normalisation: Normalisation = "instance") -> None:
        super().__init__(*(ResidualBlock(channels, normalisation) for _ in range(blocks)))


class Decoder(nn.Module):
    """Maps codes (batch, filters * stride, height, width) to images (batch, channels, height * stride, ...) in [-1, 1].

    `blocks` residual blocks; `upsamplings` times a nearest-neighbour doubling and a 5x5 convolution to half the filters
    with layer norm (unless `normalised` is "blocks"); a 7x7 convolution; tanh. All with reflection padding.
    `normalisation` is that of the residual blocks.
    """

    def __init__(
        self,
        channels: int,
        filters: int = 64,
        upsamplings: int = 2,
        blocks: int = 4,
        normalisation: Normalisation = "instance",
        normalised: Normalised = "all",
    ) -> None:
        super().__init__()
        self.stride = 2**upsamplings
        widths = [filters * 2**level for level in range(upsamplings + 1)]
        self.body = SharedBlocks(widths[-1], blocks, normalisation)
        self.up = nn.Sequential(
            *(_up(wide, narrow, normalised == "all") for wide, narrow in pairwise(reversed(widths)))
        )
        self.head = conv7(filters, channels, bias=True, padding="reflect")

    def forward(self, codes: Tensor) -> Tensor:
        return torch.tanh(self.head(self.up(self.body(codes))))


class CodeDiscriminator(nn.Module):
    """Maps codes (batch, channels, height, width) to logits of their domain (batch, 1, about height / 4, width / 4).

    Three 3x3 convolutions to f, 2f and 4f filters, the last two of stride 2, with LeakyReLU 0.2, then a 1x1
    convolution; codes of a single pixel work too. Without normalisation, because a map's mean may be what reveals the
    domain. Not published with UNIT, but in domain-adversarial training (Ganin et al. 2016) and XGAN (Royer et al.
    2017).
    """

    def __init__(self, channels: int, filters: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _judging(channels, filters, stride=1),
            _judging(filters, 2 * filters, stride=2),
            _judging(2 * filters, 4 * filters, stride=2),
        )
        self.head = nn.Conv2d(4 * filters, 1, 1)

    def forward(self, codes: Tensor) -> Tensor:
        return self.head(self.layers(codes))


class LayerNorm2d(nn.GroupNorm):
    """(x - mean) / sqrt(variance + eps) over channels, height and width, per image, with a weight and a bias per
    channel.

    As in MUNIT and UNIT, weights start uniform in [0, 1). Those divide by the unbiased deviation + eps instead, which
    has no gradient on constant maps; this form is kept, because runs were trained with it. The results differ by 5e-6
    of themselves where the deviation is 1, by 4e-4 where it is 0.1, by 4.6e-2 where it is 0.01; on maps of n numbers by
    another 1 / (2 n).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)
        nn.init.uniform_(self.weight)


def _down(channels_in: int, channels_out: int, norm: Normalisation) -> nn.Sequential:
    conv = PaddedConv2d(channels_in, channels_out, 4, 1, "reflect", stride=2)
    return stage(conv, channels_out, norm)


def _up(channels_in: int, channels_out: int, normalised: bool) -> nn.Sequential:
    return named(
        enlarge=nn.Upsample(scale_factor=2),
        conv=PaddedConv2d(channels_in, channels_out, 5, 2, "reflect"),
        norm=LayerNorm2d(channels_out) if normalised else nn.Identity(),
        relu=nn.ReLU(),
    )


def _judging(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1)
    return named(conv=conv, activation=nn.LeakyReLU(0.2))
