"""Rules for operations that compute, move or copy single pixels: rows of the output need the same rows of the input.

Each rule takes torch's operation and its arguments, at least one of which is a `RowMap`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from translate.inference.tiling.rowmap import RowMap, first_map, like_result, rows_of

aten = torch.ops.aten


def pixelwise(func: Any, *args: Any, **kwargs: Any) -> RowMap:
    """Applies `func` row by row to maps, tensors of the same height, and numbers."""
    given = [rows_of(arg) for arg in args]

    def rows(top: int, bottom: int) -> Tensor:
        return func(*(value(top, bottom) if callable(value) else value for value in given), **kwargs)

    return RowMap(like_result(func, *args, **kwargs), rows, first_map(args).bands)


def summed(func: Any, *args: Any, **kwargs: Any) -> RowMap:
    """Adds; keeps a sum of two maps at once, which a chain of residual blocks would otherwise recompute repeatedly."""
    made = pixelwise(func, *args, **kwargs)
    # Of sums only two live at a time: the next one takes the place of this.
    return made.stored(copies=2) if sum(isinstance(arg, RowMap) for arg in args) > 1 else made


def relu_in_place(func: Any, map_: RowMap) -> RowMap:
    """Returns the same map. Maps that were made from it before keep the old values."""
    before = map_.rows
    map_.rows = lambda top, bottom: before(top, bottom).relu()
    return map_


def cast(func: Any, map_: RowMap, *, dtype: torch.dtype | None = None, device: Any = None, **others: Any) -> RowMap:
    """The map in another dtype. Raises NotImplementedError for another kind of device."""
    if device is not None and torch.device(device).type != map_.device.type:
        raise NotImplementedError("a map that is processed in bands stays on its device")
    before, wanted = map_.rows, dtype or map_.dtype
    like = torch.empty(map_.shape, dtype=wanted, device="meta")
    return RowMap(like, lambda top, bottom: before(top, bottom).to(wanted), map_.bands)


def same(func: Any, map_: RowMap, *args: Any, **kwargs: Any) -> RowMap:
    """Copies and views that change nothing. Raises NotImplementedError for one that changes the shape."""
    if like_result(func, map_, *args, **kwargs).shape != map_.shape:
        raise NotImplementedError(f"{func} of a map that is processed in bands must keep its shape")
    return RowMap(map_, map_.rows, map_.bands)


def concatenated(func: Any, maps: Sequence[Tensor], dim: int = 0) -> RowMap:
    """Joins maps of the same height along channels. Raises NotImplementedError for another dimension."""
    if len(maps) > 1 and dim != 1:
        raise NotImplementedError("maps that are processed in bands are joined along channels only")
    given = [rows_of(map_) for map_ in maps]
    return RowMap(
        like_result(func, maps, dim),
        lambda top, bottom: torch.cat([rows(top, bottom) for rows in given], dim),
        first_map(maps).bands,
    )


def split(func: Any, map_: RowMap, size: int, dim: int = 0) -> list[RowMap]:
    """Splits a single image along the batch, and so into one part. Raises NotImplementedError for another dimension."""
    if dim != 0:
        raise NotImplementedError("maps that are processed in bands are one image and not split")
    return [RowMap(map_, map_.rows, map_.bands)]


def made_like(func: Any, map_: RowMap, *args: Any, **kwargs: Any) -> Tensor:
    """A plain tensor that takes its device and dtype from a map (new_zeros, empty_like)."""
    return func(torch.empty_strided(map_.shape, map_.stride(), dtype=map_.dtype, device=map_.device), *args, **kwargs)


def dropout(func: Any, map_: RowMap, probability: float, train: bool | None) -> tuple[RowMap, Tensor]:
    """Dropout: the map with values zeroed at random and the others scaled up, and the mask of those left."""
    ones = torch.empty_strided(map_.shape, map_.stride(), dtype=map_.dtype, device=map_.device).fill_(1)
    # Drawn for the whole map, so that the random numbers are the same as without bands.
    noise, mask = torch.native_dropout(ones, probability, train)
    return pixelwise(aten.mul.Tensor, map_, noise), mask
