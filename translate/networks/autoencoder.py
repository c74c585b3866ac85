"""UNIT's auto-encoders, in parts that two domains can share (Liu et al. 2017; layers of the 2018 release).

An encoder is `Encoder` then `SharedBlocks`, a decoder `SharedBlocks` then `Decoder`; in 2018, none were shared. The
posterior is normal with deviation 1, so in training the code is the mean plus noise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.networks.blocks import Normalisation, PaddedConv2d, named
from translate.networks.resnet import ResidualBlock, conv7, stage
from translate.networks.settings import ImageNetworkSettings, InitialisationSettings
from translate.utils.sides import Size

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
        self, channels: int, filters: int = 64, downsamplings: int = 2, blocks: int = 4, normalised: Normalised = "all"
    ) -> None:
        super().__init__()
        outer: Normalisation = "instance" if normalised == "all" else "none"
        self.stride = 2**downsamplings
        self.code_channels = filters * self.stride
        widths = [filters * 2**level for level in range(downsamplings + 1)]
        self.stem = stage(conv7(channels, filters, bias=True, padding="reflect"), filters, outer)
        self.down = nn.Sequential(*(_down(narrow, wide, outer) for narrow, wide in pairwise(widths)))
        self.body = SharedBlocks(self.code_channels, blocks)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.down(self.stem(images)))


class SharedBlocks(nn.Sequential):
    """Residual blocks on codes (batch, channels, height, width) that keep their shape. With 0 blocks, the identity."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__(*(ResidualBlock(channels, "instance") for _ in range(blocks)))


class Decoder(nn.Module):
    """Maps codes (batch, filters * stride, height, width) to images (batch, channels, height * stride, ...) in [-1, 1].

    `blocks` residual blocks; `upsamplings` times a nearest-neighbour doubling and a 5x5 convolution to half the filters
    with layer norm (unless `normalised` is "blocks"); a 7x7 convolution; tanh. All with reflection padding.
    """

    def __init__(
        self, channels: int, filters: int = 64, upsamplings: int = 2, blocks: int = 4, normalised: Normalised = "all"
    ) -> None:
        super().__init__()
        self.stride = 2**upsamplings
        widths = [filters * 2**level for level in range(upsamplings + 1)]
        self.body = SharedBlocks(widths[-1], blocks)
        self.up = nn.Sequential(
            *(_up(wide, narrow, normalised == "all") for wide, narrow in pairwise(reversed(widths)))
        )
        self.head = conv7(filters, channels, bias=True, padding="reflect")

    def forward(self, codes: Tensor) -> Tensor:
        return torch.tanh(self.head(self.up(self.body(codes))))


class AutoencoderSettings(ImageNetworkSettings["CoupledAutoencoders"]):
    """Of the residual blocks in each auto-encoder, `share` are common to both domains."""

    filters: int = Field(64, ge=1)
    """Channels of the first layer; deeper ones have multiples of them."""
    downsamplings: int = Field(2, ge=0, le=6)
    """How often the encoder halves the image."""
    blocks: int = Field(4, ge=0)
    """Number of residual blocks of the encoder, and of the decoder."""
    share: int = Field(1, ge=0)
    """Number of blocks, the last of the encoders and the first of the decoders, that both domains share; 0 as in the
    2018 release."""
    alike: bool = False
    """Both domains start from the same weights (not published); otherwise colours may come out swapped."""
    normalised: Normalised = "all"
    """`blocks` normalises only the residual blocks' branches (COCOResGen2 of the 2017 release), so that an image's
    colours and contrast pass through; `all` is as in the 2018 release."""
    initialisation: InitialisationSettings = InitialisationSettings(kind="kaiming")

    @model_validator(mode="after")
    def _blocks_are_enough(self) -> AutoencoderSettings:
        if self.share > self.blocks:
            raise ValueError(f"share {self.share} is more than the {self.blocks} blocks there are")
        return self

    def build(self, channels: int, size: Size) -> CoupledAutoencoders:
        return CoupledAutoencoders(channels, channels, **self.options)

    def between(self, channels_a: int, channels_b: int) -> CoupledAutoencoders:
        """The auto-encoders of images of these channels, with their initial weights. Raises ConfigurationError if they
        cannot start alike."""
        if self.alike and channels_a != channels_b:
            raise ConfigurationError(
                f"model.autoencoder.alike: domains of {channels_a} and {channels_b} channels cannot start alike; set "
                "model.autoencoder.alike: false"
            )
        network = CoupledAutoencoders(channels_a, channels_b, **self.options)
        self.initialise(network)
        return network

    def initialise(self, network: CoupledAutoencoders) -> None:
        super().initialise(network)
        if self.alike:
            network.start_alike()


class CoupledAutoencoders(nn.Module):
    """E_a, G_a and E_b, G_b around a common code; domain 0 is a, 1 is b. Both use the inner `share` residual blocks.

    `options` are those of `AutoencoderSettings`. Raises ValueError for others.
    """

    def __init__(self, channels_a: int, channels_b: int, **options: Any) -> None:
        super().__init__()
        own, channels = AutoencoderSettings(**options), (channels_a, channels_b)
        shape = own.filters, own.downsamplings, own.blocks - own.share
        self.encoders = nn.ModuleList(Encoder(count, *shape, normalised=own.normalised) for count in channels)
        self.decoders = nn.ModuleList(Decoder(count, *shape, normalised=own.normalised) for count in channels)
        self.stride = 2**own.downsamplings
        self.code_channels = own.filters * self.stride
        self.shared_encoder = SharedBlocks(self.code_channels, own.share)
        self.shared_decoder = SharedBlocks(self.code_channels, own.share)

    def start_alike(self) -> None:
        """Copies a's own layers to b's, so that a translation starts as the decoded input, in its colours."""
        for a, b in (self.encoders, self.decoders):
            b.load_state_dict(a.state_dict())

    def encode(self, images: Tensor, domain: int) -> Tensor:
        """Mean codes (batch, code_channels, height / stride, width / stride) of images of that domain."""
        return self.shared_encoder(self.encoders[domain](images))

    def decode(self, codes: Tensor, domain: int) -> Tensor:
        """Decodes codes to images of that domain, in [-1, 1]."""
        return self.decoders[domain](self.shared_decoder(codes))

    def forward(self, images: Tensor, own: int, other: int) -> Tensor:
        """Translates images of domain `own` to domain `other`, without noise."""
        return self.decode(self.encode(images, own), other)


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
    has no gradient on constant maps; the results differ by 5e-6 of themselves where the deviation is 1, by 4.6e-2
    where it is 0.01.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)
        nn.init.uniform_(self.weight)


def _down(channels_in: int, channels_out: int, norm: Normalisation) -> nn.Sequential:
    conv = PaddedConv2d(channels_in, channels_out, 4, stride=2, padding=1, padding_mode="reflect")
    return stage(conv, channels_out, norm)


def _up(channels_in: int, channels_out: int, normalised: bool) -> nn.Sequential:
    return named(
        enlarge=nn.Upsample(scale_factor=2),
        conv=PaddedConv2d(channels_in, channels_out, 5, padding=2, padding_mode="reflect"),
        norm=LayerNorm2d(channels_out) if normalised else nn.Identity(),
        relu=nn.ReLU(),
    )


def _judging(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1)
    return named(conv=conv, activation=nn.LeakyReLU(0.2))
