"""What somebody asks of a run that trains, through a file in its folder: to save a checkpoint now, or to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from translate.utils.atomic_files import write_atomic
from translate.utils.stored import UnreadableError, read_text

Wish = Literal["save", "stop"]
FILE = "asked"
SECONDS = 1.0
"""How often the file is looked for: a network's file system may take a while to answer."""


def ask(run: Path, wish: Wish) -> None:
    """Asks the run in this folder; one that trains does it between two steps, within a second or so."""
    write_atomic(run / FILE, f"{wish}\n")


class Asked:
    """Looks for wishes in the folder of a run; what was asked of the run before it began is forgotten."""

    def __init__(self, run: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock, self._last = run / FILE, clock, clock()
        self._take()

    def wish(self) -> Wish | None:
        """What was asked since the last time, if it is time to look; a file that holds something else says nothing."""
        if self._clock() - self._last < SECONDS:
            return None
        self._last = self._clock()
        return self._take()

    def _take(self) -> Wish | None:
        if not self._file.is_file():
            return None
        said = ""
        with suppress(OSError, UnreadableError):  # somebody else may have taken it, or may not be allowed to
            said = read_text(self._file, 100).strip()
            self._file.unlink()
        return next((wish for wish in get_args(Wish) if wish == said), None)
