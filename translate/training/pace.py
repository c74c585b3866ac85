"""How long a run will take, said once, when its first steps have shown it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from translate.utils.printing import Log
from translate.utils.progress import clock_time

STEPS, _SLOW = 20, 4  # the first ones are slower: memory is claimed, kernels are chosen


class Pace:
    """Says after `STEPS` steps on `device` how long the rest of `total` takes, unless there is none."""

    def __init__(
        self, done: int, total: int, device: torch.device, log: Log, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._device, self._log, self._clock = total, device, log, clock
        self._from, self._to = done + _SLOW, done + STEPS

    def step(self, done: int) -> None:
        """To be called after every step, `done` of them in all."""
        if done == self._from:
            self._began = self._now()
        if done == self._to < self._total:
            seconds = (self._now() - self._began) / (STEPS - _SLOW) * (self._total - done)
            self._log(f"the {self._total - done:,} steps to go will take about {clock_time(seconds)} at this pace")

    def _now(self) -> float:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        return self._clock()
