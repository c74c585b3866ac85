"""How often a run does what: logging, samples, validation, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cadence:
    """The total number of steps, how often each task is due, and which checkpoints to keep."""

    total: int
    log: int
    sample: int
    validate: int
    checkpoint: int
    keep: int
    keep_every: int | None = None

    def logs(self, step: int) -> bool:
        return self._due(step, self.log)

    def samples(self, step: int) -> bool:
        return self._due(step, self.sample)

    def validates(self, step: int) -> bool:
        return self._due(step, self.validate) or self.saves(step)

    def saves(self, step: int) -> bool:
        return self._due(step, self.checkpoint)

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self.total
