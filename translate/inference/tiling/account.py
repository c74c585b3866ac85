"""What the maps of one image may take, what they take, and how far the computation is."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Account:
    """`room`: the bytes that stores of whole maps may take together; what they do not hold is computed again."""

    room: float = math.inf
    stored: int = 0
    """Bytes of the stores that are alive, and the most they ever were."""
    most_stored: int = 0
    held: int = 0
    """Bytes of the rows that windows hold, and the most they ever were."""
    most_held: int = 0
    starts: list[float] = field(default_factory=list)
    """When each pass over all rows of a map began, by `time.perf_counter`."""
    statistics: int = 0
    """How many of the passes were for the statistics of a whole map."""
    begins: Callable[[int], None] = lambda number: None
    """Called at the start of each pass, with how many there were before."""
    step: int = 0
    """Counts the bands of all passes; windows see by it that the rows above are done with."""

    def holds(self, size: int, copies: int) -> bool:
        """Whether a map of `size` bytes, of which `copies` live at a time, has room beside those that are stored."""
        return copies * size <= self.room and self.stored + size <= self.room

    def store(self, store: object, size: int) -> None:
        """Counts a store of `size` bytes for as long as it lives."""
        self.stored += size
        self.most_stored = max(self.most_stored, self.stored)
        weakref.finalize(store, self._free, size)

    def hold(self, change: int) -> None:
        """Counts `change` bytes more in windows."""
        self.held += change
        self.most_held = max(self.most_held, self.held)

    def a_pass(self, height: int, rows: int) -> Iterator[tuple[int, int]]:
        """Yields the first row of each band of a map and the row after its last."""
        self.begins(len(self.starts))
        self.starts.append(time.perf_counter())
        for top in range(0, height, rows):
            self.step += 1
            yield top, min(top + rows, height)

    def _free(self, size: int) -> None:
        self.stored -= size
