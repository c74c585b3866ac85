"""StarGAN's networks: one generator for all labels, a discriminator that also reads the labels (Choi et al. 2018)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.networks.blocks import beside, named, upsampling_conv
from translate.networks.conv_as_matmul import Conv2d
from translate.networks.resnet import ResidualBlock, changed, conv7, stage
from translate.networks.settings import Options, require_multiple
from translate.utils.sides import Sides, Size


class StarGANGeneratorSettings(Options):
    """The generator of all labels."""

    section = "model.generator"
    filters: int = Field(64, ge=1)
    """Channels of the first layer; deeper ones have multiples of them."""
    blocks: int = Field(6, ge=0)
    """Number of residual blocks."""
    downsamplings: int = Field(2, ge=0, le=12)
    """How often the image is halved on the way in, and doubled on the way out."""
    residual: bool = False
    """Learns the change to the input (see `changed`), starting from no change: for small networks and similar domains.
    Not published."""

    def build(self, channels: int, labels: int) -> StarGANGenerator:
        network = StarGANGenerator(channels, labels, **self.options)
        if self.residual:
            nn.init.zeros_(network.head.weight)
        return network


class StarGANDiscriminatorSettings(Options):
    """The discriminator, which also reads the labels."""

    section = "model.discriminator"
    filters: int = Field(64, ge=1)
    """Channels of the first layer; deeper ones have multiples of them."""
    layers: int = Field(6, ge=1, le=12)
    """Strided layers; both sides of data.size must be multiples of 2 ** layers."""

    def build(self, channels: int, labels: int, size: Size) -> StarGANDiscriminator:
        """Raises ConfigurationError for a size that cannot be halved so often."""
        who = f"StarGAN's discriminators of {self.layers} layers"
        require_multiple(size, 2**self.layers, who, "take fewer model.discriminator.layers")
        return StarGANDiscriminator(channels, labels, size, **self.options)


class StarGANGenerator(nn.Module):
    """Maps images (batch, channels, height, width) and labels (batch, labels) to images of the same shape in [-1, 1].

    Each label becomes a plane beside the image's channels. A 7x7 convolution to f filters, `downsamplings` 4x4
    convolutions of stride 2 that each double the filters, `blocks` residual blocks, as many 4x4 transposed convolutions
    back, a 7x7 one, tanh (paper, appendix 7.2). No biases; affine instance norm by the image's own statistics, in
    training and after. Zero padding as released: a plane reflected at its edges stays constant, and instance norm
    removes constants, so the labels would be lost after the first layer. Height and width must be multiples of
    `stride`. `options` are those of `StarGANGeneratorSettings`. Raises ValueError for others, and for labels of another
    shape.
    """

    def __init__(self, channels: int, labels: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = StarGANGeneratorSettings(**options)
        self.labels, self.residual = labels, own.residual
        self.stride, filters = 2**own.downsamplings, own.filters
        widths = [filters * 2**level for level in range(own.downsamplings + 1)]
        levels = list(pairwise(widths))
        inner = widths[-1]
        self.stem = stage(conv7(channels + labels, filters, bias=False, padding="zeros"), filters, "affine_instance")
        self.down = nn.Sequential(*(_down(narrow, wide) for narrow, wide in levels))
        self.body = nn.Sequential(
            *(ResidualBlock(inner, "affine_instance", padding="zeros", bias=False) for _ in range(own.blocks))
        )
        self.up = nn.Sequential(*(_up(wide, narrow) for narrow, wide in reversed(levels)))
        self.head = conv7(filters, channels, bias=False, padding="zeros")

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        if labels.shape != (images.shape[0], self.labels):
            raise ValueError(f"labels are {tuple(labels.shape)}, expected {(images.shape[0], self.labels)}")
        fakes = self.head(self.up(self.body(self.down(self.stem(beside(images, labels))))))
        return changed(images, fakes) if self.residual else torch.tanh(fakes)


class StarGANDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) of one size, N or (height, width), to scores of patches and to label
    logits.

    Scores are (batch, 1, height / 2 ** layers, ...), label logits (batch, labels). `layers` 4x4 convolutions of stride
    2 to f, 2f, 4f, ... filters with LeakyReLU 0.01 and no normalisation, which a gradient penalty forbids. Then a 3x3
    convolution scores each place, and one as large as the last map reads the labels (paper, appendix 7.2). `options`
    are those of `StarGANDiscriminatorSettings`. Raises ValueError for others, for a size that cannot be halved `layers`
    times, and for images of another size.
    """

    def __init__(self, channels: int, labels: int, size: Size, **options: Any) -> None:
        super().__init__()
        self.settings = own = StarGANDiscriminatorSettings(**options)
        layers, self.size = own.layers, Sides.of(size)
        if any(side < 1 or side % 2**layers for side in self.size):
            raise ValueError(
                f"{layers} strided layers need a size that is a multiple of {2**layers}, not {self.size}: use fewer "
                "layers"
            )
        widths = [channels, *(own.filters * 2**level for level in range(layers))]
        self.layers = nn.Sequential(
            *(
                named(conv=Conv2d(narrow, wide, 4, stride=2, padding=1), activation=nn.LeakyReLU(0.01))
                for narrow, wide in pairwise(widths)
            )
        )
        last = self.size.height // 2**layers, self.size.width // 2**layers
        self.score_head = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.class_head = nn.Conv2d(widths[-1], labels, last, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[2:] != self.size:
            height, width = images.shape[2:]
            raise ValueError(f"the discriminator takes images of {'x'.join(map(str, self.size))}, not {height}x{width}")
        features = self.layers(images)
        return self.score_head(features), self.class_head(features).flatten(1)

    def score(self, images: Tensor) -> Tensor:
        """Only the scores, for images of any size that is a multiple of 2 ** layers."""
        return self.score_head(self.layers(images))


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)
    return stage(conv, channels_out, "affine_instance")


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    conv = upsampling_conv("transposed", channels_in, channels_out, bias=False, kernel=4)
    return stage(conv, channels_out, "affine_instance")
