"""UVCGAN v2's generator: a U-Net with a vision transformer where it is narrowest, whose style modulates the way up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.networks.blocks import named
from translate.networks.resnet import changed
from translate.networks.settings import Generator, GeneratorSettings, require_multiple
from translate.utils.sides import Size

SLOPE = 0.01


class ViTUNetSettings(GeneratorSettings):
    """As many halvings as `widths`; attention is over the whole map that they leave, so its time grows with the square
    of an image's pixels."""

    kind: Literal["vit-unet"] = "vit-unet"
    widths: tuple[int, ...] = Field((48, 96, 192, 384), min_length=1, max_length=8)
    """Channels of each level, from the largest map to the smallest."""
    width: int = Field(384, ge=1)
    """Numbers of a token, which stands for one place of the smallest map."""
    heads: int = Field(6, ge=1)
    """Parts of a token that attend by themselves."""
    blocks: int = Field(12, ge=1)
    """Number of the transformer's blocks."""
    hidden: int = Field(1536, ge=1)
    """Width of the layer between the two of a block that look at one token at a time."""
    embedding: int = Field(384, ge=1)
    """Numbers that say where a token is."""

    residual: bool = False
    """Learns the change to the input (see `changed`), starting from no change: for small networks that begin with
    random weights. Not published."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not split width {self.width} into equal parts")
        if min(self.widths) < 1:
            raise ValueError("widths are numbers of channels, 1 or more")
        return self

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> ViTUNetGenerator:
        if self.residual and channels_in != channels_out:
            raise ConfigurationError(
                f"model.generator.residual keeps the channels, and cannot make {channels_out} of {channels_in}; set "
                "model.generator.residual: false"
            )
        levels = len(self.widths)
        require_multiple(size, 2**levels, f"vit-unets of {levels} levels", "take fewer model.generator.widths")
        return ViTUNetGenerator(channels_in, channels_out, **self.options)

    def initialise(self, network: Generator) -> None:
        super().initialise(network)
        if self.residual:
            nn.init.zeros_(network.get_parameter("head.weight"))


class ViTUNetGenerator(Generator):
    """Maps images (batch, channels_in, height, width) to images (batch, channels_out, height, width) in [-1, 1].

    As released (Torbunov et al. 2023, UVCGAN v2): no norms; each level of the way down keeps its map for the way up and
    halves it; the smallest map is looked at by a `Transformer`, whose style scales what the convolutions of the way up
    take. The release computes with images in [0, 1], and so does this between its first layer and the sigmoid of its
    last: images are mapped there and back. Height and width must be multiples of `stride`, 2 for each level; any are
    possible, for a token's place is a share of the map. `options` are those of `ViTUNetSettings`. Raises ValueError for
    others.
    """

    attends = True

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = ViTUNetSettings(**options)
        self.stride, self.residual = 2 ** len(own.widths), own.residual
        outer = [own.widths[0], *own.widths]
        self.stem = named(conv=_conv3(channels_in, outer[0]), activation=nn.LeakyReLU(SLOPE))
        self.down = nn.ModuleList(_looked_at(*widths) for widths in pairwise(outer))
        self.halve = nn.ModuleList(nn.Conv2d(width, width, 2, stride=2) for width in own.widths)
        self.transformer = Transformer(own.widths[-1], own)
        self.up = nn.ModuleList(ModulatedLevel(*widths, own.width) for widths in pairwise(outer))
        self.head = nn.Conv2d(outer[0], channels_out, 1)

    def forward(self, images: Tensor) -> Tensor:
        features, kept = self.stem((images + 1) / 2), []
        for down, halve in zip(self.down, self.halve, strict=True):
            kept.append(down(features))
            features = halve(kept[-1])
        features, style = self.transformer(features)
        for up in reversed(self.up):
            features = up(features, kept.pop(), style)
        made = self.head(features)
        # Twice a sigmoid less 1 is the tanh of half its logit, which a change is added to.
        return changed(images, made / 2) if self.residual else 2 * torch.sigmoid(made) - 1


class Transformer(nn.Module):
    """Maps features (batch, channels, height, width) to features of that shape, and a style (batch, width).

    A token for each place, told where it is, and one learned token after them all, which leaves as the style.
    """

    def __init__(self, channels: int, own: ViTUNetSettings) -> None:
        super().__init__()
        self.place = nn.Linear(2, own.embedding)
        self.enter = nn.Linear(channels + own.embedding, own.width)
        self.style = nn.Parameter(torch.randn(1, 1, own.width))
        self.blocks = nn.ModuleList(Block(own.width, own.heads, own.hidden) for _ in range(own.blocks))
        self.leave = nn.Linear(own.width, channels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, height, width = features.shape
        tokens = features.flatten(2).transpose(1, 2)
        places = torch.sin(self.place(_places(height, width, self.place.weight))).expand(batch, -1, -1)
        tokens = self.enter(torch.cat([places.to(tokens.dtype), tokens], 2))
        tokens = torch.cat([tokens, self.style.to(tokens.dtype).expand(batch, -1, -1)], 1)
        for block in self.blocks:
            tokens = block(tokens)
        left = self.leave(tokens[:, :-1]).transpose(1, 2)
        return left.reshape(batch, -1, height, width), tokens[:, -1]


class Block(nn.Module):
    """Maps tokens (batch, count, width) to as many: x + a * attention(LN x), then x + a * layers(LN x), with one
    learned factor for both, 0 to begin with (ReZero, Bachlechner et al. 2020)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = named(widen=nn.Linear(width, hidden), activation=nn.GELU(), narrow=nn.Linear(hidden, width))
        self.factor = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.factor * self._attention(self.norm1(tokens))
        return tokens + self.factor * self.layers(self.norm2(tokens))

    def _attention(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        parts = self.attend(tokens).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.merge(seen.transpose(1, 2).reshape(batch, count, width))


class ModulatedLevel(nn.Module):
    """Doubles features and joins them with what the way down kept of that size; two modulated convolutions bring them
    to the width of the level above."""

    def __init__(self, above: int, width: int, style: int) -> None:
        super().__init__()
        self.enlarge = named(resize=nn.Upsample(scale_factor=2), conv=_conv3(width, width))
        self.conv1, self.conv2 = ModulatedConv2d(2 * width, width, style), ModulatedConv2d(width, above, style)

    def forward(self, features: Tensor, kept: Tensor, style: Tensor) -> Tensor:
        features = torch.cat([self.enlarge(features), kept], 1)
        return F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(features, style), SLOPE), style), SLOPE)


