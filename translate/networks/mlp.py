"""Multi-layer perceptrons as generator and discriminator, for small images and for points, (batch, 2, 1, 1)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.networks.settings import SampleGenerator, SamplerNetworkSettings


class MLPSettings(SamplerNetworkSettings):
    """A multi-layer perceptron, for images of any size and for points; with torch's default initial weights."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(512, ge=1)
    """Units of each hidden layer."""
    layers: int = Field(3, ge=0)
    """Number of hidden layers."""

    def generator(self, code: int, channels: int, size: int) -> MLPGenerator:
        return MLPGenerator(code, channels, size, **self.options)

    def discriminator(self, channels: int, size: int, labels: int, outputs: int) -> MLPDiscriminator:
        return MLPDiscriminator(channels, size, labels, outputs, **self.options)


class MLPGenerator(SampleGenerator):
    """Maps codes (batch, code) to images (batch, channels, size, size) in [-1, 1]. `options`: those of `MLPSettings`.

    ReLU after each, as in the original GAN's generator (Goodfellow et al. 2014, section 5), and tanh at the end.
    """

    def __init__(self, code: int, channels: int, size: int, **options: Any) -> None:
        super().__init__()
        own = MLPSettings(**options)
        self.shape = (channels, size, size)
        self.layers = perceptron(code, own.width, own.layers, channels * size * size, nn.ReLU())

    def unbounded(self, code: Tensor) -> Tensor:
        return self.layers(code).unflatten(1, self.shape)


class MLPDiscriminator(nn.Module):
    """Maps images (batch, channels, size, size), with `labels` (batch, labels) if there are any, to (batch, outputs):
    one logit, or an encoder's code. LeakyReLU 0.2 after each hidden layer."""

    def __init__(self, channels: int, size: int, labels: int = 0, outputs: int = 1, **options: Any) -> None:
        super().__init__()
        own = MLPSettings(**options)
        self.layers = perceptron(channels * size * size + labels, own.width, own.layers, outputs, nn.LeakyReLU(0.2))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        flat = images.flatten(1)
        return self.layers(flat if labels is None else torch.cat([flat, labels.to(flat.dtype)], 1))


def perceptron(inputs: int, width: int, layers: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    """`layers` hidden layers of `width` units, each followed by `activation`, and a linear layer to `outputs`."""
    hidden = [module for ends in pairwise([inputs, *[width] * layers]) for module in (nn.Linear(*ends), activation)]
    return nn.Sequential(*hidden, nn.Linear(width if layers else inputs, outputs))
