"""Decides what fits into memory: how many images per batch, and how many rows per band of an oversized image."""

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from tempfile import gettempdir
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from translate.errors import ConfigurationError, TranslateError
from translate.inference.options import Tile
from translate.inference.padding import padded_size
from translate.inference.rehearsal import Plan
from translate.inference.tiling.account import Account
from translate.inference.tiling.banded import room_for_files, store_for
from translate.inference.tiling.rowmap import Bands
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import FileStore, MemoryStore, Store
from translate.training.runtime import Runtime
from translate.utils.amounts import size_in_words
from translate.utils.ram import available_ram

_USED = 0.5
"""The share of free memory that one batch may fill; kernels need the rest."""
_BAND = 256 << 20
"""Bytes per band on the CPU; larger bands are no faster there."""
_MAPS = 1 << 30
"""The most bytes of maps that lie in memory where only rows of the image do."""
_HELD = 0.8
"""The share of free memory that the last rows of all maps may fill."""
_SMALL = 1 << 20
"""A translation of at most this many padded pixels fits everywhere, so its memory is not measured."""
_MOST = 16
"""The most images in a batch whose size the user did not set; a GPU is no faster with more."""


@dataclass
class Fitting:
    """Plans memory for one network; `run` converts whole images (1, channels, height, width)."""

    run: Callable[[Tensor], Tensor]
    channels: int
    stride: int
    runtime: Runtime
    whole: str = ""
    """Why the network cannot run in bands, and the way out, in words; empty if it can."""
    scale: int = 1
    """How many times higher and wider translations are; sizes here are those of the inputs."""
    tile: Tile = "auto"
    most: int = 4096
    """The most images per batch, even if the user asks for more; lowered after a batch did not fit."""

    @property
    def divisible(self) -> bool:
        """Whether the network can run in bands."""
        return not self.whole

    @cached_property
    def together(self) -> bool:
        """Whether a batch goes through the network at once: not on a CPU, where it is no faster and rounding depends on
        the batch size, so that a file's output would depend on others."""
        return self.runtime.device.type != "cpu"

    def batch(self, height: int, width: int) -> int:
        """How many images of that padded size to batch when the user did not set a number."""
        if not self.together:
            return 1
        return max(1, min(_MOST, self.most, int(self._room() // self._need(height, width))))

    def bands(self, height: int, width: int) -> Bands | None:
        """The bands for one image of that padded size, or None to convert it whole.

        Raises ConfigurationError if `tile` asks for bands but the network is not divisible.
        """
        if not self.divisible:
            if isinstance(self.tile, int):
                raise ConfigurationError(f"--tile {self.tile}: {self.whole}")
            return None
        if isinstance(self.tile, int):
            return self._bands(height, width, self.tile)
        if self.tile == "off" or height * width * self.scale**2 <= _SMALL or self._need(height, width) <= self._room():
            return None
        return self.smaller(height, width)

    def smaller(self, height: int, width: int) -> Bands:
        """Bands that fit, for an image that does not fit whole."""
        return self._bands(height, width, self._rows(width))

    def _rows(self, width: int) -> int:
        on_cpu = self.runtime.device.type == "cpu"
        room = min(_BAND, self._room() // 2) if on_cpu else self._room() // 2
        return max(1, int(room // (self._per_pixel * width)))

    def rows_only(self, height: int, width: int, rehearse: Callable[[Bands], Plan]) -> Plan:
        """The plan for an image of which only rows are to be in memory: its maps lie in files unless they are small, as
        far as these have room; without statistics, or beyond the room, only their last rows are held.

        Raises TranslateError if not even these fit into memory.
        """
        rows = self.tile if isinstance(self.tile, int) else self._rows(width)
        if self._need(height, width) <= min(_MAPS, available_ram() // 2):
            return rehearse(self._in(MemoryStore, Account(), rows))
        kept = rehearse(self._in(FileStore, Account(), rows))
        room = room_for_files()
        if kept.statistics and kept.stored <= room:
            return kept
        again = Account(room if kept.statistics else 0)
        plan = rehearse(self._in(FileStore, again, self._few(rows), height))
        free = free_memory(self.runtime.device)
        if plan.held <= free * _HELD:
            return replace(plan, instead=kept) if kept.statistics else plan
        if kept.stored <= room:
            return kept
        raise TranslateError(
            f"its feature maps take {size_in_words(kept.stored)}, and {size_in_words(room)} are free for them in "
            f"{gettempdir()}; computed anew for each normalisation, their last rows take {size_in_words(plan.held)} of "
            f"memory, and {size_in_words(free)} are free; set TMPDIR to a folder with more, give --tile 1, or cut it "
            "into narrower ones"
        )

    def _few(self, rows: int) -> int:
        """Rows of a band where the last rows of all maps are in memory: about two bands of each."""
        return rows if isinstance(self.tile, int) else max(1, rows // 8)

    def _bands(self, height: int, width: int, rows: int) -> Bands:
        store, account = store_for(int(self._need(height, width)))
        if math.isinf(account.room):
            return self._in(store, account, rows)
        return self._in(store, account, self._few(rows), height)

    def _in(self, store: type[Store], account: Account, rows: int, height: int | None = None) -> Bands:
        return Bands(rows, self.runtime.device, self.runtime.memory_format, store, RULES, account, height)

    def _need(self, height: int, width: int) -> float:
        return self._per_pixel * height * width

    def _room(self) -> float:
        return _USED * free_memory(self.runtime.device)

    @cached_property
    def _per_pixel(self) -> float:
        return bytes_per_pixel(self.run, self.channels, *padded_size(64, 64, self.stride))


def bytes_per_pixel(run: Callable[[Tensor], Tensor], channels: int, height: int, width: int) -> float:
    """Bytes that `run` needs per pixel of an image (1, channels, height, width): the peak held by its tensors.

    Excludes workspace that kernels allocate for themselves. Measured by running one image of that size and one of twice
    its height and width on the network's device, so that what does not grow with the image (weights cast to another
    format) cancels out.
    """
    peaks = []
    for scale in (1, 2):
        images = torch.zeros(1, channels, scale * height, scale * width)  # not counted
        with _Living() as living:
            run(images)
        peaks.append(living.most)
    return max(1.0, (peaks[1] - peaks[0]) / (3 * height * width))


def free_memory(device: torch.device) -> int:
    """Bytes available to new tensors on the device."""
    if device.type == "cuda":
        # Memory that torch has reserved but does not use is free, too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return available_ram()


class _Living(TorchDispatchMode):
    """Counts the bytes of all live tensors created within it: `now`, and the peak, `most`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
