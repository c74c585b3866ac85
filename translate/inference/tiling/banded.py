"""Runs a network on one image, band by band."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import to_float, to_pixels
from translate.inference.padding import reflected
from translate.inference.reasons import finite
from translate.inference.tiling.account import Account
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.store import FileStore, MemoryStore, Store
from translate.utils.ram import available_ram
from translate.utils.sides import Sides


@dataclass(frozen=True)
class RowsOfPixels:
    """Pixels that are read by rows, as often as a network asks for them."""

    shape: tuple[int, ...]
    """(rows, columns, channels)."""
    rows: Callable[[int, int], np.ndarray]
    """Returns rows `top` to `bottom` - 1, uint8 or uint16."""


def convert_banded(
    network: Callable[[Tensor], Tensor],
    pixels: np.ndarray,
    height: int,
    width: int,
    bands: Bands,
    depth: torch.dtype | None = None,
    scale: int = 1,
) -> np.ndarray:
    """Like `convert_rows`, for pixels that are in memory, to as many of type `depth`, the same unless given."""
    made: list[np.ndarray] = []

    def put(top: int, rows: np.ndarray) -> None:
        if not made:
            size = Sides(*pixels.shape[:2]).times(scale)
            made.append(np.empty((*size, rows.shape[2]), rows.dtype))
        made[0][top : top + len(rows)] = rows

    depth = depth or torch.from_numpy(pixels[:1]).dtype
    rows = RowsOfPixels(pixels.shape, lambda top, bottom: pixels[top:bottom])
    convert_rows(network, rows, height, width, bands, depth, put, scale)
    return made[0]


def convert_rows(
    network: Callable[[Tensor], Tensor],
    pixels: RowsOfPixels,
    height: int,
    width: int,
    bands: Bands,
    depth: torch.dtype,
    put: Callable[[int, np.ndarray], None],
    scale: int = 1,
) -> None:
    """Translates pixels, uint8 or uint16, band by band to as many of type `depth`, both sides `scale` times as
    large, and gives those (rows, columns, channels) from row `top` on to `put`, from the top to the bottom.

    The network takes images (1, channels, height, width) in [-1, 1], no smaller than the pixels; reflection fills the
    rest and is cropped away again. Computes the same function as the network on the whole image, statistics included,
    so that only rounding differs.
    """
    source = _padded(pixels, height, width, bands)
    # Inference mode would dispatch composite functions without decomposing them into operations.
    with torch.inference_mode(False), torch.no_grad():
        fakes = network(source)
        if not isinstance(fakes, RowMap):
            whole = fakes
            fakes = RowMap(whole, lambda top, bottom: whole[:, :, top:bottom], bands)
        size = Sides(*pixels.shape[:2]).times(scale)
        for top, bottom in bands.of(size.height):
            # Windows compute only now; autocast was applied when the network was called.
            with torch.autocast(bands.device.type, enabled=False):
                rows = fakes.rows(top, bottom)[0, :, :, : size.width]
            put(top, to_pixels(finite(rows), depth).permute(1, 2, 0).cpu().numpy())


def store_for(needed: int) -> tuple[type[Store], Account]:
    """The store for maps of `needed` bytes, and how much of it they may take: memory if they take at most half of what
    is available, else files, and where these do not fit the folder for temporary files, either, as many as do."""
    if needed <= available_ram() // 2:
        return MemoryStore, Account()
    room = room_for_files()
    return FileStore, Account() if needed <= room else Account(room)


def room_for_files() -> int:
    """Bytes that maps may take in the folder for temporary files; a tenth is left to others, such as the output."""
    return shutil.disk_usage(tempfile.gettempdir()).free * 9 // 10


def _padded(pixels: RowsOfPixels, height: int, width: int, bands: Bands) -> RowMap:
    """The padded image in [-1, 1] as a `RowMap`; only requested rows are converted to floating point."""
    cpu = torch.device("cpu")
    rows, columns = (
        reflected(length, wanted, cpu).numpy() for length, wanted in zip(pixels.shape[:2], (height, width), strict=True)
    )

    def some(top: int, bottom: int) -> Tensor:
        wanted = rows[top:bottom]
        first = int(wanted.min())
        held = pixels.rows(first, int(wanted.max()) + 1)
        found = torch.from_numpy(held[wanted - first][:, columns]).permute(2, 0, 1)[None]
        return to_float(found.to(bands.device)).contiguous(memory_format=bands.memory_format)

    like = torch.empty(1, pixels.shape[2], height, width, device="meta")
    return RowMap(like, some, bands)
