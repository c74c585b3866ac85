"""Measures how much memory a network takes and how much is free."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from translate.utils.ram import available_ram


def bytes_per_pixel(run: Callable[[Tensor], Tensor], channels: int, height: int, width: int) -> float:
    """Bytes that `run` needs per pixel of an image (1, channels, height, width): the peak held by its tensors.

    Excludes workspace that kernels allocate for themselves. Measured by running one image of that size and one of twice
    its height and width on the network's device, so that what does not grow with the image (weights cast to another
    format) cancels out.
    """
    small, large = (_peak(run, torch.zeros(1, channels, scale * height, scale * width)) for scale in (1, 2))
    return max(1.0, (large - small) / (3 * height * width))


def free_memory(device: torch.device) -> int:
    """Bytes available to new tensors on the device."""
    if device.type == "cuda":
        # Memory that torch has reserved but does not use is free, too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return available_ram()


def _peak(run: Callable[[Tensor], Tensor], images: Tensor) -> int:
    with _Living() as living:
        run(images)
    return living.most


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
