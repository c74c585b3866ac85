"""Work on a folder that is killed just before an operation, done again, and compared with what nothing disturbed.

An operation is a file opened for writing, a rename, a removal, a new folder, as Python's audit events tell, or the
gradients of a training step. One process imports everything and forks for each, as a start costs more than the work.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
GRADIENTS = "gradients"


@dataclass(frozen=True)
class Work:
    """What is done to a folder, and all of it that must not depend on whether it was disturbed."""

    do: Callable[[Path, bool], None]
    """The second argument: whether this is done again, after a kill."""
    left: Callable[[Path], dict[str, Any]]


def operation(folder: Path, event: str, arguments: tuple[Any, ...]) -> str | None:
    """What is about to happen in the folder, None if nothing there changes."""
    if event == GRADIENTS:
        return event
    if event == "open":
        path, _, flags = arguments
        return f"open {path}" if f"{folder}{os.sep}" in str(path) and flags & WRITES else None
    if event not in CHANGES:
        return None
    named = f"{folder}{os.sep}" in " ".join(map(str, arguments))
    # As rmtree removes, which names what it removes relative to an open folder.
    within = event in ("os.remove", "os.rmdir") and arguments[-1] > 2
    inside = named or within
    return f"{event} {' '.join(str(value) for value in arguments if isinstance(value, str | Path))}" if inside else None


def tell_gradients() -> None:
    """From now on each call of backward is an operation, too."""
    import torch

    backward = torch.autograd.backward

    def told(*arguments: Any, **options: Any) -> None:
        sys.audit(GRADIENTS)
        backward(*arguments, **options)

    torch.autograd.backward = told


def watched(folder: Path, seen: Callable[[str], None]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (found := operation(folder, event, arguments)) is not None:
            seen(found)

    sys.addaudithook(hook)


def forked(work: Callable[[], None]) -> int:
    """The exit code of `work` in a child; negative if a signal ended it."""
    sys.stderr.flush()
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)


def noted(work: Work, folder: Path) -> list[str]:
    """Does the work, and returns the operations in order."""
    listed = folder.with_name(f"{folder.name}.operations")

    def do() -> None:
        with open(listed, "w") as told:
            watched(folder, lambda found: print(found.replace("\n", " "), file=told, flush=True))
            work.do(folder, False)

    assert forked(do) == 0
    return listed.read_text().splitlines()


def killed(work: Work, folder: Path, number: int, again: bool) -> bool:
    """Does the work and is killed before operation `number`; False if it ended before, well or not."""

    def do() -> None:
        left = number

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        watched(folder, count)
        work.do(folder, again)

    return forked(do) == -signal.SIGKILL


def repaired(work: Work, folder: Path, whole: dict[str, Any]) -> list[str]:
    """Does the work again, undisturbed; what differs then from the `whole` that was never disturbed."""
    if code := forked(lambda: work.do(folder, True)):
        return [f"exit code {code}"]
    try:
        found = work.left(folder)
    except OSError as error:
        return [str(error)]
    different = (key for key in whole | found if found.get(key) != whole.get(key))
    return [f"{key}: {found.get(key)}, not {whole.get(key)}" for key in different]
