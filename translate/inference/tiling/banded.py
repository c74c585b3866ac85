"""Runs a network on one image, band by band."""

import shutil
import tempfile
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import to_float, to_pixels
from translate.errors import TranslateError
from translate.inference.padding import reflected
from translate.inference.reasons import finite
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.store import FileStore, MemoryStore, Store
from translate.utils.ram import available_ram
from translate.utils.sides import Sides


def convert_banded(
    network: Callable[[Tensor], Tensor],
    pixels: np.ndarray,
    height: int,
    width: int,
    bands: Bands,
    depth: torch.dtype | None = None,
    scale: int = 1,
) -> np.ndarray:
    """Translates pixels (rows, columns, channels), uint8 or uint16, band by band, to as many of type `depth`, the same
    unless given; both sides become `scale` times as large.

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
        depth = depth or torch.from_numpy(pixels[:1]).dtype
        size = Sides(*pixels.shape[:2]).times(scale)
        result = torch.empty((*size, fakes.shape[1]), dtype=depth).numpy()
        for top, bottom in bands.of(size.height):
            rows = fakes.rows(top, bottom)[0, :, :, : size.width]
            result[top:bottom] = to_pixels(finite(rows), depth).permute(1, 2, 0).cpu().numpy()
    return result


def store_for(needed: int) -> Callable[[int, int, int, torch.dtype], Store]:
    """The store for maps of `needed` bytes: memory if they take at most half of what is available, else files.

    Raises TranslateError if the folder for temporary files is too small, too.
    """
    if needed <= available_ram() // 2:
        return MemoryStore
    folder = tempfile.gettempdir()
    if needed > (free := shutil.disk_usage(folder).free):
        raise TranslateError(
            f"the image's feature maps take {needed / 1e9:.1f} GB: more than half of the memory, and more than the "
            f"{free / 1e9:.1f} GB that are free in {folder}; set TMPDIR to a folder with more"
        )
    return FileStore


def _padded(pixels: np.ndarray, height: int, width: int, bands: Bands) -> RowMap:
    """The padded image in [-1, 1] as a `RowMap`; only requested rows are converted to floating point."""
    cpu = torch.device("cpu")
    rows, columns = (
        reflected(length, wanted, cpu).numpy() for length, wanted in zip(pixels.shape[:2], (height, width), strict=True)
    )

    def some(top: int, bottom: int) -> Tensor:
        found = torch.from_numpy(pixels[rows[top:bottom]][:, columns]).permute(2, 0, 1)[None]
        return to_float(found.to(bands.device)).contiguous(memory_format=bands.memory_format)

    like = torch.empty(1, pixels.shape[2], height, width, device="meta")
    return RowMap(like, some, bands)
