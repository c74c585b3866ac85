"""What fits into memory: how many images at a time, and how many rows where one image is too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from translate.converting.memory import bytes_per_pixel, free_memory
from translate.converting.padding import padded_size
from translate.converting.tiling.banded import store_for
from translate.converting.tiling.rowmap import Bands
from translate.engine import Engine
from translate.errors import ConfigurationError

Tile = Literal["auto", "off"] | int
"""Whether an image is worked on in bands of rows: as memory decides, never, or always, of so many rows."""

_USED = 0.5
"""Share of the free memory that one batch may fill: kernels need some for themselves."""
_BAND = 256 << 20
"""Bytes for a band on the CPU; bands that are larger are no faster there."""
_SMALL = 1 << 20
"""Pixels of a batch that fits everywhere: it is not measured first."""
_MOST = 16
"""Images in a batch that nobody asked for; a GPU is no faster with more."""


@dataclass
class Fitting:
    """For one network, which runs whole images (1, channels, height, width) by `run`."""

    run: Callable[[Tensor], Tensor]
    channels: int
    stride: int
    engine: Engine
    divisible: bool = True
    """Whether it can be worked through in bands: a graph from a file, which torch cannot look into, can not."""
    tile: Tile = "auto"
    most: int = 4096
    """Images at a time, whatever was asked for; fewer after a batch was too large."""

    @cached_property
    def together(self) -> bool:
        """Whether the images of a batch go through the network at once. Not on a CPU: they are no faster so, and
        kernels round by the size of the batch, so that a file would hang on its company."""
        return self.engine.device.type != "cpu"

    def batch(self, height: int, width: int) -> int:
        """Images of that padded size at a time, where nobody asked for a number."""
        if not self.together:
            return 1
        return max(1, min(_MOST, self.most, int(self._room() // self._need(height, width))))

    def bands(self, height: int, width: int) -> Bands | None:
        """How one image of that padded size is worked on in bands; None for as a whole.

        Raises ConfigurationError where bands are asked for of what is not divisible.
        """
        if not self.divisible:
            if isinstance(self.tile, int):
                raise ConfigurationError(f"--tile {self.tile}: an exported file takes whole images only; give the run")
            return None
        if isinstance(self.tile, int):
            return self._bands(height, width, self.tile)
        if self.tile == "off" or height * width <= _SMALL or self._need(height, width) <= self._room():
            return None
        return self.smaller(height, width)

    def smaller(self, height: int, width: int) -> Bands:
        """Bands that fit, for an image that does not."""
        on_cpu = self.engine.device.type == "cpu"
        room = min(_BAND, self._room() // 2) if on_cpu else self._room() // 2
        return self._bands(height, width, max(1, int(room // (self._per_pixel * width))))

    def _bands(self, height: int, width: int, rows: int) -> Bands:
        store = store_for(int(self._need(height, width)))
        return Bands(rows, self.engine.device, self.engine.memory_format, store)

    def _need(self, height: int, width: int) -> float:
        return self._per_pixel * height * width

    def _room(self) -> float:
        return _USED * free_memory(self.engine.device)

    @cached_property
    def _per_pixel(self) -> float:
        return bytes_per_pixel(self.run, self.channels, *padded_size(64, 64, self.stride))


def out_of_memory(error: RuntimeError) -> bool:
    """On a device, or on the CPU, where torch has no name for it."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
