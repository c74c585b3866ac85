"""Long lines on a terminal: broken between words, never within one, and nowhere else."""

from __future__ import annotations

import itertools
import os
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translate.utils.printing import answer, answer_in_words, say
from translate.utils.wrapping import width_of, wrapped

LINE = "checkpoints every 475 steps: the newest 3 and the best are kept, older ones are deleted (training.keep=N)"


def test_a_line_is_broken_before_the_last_column_and_between_words() -> None:
    assert wrapped(LINE, 41) == (
        "checkpoints every 475 steps: the newest\n3 and the best are kept, older ones are\ndeleted (training.keep=N)"
    )
    assert wrapped(LINE, None) == LINE and wrapped(LINE, len(LINE) + 1) == LINE


@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=20), st.integers(8, 60))
def test_words_stay_whole_and_lines_are_as_full_as_they_can_be(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), width).split("\n")
    assert " ".join(lines) == " ".join(words)
    assert all(len(line) < width or " " not in line for line in lines)
    for line, following in itertools.pairwise(lines):
        assert len(f"{line} {following.split(' ')[0]}") >= width


def test_a_command_stays_in_one_piece_so_that_it_can_be_copied() -> None:
    asked = "`translate convert runs/cyclegan-shapes photos/ out/ --to outlined`"
    assert wrapped(f"next: convert with {asked} now", 30).split("\n") == ["next: convert with", asked, "now"]


def test_a_line_goes_on_below_its_indentation_or_its_second_column() -> None:
    assert wrapped("  a b c d e f", 8) == "  a b c\n  d e f"
    assert wrapped("first\n  a b c d e f", 8) == "first\n  a b c\n  d e f"
    assert wrapped("a step      one two three four", 24) == "a step      one two\n            three four"


@pytest.fixture
def terminal(monkeypatch):
    """A stream to a real terminal of 40 columns, and what returns what was written to it."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    monkeypatch.delenv("COLUMNS", raising=False)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with os.fdopen(slave, "w") as stream:
        yield stream, lambda: os.read(master, 65536).decode().replace("\r\n", "\n")
    os.close(master)


def test_on_a_terminal_sentences_fit_it_and_what_programs_read_is_left_alone(terminal, monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream, read = terminal
    monkeypatch.setattr(sys, "stderr", stream)  # not by the fixture: pytest puts its own in place once more
    monkeypatch.setattr(sys, "stdout", stream)
    assert width_of(sys.stderr) == 40
    say(LINE)
    assert read() == f"{wrapped(LINE, 40)}\n" != f"{LINE}\n"
    answer_in_words(LINE)
    assert read() == f"{wrapped(LINE, 40)}\n"
    answer(LINE)
    assert read() == f"{LINE}\n"
    say(f"warning: {LINE}")
    assert read() == wrapped(f"warning: {LINE}", 40).replace("warning:", "\x1b[1;33mwarning:\x1b[0m") + "\n"


def test_in_a_file_or_a_pipe_lines_stay_whole(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    say(LINE)
    answer_in_words(LINE)
    assert capsys.readouterr() == (f"{LINE}\n", f"{LINE}\n")
