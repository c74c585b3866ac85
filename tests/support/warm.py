"""Python in processes of their own that start at once: forked from one that has imported the libraries.

To import torch takes seconds, a fork milliseconds. All else is as if Python had been started: the arguments, the
environment, the folder, the streams and `sitecustomize` are the child's own, translate is imported by it, its parent
is who asked, and it ends as Python ends, but that memory is not tidied up first. Where there are no such forks, and for
`preexec_fn`, Python is started.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from patience import PATIENCE

LIBRARIES = (
    "cv2", "numpy", "pydantic", "yaml", "click", "jinja2", "filelock", "PIL.Image", "PIL.ImageCms", "safetensors.torch",
    "torch", "torch.utils.flop_counter", "torch._dynamo",
)  # fmt: skip
LONGEST = 1 << 17  # bytes of what is asked for: arguments and environment
CODE: list[int] = []  # with which the child is about to end
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux: who is given the children of those below that have ended


class Warm(subprocess.Popen):
    """`subprocess.Popen` for `[sys.executable, *what Python takes: -m NAME, -c CODE or a file]`."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *rest: Any) -> None:
        words = [os.fsdecode(word) for word in args]
        if sys.platform != "linux" or preexec_fn is not None or words[0] != sys.executable:
            return super()._execute_child(args, executable, preexec_fn, *rest)
        _, _, folder, environment, _, _, _, *pipes = rest[:13]
        reading, _, _, writing, _, complaining = pipes
        streams = [number if given == -1 else given for number, given in enumerate((reading, writing, complaining))]
        asked = json.dumps([words[1:], os.fsdecode(folder or os.getcwd()), dict(environment or os.environ)]).encode()
        assert len(asked) <= LONGEST
        server = _server()
        socket.send_fds(server, [asked], streams)
        answer = server.recv(32)
        if not answer:
            raise ChildProcessError("the process that forks has ended; what it printed says why")
        self._child_created = True
        self.pid = int(answer)
        self._close_pipe_fds(*pipes)
        return None


def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` with what is printed, as text."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    timeout = options.pop("timeout", PATIENCE)
    with Warm(command, text=True, **pipes | options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@functools.cache
def _server() -> socket.socket:
    """The line to a process that forks; it ends when this one does."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no children of children can be taken over")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            env={**others, "OMP_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # what a terminal sends, Ctrl-C, is for the tests
        )
    atexit.register(lambda: (ours.close(), process.wait()))
    return ours


def _forked(line: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]]:
    """Forks for each that asks; returns in the child only, with what it is to be."""
    while True:
        asked, streams, *_ = socket.recv_fds(line, LONGEST, 3)
        if not asked:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            here = os.getpid()
            child = os.fork()
            if not child:
                os.close(reading), os.close(writing), line.close()
                while os.getppid() == here:  # until that has ended, and the child is one of who asked
                    time.sleep(0.0005)
                return *json.loads(asked), list(streams)
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # now the child is a child of who asked
        line.send(os.read(reading, 32))
        for number in (reading, writing, *streams):
            os.close(number)


def _become(words: list[str], folder: str, environment: dict[str, str], streams: list[int], base: list[str]) -> None:
    """What Python does when it starts."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        stream = open(number, before.mode, encoding=before.encoding, errors=before.errors, closefd=False)  # noqa: SIM115
        if number:
            stream.reconfigure(line_buffering=number == 2 or stream.isatty())
        setattr(sys, name, stream), setattr(sys, f"__{name}__", stream)
    first = str(Path(words[0]).absolute().parent) if words[0] not in ("-m", "-c") else folder
    sys.path[:] = [first, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *base]
    sys.path_importer_cache.clear()
    random.seed()
    sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise


def _end_untidied() -> None:
    """For `atexit`: what was registered later, and threads, have ended; to take modules apart takes half a second."""
    if CODE and all(stream is not None for stream in (sys.stdout, sys.stderr)):
        sys.stdout.flush(), sys.stderr.flush()  # an error leaves it to Python, which has a code for it
        os._exit(CODE[0])


def _run(words: list[str]) -> None:
    how, *rest = words
    if how == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = words
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    base = sys.path[1:]
    atexit.register(_end_untidied)  # the first to be registered is the last to be called
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()  # so that collecting writes to no page that is shared
    words, *rest = _forked(socket.socket(fileno=int(sys.argv[1])))
    _become(words, *rest, base)
    try:
        _run(words)
    except SystemExit as ended:
        CODE[:] = [ended.code or 0] if isinstance(ended.code, int | None) else []
        raise
