"""A plugin with a network of its own: a U-Net whose skip connections pass through attention gates (Oktay et al. 2018).

    translate train cyclegan --plugin examples/custom_generator.py --data maps model.generator.kind=attention-unet
    translate convert runs/cyclegan-maps photos/ maps/ --plugin examples/custom_generator.py

A recipe may set its options, e.g. model.generator.levels=5, in every method that takes a generator.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.models.parts import GENERATORS
from translate.networks.blocks import InstanceNorm2d, upsampling_conv
from translate.networks.settings import Generator, GeneratorSettings


class AttentionUNetSettings(GeneratorSettings):
    """The options of the network, written once: keys of a recipe, and keyword arguments of the class."""

    kind: Literal["attention-unet"] = "attention-unet"
    filters: int = Field(32, ge=1)
    levels: int = Field(4, ge=1, le=8)
    """How often the size is halved; each time but the first three doubles the filters."""

    def build_between(self, channels_in: int, channels_out: int, size: int | tuple[int, int]) -> AttentionUNet:
        return AttentionUNet(channels_in, channels_out, **self.options)


class AttentionUNet(Generator):
    """Maps images (batch, channels_in, height, width) to images (batch, channels_out, height, width) in [-1, 1]."""

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        own = AttentionUNetSettings(**options)
        self.stride = 2**own.levels
        widths = [own.filters * min(2**level, 8) for level in range(own.levels + 1)]
        self.stem = stage(nn.Conv2d(channels_in, widths[0], 7, padding=3), widths[0])
        self.down = nn.ModuleList(
            stage(nn.Conv2d(narrow, wide, 4, stride=2, padding=1), wide) for narrow, wide in pairwise(widths)
        )
        levels = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(
            stage(upsampling_conv("resize", wide, narrow, bias=True), narrow) for wide, narrow in levels
        )
        self.gates = nn.ModuleList(AttentionGate(narrow) for _, narrow in levels)
        self.merge = nn.ModuleList(stage(nn.Conv2d(2 * narrow, narrow, 3, padding=1), narrow) for _, narrow in levels)
        self.head = nn.Conv2d(widths[0], channels_out, 7, padding=3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        encoded = []
        for down in self.down:
            encoded.append(features)
            features = down(features)
        for up, gate, merge in zip(self.up, self.gates, self.merge, strict=True):
            features = up(features)
            features = merge(torch.cat([features, gate(encoded.pop(), features)], 1))
        return torch.tanh(self.head(features))


class AttentionGate(nn.Module):
    """Lets through of the encoder's features, place by place, what the decoder's features of that place ask for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoded, self.decoded = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.weight = nn.Conv2d(channels, 1, 1)

    def forward(self, encoded: Tensor, decoded: Tensor) -> Tensor:
        return encoded * torch.sigmoid(self.weight(torch.relu(self.encoded(encoded) + self.decoded(decoded))))


def stage(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, InstanceNorm2d(channels), nn.ReLU())


GENERATORS["attention-unet"] = AttentionUNetSettings
