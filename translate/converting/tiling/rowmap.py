"""A feature map that is never on the device whole: any of its rows can be had, and a network takes it for a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from translate.converting.tiling.store import Store

Rows = Callable[[int, int], Tensor]
"""Rows `top` to `bottom` - 1 of a map (1, channels, height, width), as a tensor on the device."""


@dataclass(frozen=True)
class Bands:
    """How a network works through its maps: so many rows at a time on the device, the whole of a map in a store."""

    rows: int
    device: torch.device
    memory_format: torch.memory_format
    """Of every band; a whole map has it as well, in so far as it has any: dice are thrown in its order."""
    store: Callable[[int, int, int, torch.dtype], Store]
    """Makes a place for channels, height, width and number format."""

    def of(self, height: int) -> Iterator[tuple[int, int]]:
        """First row and the row after the last, of each band."""
        for top in range(0, height, self.rows):
            yield top, min(top + self.rows, height)


class RowMap(Tensor):
    """A tensor (1, channels, height, width) without memory, given by a function of its rows.

    What a network does with it goes by `rules`: convolutions are computed at once, band by band, into a store;
    normalisation takes its statistics from all rows, whatever the bands; what works on single pixels or moves them
    waits until its rows are wanted. So each output is computed from the same numbers as without bands: padding is
    that of the whole map, and there are no seams to blend.
    """

    rows: Rows
    bands: Bands

    @staticmethod
    def __new__(cls, like: Tensor, rows: Rows, bands: Bands) -> RowMap:
        """`like` has the shape and number format; nothing else of it is used."""
        strides = torch.empty(like.shape, device="meta", memory_format=bands.memory_format).stride()
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, like.shape, strides=strides, dtype=like.dtype, device=bands.device
        )
        made.rows, made.bands = rows, bands
        return made

    def __init__(self, like: Tensor, rows: Rows, bands: Bands) -> None:
        pass

    # A function of a map and tensors is not a map for that.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        # Here, for the rules make maps themselves.
        from translate.converting.tiling.rules import apply

        return apply(func, args, kwargs or {})

    def kept(self) -> RowMap:
        """The same map, its rows computed now and once."""
        _, channels, height, width = self.shape
        store = self.bands.store(channels, height, width, self.dtype)
        for top, bottom in self.bands.of(height):
            store.write(top, self.rows(top, bottom))
        device, form = self.device, self.bands.memory_format
        return RowMap(
            self, lambda top, bottom: store.read(top, bottom).to(device).contiguous(memory_format=form), self.bands
        )


def rows_of(value: Any) -> Any:
    """A map's function of rows; the same for a tensor of images; anything else as it is."""
    if isinstance(value, RowMap):
        return value.rows
    if isinstance(value, Tensor) and value.dim() == 4 and value.shape[2] > 1:
        return lambda top, bottom: value[:, :, top:bottom]
    return value


def like_result(func: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A tensor without memory, of the shape and number format of what `func` makes."""

    def bare(value: Tensor) -> Tensor:
        return torch.empty(value.shape, dtype=value.dtype, device="meta")

    return func(*tree_map_only(Tensor, bare, args), **tree_map_only(Tensor, bare, kwargs))


def first_map(args: Any) -> RowMap:
    """The first among the arguments of an operation, and in lists among them."""
    for arg in args:
        if isinstance(arg, RowMap):
            return arg
        if isinstance(arg, list | tuple) and any(isinstance(value, RowMap) for value in arg):
            return first_map(arg)
    raise AssertionError("no map among the arguments")
