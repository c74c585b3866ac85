"""The U-Net of diffusion models: residual blocks that know the time, and attention where maps are small.

As in DDPM (Ho et al. 2020) and ADM (Dhariwal and Nichol 2021), whose blocks bridges between images are trained with.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.networks.blocks import named
from translate.networks.settings import InitialisationSettings, Options, require_multiple
from translate.utils.sides import Size

PER_UNIT = 1000
"""Times in [0, 1] are told in thousandths, of which the embedding's waves tell neighbours apart, as published."""


class TimeUNetSettings(Options):
    """From the image's size to the smallest map and back: `blocks` residual blocks at each, one more on the way up."""

    section = "model.generator"
    filters: int = Field(64, ge=2)
    """Channels of the largest map; those of others are multiples of it."""
    multiples: tuple[int, ...] = Field((1, 2, 4, 4), min_length=1, max_length=8)
    """Channels of the map of each size, in multiples of `filters`; each size is half of the one before."""
    blocks: int = Field(2, ge=1)
    """Residual blocks at each size on the way down."""
    attention: int = Field(2, ge=0)
    """How many of the sizes, the smallest ones, attend: every place of a map sees all others. 0: none."""
    heads: int = Field(4, ge=1)
    """Heads of the attention, at most as many as divide its channels."""
    groups: int = Field(32, ge=1)
    """Groups of channels that are normalised together, at most as many as divide them into two or more."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout in each block."""
    zero_head: bool = True
    """Whether the last convolution begins at 0, and so the network with the answer 0, which leaves images as they
    are."""
    initialisation: InitialisationSettings = InitialisationSettings(kind="xavier", gain=1.0)

    @property
    def options(self) -> dict[str, Any]:
        return {name: value for name, value in self if name != "initialisation"}

    def build(self, channels_in: int, channels_out: int, size: Size) -> TimeUNet:
        """The network with its initial weights. Raises ConfigurationError for a training size that it cannot halve."""
        stride = 2 ** (len(self.multiples) - 1)
        sizes = f"U-Nets of {len(self.multiples)} sizes"
        require_multiple(size, stride, sizes, "give model.generator.multiples fewer numbers")
        network = self.initialisation.draw(TimeUNet(channels_in, channels_out, **self.options))
        if self.zero_head:
            nn.init.zeros_(network.head.weight)
        return network


class TimeUNet(nn.Module):
    """Maps images (batch, channels_in, height, width) and times (batch,) in [0, 1] to maps (batch, channels_out,
    height, width) of any range.

    Height and width must be multiples of `stride`. `options` are those of `TimeUNetSettings`; raises ValueError for
    others.
    """

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = TimeUNetSettings(**options)
        self.stride = 2 ** (len(own.multiples) - 1)
        widths = [own.filters * multiple for multiple in own.multiples]
        self.time = TimeEmbedding(own.filters, 4 * own.filters)
        self.stem = nn.Conv2d(channels_in, own.filters, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, width = [own.filters], own.filters
        for level, wide in enumerate(widths):
            for _ in range(own.blocks):
                self.down.append(Stage(width, wide, own, level))
                kept.append(width := wide)
            if level < len(widths) - 1:
                self.down.append(named(halve=nn.Conv2d(width, width, 3, stride=2, padding=1)))
                kept.append(width)
        innermost = len(widths) - 1
        self.middle = nn.ModuleList([Stage(width, width, own, innermost), Stage(width, width, own, level=-1)])
        for level in reversed(range(len(widths))):
            for _ in range(own.blocks + 1):
                self.up.append(Stage(width + kept.pop(), widths[level], own, level))
                width = widths[level]
            if level:
                double = named(resize=nn.Upsample(scale_factor=2), conv=nn.Conv2d(width, width, 3, padding=1))
                self.up.append(double)
        self.norm, self.head = _norm(width, own.groups), nn.Conv2d(width, channels_out, 3, padding=1)

    def forward(self, images: Tensor, time: Tensor) -> Tensor:
        told = F.silu(self.time(time))
        features = self.stem(images)
        kept = [features]
        for layer in self.down:
            features = layer(features, told) if isinstance(layer, Stage) else layer(features)
            kept.append(features)
        for layer in self.middle:
            features = layer(features, told)
        for layer in self.up:
            stage = isinstance(layer, Stage)
            features = layer(torch.cat([features, kept.pop()], 1), told) if stage else layer(features)
        answer: Tensor = self.head(F.silu(self.norm(features)))
        return answer


class TimeEmbedding(nn.Module):
    """Maps times (batch,) in [0, 1] to vectors (batch, channels), by sines and cosines of many wavelengths."""

    def __init__(self, waves: int, channels: int) -> None:
        super().__init__()
        self.waves = waves
        self.inner, self.outer = nn.Linear(waves, channels), nn.Linear(channels, channels)

    def forward(self, time: Tensor) -> Tensor:
        waves = sinusoids(PER_UNIT * time, self.waves)
        vectors: Tensor = self.outer(F.silu(self.inner(waves.to(self.inner.weight.dtype))))
        return vectors


def sinusoids(values: Tensor, width: int) -> Tensor:
    """Cosines, then sines, (batch, width), of values (batch,) times frequencies that fall from 1 to 1/10000."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=values.device) * (-math.log(10_000) / half))
    angles = values[:, None] * frequencies
    return F.pad(torch.cat([angles.cos(), angles.sin()], 1), (0, width % 2))


class Stage(nn.Module):
    """A residual block that knows the time, and behind it attention if this size has it. `level`: the number of the
    size, from the largest; -1 for a block without attention."""

    def __init__(self, channels_in: int, channels_out: int, own: TimeUNetSettings, level: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(channels_in, own.groups), _norm(channels_out, own.groups)
        self.conv1, self.conv2 = (
            nn.Conv2d(channels, channels_out, 3, padding=1) for channels in (channels_in, channels_out)
        )
        self.time = nn.Linear(4 * own.filters, channels_out)
        self.dropout = nn.Dropout(own.dropout) if own.dropout else nn.Identity()
        self.shortcut = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)
        attends = level >= max(0, len(own.multiples) - own.attention)
        self.attention = Attention(channels_out, own.heads, own.groups) if attends else nn.Identity()

    def forward(self, features: Tensor, told: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(features))) + self.time(told)[:, :, None, None]
        inner = self.conv2(self.dropout(F.silu(self.norm2(inner))))
        attended: Tensor = self.attention(self.shortcut(features) + inner)
        return attended


class Attention(nn.Module):
    """Adds to every place of a map what it asks of all others (Vaswani et al. 2017), over normalised features."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = math.gcd(heads, channels)
        self.norm = _norm(channels, groups)
        self.asked, self.answer = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        places = self.asked(self.norm(features)).permute(0, 2, 3, 1).flatten(1, 2)
        query, key, value = places.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return features + self.answer(found.transpose(1, 2).unflatten(2, features.shape[2:]))


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    """With two channels a group at least: of a single pixel in one channel, nothing is left."""
    return nn.GroupNorm(math.gcd(groups, max(1, channels // 2)), channels)
