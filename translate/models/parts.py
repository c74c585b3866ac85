"""Builds generators and discriminators from a recipe's settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import nn

from translate.errors import ConfigurationError, TranslateError
from translate.losses.perceptual import PerceptualDistance
from translate.models.sizes import require_at_least
from translate.networks.autoencoder import Normalised
from translate.networks.blocks import Initialisation, Normalisation, Upsampling, initialise
from translate.networks.coupled import CoupledAutoencoders
from translate.networks.patchgan import MultiscaleDiscriminator, StridedDiscriminator, patch_discriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.weights_file import UnsafeFileError
from translate.utils.settings import Settings


class InitialisationSettings(Settings):
    """Initial weights: the published N(0, 0.02) by default."""

    kind: Initialisation = "normal"
    gain: float = Field(0.02, gt=0)


class ResnetSettings(Settings):
    """CycleGAN's generator: `downsamplings` strided convolutions, `blocks` residual blocks, and as many upsamplings."""

    kind: Literal["resnet"] = "resnet"
    filters: int = Field(64, ge=1)
    blocks: int = Field(9, ge=0)
    downsamplings: int = Field(2, ge=0, le=6)
    normalisation: Normalisation = "instance"
    dropout: bool = False
    upsampling: Upsampling = "transposed"
    residual: bool = False
    """Learns the change to the input, starting from no change: for small networks and similar domains."""
    checkpointing: bool = False
    """Recomputes activations in the backward pass instead of storing them: less memory, slower, same result."""
    initialisation: InitialisationSettings = InitialisationSettings()

    def build(self, channels: int, size: int) -> ResnetGenerator:
        # Instance norm and reflection padding both need maps of more than one pixel.
        least, fewer = 2 * 2**self.downsamplings, "take fewer model.generator.downsamplings"
        require_at_least(size, least, f"generators of {self.downsamplings} downsamplings", fewer)
        return ResnetGenerator(
            channels,
            channels,
            filters=self.filters,
            blocks=self.blocks,
            downsamplings=self.downsamplings,
            normalisation=self.normalisation,
            dropout=self.dropout,
            upsampling=self.upsampling,
            residual=self.residual,
            checkpointing=self.checkpointing,
        )


class UNetSettings(Settings):
    """pix2pix's generator; with `levels` null it halves the training size as often as possible, at most eight times."""

    kind: Literal["unet"] = "unet"
    filters: int = Field(64, ge=1)
    levels: int | None = Field(None, ge=2, le=12)
    normalisation: Normalisation = "batch"
    dropout: float = Field(0.5, ge=0, lt=1)
    dropout_placement: Literal["port", "paper"] = "port"
    upsampling: Upsampling = "transposed"
    checkpointing: bool = False
    """As for a ResNet."""
    initialisation: InitialisationSettings = InitialisationSettings()

    def build(self, channels: int, size: int) -> UNetGenerator:
        possible = int(math.log2(size & -size))
        levels = self.levels or max(2, min(8, possible))
        if levels > possible:
            fewer = f", or model.generator.levels to {possible} or less" if possible >= 2 else ""
            raise ConfigurationError(
                f"data.size is {size}, which a U-Net of {levels} levels cannot halve {levels} times; "
                f"set data.size to a multiple of {2**levels}{fewer}"
            )
        return UNetGenerator(
            channels,
            channels,
            filters=self.filters,
            levels=levels,
            normalisation=self.normalisation,
            dropout=self.dropout,
            dropout_placement=self.dropout_placement,
            upsampling=self.upsampling,
            checkpointing=self.checkpointing,
        )


GeneratorSettings = Annotated[ResnetSettings | UNetSettings, Field(discriminator="kind")]


class AutoencoderSettings(Settings):
    """UNIT's auto-encoders. Of the residual blocks in each, `share` are common to both domains."""

    filters: int = Field(64, ge=1)
    downsamplings: int = Field(2, ge=0, le=6)
    blocks: int = Field(4, ge=0)
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


class DiscriminatorSettings(Settings):
    """PatchGAN: `layers` strided layers see 1 (0 layers), 16, 34, 70 (3), 142 or 286 (5) pixels; one map per scale.

    `strided` is UNIT's: only strided layers and a 1x1 convolution, without normalisation.
    """

    kind: Literal["patch", "strided"] = "patch"
    filters: int = Field(64, ge=1)
    layers: int = Field(3, ge=0, le=5)
    normalisation: Normalisation = "instance"
    spectral: bool = False
    scales: int = Field(1, ge=1, le=4)
    initialisation: InitialisationSettings = InitialisationSettings()

    @model_validator(mode="after")
    def _strided_has_layers(self) -> DiscriminatorSettings:
        if self.kind == "strided" and self.layers < 1:
            raise ValueError(
                "a strided discriminator has at least 1 layer; kind: patch with 0 layers sees single pixels"
            )
        return self

    @property
    def least_size(self) -> int:
        """The smallest image side that leaves a logit."""
        # A patch discriminator's last two convolutions need a map of 3x3; reflection padding needs 2x2 before it.
        smallest = {"patch": 3 if self.layers else 1, "strided": 1}[self.kind] * 2**self.layers
        # Each further scale is half as large, rounded up.
        return int((smallest - 1) * 2 ** (self.scales - 1) + 1)

    def build(self, channels: int) -> nn.Module:
        def one() -> nn.Module:
            if self.kind == "strided":
                return StridedDiscriminator(channels, self.filters, self.layers, self.spectral)
            return patch_discriminator(
                channels,
                filters=self.filters,
                layers=self.layers,
                normalisation=self.normalisation,
                spectral=self.spectral,
            )

        return one() if self.scales == 1 else MultiscaleDiscriminator(one, self.scales)


def build_generator(
    settings: ResnetSettings | UNetSettings, channels: int, size: int
) -> ResnetGenerator | UNetGenerator:
    """Builds an initialised generator for images of `channels`, trained at `size` pixels."""
    network = settings.build(channels, size)
    initialise(network, settings.initialisation.kind, settings.initialisation.gain)
    if isinstance(network, ResnetGenerator) and network.residual:
        nn.init.zeros_(network.head.weight)
    return network


def build_discriminator(settings: DiscriminatorSettings, channels: int, size: int) -> nn.Module:
    """Builds an initialised discriminator for stacks of `channels`, trained at `size` pixels.

    Raises ConfigurationError if the images are too small to leave a logit.
    """
    fewer = "fewer model.discriminator.layers or scales"
    require_at_least(size, settings.least_size, f"discriminators of {settings.layers} layers", f"take {fewer}")
    network = settings.build(channels)
    initialise(network, settings.initialisation.kind, settings.initialisation.gain)
    return network


def build_autoencoders(settings: AutoencoderSettings, channels: int) -> CoupledAutoencoders:
    """Builds the initialised auto-encoders of both domains."""
    network = CoupledAutoencoders(
        channels,
        settings.filters,
        settings.downsamplings,
        settings.blocks,
        settings.share,
        normalised=settings.normalised,
    )
    initialise(network, settings.initialisation.kind, settings.initialisation.gain)
    if settings.alike:
        network.start_alike()
    return network


def perceptual_distance(key: str, weights: Path) -> PerceptualDistance:
    """The perceptual distance of the classifier in the file `weights`.

    Raises ConfigurationError if the file is missing or holds something else, and TranslateError if it would run code.
    """
    try:
        return PerceptualDistance(weights)
    except UnsafeFileError as error:
        raise TranslateError(f"model.{key}: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"model.{key}: {error}") from error
