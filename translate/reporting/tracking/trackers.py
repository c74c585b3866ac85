"""What a tracker is: it shows a run while it trains, in addition to metrics.jsonl."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError
from translate.utils.printing import say


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker learns of a run when it opens. A resumed run has the `id` that it had before."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    """The recipe, as JSON values."""
    id: str
    step: int = 0
    """The steps taken before; a resumed run takes those again that came after its checkpoint."""


class Tracker:
    """Shows a run; this one shows nothing. A subclass is opened by `(run, mode)`, and has the methods that it needs.

    Whatever a tracker raises, when it opens or later, ends tracking with one warning, and never the training.
    """

    title = "the tracker"
    """What warnings call it."""
    after_failure = ""
    """What can be done with what was tracked until it failed; it ends the warning."""

    def __init__(self, run: TrackedRun, mode: str) -> None: ...

    @classmethod
    def resolve(cls, mode: str) -> str | None:
        """The mode on this machine, given what follows the tracker's name ("" for nothing); None where nothing is
        to be tracked. Called before a run begins. Raises ConfigurationError for an unknown mode."""
        if mode:
            raise ConfigurationError(f"{cls.title} has no mode '{mode}'; leave it out")
        return mode

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the numbers of one step; steps never decrease."""

    def images(self, step: int, name: str, picture: Path) -> None:
        """Logs a picture file, such as a sample grid."""

    def table(self, step: int, name: str, grid: Path, samples: Sequence[str] = ()) -> None:
        """Logs a sample grid as single pictures (see `pictures_in`): a row per sample, the same ones at each step.
        `samples`: what they are called, in order, where that is known."""

    def summary(self, values: Mapping[str, float]) -> None:
        """Notes what is to be seen of the whole run, such as its best step; later values of a name replace earlier."""

    def artifact(
        self, name: str, folder: Path, aliases: Sequence[str] = (), facts: Mapping[str, float] | None = None
    ) -> None:
        """Stores a copy of a folder, such as a checkpoint, with `facts` about it, such as what was measured; meant for
        the last and the best, not for every one."""

    def finish(self, exit_code: int = 0) -> None:
        """Closes the run; any `exit_code` but 0 marks it as failed. Nothing is tracked afterwards."""

    @classmethod
    def left_to_do(cls, folders: Sequence[Path]) -> str | None:
        """A line about what is still to be done with the runs in `folders`, now that they have ended; None: nothing."""
        return None


class Trackers(Tracker):
    """Several trackers, or none, as one."""

    def __init__(self, running: Sequence[Tracker] = ()) -> None:
        self.running = list(running)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._each(lambda tracker: tracker.log(step, values))

    def images(self, step: int, name: str, picture: Path) -> None:
        self._each(lambda tracker: tracker.images(step, name, picture))

    def table(self, step: int, name: str, grid: Path, samples: Sequence[str] = ()) -> None:
        self._each(lambda tracker: tracker.table(step, name, grid, samples))

    def summary(self, values: Mapping[str, float]) -> None:
        self._each(lambda tracker: tracker.summary(values))

    def artifact(
        self, name: str, folder: Path, aliases: Sequence[str] = (), facts: Mapping[str, float] | None = None
    ) -> None:
        def store(tracker: Tracker) -> None:
            if _takes(tracker.artifact, name, folder, aliases, facts):
                tracker.artifact(name, folder, aliases, facts)
            else:  # of a plugin that was written before there were facts
                tracker.artifact(name, folder, aliases)

        self._each(store)

    def finish(self, exit_code: int = 0) -> None:
        self._each(lambda tracker: tracker.finish(exit_code))
        self.running = []

    def _each(self, action: Callable[[Tracker], None]) -> None:
        """Runs `action`. Only here are errors of trackers caught once they run."""
        for tracker in list(self.running):
            try:
                action(tracker)
            except Exception as error:  # many exception types, none of them worth a training run
                self.running.remove(tracker)
                # Its own log may be on the same full disk, and Python would print a traceback for each of its lines.
                logging.raiseExceptions = False
                why = f"{tracker.title} stopped tracking: {reason(error)}"
                rest = f"metrics.jsonl has every number{tracker.after_failure}"
                say(f"warning: {why}. Training goes on, {rest}.")


def _takes(method: Callable[..., None], *given: object) -> bool:
    try:
        signature(method).bind(*given)
    except TypeError:
        return False
    return True


def reason(error: Exception) -> str:
    """The first line of the error message, without its full stop, or the error's type if it is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
