"""UNIT for digits, assembled: two auto-encoders with a common code, and two discriminators that also classify.

As published, batch norm in shared parts sees both domains at once, so its statistics fit either.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from translate.networks.digits import (
    DigitCode,
    DigitCodeDecoder,
    DigitDecoder,
    DigitEncoder,
    DigitFront,
    DigitTrunk,
)


class Drawn(NamedTuple):
    """The auto-encoders' outputs for images a and b: `ab` is a translated to b; images (batch, channels, 32, 32).

    `mean` and `deviation` of the codes (2 * batch, code channels, 1, 1): those of a, then those of b.
    """

    aa: Tensor
    ab: Tensor
    ba: Tensor
    bb: Tensor
    mean: Tensor
    deviation: Tensor


class CoupledDigitAutoencoders(nn.Module):
    """Auto-encoders with each domain's own first and last layers around shared ones. Domain 0 is a, 1 is b."""

    def __init__(self, channels: int, filters: int = 96) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(DigitEncoder(channels, filters) for _ in "ab")
        self.code = DigitCode(filters)
        self.code_decoder = DigitCodeDecoder(filters)
        self.decoders = nn.ModuleList(DigitDecoder(channels, filters) for _ in "ab")

    def start_alike(self) -> None:
        """Copies a's own layers to b's, so that a translation starts as the decoded input."""
        for a, b in (self.encoders, self.decoders):
            b.load_state_dict(a.state_dict())

    def forward(self, a: Tensor, b: Tensor) -> Drawn:
        mean, deviation = self._codes(a, b)
        hidden = self._hidden(mean, deviation)
        as_a, as_b = self.decoders[0](hidden), self.decoders[1](hidden)
        return Drawn(as_a[: len(a)], as_b[: len(a)], as_a[len(a) :], as_b[len(a) :], mean, deviation)

    def swap(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Translates images of a to b, and images of b to a, from codes sampled as in `forward`."""
        hidden = self._hidden(*self._codes(a, b))
        return self.decoders[1](hidden[: len(a)]), self.decoders[0](hidden[len(a) :])

    def _codes(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.code(torch.cat([self.encoders[0](a), self.encoders[1](b)]))

    def _hidden(self, mean: Tensor, deviation: Tensor) -> Tensor:
        return self.code_decoder(mean + deviation * torch.randn_like(mean))

    def translate(self, images: Tensor, own: int, other: int) -> Tensor:
        """Translates images of domain `own` to domain `other`, from the mean of their codes."""
        mean, _ = self.code(self.encoders[own](images))
        return self.decoders[other](self.code_decoder(mean))


class CoupledDigitDiscriminators(nn.Module):
    """Discriminators with each domain's own first layer before a shared trunk with a score head and a class head."""

    def __init__(self, channels: int, filters: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.fronts = nn.ModuleList(DigitFront(channels, filters) for _ in "ab")
        self.trunk = DigitTrunk(filters, classes)

    def start_alike(self) -> None:
        """Copies a's own layer to b's, so that images of b are at first read like those of a."""
        self.fronts[1].load_state_dict(self.fronts[0].state_dict())

    def forward(self, images: Tensor, domain: int) -> tuple[Tensor, Tensor]:
        """Scores (batch, 1) and class logits (batch, classes) of images read as images of `domain`."""
        return self.trunk(self.fronts[domain](images))

    def features(self, images: Tensor, domain: int) -> Tensor:
        """The input of the heads, without dropout (batch, 32 * filters)."""
        return self.trunk.features(self.fronts[domain](images))
