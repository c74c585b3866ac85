"""Axes: where a value stands between 0 and 1, and the round values to mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_DECADES = 3.0  # positive values spread over more than this stand on a logarithmic axis


@dataclass(frozen=True)
class Axis:
    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else -1.0
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int) -> list[float]:
        """Round values on the axis, some `about` of them."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first + 1) / about))
            return [10.0**power for power in range(first, last + 1, every)]
        step = _round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def axis_of_steps(steps: Sequence[int]) -> Axis:
    """From the first step to the last."""
    low, high = min(steps), max(steps)
    return Axis(low, high) if low < high else Axis(low - 1, high + 1)


def axis_of_values(values: Sequence[float]) -> Axis:
    """All values and a little air; from 0 where they nearly reach it, logarithmic where they span decades."""
    low, high = min(values), max(values)
    if low > 0 and math.log10(high) - math.log10(low) > _DECADES:
        return Axis(low / 1.5, high * 1.5, logarithmic=True)
    air = (high - low) * 0.06 or abs(low) / 2 or 1.0
    if 0 <= low < high / 4:
        return Axis(0.0, high + air)
    return Axis(low - air, high + air)


def short(value: float) -> str:
    """For tick marks: 0.05, 12, 20k, 1.5M, 2e-05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}" if abs(value) < 1e13 else f"{value:.0e}"
    return f"{value:.4g}"


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * (1 - 1e-9))
