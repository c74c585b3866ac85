"""A process that is forked from a warm one is what Python would have started, and ends as it would have."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python is started")

PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {"OMP_NUM_THREADS": "1"}
SEEN = """
import json, os, signal, sys
import sitecustomize
import here
names = ("SIGINT", "SIGHUP", "SIGPIPE", "SIGTERM")
print(json.dumps({
    "arguments": sys.argv[1:], "path": [os.path.abspath(entry) for entry in sys.path], "folder": os.getcwd(),
    "environment": {name: value for name, value in os.environ.items() if name not in ("_", "LC_CTYPE")},
    "parent": os.getppid(), "name": __name__, "hook": sitecustomize.__file__, "here": here.__file__,
    "signals": [str(signal.getsignal(getattr(signal, name))) for name in names],
    "streams": [(each.fileno(), each.encoding, each.errors, each.line_buffering) for each in (sys.stdout, sys.stderr)],
    "read": sys.stdin.read(), "files": sorted(os.listdir("/proc/self/fd"))[:3], "translate": "translate" in sys.modules,
}))
"""
ENDS = {
    "all is well": "print('well')",
    "a code": "import atexit, sys; atexit.register(print, 'last words'); sys.exit(3)",
    "a word": "import sys; sys.exit('no')",
    "an error": "raise ValueError('no')",
    "an interruption": "raise KeyboardInterrupt",
    "a thread goes on": "import sys, threading; threading.Timer(.1, print, ['later']).start(); sys.exit(0)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "nothing can be printed": "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print(1); sys.exit(0)",
}


def as_usual() -> None:
    """A shell's background jobs, and nohup's, ignore these."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("how", ["-c", "-m", "a file"])
def test_it_sees_what_python_would_see(tmp_path: Path, how: str) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").touch()
    for name, text in (("here", ""), ("seen", SEEN)):
        (tmp_path / f"{name}.py").write_text(text)
    words = {"-c": ["-c", SEEN], "-m": ["-m", "seen"], "a file": [tmp_path / "seen.py"]}[how]
    command = [sys.executable, *words, "one", b"\xff"]
    options = {"cwd": tmp_path, "env": {**PLAIN, "PYTHONPATH": str(hooks)}}
    with open(hooks / "sitecustomize.py") as nothing:
        pipes = {"stdin": nothing, "capture_output": True, "text": True, "check": False}
        cold = subprocess.run(command, preexec_fn=as_usual, **pipes, **options)
        found = warm.run(command, stdin=nothing, **options)
    assert found.stderr == cold.stderr == ""
    assert json.loads(found.stdout) == json.loads(cold.stdout)
    assert json.loads(found.stdout)["parent"] == os.getpid()


@pytest.mark.parametrize("how", ENDS)
def test_it_ends_as_python_would_end(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-c", ENDS[how]]
    pipes = {"capture_output": True, "text": True, "check": False}
    cold = subprocess.run(command, env=PLAIN, preexec_fn=as_usual, **pipes)
    found = warm.run(command, env=PLAIN)
    assert (found.returncode, found.stdout) == (cold.returncode, cold.stdout)
    assert found.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


def test_it_can_be_stopped_and_waited_for() -> None:
    with warm.Warm([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.poll() is None
        process.send_signal(signal.SIGSTOP)
        assert os.waitid(os.P_PID, process.pid, os.WSTOPPED).si_status == signal.SIGSTOP
        process.send_signal(signal.SIGCONT)
        process.kill()
    assert process.returncode == -signal.SIGKILL
