"""Signals that end a command: a training run saves and exits, other commands clean up and exit.

A terminal that closes, or a lost connection, sends SIGHUP: by the shell, and again by the kernel when the shell has
gone. So, unlike the others, a second one shows no impatience.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Self

from translate.errors import TranslateError
from translate.utils.printing import show_cursor

REQUEUE = 75
"""Exit code after SIGUSR1 under Slurm: the run was saved and is to be queued again (EX_TEMPFAIL)."""
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""None on Windows."""


class Stop(BaseException):
    """A signal asked to stop, or somebody (`asked`) whose wish counts as that signal. Not an Exception, so that error
    handlers do not catch it."""

    def __init__(self, number: int, asked: bool = False) -> None:
        super().__init__(number)
        self.number, self.asked = number, asked


class Interrupted(TranslateError):
    """A signal, or somebody who `asked` for it, stopped the run. The exit code is 128 + the signal's number, or
    `REQUEUE`."""

    def __init__(self, number: int, what: str, asked: bool = False) -> None:
        by = "(Ctrl-C)" if number == signal.SIGINT else f"by {signal.Signals(number).name}"
        by = "(asked to stop)" if asked else by
        super().__init__(f"stopped {by} {what}")
        self.requeue = number == _requeue_signal()
        self.exit_code = REQUEUE if self.requeue else 128 + number


class Signals:
    """Context in which the first SIGINT, SIGTERM, SIGHUP or (under Slurm) SIGUSR1 raises Stop; a second exits at once.

    with Signals() as signals:
        ...                             # a signal raises Stop wherever it arrives
        with signals.noting():
            trainer.step(batch)         # never interrupted
            signals.check()             # raises Stop if a signal arrived
            with signals.raising():
                batch = next(stream)
    """

    def __init__(self) -> None:
        self.noted: int | None = None
        self._raises = True
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        wanted = [signal.SIGINT, signal.SIGTERM, _HANGUP, _requeue_signal()]
        self._before = _listen({number: self._note for number in wanted if number is not None})
        return self

    def __exit__(self, *_: object) -> None:
        _restore(self._before)

    def check(self) -> None:
        """Raises Stop if a signal was noted."""
        if self.noted is not None:
            raise Stop(self.noted)

    def noting(self) -> AbstractContextManager[None]:
        """Context in which a signal is only noted, for work that must not be interrupted."""
        return self._mode(raises=False)

    def raising(self) -> AbstractContextManager[None]:
        """Context, for waiting, in which a signal raises Stop where it arrives, or at once if it was noted before."""
        self.check()
        return self._mode(raises=True)

    @contextmanager
    def _mode(self, raises: bool) -> Iterator[None]:
        before, self._raises = self._raises, raises
        try:
            yield
        finally:
            self._raises = before

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.noted is not None:
            if number != _HANGUP:
                _leave_at_once(number)
            return
        self.noted = number
        if self._raises:
            raise Stop(number)


@contextmanager
def orderly_end() -> Iterator[None]:
    """Context in which SIGTERM and SIGHUP end the command like Ctrl-C: what is open is closed and removed."""

    def leave(number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = _listen({number: leave for number in (signal.SIGTERM, _HANGUP) if number is not None})
    try:
        yield
    finally:
        _restore(before)


def requeue() -> str:
    """Asks Slurm, from the job's first process only, to run this job again. Returns a message about what was done."""
    if os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) != "0":
        return "the job's first process asks Slurm to queue it again"
    command = ["scontrol", "requeue", os.environ["SLURM_JOB_ID"]]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        return f"warning: `{' '.join(command)}` failed ({error}); queue the job again yourself, with --resume"
    return f"asked Slurm to queue job {command[-1]} again"


def _requeue_signal() -> signal.Signals | None:
    """SIGUSR1 under Slurm, else None: `--signal=USR1@300` announces the time limit five minutes ahead; elsewhere
    SIGUSR1 keeps its meaning."""
    return signal.SIGUSR1 if "SLURM_JOB_ID" in os.environ and hasattr(signal, "SIGUSR1") else None


def _leave_at_once(number: int) -> None:
    # Files appear whole or not at all, so there is nothing to wait for.
    show_cursor()
    os._exit(128 + number)


def _listen(handlers: Mapping[int, Any]) -> dict[int, Any]:
    """Installs handlers and returns the previous ones. Installs none outside the main thread, the only one that can,
    and none for ignored signals, such as Ctrl-C in a shell's background jobs."""
    heard = {number: handler for number, handler in handlers.items() if signal.getsignal(number) != signal.SIG_IGN}
    try:
        return {number: signal.signal(number, handler) for number, handler in heard.items()}
    except ValueError:
        return {}


def _restore(before: Mapping[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
