"""Multi-layer perceptrons as generator and discriminator, for small images and for points in the plane.

A point is an image of one pixel with two channels, (batch, 2, 1, 1).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class MLPGenerator(nn.Module):
    """Maps codes (batch, code) to images (batch, channels, size, size) in [-1, 1], through `layers` layers of `width`
    units.

    ReLU after each, as in the original GAN's generator (Goodfellow et al. 2014, section 5), and tanh at the end.
    """

    def __init__(self, code: int, channels: int, size: int, width: int = 512, layers: int = 3) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.layers = perceptron(code, width, layers, channels * size * size, nn.ReLU())

    def forward(self, code: Tensor) -> Tensor:
        return torch.tanh(self.unbounded(code))

    def unbounded(self, code: Tensor) -> Tensor:
        """The image before the tanh. Twice this is the logit of a pixel (1 + tanh) / 2 in [0, 1]."""
        return self.layers(code).unflatten(1, self.shape)


class MLPDiscriminator(nn.Module):
    """Maps images (batch, channels, size, size), with `labels` (batch, labels) if there are any, to (batch, outputs):
    one logit, or an encoder's code. LeakyReLU 0.2 after each hidden layer."""

    def __init__(
        self, channels: int, size: int, labels: int = 0, outputs: int = 1, width: int = 512, layers: int = 3
    ) -> None:
        super().__init__()
        self.layers = perceptron(channels * size * size + labels, width, layers, outputs, nn.LeakyReLU(0.2))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        flat = images.flatten(1)
        return self.layers(flat if labels is None else torch.cat([flat, labels.to(flat.dtype)], 1))


def perceptron(inputs: int, width: int, layers: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    """`layers` hidden layers of `width` units, each followed by `activation`, and a linear layer to `outputs`."""
    hidden = [module for ends in pairwise([inputs, *[width] * layers]) for module in (nn.Linear(*ends), activation)]
    return nn.Sequential(*hidden, nn.Linear(width if layers else inputs, outputs))
