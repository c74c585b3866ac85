"""On a terminal of any width: a bar, percent, time left and speed; the rest gives way to them."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE
from rich.cells import cell_len

from translate.data.catalog.cards import cards
from translate.utils.progress import Progress
from translate.utils.progress_line import State, fitted

LOSSES = ["discriminator a 0.233", "generator 马→斑马 0.345", "identity a 0.123", "waiting for data 0.1%"]
JOBS = {
    "training": ("training", "step", LOSSES),
    "converting": ("converting", "image", []),
    "a video": ("converting", "frame", []),
    "scanning": ("checking images, every one decoded, two of them at a time", "image", []),
    "evaluating": ("evaluating", "image", []),
    "measuring": ("measuring", "step", []),
    "fetching": (f"fetching {max(cards(), key=len)}", "MB", []),
    "wide names": ("转换 " + "斑马" * 60, "image", ["[bold]马\n\x1b[2J" + "e\u0301" * 90]),
}
WIDTHS = (50, 60, 80, 120, 160)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(written: str) -> list[str]:
    """What was written to a terminal without its colours and movements of the cursor."""
    return [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "\n").split("\n") if line]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("job", JOBS)
def test_bar_percent_time_left_and_speed_are_on_every_line(monkeypatch, job: str, width: int) -> None:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": str(width)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    label, unit, measured = JOBS[job]
    stream, clock = Terminal(), Clock()
    with Progress(266_800, done=120_000, unit=unit, label=label, stream=stream, clock=clock) as bar:
        for _ in range(2):
            clock.now += 10
            bar.advance(100, measured=measured)
            bar._display._live.refresh()
    at_work = [line for line in lines_of(stream.getvalue()) if "left" in line and "- " not in line]
    assert at_work
    for line in at_work:
        assert re.search(rf"━{{10,}} +45% .*\b10 {unit if unit == 'MB' else unit + 's'}/s 4:04:\d\d left", line), line
        assert cell_len(line) < width
    assert re.search(r"━{10,} +45% .* in 0:20", lines_of(stream.getvalue())[-1])


def state(**changed: object) -> State:
    return State(**({"label": "training", "done": 1, "total": 3, "unit": "steps", "rate": "1 steps/s",
                     "left": "0:02 left", "measured": []} | changed))  # fmt: skip


def test_what_gives_way_first_are_the_losses_then_the_words() -> None:
    wordy = state(label="training, as it was called", measured=LOSSES, done=1000, total=2000)
    shown = {width: fitted(wordy, width).plain for width in range(46, 200)}
    assert all("━" * 10 in line and " 50% " in line and "0:02 left" in line for line in shown.values())
    assert "…" not in fitted(wordy, 300).plain and "as it was called ━━" in fitted(wordy, 300).plain
    assert "discriminator a" in shown[110] and "discriminator" not in shown[70]
    assert "training, as" in shown[70] and "1000/2000 steps" in shown[70]
    assert shown[46].startswith("t") and "1000/2000" not in shown[46]


def test_losses_are_whole_or_left_out() -> None:
    """At every width: so many of the first ones, and a sign that there are others."""
    endings = ["", *(f"{'  '.join(LOSSES[:count])} …" for count in (1, 2, 3)), "  ".join(LOSSES)]
    seen = []
    for width in range(46, 200):
        line = fitted(state(measured=LOSSES), width).plain
        ending = line.partition(" left")[2].lstrip()
        assert ending in endings, line
        assert cell_len(line) < width
        seen.append(endings.index(ending))
    assert seen == sorted(seen) and set(seen) == {0, 1, 2, 3, 4}
    assert "discriminator a 0.233" in fitted(state(measured=LOSSES), 80).plain
    assert "generator 马→斑马 0.345" in fitted(state(measured=LOSSES), 120).plain
    assert "waiting for data 0.1%" in fitted(state(measured=LOSSES), 160).plain


def test_the_bar_is_as_full_as_the_work_is_done() -> None:
    def full(**changed: object) -> int:
        return fitted(state(**changed), 120, ascii_only=True).plain.count("-")

    assert full(done=0, total=100) == 0 and full(done=50, total=100) == 20 and full(done=100, total=100) == 40
    assert full(done=99.9, total=100) < 40


def test_what_is_not_known_yet_keeps_its_place() -> None:
    line = fitted(state(done=0, rate="", left=""), 80).plain
    assert "  0% 0/3 steps - steps/s -:-- left" in line
    assert "  ?% 7 MB - MB/s -:-- left" in fitted(state(done=7, total=None, unit="MB", rate="", left=""), 80).plain
    assert "100% 0/0 steps" in fitted(state(done=0, total=0, left=""), 80).plain


CHILD = f"""
import sys
from translate.utils.progress import Progress

with Progress(1000, done=400, unit="step", label="training") as bar:
    for line in sys.stdin:
        bar.advance(images=4, measured={LOSSES!r})
"""


class Screen:
    """A terminal of its own for a child, whose bar moves with every line that it is sent."""

    def __init__(self, folder: Path) -> None:
        self.terminal, slave = pty.openpty()
        self.resize(80)
        names = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        environment = names | {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        self.child = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=slave, stderr=slave, env=environment,
            cwd=folder, text=True,
        )  # fmt: skip
        os.close(slave)

    def resize(self, width: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))

    def step(self) -> None:
        assert self.child.stdin
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def line(self, count: int, at_least: int = 0) -> str:
        """The next line on the screen with this count of steps, and as many cells."""
        written = ""
        while True:
            ready, _, _ = select.select([self.terminal], [], [], PATIENCE)
            assert ready, f"nothing came after {lines_of(written)[-1:]}"
            try:
                written += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError as error:  # Linux says so when the child has closed its side
                assert error.errno == errno.EIO
                raise AssertionError(f"the child has ended: {written}") from None
            for line in lines_of(written)[:-1]:  # the last one may be on its way
                if f"{count}/1000 steps" in line and "left" in line and cell_len(line) >= at_least:
                    return line


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    shown = Screen(tmp_path)
    yield shown
    shown.child.communicate()
    os.close(shown.terminal)


def test_a_real_terminal_shows_it_also_after_its_window_was_resized(screen: Screen) -> None:
    screen.step()
    narrow = screen.line(401)
    assert cell_len(narrow) < 80 and re.search(r"━{10,} +40% 401/1000 steps .*left", narrow)
    screen.resize(160)
    wide = screen.line(401, at_least=120)
    assert "discriminator a 0.233" in wide and re.search(r"━{10,} +40% ", wide)
    screen.step()
    speed = screen.line(402)
    assert re.search(r"━{10,} +40% 402/1000 steps .*images/s .*\d left", speed)


def test_a_log_has_every_loss() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(2, unit="step", label="training", stream=stream, clock=clock) as bar:
        clock.now += 10
        bar.advance(measured=LOSSES)
    line = f"training: 1/2 steps, 50 %, 0.1 steps/s, 0:10 left, {'  '.join(LOSSES)}\n"
    assert stream.getvalue().startswith(line)
