"""What a run writes while it trains, beside checkpoints: metrics.jsonl, the tracker, sample grids, diagnostics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from translate.data.batch import Batch
from translate.data.domain import Domain
from translate.reporting.keys import in_words, is_validation, short_captions
from translate.reporting.report import write_report
from translate.reporting.tracking import MetricsLog, NoMetrics, Tracker, read_metrics, save_grid
from translate.training.diagnostics import Diagnostics
from translate.training.trainer import Trainer
from translate.training.validation import Film
from translate.utils.printing import Log, say


class Records:
    """Writes into `folder`, on the main process alone. `samples`, a batch on the device, are shown in every grid;
    `kinds`: what their images are; `names`: what the samples are called, where that is known. `film`: shown instead.

    What a killed process wrote after the trainer's step is dropped, and so are the validations of that step if they are
    to be `measured_again`.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        samples: Batch,
        tracker: Tracker,
        log: Log,
        measured_again: bool = False,
        kinds: Sequence[Domain] = (),
        names: Sequence[str] = (),
        film: Film | None = None,
    ) -> None:
        self.folder, self.tracker = folder, tracker
        self._trainer, self._samples, self._measured_again, self._log = trainer, samples, measured_again, log
        self._reports, self._names, self._film = True, film.rows if film else names, film
        is_main = trainer.distributed.is_main
        self.metrics = MetricsLog(folder / "metrics.jsonl") if is_main else NoMetrics()
        self.metrics.keep(self._came_before)
        self._diagnostics = Diagnostics(trainer.model, samples, folder if is_main else None, trainer.steps, log, kinds)
        if is_main:
            self._diagnostics.recall(read_metrics(folder / "metrics.jsonl"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.metrics.close()

    def write(self, values: Mapping[str, float]) -> None:
        self.metrics.log(self._trainer.steps, values)
        self.tracker.log(self._trainer.steps, values)

    def note_best(self, measured: Mapping[str, float]) -> None:
        """Says that this step is the best so far, by what was `measured`; nothing where that is nothing."""
        if measured:
            step = self._trainer.steps
            self.summarize(step, measured)
            self._log(f"best so far: {in_words(measured)} after step {step:,}")

    def summarize(self, step: int, measured: Mapping[str, float]) -> None:
        """Tells the tracker the best step, and what was `measured` there; also of a run that goes on."""
        self.tracker.summary({"best/step": step, **{f"best/{key}": value for key, value in measured.items()}})

    def examine(self, losses: Mapping[str, float], waiting: float) -> list[str]:
        """Takes the losses, and the share of the time spent `waiting` for data; returns both in words."""
        self._diagnostics.follow(self._trainer.steps, losses)
        # Not in metrics.jsonl, which a resumed run must reproduce: times differ.
        self.tracker.log(self._trainer.steps, {"data/waiting_share": waiting})
        names = short_captions(losses)
        values = [f"{name} {value:.3f}" for name, value in zip(names, losses.values(), strict=True)]
        return [*values, f"waiting for data {waiting:.1%}"]

    def sample(self) -> None:
        """Draws the sample grid of this step, and lets the diagnostics look at the samples."""
        step = self._trainer.steps
        path = self.folder / "samples" / f"step-{step:08d}.png"
        with self._trainer.shown(), torch.no_grad(), self._trainer.runtime.autocast():
            columns = self._columns()
            self._diagnostics.examine(step)
        if self._trainer.distributed.is_main:
            save_grid(path, columns, self._film.rows if self._film else ())
            self._report()
        self.tracker.images(step, "samples", path)
        self.tracker.table(step, "samples", path, self._names)

    def _columns(self) -> dict[str, Tensor]:
        trainer = self._trainer
        return (
            trainer.model.show(self._samples)
            if self._film is None
            else self._film.columns(trainer.model, trainer.runtime)
        )

    def _report(self) -> None:
        """Writes the page of the run as it is now; one that fails warns once, and training goes on without it."""
        try:
            if self._reports:
                write_report(self.folder, live=True)
        except Exception as error:  # of disk, of a strange file in the folder: nothing worth a training run
            self._reports = False
            say(f"warning: {self.folder / 'report.html'}: not written while this run trains ({error})")

    def _came_before(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of metrics.jsonl precedes the state to resume from."""
        step = self._trainer.steps
        validated = row["step"] == step and is_validation(row)
        return row["step"] <= step and not (self._measured_again and validated)
