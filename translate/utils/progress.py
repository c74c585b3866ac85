"""Shows the progress of a long job: a live bar on a terminal, a plain line every ten seconds in a log file.

with Progress(total=10_000, unit="step", label="pix2pix") as progress:
    for step in range(10_000):
        ...
        progress.advance(images=16, measured=["generator 1.23"])
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, Self, TextIO

from translate.utils.printing import coloured, guarded, shows_colours
from translate.utils.progress_line import State, fitted

Unit = Literal["step", "image", "frame", "slice", "second", "MB"]
"""What is counted, one of them."""

_SECONDS_BETWEEN_LINES = 10.0
_RATE_SECONDS = 30.0  # long enough to be steady, short enough to forget the first, slow steps


class Progress:
    """Counts to `total`, starting at `done` for a continued job; shown on stderr, or not at all if `quiet`.

    Rate and remaining time are based on the last half minute. Work that takes less than `after` seconds shows nothing.
    A stream that cannot be written ends nothing.
    """

    def __init__(
        self,
        total: float | None,
        *,
        unit: Unit,
        label: str,
        done: float = 0,
        quiet: bool = False,
        after: float = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._label, self._done = total, label, done
        self._unit = unit if unit == "MB" else f"{unit}s"
        self._quiet, self._after, self._stream, self._clock = quiet, after, stream or sys.stderr, clock
        self._images: int | None = None
        self._measured: Sequence[str] = ()

    def __enter__(self) -> Self:
        self._began = self._clock()
        self._recent = deque([(self._began, self._done, 0)])
        self._display, self._waits = _Display(), True
        self._appear(self._began)
        return self

    def __exit__(self, *_: object) -> None:
        self._display.close(self._state(), self._clock() - self._began)

    def advance(self, n: int = 1, measured: Sequence[str] | None = None, images: int | None = None) -> None:
        """Counts `n` more. `measured` replaces what stands at the end of the line, each with its name; None keeps it.
        `images`, how many images these took, switches the rate to images per second."""
        self._done += n
        self._measured = self._measured if measured is None else measured
        if images is not None:
            self._images = (self._images or 0) + images
        self._show()

    def reach(self, done: float, total: float | None) -> None:
        """For a job that says itself how far it is, and learns its total late; it may also fall back."""
        if done < self._done:
            self._recent = deque([(self._clock(), done, 0)])
        self._done, self._total = done, total
        self._show()

    def _show(self) -> None:
        now = self._clock()
        if now > self._recent[-1][0]:
            self._recent.append((now, self._done, self._images or 0))
        while len(self._recent) > 2 and self._recent[1][0] <= now - _RATE_SECONDS:
            self._recent.popleft()
        self._appear(now)
        self._display.show(self._state())

    def _appear(self, now: float) -> None:
        if self._waits and now - self._began >= self._after:
            self._waits = False
            self._display = _display(self._quiet, self._stream, self._clock)
            self._display.open(self._state())

    def _state(self) -> State:
        """The current state, as text to show."""
        (began, done_then, images_then), (now, done_now, images_now) = self._recent[0], self._recent[-1]
        seconds = now - began
        per_second = (done_now - done_then) / seconds if seconds else 0.0
        ahead = max(0.0, (self._total or 0) - self._done)
        if self._images is None:
            rate, what = per_second, self._unit
        else:
            rate, what = (images_now - images_then) / seconds if seconds else 0.0, "images"
        return State(
            label=self._label,
            done=self._done,
            total=self._total,
            unit=self._unit,
            rate=f"{_figure(rate)} {what}/s" if rate else "",
            left=f"{clock_time(ahead / per_second)} left" if ahead and per_second else "",
            measured=self._measured,
        )


class _Display:
    """Shows nothing."""

    def open(self, state: State) -> None: ...

    def show(self, state: State) -> None: ...

    def close(self, state: State, seconds: float) -> None: ...


class _Lines(_Display):
    """Plain lines for log files: at most one every ten seconds, and one at the end."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = guarded(stream), clock

    def open(self, state: State) -> None:
        self._last = self._clock()

    def show(self, state: State) -> None:
        if self._clock() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = self._clock()
            self._print(state.line())

    def close(self, state: State, seconds: float) -> None:
        end = "done in" if state.total is None or state.done >= state.total else "stopped after"
        self._print(state.line(f"{end} {clock_time(seconds)}"))

    def _print(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class _Bar(_Display):
    """A bar for terminals; anything printed meanwhile appears above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def open(self, state: State) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=coloured(self._stream))
        self._shown = state
        self._live = Live(
            get_renderable=lambda: fitted(self._shown, console.width, console.options.ascii_only),
            console=console,
            refresh_per_second=5,
            redirect_stdout=sys.stdout is not None
            and sys.stdout.isatty(),  # only if stdout is the terminal, not a file or a pipe
        )
        before = sys.stdout, sys.stderr
        self._live.start()
        # Rich, which lets some controls pass, now prints what others print; stop() puts the streams back.
        sys.stdout, sys.stderr = (
            now if now is then else guarded(now) for then, now in zip(before, (sys.stdout, sys.stderr), strict=True)
        )

    def show(self, state: State) -> None:
        self._shown = state

    def close(self, state: State, seconds: float) -> None:
        self._shown = replace(state, left=f"in {clock_time(seconds)}")
        self._live.stop()


def _display(quiet: bool, stream: TextIO | None, clock: Callable[[], float]) -> _Display:
    if quiet or stream is None:
        return _Display()
    return _Bar(stream) if shows_colours(stream) else _Lines(stream, clock)


def _figure(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def clock_time(seconds: float) -> str:
    """Formats seconds as 3:07 or 2:03:07."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
