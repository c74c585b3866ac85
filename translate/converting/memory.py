"""Measures how much memory a network takes and how much is free."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_UNTOLD = 4 << 30
"""Bytes assumed free if the system does not say."""
_LIMITS = (  # container limit and usage: Linux control groups v2 and v1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


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


def available_ram() -> int:
    """Bytes of main memory that a process may take: what Linux reports as available, or a container's lower limit.

    On other systems half of the total, and a fixed guess on Windows.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _half_of_all()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return min([kilobytes["MemAvailable"] * 1024, *_left_in_container()])


def _left_in_container() -> list[int]:
    left = []
    for limit, used in _LIMITS:
        if Path(limit).is_file() and Path(used).is_file() and (text := Path(limit).read_text().strip()) != "max":
            left.append(max(0, int(text) - int(Path(used).read_text())))
    return left


def _half_of_all() -> int:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # Windows
        return _UNTOLD
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


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
