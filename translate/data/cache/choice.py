"""Chooses the cache of decoded images: none, in memory, in files shared by all runs, or on the device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Literal

import torch

from translate.data.batch import Batch
from translate.data.cache.device import on_device
from translate.data.cache.disk import DiskCache
from translate.data.cache.memory import Cache, Memory
from translate.data.catalog.cards import user_data
from translate.data.decoding import Decoding
from translate.data.loader import Loader
from translate.utils.ram import available_ram

Where = Literal["off", "ram", "disk", "device"]
MEMORY, DISK = 4_000_000_000, 20_000_000_000
"""Default limits in bytes."""


def open_cache(where: Where, limit: int | None, decoding: Decoding | Sequence[Decoding]) -> Cache:
    """Returns the cache of images on the host, up to `limit` bytes; None means `MEMORY`, but at most half of what is
    free, or `DISK`.

    Raises ConfigurationError if the cache folder cannot be created.
    """
    if where == "disk":
        return DiskCache(user_data().parent / "resized", DISK if limit is None else limit, decoding)
    if where == "off":
        return Memory(0)
    return Memory(min(MEMORY, available_ram() // 2) if limit is None else limit)


def stream_of(
    loader: Loader[Batch], where: Where, limit: int | None, device: torch.device, log: Callable[[str], None]
) -> Callable[[int, int], Generator[Batch]]:
    """Returns the stream of batches that suits `device`: from its own memory, or via pinned memory for CUDA."""
    if where == "device":
        return on_device(loader, device, limit, log)
    return partial(loader.stream, pin=device.type == "cuda")
