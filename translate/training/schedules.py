"""Learning-rate schedules, each a pure function of the step: another one, with its settings, is added here alone."""

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from translate.utils.settings import Settings

Curve = Callable[[int], float]
"""Maps a step, from 0, to a factor in (0, 1] on the recipe's learning rate."""


def _known(name: str) -> str:
    if name not in SCHEDULES:
        raise ValueError(f"expected {', '.join(SCHEDULES)}")
    return name


def _choices(schema: JsonDict) -> None:
    schema["enum"] = [*SCHEDULES]


class ScheduleSettings(Settings):
    """Which schedule a recipe's learning rates follow, and the settings of all schedules."""

    schedule: Annotated[str, AfterValidator(_known)] = Field("linear", json_schema_extra=_choices)
    """How learning rates change over the run."""
    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of all steps at full learning rate before a linear or cosine decay."""
    halve_every: int = Field(100_000, ge=1)
    """Steps after which the schedule `halving` halves the learning rate."""
    cycles: int = Field(1, ge=1)
    """In how many equal parts of the run a cosine decay begins anew, at full rate."""
    warmup: int = Field(0, ge=0)
    """Steps in which learning rates rise in equal steps, from 0 before the first one; the schedule spans the others."""

    def curve(self, steps: int) -> Curve:
        warmup, schedule = self.warmup, SCHEDULES[self.schedule](self, steps - self.warmup)
        return lambda step: (step + 1) / warmup if step < warmup else schedule(step - warmup)


def _constant(settings: ScheduleSettings, steps: int) -> Curve:
    return lambda step: 1.0


def _linear(settings: ScheduleSettings, steps: int) -> Curve:
    """Stays at 1 for the share `decay_from` of all steps, then falls in equal steps towards 0, which it would reach one
    step after the last: no step has learning rate 0."""
    start = round(settings.decay_from * steps)
    return lambda step: 1.0 if step < start else (steps - step) / (steps - start + 1)


def _cosine(settings: ScheduleSettings, steps: int) -> Curve:
    """Falls over the same range as `_linear`, along half a cosine; of each of the `cycles` (Loshchilov and Hutter
    2017)."""
    part = max(1, -(-steps // settings.cycles))
    remaining = _linear(settings, part)

    def curve(step: int) -> float:
        within = step - part * min(step // part, settings.cycles - 1)
        return (1 - math.cos(math.pi * remaining(within))) / 2

    return curve


def _halving(settings: ScheduleSettings, steps: int) -> Curve:
    return lambda step: 0.5 ** (step // settings.halve_every)


SCHEDULES: dict[str, Callable[[ScheduleSettings, int], Curve]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "halving": _halving,
}
ONLY_OF = {"halve_every": "halving", "cycles": "cosine"}
"""Settings that have no effect with any other schedule, and are refused there when a command sets them."""
