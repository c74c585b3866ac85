"""StarGAN v2's networks: a generator steered by a style, and what makes, reads and judges styles (Choi et al. 2020).

Everywhere LeakyReLU 0.2, and residual blocks whose sum is divided by the root of 2, so that its variance stays. A 1x1
convolution and averaging 2x2 pixels, or repeating them, are the same in either order; here the cheaper one is taken.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.networks.blocks import InstanceNorm2d, initialise
from translate.networks.conv_as_matmul import Conv2d
from translate.networks.settings import Built, Options, require_multiple
from translate.utils.sides import Sides, Size

SLOPE = 0.2


class StyledGeneratorSettings(Options):
    """The generator, whose every upper layer takes the style."""

    section = "model.generator"
    filters: int = Field(64, ge=1)
    """Channels of the first layer; each level doubles them. As published, 16384 divided by the size: 64 at 256 px."""
    widest: int = Field(512, ge=1)
    """The most channels of a layer."""
    downsamplings: int = Field(4, ge=0, le=12)
    """How often the image is halved on the way in, and doubled on the way out: to 16 pixels, as published."""
    blocks: int = Field(2, ge=1)
    """Residual blocks at the smallest size on the way in, and as many with the style on the way out."""

    def build(self, channels: int, style: int) -> StyledGenerator:
        return drawn(StyledGenerator(channels, style, **self.options))


class MappingSettings(Options):
    """The mapping network, which makes styles of random numbers."""

    section = "model.mapping"
    latent: int = Field(16, ge=1)
    """How many random numbers a style is made of."""
    hidden: int = Field(512, ge=1)
    """Width of its layers."""

    def build(self, style: int, domains: int) -> MappingNetwork:
        return drawn(MappingNetwork(style, domains, **self.options))


class FunnelSettings(Options):
    """The style encoder, or the discriminator: a funnel from an image of one size to a vector."""

    filters: int = Field(64, ge=1)
    """Channels of the first layer; each level doubles them. As published, 16384 divided by the size."""
    widest: int = Field(512, ge=1)
    """The most channels of a layer."""
    layers: int = Field(6, ge=1, le=12)
    """How often the image is halved: to 4 pixels, as published. Both sides of data.size must be multiples of
    2 ** layers."""

    def require_size(self, size: Size, who: str, section: str) -> None:
        """Raises ConfigurationError for a size that cannot be halved so often."""
        require_multiple(size, 2**self.layers, f"{who} of {self.layers} layers", f"take fewer {section}.layers")

    def encoder(self, channels: int, style: int, domains: int, size: Size) -> StyleEncoder:
        self.require_size(size, "style encoders", "model.style_encoder")
        return drawn(StyleEncoder(channels, style, domains, size, **self.options))

    def discriminator(self, channels: int, domains: int, size: Size) -> DomainDiscriminator:
        self.require_size(size, "discriminators", "model.discriminator")
        return drawn(DomainDiscriminator(channels, domains, size, **self.options))


def drawn(network: Built) -> Built:
    """Draws the published initial weights, in place: He's by fan-in; biases 0, weights of norms 1."""
    initialise(network, "kaiming", gain=0.0)
    return network


