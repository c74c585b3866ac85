"""The generator of CycleGAN: strided convolutions, residual blocks, upsampling (Johnson et al. 2016)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.networks import blocks
from translate.networks.blocks import Normalisation, PaddedConv2d, Padding, Upsampling, continued, named, needs_bias
from translate.networks.recompute import recomputed
from translate.networks.settings import Generator, GeneratorSettings, require_at_least
from translate.utils.sides import Size

_COMPARED = (0, 4)
"""The residual blocks whose outputs are `features`: the first and the fifth, or the last of fewer (CUT's code)."""


class ResnetSettings(GeneratorSettings):
    """`downsamplings` strided convolutions, `blocks` residual blocks, and as many upsamplings."""

    kind: Literal["resnet"] = "resnet"
    filters: int = Field(64, ge=1)
    """Width of the first layer, in channels; deeper ones have multiples of it."""
    blocks: int = Field(9, ge=0)
    """Number of residual blocks: 9 for 256 pixels, 6 for 128, as published."""
    downsamplings: int = Field(2, ge=0, le=12)
    """How often the image is halved on the way in, and doubled on the way out."""
    normalisation: Normalisation = "instance"
    """After each convolution but the last; `instance` as published."""
    dropout: bool = False
    """Dropout of 0.5 in each residual block."""
    upsampling: Upsampling = "transposed"
    """How maps are enlarged. `blur` is CUT's anti-aliased network, whose downsampling blurs too."""
    padding: Padding = "reflect"
    """How borders are filled: that of the 7x7 convolutions and the residual blocks."""
    residual: bool | Literal["last"] = False
    """Learns the change to the input (see `changed`), starting from no change: for small networks and similar domains,
    where it preserves what need not change. `last`: the change to the last of several images in, such as the newest
    frame of a clip. Not published."""
    checkpointing: bool = False
    """Recomputes activations in the backward pass instead of storing them: less memory, slower, same result."""

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> ResnetGenerator:
        # Instance norm and reflection padding both need maps of more than one pixel.
        least, fewer = 2 * 2**self.downsamplings, "take fewer model.generator.downsamplings"
        require_at_least(size, least, f"generators of {self.downsamplings} downsamplings", fewer)
        if self.residual == "last" and channels_in % channels_out:
            raise ConfigurationError(
                f"model.generator.residual: last changes the last of several images of {channels_out} channels, and "
                f"{channels_in} channels are none; set model.generator.residual: false"
            )
        if self.residual is True and channels_in != channels_out:
            raise ConfigurationError(
                f"model.generator.residual keeps the channels, and cannot make {channels_out} of {channels_in}; set "
                "model.generator.residual: false"
            )
        return ResnetGenerator(channels_in, channels_out, **self.options)

    def initialise(self, network: Generator) -> None:
        super().initialise(network)
        if self.residual:
            nn.init.zeros_(network.get_parameter("head.weight"))


class ResnetGenerator(Generator):
    """Maps images (batch, channels_in, height, width) to images (batch, channels_out, height, width) in [-1, 1].

    A 7x7 convolution to f filters, `downsamplings` convolutions of stride 2 that each double the filters, `blocks`
    residual blocks, as many upsamplings, a 7x7 convolution, tanh (Zhu et al. 2017, appendix 7.2). Height and width must
    be multiples of `stride`, and at least 2 * `stride`: reflection needs two pixels. `options` are those of
    `ResnetSettings`. Raises ValueError for others, and for `residual` with `channels_in` different from
    `channels_out`.

    Its `features` are those that CUT compares (Park et al. 2020, appendix C.2): the padded images, the convolutions on
    the way down before they are normalised (and blurred), the first residual block and the fifth.
    """

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = ResnetSettings(**options)
        if own.residual is True and channels_in != channels_out:
            raise ValueError(f"a residual generator keeps the channels: {channels_in} in, {channels_out} out")
        self.residual, self.padding, self.checkpointing = own.residual, own.padding, own.checkpointing
        self.stride = 2**own.downsamplings
        norm, upsampling, padding = own.normalisation, own.upsampling, own.padding
        widths = [own.filters * 2**level for level in range(own.downsamplings + 1)]
        levels = list(pairwise(widths))
        self.stem = stage(conv7(channels_in, own.filters, needs_bias(norm), padding), own.filters, norm)
        self.down = nn.Sequential(*(halving(narrow, wide, norm, upsampling) for narrow, wide in levels))
        self.body = nn.Sequential(*(ResidualBlock(widths[-1], norm, padding, own.dropout) for _ in range(own.blocks)))
        self.up = nn.Sequential(*(doubling(wide, narrow, norm, upsampling) for narrow, wide in reversed(levels)))
        self.head = conv7(own.filters, channels_out, bias=True, padding=padding)
        self.compared = sorted({min(number, own.blocks - 1) for number in _COMPARED if own.blocks})
        self._inside = max(self.compared, default=-1) + 1  # so many blocks, none behind the last that is compared
        self.feature_channels = channels_in, *widths[1:], *(widths[-1] for _ in self.compared)

    def forward(self, images: Tensor) -> Tensor:
        if self.checkpointing and self.training:
            features = images
            for part in (self.stem, *self.down, *self.body, *self.up):
                features = recomputed(part, features)
        else:
            features = self.up(self.body(self.down(self.stem(images))))
        return self._made(images, features)

    def features(self, images: Tensor) -> list[Tensor]:
        return self._encoded(images)[1]

    def with_features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        inner, compared = self._encoded(images)
        for part in (*self.body[self._inside :], *self.up):
            inner = self._through(part, inner)
        return self._made(images, inner), compared

    def _encoded(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the last block that is compared gives, and all that is compared."""
        compared = [continued(images, 3, "constant" if self.padding == "zeros" else self.padding)]
        inner = self._through(self.stem, images)
        for level in self.down:
            conv, *rest = level.children()
            compared.append(conv(inner))
            inner = self._through(nn.Sequential(*rest), compared[-1])
        for number in range(self._inside):
            inner = self._through(self.body[number], inner)
            if number in self.compared:
                compared.append(inner)
        return inner, compared

    def _through(self, part: nn.Module, features: Tensor) -> Tensor:
        return recomputed(part, features) if self.checkpointing and self.training else part(features)

    def _made(self, images: Tensor, features: Tensor) -> Tensor:
        """The images that the last features become; `images` went in."""
        fakes = self.head(features)
        if not self.residual:
            return torch.tanh(fakes)
        # Not sliced where all planes are meant: maps that are processed in bands have no rule for it.
        last = images if images.shape[1] == fakes.shape[1] else images[:, -fakes.shape[1] :]
        return changed(last, fakes)


class ResidualBlock(nn.Module):
    """x + norm(conv(dropout(relu(norm(conv(x)))))). With `bias` None, `needs_bias` decides."""

    def __init__(
        self,
        channels: int,
        normalisation: Normalisation,
        padding: Padding = "reflect",
        dropout: bool = False,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        bias = needs_bias(normalisation) if bias is None else bias
        self.conv1 = PaddedConv2d(channels, channels, 3, padding=1, padding_mode=padding, bias=bias)
        self.norm1 = blocks.normalisation(normalisation, channels)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.5) if dropout else nn.Identity()
        self.conv2 = PaddedConv2d(channels, channels, 3, padding=1, padding_mode=padding, bias=bias)
        self.norm2 = blocks.normalisation(normalisation, channels)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.dropout(self.relu(self.norm1(self.conv1(features))))
        return features + self.norm2(self.conv2(inner))


def conv7(channels_in: int, channels_out: int, bias: bool, padding: Padding) -> nn.Conv2d:
    """The 7x7 convolution at either end of a generator, which keeps the size."""
    return PaddedConv2d(channels_in, channels_out, 7, padding=3, padding_mode=padding, bias=bias)


def stage(conv: nn.Module, channels: int, norm: Normalisation) -> nn.Sequential:
    """A convolution to `channels`, normalisation, ReLU."""
    # Not in place: a ReLU that overwrites a normalisation's output makes autograd copy it.
    return named(conv=conv, norm=blocks.normalisation(norm, channels), relu=nn.ReLU())


def changed(images: Tensor, change: Tensor) -> Tensor:
    """tanh(change + atanh(0.99 images)), in float32 or better and [-1, 1]; for a change of 0, 0.99 times the images."""
    precision = torch.promote_types(change.dtype, torch.float32)
    # 0.99, because the inverse of tanh is infinite at -1 and 1.
    return torch.tanh(change.to(precision) + torch.atanh(images.to(precision) * 0.99))


def halving(channels_in: int, channels_out: int, norm: Normalisation, upsampling: Upsampling) -> nn.Sequential:
    """The stage of a 3x3 convolution that halves height and width; see `ResnetSettings.upsampling`."""
    blurred = upsampling == "blur"
    conv = nn.Conv2d(channels_in, channels_out, 3, 1 if blurred else 2, padding=1, bias=needs_bias(norm))
    layers = stage(conv, channels_out, norm)
    if blurred:
        layers.append(blocks.BlurPool2d())
    return layers


def doubling(channels_in: int, channels_out: int, norm: Normalisation, upsampling: Upsampling) -> nn.Sequential:
    """The stage of a convolution that doubles height and width."""
    conv = blocks.upsampling_conv(upsampling, channels_in, channels_out, needs_bias(norm))
    return stage(conv, channels_out, norm)
