"""A training run from first step to last: the steps, and what is written alongside them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from translate.data.batch import Batch
from translate.errors import TranslateError
from translate.networks.weights_file import not_finite
from translate.reporting.tracking import MetricsLog, NoMetrics, Tracker, read_metrics, save_grid
from translate.training.cadence import Cadence
from translate.training.checkpoint import folder_name, point, prune, save_checkpoint
from translate.training.diagnostics import Diagnostics
from translate.training.first_steps import FirstSteps
from translate.training.pace import Pace
from translate.training.prefetch import prefetch
from translate.training.state import checkpoint_parts
from translate.training.trainer import Trainer
from translate.training.validation import Validation
from translate.utils.printing import Log, say
from translate.utils.progress import Progress
from translate.utils.signals import Interrupted, Signals, Stop


class Diverged(TranslateError):
    """The run was given up: to go on from its last state would be of no use."""


class TrainingRun:
    """The loop around `Trainer.step`. Everything it writes is in `folder`.

    `batches` maps a step to the stream of batches from there on; `facts` goes into every checkpoint; `samples` is shown
    in every grid and examined by the doctor; `validations`, possibly empty, measure the model. A resumed run receives
    what its checkpoint knew: the last `validation`, the `best` one so far and its step, and `pending` if it was saved
    before its last step was validated and sampled, which it then does first. `skip_limit` is how many times in a row a
    turn may be skipped (see `Trainer`) before the run is given up; this is checked when losses are logged. All ranks
    train, measure, sample and examine alike; only the leader writes.
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
        signals: Signals,
        log: Log,
        validation: Mapping[str, Mapping[str, float]] | None = None,
        best: float | None = None,
        best_step: int | None = None,
        pending: bool = False,
        skip_limit: int = 20,
        quiet: bool = False,
    ) -> None:
        self.folder, self.trainer, self.batches, self.cadence = folder, trainer, batches, cadence
        self.facts, self.samples, self.validations, self.tracker = facts, samples, validations, tracker
        self.signals, self.pending, self.quiet = signals, pending, quiet
        self.validation, self.best, self.best_step = validation or {}, best, best_step
        self.skip_limit, self.distributed = skip_limit, trainer.distributed
        self.checkpoints = folder / "checkpoints"
        self.metrics = MetricsLog(folder / "metrics.jsonl") if self.distributed.is_main else NoMetrics()
        self.metrics.keep(self._came_before)
        self.diagnostics = Diagnostics(
            trainer.model, samples, folder if self.distributed.is_main else None, trainer.steps, log
        )
        if self.distributed.is_main:
            self.diagnostics.recall(read_metrics(folder / "metrics.jsonl"))
        self.first_steps = FirstSteps(trainer, log)
        self.pace = Pace(trainer.steps, cadence.total, trainer.runtime.device, log)
        self._saved: int | None = trainer.steps or None
        self._validated: int | None = None
        self._whole = True

    def go(self) -> None:
        """Trains to the last step. Raises Interrupted, after saving, if a signal came, and Diverged if a turn was
        skipped too often in a row. Whatever else it raises, it saves before, unless a step or a checkpoint failed. Of a
        finished run, only finishes what a killed process left to do."""
        trainer, total, label = self.trainer, self.cadence.total, f"training on {self.trainer.runtime}"
        if self.finished:
            self.metrics.close()
            return self._prune()
        with (
            self.metrics,
            Progress(total, done=trainer.steps, unit="step", label=label, quiet=self.quiet) as bar,
            closing(self.batches(trainer.steps)) as stream,
        ):
            try:
                self._begin()
                batches = prefetch(trainer.runtime, self._interruptible(stream))
                while trainer.steps < total:
                    self._heed_signals()
                    batch = next(batches)
                    with self._whole_afterwards():
                        self.first_steps.step(batch)
                    self.pending = any(self._owed())
                    text = self._log(batches.share) if self.cadence.logs(trainer.steps) else None
                    self.pace.step(trainer.steps)
                    bar.advance(1, text=text, images=len(batch) * self.distributed.size)
                    self._look_and_save()
            except Stop as stop:
                raise Interrupted(stop.number, self._save_and_say()) from None
            except Diverged:
                raise
            except Exception:
                say(self._rescued())
                raise

    def _interruptible(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        """Yields the batches. While waiting for the next one, and only then, a signal raises Stop; not with several
        ranks."""
        while True:
            with self.signals.raising() if self.distributed.size == 1 else nullcontext():
                batch = next(stream)
            yield batch

    def _begin(self) -> None:
        if self.trainer.steps == 0:
            with self._watching():
                self._sample()
        elif self.pending:
            self._look_and_save()

    def _look_and_save(self) -> None:
        """Validates, samples and saves if due after a step. What a signal cuts short is left for later."""
        validates, samples = self._owed()
        self.pending = validates or samples
        with self._watching():
            if validates:
                self._validate()
            if samples:
                self._sample()
        self.pending = False
        if self.cadence.saves(self.trainer.steps):
            self._save()

    def _owed(self) -> tuple[bool, bool]:
        """Whether this step is to be validated, and sampled."""
        return self.cadence.validates(self.trainer.steps), self.cadence.samples(self.trainer.steps)

    @contextmanager
    def _whole_afterwards(self) -> Iterator[None]:
        """Context for what leaves nothing to save if it fails."""
        self._whole = False
        yield
        self._whole = True

    def _heed_signals(self) -> None:
        """Raises Stop if a signal was noted; with several ranks, in all of them at the same step."""
        if number := self.distributed.largest(self.signals.noted or 0):
            raise Stop(number)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Context in which a noted signal raises Stop before the next layer of any network, where nothing is half
        written. Not with several ranks, where none may leave the others."""
        if self.distributed.size > 1:
            yield
            return
        hook = register_module_forward_pre_hook(lambda layer, inputs: self.signals.check())
        try:
            yield
        finally:
            hook.remove()

    def _save_and_say(self) -> str:
        if self.trainer.steps == 0:
            return "before the first step; there was nothing to save"
        self._save()
        return f"after step {self.trainer.steps}; saved, continue with --resume"

    def _rescued(self) -> str:
        """Saves, after a failure, what can be saved, and returns a line about it."""
        if (
            not self._whole or self.distributed.size > 1
        ):  # the other ranks wait for the next step, and cannot save with this
            return f"of what failed nothing can be saved; {self._last_saved()}"
        try:
            return f"stopped {self._save_and_say()}"
        except Exception as error:  # a full disk fails again; what comes up is the first failure
            return f"stopped after step {self.trainer.steps}, which could not be saved ({error}); {self._last_saved()}"

    def _came_before(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of metrics.jsonl precedes the state to resume from; validations about to be repeated do not."""
        step = self.trainer.steps
        measured_anew = self.pending and row["step"] == step and any(key.startswith("validation ") for key in row)
        return row["step"] <= step and not measured_anew

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, and validated and sampled where that was due."""
        return self.trainer.steps >= self.cadence.total and not self.pending

    @property
    def newest(self) -> Path:
        """The folder of the last saved checkpoint."""
        return self.checkpoints / folder_name(self._saved or 0)

    def _log(self, waiting: float) -> str:
        losses = self.trainer.read_losses()
        rates = {f"learning rate/{name}": rate for name, rate in self.trainer.learning_rates().items()}
        skips = self.trainer.read_skips()
        self._write(losses | rates | {f"skipped steps/{turn}": skip.ever for turn, skip in skips.items() if skip.ever})
        for turn, skip in skips.items():
            if skip.in_a_row >= self.skip_limit:
                raise Diverged(self._diverged(turn, skip.in_a_row))
        self.diagnostics.listen(self.trainer.steps, losses)
        # Not in metrics.jsonl, which a resumed run must reproduce: times differ.
        self.tracker.log(self.trainer.steps, {"data/waiting share": waiting})
        return "  ".join(f"{name} {value:.3f}" for name, value in losses.items()) + f"  waiting for data {waiting:.1%}"

    def _diverged(self, turn: str, times: int) -> str:
        reason = self._not_finite(f"turn '{turn}' was skipped {times} times in a row, because a loss or a gradient was")
        return f"stopped after step {self.trainer.steps}, as training.skip_limit is {self.skip_limit}: {reason}"

    def _not_finite(self, what: str) -> str:
        again = "Train again with a lower training.lr or with training.precision=float32"
        return f"{what} not finite; {self._last_saved()}. {again}"

    def _last_saved(self) -> str:
        return f"the last checkpoint is {self.newest}" if self._saved else "no checkpoint had been saved yet"

    def _write(self, values: Mapping[str, float]) -> None:
        self.metrics.log(self.trainer.steps, values)
        self.tracker.log(self.trainer.steps, values)

    def _validate(self) -> None:
        with self.trainer.shown():
            self.validation = {
                validation.name: validation.measure(self.trainer.model, self.trainer.runtime)
                for validation in self.validations
            }
        self._validated = self.trainer.steps
        for name, measures in self.validation.items():
            self._write({f"validation {name}/{measure}": value for measure, value in measures.items()})

    def _sample(self) -> None:
        path = self.folder / "samples" / f"step-{self.trainer.steps:08d}.png"
        with self.trainer.shown(), torch.no_grad(), self.trainer.runtime.autocast():
            columns = self.trainer.model.show(self.samples)
            self.diagnostics.look(self.trainer.steps)
        if self.distributed.is_main:
            save_grid(path, columns)
        self.tracker.images(self.trainer.steps, "samples", path)

    def _save(self) -> None:
        step = self.trainer.steps
        is_best = not self.pending and self._is_best()
        self.best_step = step if is_best else self.best_step
        with self._whole_afterwards():
            parts = self._finite_parts() if step != self._saved else None
            if self.distributed.is_main:
                self._write_checkpoint(step, parts, is_best)
            self.distributed.wait()
        self._saved = step

    def _finite_parts(self) -> dict[str, Mapping[str, Tensor]]:
        parts = checkpoint_parts(self.trainer)
        if not_finite(parts["model"]) or not_finite(parts["average"]):
            raise Diverged(f"stopped after step {self.trainer.steps}: {self._not_finite('weights are')}")
        return parts

    def _write_checkpoint(self, step: int, parts: Mapping[str, Mapping[str, Tensor]] | None, is_best: bool) -> None:
        """`parts` is None if this step is already saved."""
        if parts is not None:
            self.metrics.fsync()
            state = {"pending": self.pending, "accumulate": self.trainer.accumulate, "validation": self.validation}
            facts = {**self.facts, **state, "best_l1": self.best, "best": self.best_step}
            save_checkpoint(self.checkpoints, step, parts, facts)
        if is_best:
            point(self.checkpoints, "best", step)
        self._prune()

    def _prune(self) -> None:
        if self.distributed.is_main:
            prune(self.checkpoints, self.cadence.keep, self.cadence.keep_every)

    def _is_best(self) -> bool:
        """Whether this step's L1, averaged over validations, is the lowest so far; without known truth the latest step
        is the best."""
        if not self.validations:
            return True
        # A step saved only because of a signal is not a candidate: an undisturbed run would not have saved it.
        if self._validated != self.trainer.steps or not self.cadence.saves(self.trainer.steps):
            return False
        errors = [measures["l1"] for measures in self.validation.values() if "l1" in measures]
        if not errors:
            return True
        l1 = sum(errors) / len(errors)
        if self.best is not None and l1 >= self.best:
            return False
        self.best = l1
        return True
