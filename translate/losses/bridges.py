"""Bridges: random paths from an image (time 1) to its translation (time 0), which a network learns to walk back.

All are one Brownian bridge whose clock runs differently. By time t the path from the target x0 has gathered the
variance f(t), and by symmetry f(1 - t) lies between t and the source y:

    x_t  = (f(1 - t) x0 + f(t) y) / (f(1 - t) + f(t)) + deviation(t) * noise
    x_t' = x0 + f(t') / f(t) * (x_t - x0) + deviation(t, t') * noise                                 for t' < t

The network tells (x_t - x0) / unit(t), so that x0, which the second line needs, can be guessed from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from translate.losses.adversarial import full_precision
from translate.utils.one_of import OneOf
from translate.utils.settings import Settings

EARLIEST = 1e-3
"""No network is asked at an earlier time: a path without noise has nothing to tell at 0."""
Predict = Callable[[Tensor, Tensor], Tensor]
"""Maps images x_t (batch, channels, height, width) and their times (batch,) to answers of the images' shape."""


class BridgeSettings(Settings):
    """A path. Images are (batch, channels, height, width), times (batch,) in [0, 1], from the target to the source."""

    noisy: ClassVar[bool] = False
    """Whether points between the ends are random."""
    kind: str

    def gathered(self, time: Tensor) -> Tensor:
        """f(t): the variance between the target and time t, or what stands for it where there is no noise."""
        raise NotImplementedError

    def unit(self, time: Tensor) -> Tensor:
        """What the network's answers are measured in."""
        raise NotImplementedError

    def distance(self, answers: Tensor, wanted: Tensor) -> Tensor:
        """The loss, a scalar: the mean square, unless a path was published with another."""
        return F.mse_loss(full_precision(answers), full_precision(wanted))

    @property
    def share(self) -> float:
        """Of the path's noise, what a translation gets on its way."""
        return 0.0

    def point(self, target: Tensor, source: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """x_t, given noise from N(0, 1)."""
        before, behind = _planes(self.gathered(time)), _planes(self.gathered(1 - time))
        deviation = (before * behind / (before + behind)).sqrt() if self.noisy else 0.0
        return (behind * target + before * source) / (before + behind) + deviation * noise

    def wanted(self, point: Tensor, target: Tensor, time: Tensor) -> Tensor:
        """What the network is to answer at x_t."""
        return (point - target) / _planes(self.unit(time))

    def guess(self, point: Tensor, answer: Tensor, time: Tensor) -> Tensor:
        """The target, by an answer at x_t."""
        return point - _planes(self.unit(time)) * answer

    def nearer(self, point: Tensor, target: Tensor, noise: Tensor, time: Tensor, later: Tensor) -> Tensor:
        """x_t' at time t' < t, given x_t and the target: the bridge between the two."""
        before, left = _planes(self.gathered(time)), _planes(self.gathered(later))
        deviation = (left * (before - left) / before).sqrt() * self.share if self.noisy else 0.0
        return target + left / before * (point - target) + deviation * noise

    def walk(self, predict: Predict, source: Tensor, times: Sequence[float], noise: Callable[[], Tensor]) -> Tensor:
        """The translation in [-1, 1] of source images: from the first of `times`, which fall, to the last, and from
        there at once to the target. The network is asked once at each."""
        point = source
        for now, later in pairwise((*times, None)):
            time = source.new_full(source.shape[:1], now or 0.0)
            target = self.guess(point, predict(point, time), time).clamp(-1, 1)
            if later is not None:
                point = self.nearer(point, target, noise(), time, torch.full_like(time, later))
        return target


class NoisyBridge(BridgeSettings):
    """A path with noise, so that an input has many translations."""

    noisy: ClassVar[bool] = True
    eta: float = Field(1.0, ge=0)
    """Share of its noise that a translation gets on its way: 1 as published; 0 (I2SB's OT-ODE) for one answer only."""

    @property
    def share(self) -> float:
        return self.eta


class Brownian(NoisyBridge):
    """BBDM (Li et al. 2023): f grows evenly, from .001 to .999 of its whole; answers are x_t - x0, compared by L1."""

    kind: Literal["brownian"] = "brownian"
    variance: float = Field(1.0, gt=0)
    """Of the noise: half-way it has the deviation sqrt(variance / 2). 1 as published, 0.05 to 0.25 where input and
    target are much alike."""

    def gathered(self, time: Tensor) -> Tensor:
        return 2 * self.variance * (0.001 + 0.998 * time)

    def unit(self, time: Tensor) -> Tensor:
        return torch.ones_like(time)

    def distance(self, answers: Tensor, wanted: Tensor) -> Tensor:
        return F.l1_loss(full_precision(answers), full_precision(wanted))


class Schrodinger(NoisyBridge):
    """I2SB (Liu et al. 2023): f sums up rates that rise to the middle and fall again, and answers are measured in its
    root."""

    kind: Literal["schrodinger"] = "schrodinger"
    beta_max: float = Field(0.3, gt=0)
    """`intervals` times the rate to which the rise would come at its end; as released, the middle is half-way there."""
    intervals: int = Field(1000, ge=2)
    """How many rates the rise has."""

    def gathered(self, time: Tensor) -> Tensor:
        count, middle = time * (self.intervals - 1) + 1, self.intervals // 2
        falling = 2 * self._sum(torch.full_like(time, middle)) - self._sum((self.intervals - count).clamp(min=0))
        return torch.where(count <= middle, self._sum(count), falling)

    def _sum(self, count: Tensor) -> Tensor:
        """The sum of the first rates (a + d j) ** 2, in closed form, so that there are times between them, too."""
        first, last = 1e-4**0.5, (self.beta_max / self.intervals) ** 0.5
        rise = (last - first) / (self.intervals - 1)
        squares = (count - 1) * count * (2 * count - 1) / 6
        sums: Tensor = count * first**2 + first * rise * count * (count - 1) + rise**2 * squares
        return sums

    def unit(self, time: Tensor) -> Tensor:
        return self.gathered(time).sqrt()


class Flow(BridgeSettings):
    """Rectified flow between images (Liu et al. 2023): straight lines without noise, whose velocity is y - x0. One
    answer to an input."""

    kind: Literal["flow"] = "flow"

    def gathered(self, time: Tensor) -> Tensor:
        return time

    def unit(self, time: Tensor) -> Tensor:
        return time


BRIDGES: dict[str, type[BridgeSettings]] = {"brownian": Brownian, "schrodinger": Schrodinger, "flow": Flow}
Bridge = Annotated[BridgeSettings, OneOf(BRIDGES, default="brownian")]


def evenly(steps: int) -> list[float]:
    """The times at which a translation in so many steps asks the network: 1, 1 - 1 / steps, ..., 1 / steps."""
    return [1 - step / steps for step in range(steps)]


def _planes(values: Tensor) -> Tensor:
    return values[:, None, None, None]
