"""Projected discriminators: small ones on the mixed features of a frozen classifier (Sauer et al. 2021)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.errors import ConfigurationError, TranslateError
from translate.networks import blocks
from translate.networks.blocks import Normalisation, layer_by_layer, named
from translate.networks.pretrained import Stages, named_by, read_stages, standardised
from translate.networks.settings import DiscriminatorSettings
from translate.utils.sides import Size

HEADS = 4
_KEY = "model.discriminator.weights"


class ProjectedSettings(DiscriminatorSettings):
    """Four heads, each on the features of one stage of a frozen classifier, which channels and scales are mixed of."""

    kind: Literal["projected"] = "projected"
    weights: Path = Path("resnet18-f37072fd.pth")
    """File of the frozen classifier: a state dict of torchvision's ResNet-18 or VGG (without batch norm), or the folder
    of a classifier that `evaluate` keeps. Read only in training, which asks for the same file when it is resumed."""
    enlarged: int = Field(224, ge=0)
    """Smaller images are enlarged, until their shorter side has as many pixels, for the classifier; 224 as published, 0
    shows them as they are, which is quicker."""
    normalisation: Normalisation = "batch"
    """In the heads, after each convolution but the last; `batch` as published."""

    def build(self, channels: int, size: Size) -> ProjectedDiscriminator:
        if channels > 2 and channels % 3:
            raise ConfigurationError(
                f"model.discriminator.kind {self.kind}: its classifier sees grey or RGB images, or several RGB images "
                f"one by one, and {channels} channels are neither; set model.discriminator.kind: patch"
            )
        return ProjectedDiscriminator(channels, **self.options)


class ProjectedDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) in [-1, 1] to four maps of logits, finest first.

    `channels`: 1 for grey images, 2 for pairs of them; 3 for RGB, 6, 9, ... for several RGB images in one stack (an
    image beside its input): the classifier sees each by itself, and their features are mixed. Its file is read by
    `prepare`, before the first step, or with the first images; it is no part of the network, whose only weights are the
    heads. With them goes the file's SHA-256, so that no other file is taken when they go on learning. `options` are
    those of `ProjectedSettings`; raises ValueError for others.
    """

    file_seen: Tensor

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = ProjectedSettings(**options)
        self.images = channels // 3 if channels > 2 else channels
        widths = mixed_widths(own.filters)[1]
        self.heads = nn.ModuleList(
            _head(width, own.filters, HEADS - number, own.normalisation) for number, width in enumerate(widths)
        )
        self.register_buffer("file_seen", torch.zeros(32, dtype=torch.uint8))
        self._projection: Projection | None = None

    def forward(self, images: Tensor) -> list[Tensor]:
        return [head(features) for head, features in zip(self.heads, self._projected(images), strict=True)]

    def maps(self, images: Tensor) -> list[list[Tensor]]:
        """For each head, what each of its layers makes of the images, the logits last."""
        return [
            layer_by_layer(head.children(), features)
            for head, features in zip(self.heads, self._projected(images), strict=True)
        ]

    def prepare(self) -> None:
        """Reads the file of the classifier, unless it has been read. Raises ConfigurationError if it is missing or
        holds something else, and TranslateError if it would run code, or is not the one that the heads know."""
        if self._projection is None:
            stages = named_by(_KEY, read_stages, self.settings.weights)
            self._require_known(stages, self.file_seen)
            self._projection = Projection(stages, self.images, self.settings.filters)
            self.file_seen.copy_(torch.frombuffer(bytearray(stages.sha256), dtype=torch.uint8))

    def _projected(self, images: Tensor) -> list[Tensor]:
        self.prepare()
        assert self._projection is not None
        precision = torch.promote_types(images.dtype, torch.float32)
        return self._projection(self._shown(images.to(precision)))

    def _shown(self, images: Tensor) -> Tensor:
        """The images as the classifier is to see them: (batch * images, 3, height, width)."""
        batch, channels, height, width = images.shape
        apart = images.reshape(batch * self.images, channels // self.images, height, width)
        if min(height, width) < self.settings.enlarged:
            larger = self.settings.enlarged / min(height, width)
            apart = F.interpolate(apart, (round(height * larger), round(width * larger)), mode="bilinear")
        return standardised(apart)

    def _require_known(self, stages: Stages, known: Tensor) -> None:
        """Raises TranslateError if the heads have learnt from another file (`known`, 0 for none)."""
        seen = bytes(known.tolist())
        if any(seen) and seen != stages.sha256:
            raise TranslateError(
                f"{_KEY} {self.settings.weights}: not the file that these heads learnt from, whose SHA-256 begins with "
                f"{seen.hex()[:12]}; put that file in its place"
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        if self._projection and (saved := state_dict.get(f"{prefix}file_seen")) is not None:
            self._require_known(self._projection.stages, saved)
        super()._load_from_state_dict(state_dict, prefix, *others)


class Projection:
    """Maps images as the classifier takes them, `images` for each of a batch, to four maps of features (batch, width,
    height, width), finest first, each twice as large as the stage that it begins with (section 3.2).

    1x1 convolutions mix the channels of each of the last four stages; from the coarsest down, each is added to what
    comes from below, doubled, and mixed once more. All have random weights that never change, the same in every run.
    """

    def __init__(self, stages: Stages, images: int, filters: int) -> None:
        self.stages, self.images = stages, images
        rng = torch.Generator().manual_seed(0)
        across, over = mixed_widths(filters)
        seen = [images * width for width in stages.widths[-HEADS:]]
        self.channels = nn.ParameterList(_random(wide, narrow, rng) for wide, narrow in zip(across, seen, strict=True))
        self.scales = nn.ParameterList(_random(narrow, wide, rng) for narrow, wide in zip(over, across, strict=True))

    def __call__(self, images: Tensor) -> list[Tensor]:
        features = [self._together(one) for one in self.stages(images)[-HEADS:]]
        channels, scales = (list(weights.to(images)) for weights in (self.channels, self.scales))  # stay there
        mixed = [F.conv2d(one, weight) for one, weight in zip(features, channels, strict=True)]
        sizes = [(2 * mixed[0].shape[2], 2 * mixed[0].shape[3]), *(one.shape[2:] for one in mixed[:-1])]
        found: list[Tensor] = []
        for own, size, weight in zip(mixed[::-1], sizes[::-1], scales[::-1], strict=True):
            below = own + found[-1] if found else own
            larger = F.interpolate(below, size, mode="bilinear", align_corners=True)
            found.append(F.conv2d(larger, weight))
        return found[::-1]

    def _together(self, features: Tensor) -> Tensor:
        """The features of all images of a stack, one after another: (batch, images * width, height, width)."""
        return features.reshape(-1, self.images * features.shape[1], *features.shape[2:])


def mixed_widths(filters: int) -> tuple[list[int], list[int]]:
    """The channels of the four maps, finest first: mixed by themselves, and across scales, where all but the finest are
    halved."""
    across = [filters * 2**level for level in range(HEADS)]
    return across, [filters, *across[:-1]]


def _random(wide: int, narrow: int, rng: torch.Generator) -> nn.Parameter:
    weight = torch.randn(wide, narrow, 1, 1, generator=rng) * (2 / narrow) ** 0.5  # He et al. 2015, as published
    return nn.Parameter(weight, requires_grad=False)


def _head(width: int, filters: int, halvings: int, normalisation: Normalisation) -> nn.Sequential:
    """Convolutions of stride 2, so many that all heads end at the same size, and one to the logits; all spectrally
    normalised. Padded, where the release is not, so that small images leave logits, too."""
    widths = [width, *(8 * filters // 2**level for level in reversed(range(halvings)))]
    layers = [
        named(
            conv=spectral_norm(nn.Conv2d(narrow, wide, 4, stride=2, padding=1)),
            norm=blocks.normalisation(normalisation, wide),
            activation=nn.LeakyReLU(0.2),
        )
        for narrow, wide in pairwise(widths)
    ]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=2, bias=False)))
