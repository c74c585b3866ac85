"""Discriminators that judge patches: one logit per place in an image."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.networks import blocks
from translate.networks.blocks import Normalisation, PaddedConv2d, named


class PatchDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1, about height / 2 ** layers, ...).

    `layers` 4x4 convolutions of stride 2 to f, 2f, 4f, 8f, 8f, ... filters, one of stride 1, and one to the logit; the
    first and the last are not normalised (Isola et al. 2017, appendix 6.1.2). Each logit sees a square with sides of
    `receptive_field` pixels: 16, 34, 70, 142, 286 for 1 to 5 layers. `spectral`: spectral norm on every convolution
    (Miyato et al. 2018).
    """

    def __init__(
        self,
        channels: int,
        filters: int = 64,
        layers: int = 3,
        normalisation: Normalisation = "instance",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a patch discriminator needs at least 1 strided layer, not {layers}")
        self.receptive_field = 9 * 2**layers - 2
        widths = [filters * min(2**level, 8) for level in range(layers + 1)]
        stages = [named(conv=_conv4(channels, widths[0], 2, bias=True), activation=nn.LeakyReLU(0.2))]
        for level, width in enumerate(widths[1:], start=1):
            stride = 2 if level < layers else 1
            stages.append(
                named(
                    conv=_conv4(widths[level - 1], width, stride, blocks.needs_bias(normalisation)),
                    norm=blocks.normalisation(normalisation, width),
                    activation=nn.LeakyReLU(0.2),
                )
            )
        self.layers = nn.Sequential(*stages)
        self.head = _conv4(widths[-1], 1, 1, bias=True)
        if spectral:
            _constrain(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))


class PixelDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1, height, width), one for each single pixel.

    Three 1x1 convolutions to f, 2f and 1 filters (Isola et al. 2017, appendix 6.1.2).
    """

    receptive_field = 1

    def __init__(
        self,
        channels: int,
        filters: int = 64,
        normalisation: Normalisation = "instance",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        bias = blocks.needs_bias(normalisation)
        self.layers = nn.Sequential(
            named(conv=nn.Conv2d(channels, filters, 1), activation=nn.LeakyReLU(0.2)),
            named(
                conv=nn.Conv2d(filters, 2 * filters, 1, bias=bias),
                norm=blocks.normalisation(normalisation, 2 * filters),
                activation=nn.LeakyReLU(0.2),
            ),
        )
        self.head = nn.Conv2d(2 * filters, 1, 1, bias=bias)
        if spectral:
            _constrain(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))


class StridedDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1, height / 2 ** layers, width / 2 ** layers).

    MUNIT's and UNIT's discriminator of one scale: `layers` 4x4 convolutions of stride 2 to f, 2f, 4f, ... filters with
    reflection padding and LeakyReLU 0.2, without normalisation, then a 1x1 convolution to the logit; unlike
    `PatchDiscriminator`, no 4x4 convolution of stride 1. Published with `MultiscaleDiscriminator` at 3 scales, where
    each sees 46 pixels of its scale.
    """

    def __init__(self, channels: int, filters: int = 64, layers: int = 4, spectral: bool = False) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a strided discriminator needs at least 1 layer, not {layers}")
        self.receptive_field = 3 * 2**layers - 2
        widths = [channels, *(filters * 2**level for level in range(layers))]
        self.layers = nn.Sequential(
            *(
                named(
                    conv=PaddedConv2d(narrow, wide, 4, 1, "reflect", stride=2),
                    activation=nn.LeakyReLU(0.2),
                )
                for narrow, wide in pairwise(widths)
            )
        )
        self.head = nn.Conv2d(widths[-1], 1, 1)
        if spectral:
            _constrain(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))


class MultiscaleDiscriminator(nn.Module):
    """Maps images to one map of logits per scale, finest first; each scale has half the size of the previous one.

    `make` builds the discriminator of one scale; each scale has its own (Wang et al. 2018, pix2pixHD).
    """

    def __init__(self, make: Callable[[], nn.Module], scales: int) -> None:
        super().__init__()
        if scales < 1:
            raise ValueError(f"a multi-scale discriminator needs at least 1 scale, not {scales}")
        self.scales = nn.ModuleList(make() for _ in range(scales))

    def forward(self, images: Tensor) -> list[Tensor]:
        scores = []
        for number, discriminator in enumerate(self.scales):
            if number:
                images = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
            scores.append(discriminator(images))
        return scores


def patch_discriminator(
    channels: int,
    filters: int = 64,
    layers: int = 3,
    normalisation: Normalisation = "instance",
    spectral: bool = False,
) -> PatchDiscriminator | PixelDiscriminator:
    """The discriminator with that many strided layers; with 0, the one that sees single pixels."""
    if layers == 0:
        return PixelDiscriminator(channels, filters, normalisation, spectral)
    return PatchDiscriminator(channels, filters, layers, normalisation, spectral)


def _conv4(channels_in: int, channels_out: int, stride: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 4, stride=stride, padding=1, bias=bias)


def _constrain(network: nn.Module) -> None:
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            spectral_norm(module)
