"""Measures and shows the model where that is due after a step, and knows which step was the best so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translate.reporting.keys import current_validations, validation_key
from translate.training.records import Records
from translate.training.trainer import Trainer
from translate.training.validation import Validation


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


class Measuring:
    """Validates and samples `trainer`'s model, as often as `cadence` says.

    `before`, the facts of the checkpoint that the run goes on from, holds the last validation, the best step so far and
    its L1, and whether its last step is still `pending`: to be validated and sampled first.
    """

    def __init__(
        self,
        trainer: Trainer,
        cadence: Cadence,
        validations: Sequence[Validation],
        records: Records,
        before: Mapping[str, Any],
    ) -> None:
        self.validations = validations
        self.latest: Mapping[str, Mapping[str, float]] = current_validations(before.get("validation") or {})
        self.pending: bool = before.get("pending", False)
        self.best: int | None = before.get("best")
        self.best_l1: float | None = before.get("best_l1")
        self._trainer, self._cadence, self._records = trainer, cadence, records
        self._validated: int | None = None

    def facts(self) -> dict[str, Any]:
        """What `before` holds, as of now."""
        return {"validation": self.latest, "pending": self.pending, "best": self.best, "best_l1": self.best_l1}

    def mark_due(self) -> None:
        """Notes, after a step, whether it is to be validated or sampled: what a signal cuts short is done on resume."""
        step = self._trainer.steps
        self.pending = self._cadence.validates(step) or self._cadence.samples(step)

    def catch_up(self) -> None:
        """Validates and samples this step, where that is due."""
        if self._cadence.validates(self._trainer.steps):
            self._validate()
        if self._cadence.samples(self._trainer.steps):
            self._records.sample()
        self.pending = False

    def _validate(self) -> None:
        trainer = self._trainer
        with trainer.shown():
            self.latest = {each.name: each.measure(trainer.model, trainer.runtime) for each in self.validations}
        self._validated = trainer.steps
        for name, measures in self.latest.items():
            self._records.write({validation_key(name, measure): value for measure, value in measures.items()})

    def note_best(self) -> bool:
        """Notes this step as the best if its L1, averaged over validations, is the lowest so far; returns whether it
        is. Without known truth, the latest step is the best."""
        is_best = not self.pending and self._is_lowest()
        if is_best:
            self.best = self._trainer.steps
        return is_best

    def _is_lowest(self) -> bool:
        if not self.validations:
            return True
        # A step saved only because of a signal is not a candidate: an undisturbed run would not have saved it.
        if self._validated != self._trainer.steps or not self._cadence.saves(self._trainer.steps):
            return False
        errors = [error for measures in self.latest.values() if (error := _error(measures)) is not None]
        if not errors:
            return True
        l1 = sum(errors) / len(errors)
        if self.best_l1 is not None and l1 >= self.best_l1:
            return False
        self.best_l1 = l1
        return True


def _error(measures: Mapping[str, float]) -> float | None:
    """What the best step has least of: the L1 of images, what label maps lack of agreement; None without truth."""
    if "mean_iou" in measures:
        return 1 - measures["mean_iou"]
    return measures.get("l1")
