"""OASIS's discriminator: a U-Net that finds the class of each pixel, one of which is "generated" (Schönfeld et al.
2021, section 3.1)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.networks.settings import InitialisationSettings, Options, require_multiple
from translate.utils.sides import Size


class SegmentingSettings(Options):
    """As published for 256 pixels."""

    section = "model.discriminator"
    filters: int = Field(128, ge=2)
    """Channels of the first two levels; every two levels deeper they double."""
    levels: Literal[1, 2, 3, 4, 5, 6] = 6
    """How often maps are halved, and then doubled."""
    initialisation: InitialisationSettings = InitialisationSettings(kind="xavier")

    def initialised(self, channels: int, classes: int, size: Size) -> SegmentingDiscriminator:
        """The network with its initial weights. Raises ConfigurationError for a size that cannot be halved so often."""
        require_multiple(
            size, 2**self.levels, f"discriminators of {self.levels} levels", "take fewer model.discriminator.levels"
        )
        return self.initialisation.draw(SegmentingDiscriminator(channels, classes, **self.options))


class SegmentingDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1 + classes, height, width): at each pixel first
    of being generated, then of each class that a real one may have.

    Height and width must be multiples of 2 ** levels. What a level down has made stands beside what comes up to its
    size. `options` are those of `SegmentingSettings`; raises ValueError for others.
    """

    def __init__(self, channels: int, classes: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = SegmentingSettings(**options)
        widths = [own.filters * 2 ** (level // 2) for level in range(own.levels)]
        self.down = nn.ModuleList(
            _Down(*both, first=number == 0) for number, both in enumerate(pairwise([channels, *widths]))
        )
        deepest, *others = reversed(widths)
        given = [deepest, *(2 * width for width in others)]
        made = [*others, own.filters // 2]
        self.up = nn.ModuleList(_Up(*both) for both in zip(given, made, strict=True))
        self.head = nn.Conv2d(made[-1], 1 + classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        seen = [images]
        for block in self.down:
            seen.append(block(seen[-1]))
        features = self.up[0](seen.pop())
        for block in self.up[1:]:
            features = block(torch.cat([seen.pop(), features], 1))
        logits: Tensor = self.head(features)
        return logits


class _Residual(nn.Module):
    """Two convolutions, spectrally normalised, each behind LeakyReLU 0.2, and a shortcut."""

    def __init__(self, width_in: int, width_out: int, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.conv1 = spectral_norm(nn.Conv2d(width_in, width_out, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(width_out, width_out, 3, padding=1))
        learnt = first or width_in != width_out
        self.shortcut = spectral_norm(nn.Conv2d(width_in, width_out, 1)) if learnt else nn.Identity()

    def activated(self, features: Tensor) -> Tensor:
        return features if self.first else F.leaky_relu(features, 0.2)


class _Down(_Residual):
    """Halves height and width; the `first` sees an image, which it does not activate."""

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv2(F.leaky_relu(self.conv1(self.activated(features)), 0.2))
        # Averaging pixels and a convolution of one pixel are the same in either order: once for both branches.
        return F.avg_pool2d(inner + self.shortcut(features), 2)


class _Up(_Residual):
    """Doubles height and width."""

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv2(F.leaky_relu(self.conv1(_doubled(self.activated(features))), 0.2))
        return inner + _doubled(self.shortcut(features))


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")
