"""Measures how long a training run waits for data."""

import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """A stream that measures how long its consumer waits, by the host's clock, without synchronising the device."""

    def __init__(self, stream: Iterator[Item], clock: Callable[[], float] = time.perf_counter) -> None:
        self._stream, self._clock = stream, clock
        self._began, self._waited = clock(), 0.0

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        asked = self._clock()
        item = next(self._stream)
        self._waited += self._clock() - asked
        return item

    @property
    def share(self) -> float:
        """Share of the time since creation that was spent waiting, 0 to 1."""
        elapsed = self._clock() - self._began
        return self._waited / elapsed if elapsed else 0.0
