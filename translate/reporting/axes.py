"""Chart axes: map values to positions from 0 to 1 and choose round tick values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_DECADES = 3.0  # positive values that span more than this get a logarithmic axis


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with `low` < `high`, and both positive if it is logarithmic."""

    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False
    """Whether its values are counts, between which there is nothing to mark."""

    def place(self, value: float) -> float:
        """The position of `value`: 0 at `low`, 1 at `high`; -1 for values <= 0 on a logarithmic axis."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else -1.0
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int) -> list[float]:
        """About `about` round values on the axis."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first + 1) / about))
            return [10.0**power for power in range(first, last + 1, every)]
        step = max(_round_step((self.high - self.low) / about), float(self.whole))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def axis_of_steps(steps: Sequence[int]) -> Axis:
    """An axis from the first step to the last."""
    low, high = min(steps), max(steps)
    return Axis(low, high, whole=True) if low < high else Axis(low - 1, high + 1, whole=True)


def axis_of_values(values: Sequence[float]) -> Axis:
    """An axis for all values, with a margin: from 0 if they nearly reach it, logarithmic if they span decades."""
    low, high = min(values), max(values)
    if low > 0 and math.log10(high) - math.log10(low) > _DECADES:
        return Axis(low / 1.5, high * 1.5, logarithmic=True)
    air = (high - low) * 0.06 or abs(low) / 2 or 1.0
    if 0 <= low < high / 4:
        return Axis(0.0, high + air)
    return Axis(low - air, high + air)


def labelled(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with their labels: of four digits, or of as many as tell neighbours apart."""
    each = ([short(tick, digits) for tick in ticks] for digits in range(4, 16))
    labels = next((texts for texts in each if len(set(texts)) == len(ticks)), [short(tick) for tick in ticks])
    return list(zip(ticks, labels, strict=True))


def short(value: float, digits: int = 4) -> str:
    """The value as a tick label: 0.05, 12, 20k, 1.5M, 2e-05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}" if abs(value) < 1e13 else f"{value:.0e}"
    return f"{value:.{digits}g}"


def _round_step(step: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * (1 - 1e-9))