class ModulatedConv2d(nn.Module):
    """A 3x3 convolution of features of which a style scales each channel, divided by the norm of the weights that it
    then has (Karras et al. 2020, eq. 1 to 3): m = 1 + a * affine(style), where a is learned and begins as 0. As
    released, the bias is divided, too."""

    def __init__(self, width_in: int, width_out: int, style: int) -> None:
        super().__init__()
        self.affine, self.factor = nn.Linear(style, width_in), nn.Parameter(torch.zeros(1))
        self.conv = _conv3(width_in, width_out)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        scale = 1 + self.factor * self.affine(style)
        squares = self.conv.weight.square().sum((2, 3))  # (out, in)
        norm = (squares * scale.to(squares.dtype).square()[:, None]).sum(2).add(1e-8).rsqrt()
        made = self.conv(features * scale[:, :, None, None].to(features.dtype))
        return made * norm[:, :, None, None].to(made.dtype)


def _looked_at(width_in: int, width: int) -> nn.Sequential:
    return named(
        conv1=_conv3(width_in, width),
        activation1=nn.LeakyReLU(SLOPE),
        conv2=_conv3(width, width),
        activation2=nn.LeakyReLU(SLOPE),
    )


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """Row and column of each place (height * width, 2), from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, side, device=like.device, dtype=like.dtype) for side in (height, width))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).flatten(0, 1)


def _conv3(width_in: int, width_out: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, 3, padding=1)
