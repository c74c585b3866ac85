"""The generator of pix2pix: an encoder and a decoder of stride-2 convolutions with skip connections at every size."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.networks import blocks
from translate.networks.blocks import Normalisation, Upsampling, named
from translate.networks.conv_as_matmul import Conv2d
from translate.networks.recompute import recomputed
from translate.networks.settings import Generator, GeneratorSettings, require_multiple
from translate.utils.sides import Sides, Size

DropoutPlacement = Literal["port", "paper"]


class UNetSettings(GeneratorSettings):
    """As many halvings as `levels`, and as many doublings."""

    kind: Literal["unet"] = "unet"
    filters: int = Field(64, ge=1)
    """Width of the first layer, in channels; deeper ones have multiples of it."""
    levels: int | None = Field(None, ge=2, le=12)
    """How often the image is halved. Null: as often as both sides of a crop allow, at most eight times."""
    normalisation: Normalisation = "batch"
    """After each convolution but the first and the last; `batch` as published."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Probability of dropout on the way up."""
    dropout_placement: DropoutPlacement = "port"
    """`paper`: on the three innermost decoder levels. `port` (the widely used PyTorch one): on the `levels` - 5 levels
    after the innermost, so none below six levels."""
    upsampling: Upsampling = "transposed"
    """How maps are enlarged. `blur` blurs on the way down too, as CUT's ResNet does."""
    checkpointing: bool = False
    """Recomputes activations in the backward pass instead of storing them: less memory, slower, same result."""

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> UNetGenerator:
        common = math.gcd(*Sides.of(size))
        possible = int(math.log2(common & -common))
        levels = self.levels or max(2, min(8, possible))
        if levels > possible:
            fewer = [f"set model.generator.levels to {possible} or less"] if possible >= 2 else []
            require_multiple(size, 2**levels, f"U-Nets of {levels} levels", *fewer)
        return UNetGenerator(channels_in, channels_out, **(self.options | {"levels": levels}))


class UNetGenerator(Generator):
    """Maps images (batch, channels_in, height, width) to images (batch, channels_out, height, width) in [-1, 1].

    `levels` halvings to f, 2f, 4f, 8f, 8f, ... filters and as many doublings, each also fed the encoder's features of
    its size (Isola et al. 2017, appendix 6.1.1; 8 levels for 256 pixels, 7 for 128). Height and width must be multiples
    of `stride` = 2 ** levels, else ValueError. As published, the first encoder convolution is not normalised; neither
    is the innermost, whose map may be one pixel, which normalisation would make 0. `options` are those of
    `UNetSettings`, with 8 levels unless given. Raises ValueError for others.
    """

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = UNetSettings(**({"levels": 8} | options))
        levels, norm, upsampling = own.levels or 8, own.normalisation, own.upsampling
        self.stride, self.checkpointing = 2**levels, own.checkpointing
        widths = [own.filters * min(2**level, 8) for level in range(levels)]
        unnormalised = {0, levels - 1}
        self.down = nn.ModuleList(
            _down(channels, width, "none" if level in unnormalised else norm, norm, upsampling)
            for level, (channels, width) in enumerate(zip([channels_in, *widths], widths, strict=False))
        )
        dropped = range(3) if own.dropout_placement == "paper" else range(1, levels - 4)
        self.up = nn.ModuleList(
            _up(
                # After the innermost, the encoder's features are concatenated.
                widths[-1 - step] * (2 if step else 1),
                widths[-2 - step],
                norm,
                own.dropout if step in dropped else 0.0,
                upsampling,
            )
            for step in range(levels - 1)
        )
        self.head = blocks.upsampling_conv(upsampling, 2 * own.filters, channels_out, bias=True, kernel=4)

    def forward(self, images: Tensor) -> Tensor:
        self._check_size(images)
        features = self.down[0](images)
        encoded = []
        for down in list(self.down)[1:]:
            encoded.append(features)
            features = self._through(down, F.leaky_relu(features, 0.2))
        # Both originals pass the decoder features changed by an in-place LeakyReLU. It gets the same without that, as
        # relu(leaky_relu(x)) = relu(x).
        features = F.relu(features)
        for up in self.up:
            features = torch.cat([encoded.pop(), self._through(up, features)], dim=1).relu_()
        return torch.tanh(self.head(features))

    def _through(self, level: nn.Module, features: Tensor) -> Tensor:
        return recomputed(level, features) if self.checkpointing and self.training else level(features)

    def _check_size(self, images: Tensor) -> None:
        height, width = images.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"a U-Net of {len(self.down)} levels takes heights and widths that are multiples of "
                f"{self.stride}, not {height}x{width}: pad or resize the images, or use fewer levels"
            )


def _down(
    channels_in: int, channels_out: int, after: Normalisation, norm: Normalisation, upsampling: Upsampling
) -> nn.Sequential:
    """A halving; `after` is the normalisation of this layer, `norm` that of the network, which decides about the
    bias."""
    bias = blocks.needs_bias(norm)
    layer = blocks.normalisation(after, channels_out)
    if upsampling == "blur":
        return named(
            conv=nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias),
            blur=blocks.BlurPool2d(),
            norm=layer,
        )
    return named(conv=Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=bias), norm=layer)


def _up(
    channels_in: int, channels_out: int, norm: Normalisation, dropout: float, upsampling: Upsampling
) -> nn.Sequential:
    conv = blocks.upsampling_conv(upsampling, channels_in, channels_out, blocks.needs_bias(norm), kernel=4)
    layers = named(conv=conv, norm=blocks.normalisation(norm, channels_out))
    if dropout:
        layers.append(nn.Dropout(dropout))
    return layers
