"""Numbers with 95 % intervals for the random choice of test images."""

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

DRAWS = 1000
_BOOTSTRAP = "95 %, bootstrap over images"
_NORMAL = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True)
class Estimate:
    """A value, the ends of its 95 % interval, and the number of images it is based on; `how` the interval was found,
    and a `warning` where the value may be wrong."""

    value: float
    low: float
    high: float
    images: int
    how: str = field(default="", compare=False)
    warning: str = field(default="", compare=False)

    def times(self, factor: float) -> Self:
        """The estimate in another unit; `factor` must be positive."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)

    @property
    def rest(self) -> Self:
        """What a share leaves of 1."""
        return replace(self, value=1 - self.value, low=1 - self.high, high=1 - self.low)


def wilson(hits: int, images: int) -> Estimate:
    """The share hits / images with Wilson's score interval (Wilson 1927).

    The interval stays within [0, 1] and has positive width even at 0 hits. Raises ValueError if there are no images, or
    hits are not within 0 to `images`.
    """
    if not 0 <= hits <= images or not images:
        raise ValueError(f"a share is of one image or more, not {hits} of {images}")
    share, z2 = hits / images, _NORMAL**2
    middle = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _NORMAL / (1 + z2 / images) * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    # At the ends the formula gives exactly 0 and 1, apart from rounding.
    low, high = 0.0 if hits == 0 else middle - half, 1.0 if hits == images else middle + half
    return Estimate(share, low, high, images, "95 %, Wilson")


def bootstrap_mean(values: Tensor, seed: int = 0) -> Estimate:
    """The mean of one value per image, (images,), with a percentile bootstrap interval."""
    return bootstrap_ratio(values, torch.ones_like(values), seed)


def bootstrap_ratio(sums: Tensor, counts: Tensor, seed: int = 0) -> Estimate:
    """sum(sums) / sum(counts), where each image has a sum over several readings and their count, both (images,).

    The bootstrap draws whole images, because readings of the same image are correlated. Raises ValueError without
    readings.
    """
    sums, counts = sums.double().cpu(), counts.double().cpu()
    if not counts.sum():
        raise ValueError("a mean needs at least one reading")
    sums, counts = sums[counts > 0], counts[counts > 0]
    drawn = redrawn(len(sums), DRAWS, seed)
    return estimate(float(sums.sum() / counts.sum()), (drawn @ sums) / (drawn @ counts), len(sums))


def redrawn(images: int, draws: int, seed: int) -> Tensor:
    """How often each image occurs when drawing as many as there are with replacement: (draws, images), float64."""
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)
    return torch.from_numpy(counts).double()


def estimate(value: float, drawn: Tensor, images: int) -> Estimate:
    """`value` with the 2.5th and 97.5th percentiles of `drawn` (draws,), the values of bootstrap draws."""
    drawn = drawn[drawn.isfinite()]  # a draw that repeats a single image has no pairs
    if not len(drawn):
        return Estimate(value, math.nan, math.nan, images, _BOOTSTRAP)
    low, high = torch.quantile(drawn, drawn.new_tensor([0.025, 0.975])).tolist()
    return Estimate(value, low, high, images, _BOOTSTRAP)