class AdaptiveInstanceNorm2d(nn.Module):
    """(1 + gamma) IN(x) + beta, where a linear layer reads gamma and beta off the style (Huang and Belongie 2017)."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = InstanceNorm2d(channels)
        self.fc = nn.Linear(style, 2 * channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.fc(style)[:, :, None, None].chunk(2, 1)
        return self.norm(features) * (1 + gamma) + beta


class DownBlock(nn.Module):
    """Residual block without style; `norm`: affine instance norms before its convolutions; `down`: halves the size."""

    def __init__(self, channels_in: int, channels_out: int, norm: bool = False, down: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = (InstanceNorm2d(channels_in, affine=True) if norm else nn.Identity() for _ in range(2))
        self.conv1 = nn.Conv2d(channels_in, channels_in, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.shortcut = _shortcut(channels_in, channels_out)
        self.resized = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        inner = self.resized(self.conv1(F.leaky_relu(self.norm1(features), SLOPE)))
        inner = self.conv2(F.leaky_relu(self.norm2(inner), SLOPE))
        return (inner + self.shortcut(self.resized(features))) * 0.5**0.5


class StyledBlock(nn.Module):
    """Residual block whose norms take the style; `up`: doubles the size."""

    def __init__(self, channels_in: int, channels_out: int, style: int, up: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = (AdaptiveInstanceNorm2d(width, style) for width in (channels_in, channels_out))
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = _shortcut(channels_in, channels_out)
        self.resized = nn.Upsample(scale_factor=2, mode="nearest") if up else nn.Identity()

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        inner = self.conv1(self.resized(F.leaky_relu(self.norm1(features, style), SLOPE)))
        inner = self.conv2(F.leaky_relu(self.norm2(inner, style), SLOPE))
        return (inner + self.resized(self.shortcut(features))) * 0.5**0.5


class StyledGenerator(nn.Module):
    """Maps images (batch, channels, height, width) and styles (batch, style), or one for all, to images of that shape.

    Images are about [-1, 1]: there is no tanh, as published. Height and width must be multiples of `stride`. Without
    the skips under masks of face landmarks that the released code calls w_hpf, as published for animals. `options` are
    those of `StyledGeneratorSettings`.
    """

    def __init__(self, channels: int, style: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = StyledGeneratorSettings(**options)
        self.style, self.stride = style, 2**own.downsamplings
        widths = _widths(own.filters, own.widest, own.downsamplings)
        levels, inner = list(pairwise(widths)), widths[-1]
        self.stem = nn.Conv2d(channels, own.filters, 3, padding=1)
        self.encode = nn.Sequential(
            *(DownBlock(*level, norm=True, down=True) for level in levels),
            *(DownBlock(inner, inner, norm=True) for _ in range(own.blocks)),
        )
        self.decode = nn.ModuleList(
            [
                *(StyledBlock(inner, inner, style) for _ in range(own.blocks)),
                *(StyledBlock(wide, narrow, style, up=True) for narrow, wide in reversed(levels)),
            ]
        )
        self.norm = InstanceNorm2d(own.filters, affine=True)
        self.head = nn.Conv2d(own.filters, channels, 1)

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        features = self.encode(self.stem(images))
        for block in self.decode:
            features = block(features, style)
        made: Tensor = self.head(F.leaky_relu(self.norm(features), SLOPE))
        return made


class MappingNetwork(nn.Module):
    """Maps latents (batch, latent), from N(0, 1), to a style for every domain (batch, domains, style).

    Four layers are shared, and four are each domain's own. `options` are those of `MappingSettings`.
    """

    def __init__(self, style: int, domains: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = MappingSettings(**options)
        self.latent, hidden = own.latent, own.hidden
        self.shared = nn.Sequential(*_dense(self.latent, hidden), *_dense(hidden, hidden, 3))
        self.heads = nn.ModuleList(
            nn.Sequential(*_dense(hidden, hidden, 3), nn.Linear(hidden, style)) for _ in range(domains)
        )

    def forward(self, latents: Tensor) -> Tensor:
        features = self.shared(latents)
        return torch.stack([head(features) for head in self.heads], 1)


class Funnel(nn.Module):
    """Maps images (batch, channels, *size) to vectors (batch, width), by residual blocks without norms and a
    convolution over all that is left of the image."""

    def __init__(self, channels: int, size: Size, own: FunnelSettings) -> None:
        super().__init__()
        self.size = Sides.of(size)
        widths = _widths(own.filters, own.widest, own.layers)
        left = self.size.height // 2**own.layers, self.size.width // 2**own.layers
        self.width = widths[-1]
        self.stem = nn.Conv2d(channels, own.filters, 3, padding=1)
        self.down = nn.Sequential(*(DownBlock(*level, down=True) for level in pairwise(widths)))
        self.last = (Conv2d if left[0] == left[1] else nn.Conv2d)(self.width, self.width, left)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != self.size:
            height, width = images.shape[2:]
            raise ValueError(f"takes images of {'x'.join(map(str, self.size))}, not {height}x{width}")
        features = self.last(F.leaky_relu(self.down(self.stem(images)), SLOPE))
        return F.leaky_relu(features, SLOPE).flatten(1)


class StyleEncoder(nn.Module):
    """Maps images (batch, channels, *size) to the style that each would be of in every domain (batch, domains, style).
    `options` are those of `FunnelSettings`. Raises ValueError for images of another size."""

    def __init__(self, channels: int, style: int, domains: int, size: Size, **options: Any) -> None:
        super().__init__()
        self.settings = FunnelSettings(**options)
        self.funnel = Funnel(channels, size, self.settings)
        self.heads = nn.ModuleList(nn.Linear(self.funnel.width, style) for _ in range(domains))

    def forward(self, images: Tensor) -> Tensor:
        features = self.funnel(images)
        return torch.stack([head(features) for head in self.heads], 1)


class DomainDiscriminator(nn.Module):
    """Maps images (batch, channels, *size) to a score for every domain (batch, domains): real images of that domain,
    or not. `options` are those of `FunnelSettings`. Raises ValueError for images of another size."""

    def __init__(self, channels: int, domains: int, size: Size, **options: Any) -> None:
        super().__init__()
        self.settings = FunnelSettings(**options)
        self.funnel = Funnel(channels, size, self.settings)
        self.head = nn.Linear(self.funnel.width, domains)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.funnel(images))
        return scores


def _widths(first: int, widest: int, levels: int) -> list[int]:
    return [first if level == 0 else min(first * 2**level, widest) for level in range(levels + 1)]


def _shortcut(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1, bias=False)


def _dense(width_in: int, width_out: int, layers: int = 1) -> list[nn.Module]:
    return [part for _ in range(layers) for part in (nn.Linear(width_in, width_out), nn.ReLU())]
