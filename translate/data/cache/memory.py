"""What a cache of decoded images is, and the one in memory."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np

from translate.data.source import Readable

Place = tuple[int, int]
"""Index of a domain, and of an image in it."""


class Cache(Protocol):
    """A thread-safe store of decoded images by place (domain, index)."""

    def get(self, place: Place, source: Readable) -> np.ndarray | None: ...

    def put(self, place: Place, source: Readable, pixels: np.ndarray) -> None: ...


class Memory:
    """A `Cache` of arrays in memory, up to `room` bytes; it evicts nothing."""

    def __init__(self, room: int) -> None:
        self._arrays: dict[Place, np.ndarray] = {}
        self._room, self._lock = room, threading.Lock()

    def get(self, place: Place, source: Readable) -> np.ndarray | None:
        return self._arrays.get(place)

    def put(self, place: Place, source: Readable, pixels: np.ndarray) -> None:
        with self._lock:
            if place not in self._arrays and pixels.nbytes <= self._room:
                self._room -= pixels.nbytes
                self._arrays[place] = pixels
