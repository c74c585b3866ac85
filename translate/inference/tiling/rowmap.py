"""A feature map that acts as a tensor but computes its rows on demand and is never whole on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from translate.inference.tiling.account import Account
from translate.inference.tiling.store import Store
from translate.inference.tiling.window import Window

Rows = Callable[[int, int], Tensor]
"""Returns rows `top` to `bottom` - 1 of a map (1, channels, height, width), as a tensor on the device."""


@dataclass(frozen=True)
class Bands:
    """How maps are processed: `rows` rows at a time on the device, with whole maps in a store, as far as the account
    has room for them; of others only the last rows are held (see `window`)."""

    rows: int
    device: torch.device
    memory_format: torch.memory_format
    """Of every band, and of a whole map's nominal strides, in whose order random numbers are drawn."""
    store: Callable[[int, int, int, torch.dtype], Store]
    """Creates a store for a map of (channels, height, width, dtype)."""
    rules: Mapping[Any, Callable[..., Any]]
    """What each of torch's operations does to maps, see `rules`."""
    account: Account = field(default_factory=Account)
    height: int | None = None
    """That of the image, if bands of smaller maps are to be as many rows fewer."""

    def of(self, height: int) -> Iterator[tuple[int, int]]:
        """Yields the first row of each band and the row after its last."""
        rows = max(1, self.rows * height // self.height) if self.height else self.rows
        return self.account.a_pass(height, rows)


class RowMap(Tensor):
    """A tensor (1, channels, height, width) without memory, defined by a function that returns its rows.

    Operations on it follow the rules of its bands: convolutions are computed immediately, band by band, into a store;
    normalisation takes its statistics from all rows; operations on single pixels are computed when their rows are
    requested. Each output is computed from the same numbers as without bands, so there are no seams to blend.
    """

    rows: Rows
    bands: Bands

    @staticmethod
    def __new__(cls: type[RowMap], like: Tensor, rows: Rows, bands: Bands) -> RowMap:
        """`like` gives the shape and dtype; nothing else of it is used."""
        strides = torch.empty(like.shape, device="meta", memory_format=bands.memory_format).stride()
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, like.shape, strides=strides, dtype=like.dtype, device=bands.device
        )
        made.rows, made.bands = rows, bands
        return made

    # Disabled, so that torch does not wrap results as maps: the rules decide.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Applies the operation's rule. Raises NotImplementedError if it has none."""
        bands = first_map(args).bands
        if func not in bands.rules:
            raise NotImplementedError(
                f"{func} has no rule for maps that are processed in bands (translate/inference/tiling/rules.py); "
                "convert with --tile off"
            )
        # Autocast has already been applied; bands must not be cast again.
        with torch.autocast(bands.device.type, enabled=False):
            return bands.rules[func](func, *args, **(kwargs or {}))

    def stored(self, copies: int = 4) -> RowMap:
        """The same map with all rows computed now, once, and written to a store; where there is no room for `copies` of
        it, with rows that are computed in each pass, once."""
        _, channels, height, width = self.shape
        size, account = self.numel() * self.dtype.itemsize, self.bands.account
        if not account.holds(size, copies):
            window = Window(self.rows, account, self.bands.memory_format)
            empty = torch.empty(1, channels, 0, width, dtype=self.dtype, device=self.device)
            return RowMap(self, lambda top, bottom: window.rows(top, bottom) if top < bottom else empty, self.bands)
        store = self.bands.store(channels, height, width, self.dtype)
        account.store(store, size)
        for top, bottom in self.bands.of(height):
            store.write(top, self.rows(top, bottom))
        device, form = self.device, self.bands.memory_format
        return RowMap(
            self, lambda top, bottom: store.read(top, bottom).to(device).contiguous(memory_format=form), self.bands
        )


def rows_of(value: Any) -> Any:
    """The row function of a map or of a 4-d tensor of more than one row; any other value unchanged."""
    if isinstance(value, RowMap):
        return value.rows
    if isinstance(value, Tensor) and value.dim() == 4 and value.shape[2] > 1:
        return lambda top, bottom: value[:, :, top:bottom]
    return value


def like_result(func: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A tensor without memory, with the shape and dtype of the result of `func`."""

    def bare(value: Tensor) -> Tensor:
        return torch.empty(value.shape, dtype=value.dtype, device="meta")

    return func(*tree_map_only(Tensor, bare, args), **tree_map_only(Tensor, bare, kwargs))


def first_map(args: Any) -> RowMap:
    """The first `RowMap` among the arguments of an operation, including lists among them."""
    for arg in args:
        if isinstance(arg, RowMap):
            return arg
        if isinstance(arg, list | tuple) and any(isinstance(value, RowMap) for value in arg):
            return first_map(arg)
    raise AssertionError("no map among the arguments")
