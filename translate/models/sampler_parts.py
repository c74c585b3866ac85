"""Builds generators from noise and their discriminators from a recipe's settings, and draws the noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.models.parts import InitialisationSettings
from translate.networks.blocks import Normalisation, initialise
from translate.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from translate.networks.mlp import MLPDiscriminator, MLPGenerator
from translate.utils.settings import Settings

Noise = Literal["normal", "uniform"]


class MLPSettings(Settings):
    """A multi-layer perceptron, for images of any size and for points; with torch's default initial weights."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(512, ge=1)
    layers: int = Field(3, ge=0)
    """Number of hidden layers."""

    def generator(self, code: int, channels: int, size: int) -> MLPGenerator:
        return MLPGenerator(code, channels, size, self.width, self.layers)

    def discriminator(self, channels: int, size: int, labels: int, outputs: int) -> MLPDiscriminator:
        return MLPDiscriminator(channels, size, labels, outputs, self.width, self.layers)


class DCGANSettings(Settings):
    """DCGAN's convolutions, for images of 8, 16, 32, 64, ... pixels."""

    kind: Literal["dcgan"] = "dcgan"
    filters: int = Field(64, ge=1)
    normalisation: Normalisation = "batch"
    """Use none in a critic with a gradient penalty: batch norm would couple the images of a batch."""
    initialisation: InitialisationSettings = InitialisationSettings()

    def generator(self, code: int, channels: int, size: int) -> DCGANGenerator:
        self._require_fitting(size)
        network = DCGANGenerator(code, channels, size, self.filters, self.normalisation)
        initialise(network, self.initialisation.kind, self.initialisation.gain)
        return network

    def discriminator(self, channels: int, size: int, labels: int, outputs: int) -> DCGANDiscriminator:
        self._require_fitting(size)
        network = DCGANDiscriminator(channels, size, labels, outputs, self.filters, self.normalisation)
        initialise(network, self.initialisation.kind, self.initialisation.gain)
        return network

    @staticmethod
    def _require_fitting(size: int) -> None:
        if size < 8 or size & (size - 1):
            raise ConfigurationError(
                f"data.size is {size}, and DCGAN's networks take 8, 16, 32, 64, ... pixels: set data.size to one of "
                "these, or the `kind` of model.generator and model.discriminator (encoder, decoder) to mlp"
            )


NetworkSettings = Annotated[MLPSettings | DCGANSettings, Field(discriminator="kind")]
"""Settings of a generator or decoder, or of a discriminator or encoder: an encoder is a discriminator that returns a
code."""


def draw_noise(kind: Noise, count: int, width: int, like: nn.Module) -> Tensor:
    """Noise (count, width) from N(0, 1), or uniform in [-1, 1], with device and type of the weights of `like`."""
    weight = next(like.parameters())
    noise = torch.empty(count, width, device=weight.device, dtype=weight.dtype)
    return noise.normal_() if kind == "normal" else noise.uniform_(-1, 1)


@contextmanager
def fixed_rng(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Context in which random numbers follow from `seed`; restores the random state on exit."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
