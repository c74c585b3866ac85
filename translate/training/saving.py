"""Saves a run: its checkpoints, which of them is the best, and what can be saved after a failure."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from translate.errors import TranslateError
from translate.networks.weights_file import not_finite
from translate.training.checkpoint import folder_name, point, prune, save_checkpoint
from translate.training.measuring import Cadence, Measuring
from translate.training.records import Records
from translate.training.state import checkpoint_parts
from translate.training.trainer import Trainer


class Diverged(TranslateError):
    """The run was given up: its last state is of no use."""


class Saver:
    """Saves `trainer` into `checkpoints`, each with `facts`. All processes take part; the main one writes."""

    def __init__(
        self,
        checkpoints: Path,
        trainer: Trainer,
        cadence: Cadence,
        measuring: Measuring,
        records: Records,
        facts: Mapping[str, Any],
    ) -> None:
        self._checkpoints, self._trainer, self._cadence = checkpoints, trainer, cadence
        self._measuring, self._records, self._facts = measuring, records, facts
        self._saved: int | None = trainer.steps or None
        self._whole = True

    @property
    def newest(self) -> Path:
        """The folder of the last saved checkpoint."""
        return self._checkpoints / folder_name(self._saved or 0)

    def save(self) -> None:
        """Saves this step, unless it is saved already, and points to it if it is the best. Raises Diverged if a weight
        is not finite."""
        step, is_best = self._trainer.steps, self._measuring.note_best()
        with self.nothing_to_save_if_it_fails():
            if step != self._saved:
                self._write(step, self._finite_parts())
            if self._trainer.distributed.is_main:
                if is_best:
                    point(self._checkpoints, "best", step)
                self.prune()
            self._trainer.distributed.wait()
        self._saved = step

    def prune(self) -> None:
        """Removes old checkpoints, but for those that `cadence` keeps."""
        if self._trainer.distributed.is_main:
            prune(self._checkpoints, self._cadence.keep, self._cadence.keep_every)

    @contextmanager
    def nothing_to_save_if_it_fails(self) -> Iterator[None]:
        """Context for a step, or for writing a checkpoint: failed half way, they leave no state worth saving."""
        self._whole = False
        yield
        self._whole = True

    def save_and_say(self) -> str:
        """Saves this step, and returns words about it."""
        if self._trainer.steps == 0:
            return "before the first step; there was nothing to save"
        self.save()
        return f"after step {self._trainer.steps}; saved, continue with --resume"

    def rescue(self) -> str:
        """Saves, after a failure, what can be saved, and returns a line about it."""
        # Of several processes, the others wait for the next step and cannot save with this one.
        if not self._whole or self._trainer.distributed.size > 1:
            return f"the failed step cannot be saved; {self._last()}"
        try:
            return f"stopped {self.save_and_say()}"
        except Exception as error:  # a full disk fails again; what comes up is the first failure
            return f"stopped after step {self._trainer.steps}, which could not be saved ({error}); {self._last()}"

    def diverged(self, what: str, why: str = "") -> Diverged:
        """The error that gives the run up because `what` (a noun and its verb) not finite."""
        again = "Train again with a lower training.lr or with training.precision=float32"
        return Diverged(f"stopped after step {self._trainer.steps}{why}: {what} not finite; {self._last()}. {again}")

    def _last(self) -> str:
        return f"the last checkpoint is {self.newest}" if self._saved else "no checkpoint had been saved yet"

    def _finite_parts(self) -> dict[str, Mapping[str, Tensor]]:
        parts = checkpoint_parts(self._trainer)
        if not_finite(parts["model"]) or not_finite(parts["average"]):
            raise self.diverged("weights are")
        return parts

    def _write(self, step: int, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        if not self._trainer.distributed.is_main:
            return
        self._records.metrics.fsync()
        facts = {**self._facts, **self._measuring.facts(), "accumulate": self._trainer.accumulate}
        save_checkpoint(self._checkpoints, step, parts, facts)
