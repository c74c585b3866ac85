"""progress.json: how far a run is, how fast it goes and how it ended, for those who watch it from outside.

Not in metrics.jsonl, which a resumed run must reproduce: times differ.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

import torch
from typing_extensions import TypedDict

from translate.training.runtime import Runtime
from translate.utils.atomic_files import atomic_file
from translate.utils.printing import say
from translate.utils.signals import Interrupted
from translate.utils.stored import json_text

FILE = "progress.json"
SECONDS = 1.0
"""How often it is written: a network's file system may take a while."""
_WINDOW = 30
"""Writings over which the pace is measured."""
_LONGEST = 1000
State = Literal["trains", "ended", "stopped", "failed"]


class ProgressFacts(TypedDict, total=False):
    """What the file holds; a rate only once it is known, memory only of a GPU."""

    state: State
    why: str
    """Of what was stopped or failed."""
    step: int
    total: int
    images_per_second: float
    seconds_left: float
    waiting: float
    """Share of the time that went into waiting for data."""
    runtime: str
    memory: int
    """Bytes of the GPU that the run holds, of `memory_of`."""
    memory_of: int


class ProgressFile:
    """Writes the file into `folder`, None for processes that write nothing, while it is a context, and once more at
    its end. A disk that is full ends nothing: the file is then left alone."""

    def __init__(
        self, folder: Path | None, done: int, total: int, runtime: Runtime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = folder / FILE if folder else None
        self._runtime, self._clock, self._last = runtime, clock, clock()
        self._facts: ProgressFacts = {"state": "trains", "step": done, "total": total, "runtime": str(runtime)}
        self._images = 0
        self._past = deque([(self._last, done, 0)], maxlen=_WINDOW)

    def __enter__(self) -> Self:
        self._write()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        end: State = "ended" if error is None else "stopped" if isinstance(error, Interrupted) else "failed"
        words = "" if error is None else str(error) or type(error).__name__
        self._facts |= {"state": end, "why": words[:_LONGEST]}
        self._write()

    def step(self, done: int, images: int, waiting: float) -> None:
        """To be called after every step, `done` of them in all, with the images that it took."""
        self._images += images
        self._facts["step"] = done
        now = self._clock()
        if now - self._last < SECONDS:
            return
        self._last = now
        began, before, images_before = self._past[0]
        seconds = now - began
        self._past.append((now, done, self._images))
        ahead = (self._facts["total"] - done) * seconds / (done - before)
        rate = (self._images - images_before) / seconds
        self._facts |= {"images_per_second": rate, "seconds_left": ahead, "waiting": waiting}
        if self._runtime.device.type == "cuda":
            device = self._runtime.device
            whole = torch.cuda.get_device_properties(device).total_memory
            self._facts |= {"memory": torch.cuda.memory_reserved(device), "memory_of": whole}
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            with atomic_file(self._path) as working:
                working.write_text(json_text(self._facts) + "\n", encoding="utf-8")
        except OSError as error:
            say(f"warning: {self._path}: cannot be written ({error.strerror or error}); training goes on without it")
            self._path = None
