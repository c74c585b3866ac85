"""Whether augmented pictures help: what a network scores that was trained without and with them, over several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from translate.evaluation.intervals import DRAWS, Estimate, redrawn
from translate.evaluation.table import Protocol, Score, score

HOW = "95 %, Student's t over seeds and bootstrap over test images, together"
Statistic = Callable[[Tensor], Tensor]
"""The score (...) of counts (..., what is counted), summed over test images."""


def share_right(counts: Tensor) -> Tensor:
    """Of (..., 2): how many labels were read right, and of how many."""
    return counts[..., 0] / counts[..., 1]


@dataclass(frozen=True)
class Compared:
    """What networks of each seed counted on each test image, float64 (seeds, images, ...), trained without and with
    the augmented pictures; all else is equal."""

    key: str
    """Of the measure in MEASURES."""
    statistic: Statistic
    without: Tensor
    augmented: Tensor
    factor: float = 1.0
    """To the unit of the measure."""

    def estimates(self) -> tuple[Estimate, Estimate, Estimate]:
        """Without, with, and the difference: with less without, of the same seeds and test images."""
        draws = redrawn(self.without.shape[1], DRAWS, seed=0)
        without, augmented = ((self._values(arm), self._drawn(arm, draws)) for arm in (self.without, self.augmented))
        difference = augmented[0] - without[0], augmented[1] - without[1]
        images = self.without.shape[1]
        first, second, third = (over_seeds(*of, images) for of in (without, augmented, difference))
        return first, second, third

    def scores(self, protocol: Protocol) -> list[Score]:
        """A row for each, and the seeds' own values in what is said of them."""
        rows = zip(("without", "with", "difference"), self.estimates(), strict=True)
        arms = (("without", self.without), ("with", self.augmented))
        each = {f"each seed, {name}": self._listed(arm) for name, arm in arms}
        return [score(self.key, name, value, protocol={**protocol, **each}) for name, value in rows]

    def verdict(self) -> str:
        """A sentence for people."""
        seeds, difference = len(self.without), self.estimates()[2]
        size = f"{difference.value:+.{self._decimals}f} ({difference.low:+.{self._decimals}f} to "
        size += f"{difference.high:+.{self._decimals}f})"
        if difference.low > 0:
            return f"the augmented pictures help: {size}, {seeds} seeds"
        if difference.high < 0:
            return f"the augmented pictures hurt: {size}, {seeds} seeds"
        return f"with and without the augmented pictures are not to be told apart at {seeds} seeds: {size}"

    @property
    def _decimals(self) -> int:
        return 1 if self.factor == 100 else 4

    def _listed(self, arm: Tensor) -> str:
        return ", ".join(f"{value:.{self._decimals}f}" for value in self._values(arm).tolist())

    def _values(self, arm: Tensor) -> Tensor:
        return self.statistic(arm.sum(1)) * self.factor

    def _drawn(self, arm: Tensor, draws: Tensor) -> Tensor:
        """The mean score over seeds of each draw of test images, (draws,)."""
        counted = torch.einsum("di,si...->ds...", draws, arm)
        return self.statistic(counted).mean(1) * self.factor


def over_seeds(values: Tensor, drawn: Tensor, images: int) -> Estimate:
    """The mean of one value a seed, (seeds,), with a 95 % interval for the seeds and for the choice of test images.

    `drawn` (draws,): the mean over seeds for bootstrap draws of test images, which are the same for all seeds. The two
    sources are independent, so the distances of the ends from the mean are added in squares (Zou and Donner 2008,
    Statistics in Medicine 27:1693): Student's t for the seeds, the bootstrap's percentiles for the images. Raises
    ValueError for a single seed, whose deviation nobody knows.
    """
    if len(values) < 2:
        raise ValueError("an interval over seeds needs two seeds or more")
    mean = float(values.mean())
    by_seeds = student_t(len(values) - 1) * float(values.std()) / math.sqrt(len(values))
    low, high = torch.quantile(drawn, drawn.new_tensor([0.025, 0.975])).tolist()
    return Estimate(
        mean, mean - math.hypot(mean - low, by_seeds), mean + math.hypot(high - mean, by_seeds), images, HOW
    )


def student_t(degrees: int) -> float:
    """The 97.5 % quantile of Student's t with so many degrees of freedom, to five digits: where the density's integral
    from 0 is .475."""
    constant = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)

    def integral(end: float) -> float:
        points = np.linspace(0, end, 20001)
        return float(np.trapezoid(constant * (1 + points**2 / degrees) ** (-(degrees + 1) / 2), points))

    low, high = 0.0, 16.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if integral(middle) < 0.475 else (low, middle)
    return (low + high) / 2


def compare(count: Callable[[bool, int], Tensor], seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What `count(augmented, seed)` finds, (images, ...) for each arm and seed, as the two tensors of `Compared`."""
    arms = [torch.stack([count(augmented, seed).double() for seed in seeds]) for augmented in (False, True)]
    return arms[0], arms[1]
