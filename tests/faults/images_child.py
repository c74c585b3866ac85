"""Child processes of the fault tests about input: the real command, its exit, its words and its memory.

Run as a program it is such a child itself: `images_child.py commands` reads a JSON list of command lines from its
standard input and runs one after the other, for a process a line would take minutes; `images_child.py read` reads
names of files, and `images_child.py fuzz FORMAT COUNT` makes its own.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))

from patience import PATIENCE  # noqa: E402
from warm import Warm  # noqa: E402


@dataclass(frozen=True)
class Ended:
    code: int
    """Negative: the signal that killed it."""
    stdout: str
    stderr: str
    peak_mb: float
    """Resident memory at its largest."""

    def ended_in_words(self, code: int) -> Ended:
        """Asserts the exit code, and that no traceback came before it."""
        assert self.code == code, f"exit {self.code}: {self.stdout}{self.stderr}"
        assert "Traceback" not in self.stderr and "Traceback" not in self.stdout, self.stderr
        return self


class Child:
    """A started command."""

    def __init__(self, arguments: Sequence[object], cwd: Path, stdin: str = "", program: str = "-m translate") -> None:
        self._files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115 (closed by end)
        self._files[0].write(stdin.encode())
        self._files[0].seek(0)
        path = os.pathsep.join([str(TESTS.parent), str(TESTS), str(TESTS / "faults")])
        self.process = Warm(
            [sys.executable, *program.split(), *(os.fsencode(str(argument)) for argument in arguments)],
            cwd=cwd,
            stdin=self._files[0],
            stdout=self._files[1],
            stderr=self._files[2],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"},
        )

    def end(self) -> Ended:
        began = time.monotonic()
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > PATIENCE:
                self.process.kill()
            time.sleep(0.02)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in self._files[1:]:
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
        for file in self._files:
            file.close()
        return Ended(self.process.returncode, *texts, usage.ru_maxrss / 1024)

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Until it is so. Fails where the child ends before."""
        began = time.monotonic()
        while not happened():
            assert time.monotonic() - began < PATIENCE, "it never came to that"
            assert os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None, self.end()
            time.sleep(0.005)

    def wait_until_stopped(self) -> None:
        """Until SIGSTOP has reached it; SIGCONT has it go on."""
        every = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT

        def stopped() -> bool:
            status = os.waitid(os.P_PID, self.process.pid, every)
            return status is not None and status.si_code == os.CLD_STOPPED

        self.wait_until(stopped)


def signalled(number: signal.Signals, count: int, delay: float = 0) -> str:
    """A `program` of `Child`: the command sends itself a signal after some of its files, see signalled.py."""
    return f"{Path(__file__).with_name('signalled.py')} {number.name} {count} {delay}"


def translate(*arguments: object, cwd: Path) -> Ended:
    """The real command, to its end."""
    return Child(arguments, cwd).end()


def run_commands(lines: Sequence[Sequence[object]], cwd: Path) -> list[dict]:
    """One child runs them all; for each its exit code, output, errors and seconds."""
    stdin = json.dumps([[str(argument) for argument in line] for line in lines])
    ended = Child(["commands"], cwd, stdin, program=str(Path(__file__))).end()
    ended.ended_in_words(0)
    return json.loads(ended.stdout)


def _commands() -> None:
    from click.testing import CliRunner

    from translate.cli import main

    rows = []
    for line in json.load(sys.stdin):
        began = time.process_time()  # the machine may be busy with others
        result = CliRunner().invoke(main, line)
        seconds = time.process_time() - began
        words = {"code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}
        rows.append({**words, "seconds": seconds})
    json.dump(rows, sys.stdout)


def _read() -> None:
    """Reads the files that standard input names; prints what became of each, and by how much memory grew."""
    from translate.data.io import images
    from translate.errors import ImageError

    before = _peak_mb()
    rows = []
    for name in json.load(sys.stdin):
        began = time.process_time()  # the machine may be busy with others
        try:
            outcome = "x".join(map(str, images.read(Path(name)).pixels.shape))
        except ImageError as error:
            outcome = str(error)
        rows.append({"outcome": outcome, "seconds": time.process_time() - began, "grown_mb": _peak_mb() - before})
    json.dump(rows, sys.stdout)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1] == "commands":
        _commands()
    elif sys.argv[1] == "read":
        _read()
    else:
        from mutants import fuzz

        fuzz(sys.argv[2], int(sys.argv[3]))
