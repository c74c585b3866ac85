"""SPADE's generator, and OASIS's: label maps shape an image at every size, by normalisation whose scale and shift
depend on the place (Park et al. 2019, Schönfeld et al. 2021)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.networks.blocks import BatchNorm2d, InstanceNorm2d, named
from translate.networks.settings import Generator, GeneratorSettings, require_multiple
from translate.utils.sides import Size

ShapedNormalisation = Literal["batch", "instance", "none"]
Layout = Literal["spade", "oasis"]
WIDTHS = (16, 16, 16, 8, 4, 2, 1)
"""Of the blocks, in multiples of the filters; where there are fewer blocks, the last ones."""


class SPADESettings(GeneratorSettings):
    """From the label map at its smallest size up: residual blocks, `levels` doublings between them."""

    kind: Literal["spade"] = "spade"
    filters: int = Field(64, ge=1)
    """Width of the last block, in channels; the first has up to 16 times as many."""
    levels: Literal[1, 2, 3, 4, 5, 6] = 5
    """How often maps are doubled: 5 as published for 256 pixels, 6 for more ("more upsampling layers")."""
    layout: Layout = "spade"
    """`spade`: seven blocks, whatever the levels; `oasis`: one more than levels, and a doubling before each but the
    first."""
    hidden: int = Field(128, ge=1)
    """Width of the small network that makes scale and shift of the label map, at each normalisation."""
    normalisation: ShapedNormalisation = "batch"
    """What is scaled and shifted; `batch` as published, of 32 images; with few, `instance` depends on no others."""

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> SPADEGenerator:
        require_multiple(
            size, 2**self.levels, f"SPADE generators of {self.levels} levels", "take fewer model.generator.levels"
        )
        return SPADEGenerator(channels_in, channels_out, **self.options)


class SPADEGenerator(Generator):
    """Maps the planes of label maps (batch, channels_in, height, width) to images (batch, channels_out, height, width)
    in [-1, 1].

    Planes are -1 or 1, as everywhere here, and 0 or 1 within, as published. Height and width must be multiples of
    `stride` = 2 ** levels. `options` are those of `SPADESettings`; raises ValueError for others.
    """

    def __init__(self, channels_in: int, channels_out: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = SPADESettings(**options)
        self.stride = 2**own.levels
        blocks = own.levels + 1 if own.layout == "oasis" else len(WIDTHS)
        widths = [own.filters * width for width in WIDTHS[-blocks:]]
        self.stem = _conv3(channels_in, widths[0])
        self.blocks = nn.ModuleList(
            SPADEBlock(*both, channels_in, own.hidden, own.normalisation) for both in pairwise([widths[0], *widths])
        )
        self.head = _conv3(widths[-1], channels_out)
        self._doubled_before = doublings(own.levels, blocks)

    def forward(self, images: Tensor) -> Tensor:
        planes = (images + 1) * 0.5
        coarsest = (images.shape[2] // self.stride, images.shape[3] // self.stride)
        features = self.stem(F.interpolate(planes, coarsest, mode="nearest"))
        for number, block in enumerate(self.blocks):
            if number in self._doubled_before:
                features = F.interpolate(features, scale_factor=2, mode="nearest")
            features = block(features, planes)
        return torch.tanh(self.head(F.leaky_relu(features, 0.2)))


def doublings(levels: int, blocks: int = len(WIDTHS)) -> set[int]:
    """The numbers of the blocks before which maps are doubled: the last ones, but with 5 of seven the second instead of
    the third, as published."""
    return {1, 3, 4, 5, 6} if (levels, blocks) == (5, 7) else set(range(blocks - levels, blocks))


class SPADEBlock(nn.Module):
    """A residual block whose convolutions, spectrally normalised, each follow a `SPADE` and LeakyReLU 0.2; the shortcut
    has its own where the width changes."""

    def __init__(self, width_in: int, width_out: int, planes: int, hidden: int, kind: ShapedNormalisation) -> None:
        super().__init__()
        middle = min(width_in, width_out)
        self.norm1, self.norm2 = (SPADE(width, planes, hidden, kind) for width in (width_in, middle))
        self.conv1, self.conv2 = (
            spectral_norm(_conv3(*widths)) for widths in ((width_in, middle), (middle, width_out))
        )
        self.norm_shortcut = SPADE(width_in, planes, hidden, kind) if width_in != width_out else None
        self.shortcut = spectral_norm(nn.Conv2d(width_in, width_out, 1, bias=False)) if self.norm_shortcut else None

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        planes = F.interpolate(planes, features.shape[2:], mode="nearest")
        inner = self.conv1(F.leaky_relu(self.norm1(features, planes), 0.2))
        inner = self.conv2(F.leaky_relu(self.norm2(inner, planes), 0.2))
        if self.norm_shortcut is not None and self.shortcut is not None:
            features = self.shortcut(self.norm_shortcut(features, planes))
        return features + inner


class SPADE(nn.Module):
    """Spatially adaptive normalisation: (1 + gamma) * normalised + beta, both maps made of the planes, which are
    as high and wide as the features (eq. 1, with 1 + gamma as released)."""

    def __init__(self, width: int, planes: int, hidden: int, kind: ShapedNormalisation) -> None:
        super().__init__()
        norms = {"batch": lambda: BatchNorm2d(width, affine=False), "instance": lambda: InstanceNorm2d(width)}
        self.norm = norms.get(kind, nn.Identity)()
        self.shared = named(conv=_conv3(planes, hidden), activation=nn.ReLU())
        self.gamma, self.beta = _conv3(hidden, width), _conv3(hidden, width)

    def forward(self, features: Tensor, planes: Tensor) -> Tensor:
        shared = self.shared(planes)
        return self.norm(features) * (1 + self.gamma(shared)) + self.beta(shared)


def _conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)
