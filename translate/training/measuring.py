"""Measures and shows the model where that is due after a step, and knows which step was the best so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translate.reporting.keys import current_validations, validation_key
from translate.training.best import Best
from translate.training.records import Records
from translate.training.settings import TrainingSettings
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

    @classmethod
    def of(cls, training: TrainingSettings, total: int) -> Cadence:
        return cls(
            total,
            log=training.log_every,
            sample=training.sample_every,
            validate=training.validate_every,
            checkpoint=training.checkpoint_every,
            keep=training.keep,
            keep_every=training.keep_every,
        )

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

    `before`, the facts of the checkpoint that the run goes on from, holds the last validation, and whether its last
    step is still `pending`: to be validated and sampled first. `best` knows the best step until then.
    """

    def __init__(
        self,
        trainer: Trainer,
        cadence: Cadence,
        validations: Sequence[Validation],
        records: Records,
        before: Mapping[str, Any],
        best: Best,
    ) -> None:
        self.validations, self.best = validations, best
        self.latest: Mapping[str, Mapping[str, float]] = current_validations(before.get("validation") or {})
        self.pending: bool = before.get("pending", False)
        self.improved = False
        """With patience, whether this step was validated, and better than all before: it is then saved."""
        self._trainer, self._cadence, self._records = trainer, cadence, records
        self._validated: int | None = None

    @property
    def ended(self) -> bool:
        """Whether all steps are taken, or patience has run out, and the last step is measured."""
        return not self.pending and (self._trainer.steps >= self._cadence.total or self.best.waited_enough)

    def facts(self) -> dict[str, Any]:
        """What `before` holds, as of now."""
        return {"validation": self.latest, "pending": self.pending, **self.best.facts()}

    def by_key(self) -> dict[str, float]:
        """The last validation, by the keys of metrics.jsonl."""
        return {validation_key(name, key): value for name, found in self.latest.items() for key, value in found.items()}

    def mark_due(self) -> None:
        """Notes, after a step, whether it is to be validated or sampled: what a signal cuts short is done on resume."""
        step = self._trainer.steps
        self.pending = self._cadence.validates(step) or self._cadence.samples(step)

    def catch_up(self) -> None:
        """Validates and samples this step, where that is due."""
        step, validates = self._trainer.steps, self._cadence.validates(self._trainer.steps)
        if validates:
            self._validate()
        patience = self.best.choice.patience
        improved = patience is not None and validates and self._improves()
        since = 0 if improved or patience is None else self.best.since + validates
        last = patience is not None and since >= patience
        if self._cadence.samples(step) or last:
            self._records.sample()
        # Not before: a signal may have ended this, to be done again.
        self.improved, self.best.since, self.pending = improved, since, False

    def _improves(self) -> bool:
        """Whether this step is better than all before, in the eyes of the main process, so that all act alike."""
        return bool(self._trainer.distributed.of_main(int(self.best.improved_by(self.latest))))

    def _validate(self) -> None:
        trainer = self._trainer
        with trainer.shown():
            self.latest = {each.name: each.measure(trainer.model, trainer.runtime) for each in self.validations}
        self._validated = trainer.steps
        for name, measures in self.latest.items():
            self._records.write({validation_key(name, measure): value for measure, value in measures.items()})

    def note_best(self) -> bool:
        """Notes this step as the best if its value, averaged over validations, is better than all before; returns
        whether it is. Without a value, such as without known truth, the latest step is the best."""
        is_best = not self.pending and self._is_better()
        if is_best:
            self.best.note(self._trainer.steps, self.latest)
            self._records.note_best(self.best.measured)
        return is_best

    def _is_better(self) -> bool:
        if not self.validations:
            return True
        # A step saved only because of a signal is not a candidate: an undisturbed run would not have saved it.
        candidate = self.improved or self._cadence.saves(self._trainer.steps)
        if self._validated != self._trainer.steps or not candidate:
            return False
        return self.best.choice.value(self.latest) is None or self.best.improved_by(self.latest)
