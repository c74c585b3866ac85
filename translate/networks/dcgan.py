"""DCGAN: all-convolutional generator and discriminator (Radford et al. 2016), with labels if a method has them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.networks import blocks
from translate.networks.blocks import Normalisation, beside, named, needs_bias, upsampling_conv
from translate.networks.conv_as_matmul import Conv2d, ConvTranspose2d
from translate.networks.settings import InitialisationSettings, SampleGenerator, SamplerNetworkSettings


class DCGANSettings(SamplerNetworkSettings):
    """DCGAN's convolutions, for images of 8, 16, 32, 64, ... pixels."""

    kind: Literal["dcgan"] = "dcgan"
    filters: int = Field(64, ge=1)
    """Channels of the layer next to the image; deeper ones have multiples of them."""
    normalisation: Normalisation = "batch"
    """Use none in a critic with a gradient penalty: batch norm would couple the images of a batch."""
    initialisation: InitialisationSettings = InitialisationSettings()

    def generator(self, code: int, channels: int, size: int) -> DCGANGenerator:
        _require_fitting(size)
        return self.initialisation.draw(DCGANGenerator(code, channels, size, **self.options))

    def discriminator(self, channels: int, size: int, labels: int, outputs: int) -> DCGANDiscriminator:
        _require_fitting(size)
        return self.initialisation.draw(DCGANDiscriminator(channels, size, labels, outputs, **self.options))


def _require_fitting(size: int) -> None:
    if size < 8 or size & (size - 1):
        raise ConfigurationError(
            f"data.size is {size}, and DCGAN's networks take 8, 16, 32, 64, ... pixels: set data.size to one of "
            "these, or the `kind` of model.generator and model.discriminator (encoder, decoder) to mlp"
        )


class DCGANGenerator(SampleGenerator):
    """Maps codes (batch, code) to images (batch, channels, size, size) in [-1, 1].

    A transposed convolution spreads the code over 4x4 places; each further one doubles the size and halves the filters,
    of which there are 8 * filters at most and `filters` before the last. At 64 px: 8f, 4f, 2f, f (figure 1, with f =
    128). `options` are those of `DCGANSettings`. Raises ValueError for others, and unless `size` is 8, 16, 32, 64, ...
    """

    def __init__(self, code: int, channels: int, size: int, **options: Any) -> None:
        super().__init__()
        own = DCGANSettings(**options)
        normalisation, widths = own.normalisation, _widths(size, own.filters)[::-1]
        bias = needs_bias(normalisation)
        self.project = _stage(ConvTranspose2d(code, widths[0], 4, bias=bias), widths[0], normalisation, nn.ReLU())
        self.up = nn.Sequential(
            *(
                _stage(upsampling_conv("transposed", wide, narrow, bias, kernel=4), narrow, normalisation, nn.ReLU())
                for wide, narrow in pairwise(widths)
            )
        )
        self.head = upsampling_conv("transposed", widths[-1], channels, bias, kernel=4)

    def unbounded(self, code: Tensor) -> Tensor:
        return self.head(self.up(self.project(code[:, :, None, None])))


class DCGANDiscriminator(nn.Module):
    """Maps images (batch, channels, size, size) to (batch, outputs): one logit, or an encoder's code.

    Takes `labels` (batch, labels) too if there are any. 4x4 convolutions of stride 2 to f, 2f, 4f, ... filters (8f at
    most) down to 4x4 places, the first without normalisation, then one over all 4x4 places. Labels become planes
    appended to the 4x4 map and are merged by a 1x1 convolution (Reed et al. 2016, section 4.1). Raises ValueError for
    the same sizes as the generator.
    """

    def __init__(self, channels: int, size: int, labels: int = 0, outputs: int = 1, **options: Any) -> None:
        super().__init__()
        own = DCGANSettings(**options)
        normalisation, widths = own.normalisation, _widths(size, own.filters)
        bias = needs_bias(normalisation)
        norms: list[Normalisation] = ["none", *[normalisation] * (len(widths) - 1)]
        self.down = nn.Sequential(
            *(
                _stage(Conv2d(narrow, wide, 4, 2, 1, bias=bias), wide, norm, nn.LeakyReLU(0.2))
                for (narrow, wide), norm in zip(pairwise([channels, *widths]), norms, strict=True)
            )
        )
        inner = widths[-1]
        self.join = (
            _stage(nn.Conv2d(inner + labels, inner, 1, bias=bias), inner, normalisation, nn.LeakyReLU(0.2))
            if labels
            else None
        )
        self.head = nn.Conv2d(inner, outputs, 4, bias=bias)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.down(images)
        if self.join is not None and labels is not None:
            features = self.join(beside(features, labels))
        return self.head(features).flatten(1)


def _widths(size: int, filters: int) -> list[int]:
    """Numbers of filters at size / 2, size / 4, ..., 4."""
    if size < 8 or size & (size - 1):
        raise ValueError(f"DCGAN networks take images of 8, 16, 32, 64, ... pixels a side, not {size}")
    return [filters * min(2**level, 8) for level in range(size.bit_length() - 3)]


def _stage(conv: nn.Module, channels: int, norm: Normalisation, activation: nn.Module) -> nn.Sequential:
    return named(conv=conv, norm=blocks.normalisation(norm, channels), activation=activation)
