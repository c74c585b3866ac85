"""The loop of training: steps, and after each what is due: losses logged, the model measured, a checkpoint saved."""

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from translate.data.batch import Batch
from translate.training.asked import Asked
from translate.training.distributed import Distributed
from translate.training.first_steps import FirstSteps
from translate.training.measuring import Cadence, Measuring
from translate.training.prefetch import Prefetcher, prefetch
from translate.training.progress_file import ProgressFile
from translate.training.records import Records
from translate.training.saving import Diverged, Saver
from translate.training.trainer import Trainer
from translate.utils.printing import Log, say
from translate.utils.progress import Progress, clock_time
from translate.utils.signals import Interrupted, Signals, Stop


class StopPoints:
    """Where a noted signal, or somebody's wish, raises Stop. Several processes stop between the same two steps and
    nowhere else: none may leave the others."""

    def __init__(self, signals: Signals, distributed: Distributed, asked: Asked | None = None) -> None:
        self._signals, self._distributed = signals, distributed
        self._asked = asked if distributed.is_main else None

    def between_steps(self) -> bool:
        """Raises Stop if a signal was noted, by any process, or somebody asked to stop; returns whether to save."""
        wish = self._asked.wish() if self._asked else None
        asked = wish == "stop" and self._signals.noted is None
        number = signal.SIGTERM if asked else self._signals.noted or 0
        said = self._distributed.largest(4 * number + 2 * asked + (wish == "save"))
        if number := said // 4:
            raise Stop(number, asked=said & 2 > 0)
        return said == 1

    def while_waiting(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        """Yields the batches of `stream`; a signal that comes while the next one is waited for raises Stop at once."""
        while True:
            with self._signals.raising() if self._distributed.size == 1 else nullcontext():
                batch = next(stream)
            yield batch

    @contextmanager
    def between_layers(self) -> Iterator[None]:
        """Context in which a signal raises Stop before the next layer of any network, where nothing is half written."""
        if self._distributed.size > 1:
            yield
            return
        hook = register_module_forward_pre_hook(lambda layer, inputs: self._signals.check())
        try:
            yield
        finally:
            hook.remove()


class TrainingRun:
    """The loop around `Trainer.step`; all processes go through it alike.

    `batches` maps a step to the stream of batches from there on. `skip_limit` is how many times in a row a turn may be
    skipped (see `Trainer`) before the run is given up; this is checked when losses are logged.
    """

    def __init__(
        self,
        trainer: Trainer,
        batches: Callable[[int], Generator[Batch]],
        cadence: Cadence,
        *,
        records: Records,
        measuring: Measuring,
        saver: Saver,
        stops: StopPoints,
        progress: ProgressFile,
        log: Log,
        skip_limit: int = 20,
        quiet: bool = False,
    ) -> None:
        self.trainer, self.cadence, self.records = trainer, cadence, records
        self.measuring, self.saver, self.progress = measuring, saver, progress
        self._batches, self._stops, self._skip_limit, self._quiet = batches, stops, skip_limit, quiet
        self._first_steps, self._log_line = FirstSteps(trainer, log), log
        self._pace = Pace(trainer.steps, cadence.total, trainer.runtime.device, log)

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or patience has run out, and all is validated and sampled where that was due."""
        return self.measuring.ended

    @property
    def stopped_early(self) -> bool:
        """Whether patience has run out before the last step."""
        return self.finished and self.trainer.steps < self.cadence.total

    def go(self) -> None:
        """Trains to the last step; of a finished run, does what a killed process left to do.

        Raises Interrupted, after saving, if a signal came, and Diverged if a turn was skipped too often in a row.
        Whatever else it raises, it saves before, unless a step or a checkpoint failed.
        """
        if self.finished:
            with self.records:
                return self.saver.prune()
        trainer = self.trainer
        with (
            self.records,
            Progress(self.cadence.total, done=trainer.steps, unit="step", label="training", quiet=self._quiet) as bar,
            closing(self._batches(trainer.steps)) as stream,
        ):
            try:
                self._begin()
                self._train(prefetch(trainer.runtime, self._stops.while_waiting(stream)), bar)
            except Stop as stop:
                raise Interrupted(stop.number, self.saver.save_and_say(), stop.asked) from None
            except Diverged:
                raise
            except Exception:
                say(self.saver.rescue())
                raise

    def _train(self, batches: Prefetcher, bar: Progress) -> None:
        trainer = self.trainer
        while not self.measuring.ended:
            if self._stops.between_steps():
                self._log_line(f"asked to save: {self.saver.save_and_say()}")
            batch = next(batches)
            with self.saver.nothing_to_save_if_it_fails():
                self._first_steps.step(batch)
            self.measuring.mark_due()
            measured = self._log(batches.share) if self.cadence.logs(trainer.steps) else None
            self._pace.step(trainer.steps)
            images = len(batch) * trainer.distributed.size
            bar.advance(1, measured=measured, images=images)
            self.progress.step(trainer.steps, images, batches.share)
            self._measure_and_save()

    def _begin(self) -> None:
        """Shows an untrained model; of a resumed run, does what its last step still needs."""
        if self.trainer.steps == 0:
            with self._stops.between_layers():
                self.records.sample()
        elif self.measuring.pending:
            self._measure_and_save()

    def _log(self, waiting: float) -> list[str]:
        """Writes the losses since the last time, and returns them in words. Raises Diverged."""
        losses = self.trainer.read_losses()
        norms = self.trainer.read_norms()
        rates = {f"learning_rate/{name}": rate for name, rate in self.trainer.learning_rates().items()}
        skips = self.trainer.read_skips()
        skipped = {f"skipped_steps/{turn}": skip.ever for turn, skip in skips.items() if skip.ever}
        self.records.write(losses | norms | rates | skipped)
        for turn, skip in skips.items():
            if skip.in_a_row >= self._skip_limit:
                what = f"turn '{turn}' was skipped {skip.in_a_row} times in a row, because a loss or a gradient was"
                raise self.saver.diverged(what, f", as training.skip_limit is {self._skip_limit}")
        return self.records.examine(losses, waiting)

    def _measure_and_save(self) -> None:
        with self._stops.between_layers():
            self.measuring.catch_up()
        if self.cadence.saves(self.trainer.steps) or self.measuring.improved or self.measuring.ended:
            self.saver.save()


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
