"""A closed terminal, a lost connection: SIGHUP saves and leaves like SIGTERM, and is no end where it is ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from child import Workplace, hashes, steps
from patience import PATIENCE

pty = pytest.importorskip("pty", reason="terminals of this kind are for POSIX")

OWN_TERMINAL = """
    import fcntl, os, signal, termios
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
"""
NOHUP = """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
"""
WAITING = """
    import os, time
    from translate.training.trainer import Trainer
    step = Trainer.step

    def waiting(self, batch):
        if self.steps == 2:
            open("here", "w").close()
            while not os.path.exists("on"):
                time.sleep(0.02)
        return step(self, batch)

    Trainer.step = waiting
"""


def hung_up(place: Workplace, *arguments: object, ignored: bool = False) -> int:
    """The exit code of a command whose terminal closes in the third step: the kernel sends SIGHUP to the session's
    first process, and to it again, as if a shell had gone, too."""
    leader, follower = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), follower)
    hook = OWN_TERMINAL + NOHUP * ignored + WAITING
    child = place.start(*arguments, hook=hook, env={"TERM": "xterm"}, **streams)
    os.close(follower)
    try:
        _wait(child, place.folder / "here", leader)
    finally:
        os.close(leader)
    for _ in range(2):
        child.send_signal(signal.SIGHUP)
        time.sleep(0.1)  # so that they arrive one by one
    (place.folder / "on").touch()
    return child.wait(PATIENCE)


def _wait(child: subprocess.Popen[str], path: Path, leader: int) -> None:
    until = time.monotonic() + PATIENCE
    os.set_blocking(leader, False)
    seen = b""
    while not path.exists():
        assert child.poll() is None and time.monotonic() < until, seen.decode(errors="replace")
        try:
            seen += os.read(leader, 65536)  # or the child would wait for room
        except BlockingIOError:
            time.sleep(0.02)


def test_a_closed_terminal_saves_and_leaves(place: Workplace, undisturbed: Path) -> None:
    recipe = place.recipe("pix2pix")
    run = place.folder / "run"
    assert hung_up(place, "train", recipe, "--device", "cpu", "--out", "run") == 129
    assert steps(run)[-1] == 3 and (run / "report.html").is_file()
    resumed = place.train(recipe, "run", "--resume")
    assert resumed.code == 0 and "resuming after step 3" in resumed.err, resumed.err
    assert hashes(run) == hashes(undisturbed)


def test_under_nohup_a_closed_terminal_changes_nothing(place: Workplace, undisturbed: Path) -> None:
    recipe = place.recipe("pix2pix")
    run = place.folder / "run"
    assert hung_up(place, "train", recipe, "--device", "cpu", "--out", "run", ignored=True) == 0
    assert hashes(run) == hashes(undisturbed)
    assert (run / "summary.json").is_file() and (run / "report.html").is_file()
