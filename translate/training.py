"""A training run from its first step to its last: steps, and what is written beside them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from translate.checkpoint import folder_name, point, prune, rank_part, save_checkpoint
from translate.data.batch import Batch
from translate.data.waiting import Waiting
from translate.errors import TranslateError
from translate.progress import Progress
from translate.resume import network_weights, own_state, training_state
from translate.tracking import MetricsLog, NoMetrics, Tracker, save_grid
from translate.trainer import Trainer
from translate.validation import Validation


class Interrupted(TranslateError):
    """A signal asked the run to stop; it saved and stopped. Exit code 128 + the signal's number."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}; saved, continue with --resume")
        self.exit_code = 128 + number


@dataclass(frozen=True)
class Cadence:
    """How many steps in all, and after how many each thing is due."""

    total: int
    log: int
    sample: int
    validate: int
    checkpoint: int
    keep: int


class TrainingRun:
    """The loop around `Trainer.step`. Everything it writes lies in `folder`.

    `batches` maps a step to the stream of batches from there on; `facts` goes into every checkpoint; `samples` is
    shown in every grid; `validations` holds what the model is measured by, and may be empty. `skip_limit` is how often
    in a row a turn may be skipped (see `Trainer`) until the run is given up, which is decided when losses are logged.
    Of several ranks all train, measure and sample, and the leader writes.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        batches: Callable[[int], Generator[Batch]],
        cadence: Cadence,
        *,
        facts: Mapping[str, Any],
        samples: Batch,
        validations: Sequence[Validation],
        tracker: Tracker,
        best: float | None = None,
        skip_limit: int = 20,
        quiet: bool = False,
    ) -> None:
        self.folder, self.trainer, self.batches, self.cadence = folder, trainer, batches, cadence
        self.facts, self.samples, self.validations, self.tracker = facts, samples, validations, tracker
        self.best, self.skip_limit, self.quiet, self.ranks = best, skip_limit, quiet, trainer.ranks
        self.checkpoints = folder / "checkpoints"
        self.metrics = MetricsLog(folder / "metrics.jsonl") if self.ranks.leads else NoMetrics()
        self.validation: dict[str, dict[str, float]] = {}
        self._saved: int | None = trainer.steps or None
        self._validated: int | None = None

    def go(self) -> None:
        """Trains to the last step. Raises Interrupted, after saving, when SIGINT or SIGTERM came, and TranslateError
        when a turn was skipped too often in a row."""
        trainer, total = self.trainer, self.cadence.total
        self.metrics.truncate_after(trainer.steps)
        if trainer.steps == 0:
            self._sample()
        label = f"training on {trainer.engine}"
        with (
            self.metrics,
            _signals() as signals,
            Progress(total, done=trainer.steps, unit="step", label=label, quiet=self.quiet) as bar,
            closing(self.batches(trainer.steps)) as stream,
        ):
            waiting = Waiting(stream)
            for batch in waiting:
                trainer.step(trainer.engine.place(batch))
                text = self._log(waiting.share) if self._due(self.cadence.log) else None
                bar.advance(1, text=text, images=len(batch) * self.ranks.size)
                if self._due(self.cadence.validate) or self._due(self.cadence.checkpoint):
                    self._validate()
                if self._due(self.cadence.sample):
                    self._sample()
                stop = self.ranks.largest(signals[0] if signals else 0)
                if self._due(self.cadence.checkpoint) or stop:
                    self._save()
                if stop:
                    raise Interrupted(stop, trainer.steps)
                if trainer.steps == total:
                    break

    @property
    def newest(self) -> Path:
        """The folder of the checkpoint that was saved last."""
        return self.checkpoints / folder_name(self._saved or 0)

    def _due(self, every: int) -> bool:
        return self.trainer.steps % every == 0 or self.trainer.steps == self.cadence.total

    def _log(self, waiting: float) -> str:
        """Losses and learning rates; the share of time that data was waited for goes to the tracker alone, for no
        time is the same in a resumed run's metrics."""
        losses = self.trainer.read_losses()
        rates = {f"learning rate/{name}": rate for name, rate in self.trainer.learning_rates().items()}
        skips = self.trainer.read_skips()
        self._write(losses | rates | {f"skipped steps/{turn}": skip.ever for turn, skip in skips.items() if skip.ever})
        for turn, skip in skips.items():
            if skip.in_a_row >= self.skip_limit:
                raise TranslateError(self._diverged(turn, skip.in_a_row))
        self.tracker.log(self.trainer.steps, {"data/waiting share": waiting})
        return "  ".join(f"{name} {value:.3f}" for name, value in losses.items()) + f"  waiting for data {waiting:.1%}"

    def _diverged(self, turn: str, times: int) -> str:
        reason = self._not_finite(f"turn '{turn}' was skipped {times} times in a row, because a loss or a gradient was")
        return f"stopped after step {self.trainer.steps}, as training.skip_limit is {self.skip_limit}: {reason}"

    def _not_finite(self, what: str) -> str:
        saved = f"the last checkpoint is {self.newest}" if self._saved else "no checkpoint had been saved yet"
        return f"{what} not finite; {saved}. Train anew with a lower training.lr or with training.precision float32"

    def _write(self, values: Mapping[str, float]) -> None:
        self.metrics.log(self.trainer.steps, values)
        self.tracker.log(self.trainer.steps, values)

    def _validate(self) -> None:
        with self._averaged():
            self.validation = {
                validation.name: validation.measure(self.trainer.model, self.trainer.engine)
                for validation in self.validations
            }
        self._validated = self.trainer.steps
        for name, measures in self.validation.items():
            self._write({f"validation {name}/{measure}": value for measure, value in measures.items()})

    def _sample(self) -> None:
        path = self.folder / "samples" / f"step-{self.trainer.steps:08d}.png"
        with self._averaged(), torch.no_grad(), self.trainer.engine.autocast():
            columns = self.trainer.model.show(self.samples)
        if self.ranks.leads:
            save_grid(path, columns)
        self.tracker.images(self.trainer.steps, "samples", path)

    def _save(self) -> None:
        step = self.trainer.steps
        if step == self._saved:
            return
        average = self.trainer.average
        self.trainer.share_losses()
        parts = {
            "model": network_weights(self.trainer),
            "average": average.values if average else {},
            "training": training_state(self.trainer),
        }
        if not all(_finite(parts[part]) for part in ("model", "average")):
            raise TranslateError(f"stopped after step {step}: {self._not_finite('weights are')}")
        for rank, state in enumerate(self.ranks.collect(own_state(self.trainer))[1:], start=1):
            parts[rank_part(rank)] = state
        is_best = self._is_best()
        if self.ranks.leads:
            self._write_checkpoint(step, parts, is_best)
        self.ranks.wait()
        self._saved = step

    def _write_checkpoint(self, step: int, parts: Mapping[str, Mapping[str, Tensor]], is_best: bool) -> None:
        self.metrics.fsync()
        facts = {**self.facts, "validation": self.validation, "best_l1": self.best}
        save_checkpoint(self.checkpoints, step, parts, facts)
        if is_best:
            point(self.checkpoints, "best", step)
        prune(self.checkpoints, self.cadence.keep)

    def _is_best(self) -> bool:
        """Whether this step's L1, averaged over validations, is the least yet; with no truth the best is the latest."""
        if not self.validations:
            return True
        if self._validated != self.trainer.steps:
            return False
        errors = [measures["l1"] for measures in self.validation.values() if "l1" in measures]
        if not errors:
            return True
        l1 = sum(errors) / len(errors)
        if self.best is not None and l1 >= self.best:
            return False
        self.best = l1
        return True

    def _averaged(self) -> Any:
        return self.trainer.average.applied() if self.trainer.average else nullcontext()


def _finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(value.isfinite().all()) for value in tensors.values())


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Within, SIGINT and SIGTERM are noted in the list that is yielded; a second one acts as it always does."""
    noted: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # only a program's main thread may listen
        before.clear()
    try:
        yield noted
    finally:
        restore()
