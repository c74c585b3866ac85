"""The progress of a long job, on a terminal and in a log file."""

from __future__ import annotations

import io
from typing import Any

import pytest

from translate.utils.progress import Progress


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(stream: io.StringIO, clock: Clock, steps: int, **options: Any) -> None:
    """A step a second, of eight images each."""
    with Progress(steps, unit="step", label="training", stream=stream, clock=clock, **options) as progress:
        for step in range(steps):
            clock.now += 1
            progress.advance(images=8, measured=[f"loss {step}"])


def test_a_log_file_gets_a_line_every_ten_seconds_and_one_at_the_end(clock: Clock) -> None:
    stream = io.StringIO()
    run(stream, clock, 25)
    assert stream.getvalue().splitlines() == [
        "training: 10/25 steps, 40 %, 8 images/s, 0:15 left, loss 9",
        "training: 20/25 steps, 80 %, 8 images/s, 0:05 left, loss 19",
        "training: 25/25 steps, 100 %, 8 images/s, done in 0:25, loss 24",
    ]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_short_work_shows_nothing(clock: Clock, stream: io.StringIO) -> None:
    run(stream, clock, 4, after=5)
    assert stream.getvalue() == ""
    run(stream, clock, 6, after=5)
    assert "training" in stream.getvalue()


def test_without_images_the_rate_is_that_of_the_unit(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(100, unit="image", label="converting", stream=stream, clock=clock) as progress:
        clock.now += 20
        progress.advance(50)
    first = stream.getvalue().splitlines()[0]
    assert first == "converting: 50/100 images, 50 %, 2.5 images/s, 0:20 left"


def test_the_rate_forgets_slow_first_steps(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(1000, unit="step", label="training", stream=stream, clock=clock) as progress:
        clock.now += 300  # compilation
        progress.advance()
        for _ in range(100):
            clock.now += 1
            progress.advance()
    assert "1 steps/s" in stream.getvalue().splitlines()[-1]


def test_a_resumed_job_counts_on_and_does_not_boast(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(1000, unit="step", label="training", done=900, stream=stream, clock=clock) as progress:
        for _ in range(10):
            clock.now += 1
            progress.advance()
    assert stream.getvalue().splitlines()[0] == "training: 910/1000 steps, 91 %, 1 steps/s, 1:30 left"


def test_text_stays_until_it_is_replaced(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(2, unit="step", label="training", stream=stream, clock=clock) as progress:
        progress.advance(measured=["loss 1"])
        progress.advance()
    assert stream.getvalue().endswith("loss 1\n")


def test_a_job_that_fails_says_where_it_stopped(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(10, unit="step", label="training", stream=stream, clock=clock)
    with pytest.raises(RuntimeError), progress:
        clock.now += 4000
        progress.advance(3)
        raise RuntimeError
    assert "3/10 steps" in stream.getvalue() and "stopped after 1:06:40" in stream.getvalue()


def test_nothing_to_do(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(0, unit="image", label="converting", stream=stream, clock=clock):
        pass
    assert stream.getvalue() == "converting: 0/0 images, done in 0:00\n"


def test_quiet_says_nothing(clock: Clock) -> None:
    for stream in (io.StringIO(), Terminal()):
        run(stream, clock, 30, quiet=True)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_live_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    run(stream, clock, 25)
    assert "\x1b[" in stream.getvalue() and "100%" in stream.getvalue()
    for shown in ("training", "25/25 steps", "8 images/s", "in 0:25", "loss 24"):
        assert shown in stream.getvalue()


def test_a_bar_leaves_a_piped_stdout_alone(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with Progress(1, unit="step", label="training", stream=stream, clock=clock):
        print("a result")
    assert capsys.readouterr().out == "a result\n" and "a result" not in stream.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_can_ask_for_plain_lines(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    stream = Terminal()
    run(stream, clock, 25)
    assert len(stream.getvalue().splitlines()) == 3 and "\x1b[" not in stream.getvalue()
