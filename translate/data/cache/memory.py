"""Decodes and resizes images, and caches them in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from translate.data.io.images import Interpolation, resize
from translate.data.source import Readable, Stretched

Resize = Literal["square", "centre", "short_side", "short_side_floor", "none"]
"""How to resize: stretch to a square; crop the largest centred square; scale by the shorter side, with the longer side
rounded or, as torchvision does it, rounded down; or not at all."""
Where = Literal["off", "ram", "disk", "device"]
"""Where resized images are kept."""
Place = tuple[int, int]
"""Index of a domain, and of an image in it."""


class Domain:
    """The images of one domain, resized."""

    def __init__(
        self,
        sources: Sequence[Readable],
        channels: int,
        side: int,
        resize: Resize,
        interpolation: Interpolation,
    ) -> None:
        self.sources, self._channels, self._side, self._resize = sources, channels, side, resize
        self._interpolation = interpolation

    def __len__(self) -> int:
        return len(self.sources)

    def load(self, index: int) -> np.ndarray:
        source = self.sources[index]
        if self._resize == "square" and isinstance(source, Stretched):
            return source.square(self._channels, self._side, self._interpolation)
        pixels = source.read(self._channels)
        if self._resize == "centre":
            pixels = _centre(pixels)
        target = self._target(*pixels.shape[:2])
        resized = pixels if pixels.shape[:2] == target else resize(pixels, *target, self._interpolation)
        return np.ascontiguousarray(resized)  # a view of half a side-by-side file would keep the whole in memory

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self._resize == "none":
            return height, width
        if self._resize in ("square", "centre"):
            return self._side, self._side
        if self._resize == "short_side_floor":
            return height * self._side // min(height, width), width * self._side // min(height, width)
        scale = self._side / min(height, width)
        return round(height * scale), round(width * scale)


class Cache(Protocol):
    """A thread-safe store of resized images by place (domain, index)."""

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


def _centre(pixels: np.ndarray) -> np.ndarray:
    """Crops the largest centred square."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side].copy()  # a view would keep the whole in memory
