"""How long the translation of a large image takes, and how much memory and disk: by translating a small piece."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from translate.inference.tiling.account import Account
from translate.inference.tiling.banded import RowsOfPixels
from translate.inference.tiling.rowmap import Bands
from translate.inference.tiling.store import MemoryStore

Work = Callable[[RowsOfPixels, int, int, Bands], None]
"""Translates pixels as an image of (height, width), which fit the network, in bands."""

_PIXELS = 1 << 18
"""Of a piece: as many as bands of slides have, so that the speed is theirs."""
_ROWS = 128


@dataclass(frozen=True)
class Plan:
    """How an image is translated by rows, and what that takes, but for reading and writing."""

    bands: Bands
    passes: list[float]
    """Seconds of each pass."""
    stored: float
    """The most bytes of whole maps at a time, in files unless they are small."""
    held: float
    """The most bytes of rows in memory at a time, where maps are computed again."""
    readings: int
    """How often the image is read."""
    statistics: int
    """How many passes are for statistics."""
    instead: Plan | None = None
    """The plan that keeps all maps, where there is no room for it; `bands` then holds fewer."""

    @property
    def seconds(self) -> float:
        return sum(self.passes)

    def left(self, number: int, since: float) -> float:
        """The seconds that are left at the beginning of pass `number`, `since` seconds after that of the first."""
        done = sum(self.passes[:number])
        return since / done * (self.seconds - done) if done else self.seconds


def rehearsed(work: Work, bands: Bands, size: tuple[int, int], stride: int, channels: int, dtype: np.dtype) -> Plan:
    """Plans for an image of `size` (height, width), multiples of `stride`, by the same bands on a piece of noise."""
    height, width = size
    rows = min(height, -(-max(_ROWS, 2 * stride) // stride) * stride)
    columns = min(width, max(stride, _PIXELS // rows // stride * stride))
    larger = height * width / (rows * columns)
    account = Account(bands.account.room / larger)
    piece = replace(bands, store=MemoryStore, account=account, height=bands.height and rows)
    top = 256 if dtype == np.uint8 else 65536
    noise = np.random.default_rng(0).integers(0, top, (rows, columns, channels), dtype)
    readings = _Readings(noise)
    work(RowsOfPixels(noise.shape, readings.rows), rows, columns, piece)
    times = [*account.starts, time.perf_counter()]
    return Plan(
        bands,
        [(after - before) * larger for before, after in pairwise(times)],
        account.most_stored * larger,
        account.most_held * width / columns,
        readings.count,
        account.statistics,
    )


class _Readings:
    """Counts how often pixels are read from the top to the bottom."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels, self._ended, self.count = pixels, True, 0

    def rows(self, top: int, bottom: int) -> np.ndarray:
        if top == 0 and self._ended:
            self.count += 1
        self._ended = bottom == len(self._pixels)
        return self._pixels[top:bottom]
