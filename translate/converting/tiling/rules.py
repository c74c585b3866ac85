"""What each of torch's operations means on a `RowMap`: which rows of the input the rows of the output need.

The operations are those that are left of a network when torch has taken it apart (`torch.ops.aten`). One that has no
rule is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map_only

from translate.converting.tiling.moments import grouped, moments
from translate.converting.tiling.rowmap import Bands, RowMap, Rows

aten = torch.ops.aten


def apply(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """`func` of arguments of which one at least is a RowMap. Raises NotImplementedError where there is no rule."""
    rule = RULES.get(func)
    if rule is None:
        raise NotImplementedError(
            f"{func} has no rule for maps that are worked on in bands (translate/converting/tiling/rules.py); "
            "convert with --tile off"
        )
    # Numbers have been cast by now; the bands are to be taken as they are.
    with torch.autocast(_first(args).device.type, enabled=False):
        return rule(func, *args, **kwargs)


# Single pixels


def _pixelwise(func: Any, *args: Any, **kwargs: Any) -> RowMap:
    """Of maps, tensors of their height, and numbers."""
    given = [_rows_of(arg) for arg in args]

    def rows(top: int, bottom: int) -> Tensor:
        return func(*(value(top, bottom) if callable(value) else value for value in given), **kwargs)

    return RowMap(_like(func, *args, **kwargs), rows, _first(args).bands)


def _sum(func: Any, *args: Any, **kwargs: Any) -> RowMap:
    """Of two maps it is kept at once: through many residual blocks it would have to be computed over and over."""
    made = _pixelwise(func, *args, **kwargs)
    return made.kept() if sum(isinstance(arg, RowMap) for arg in args) > 1 else made


def _in_place(func: Any, map_: RowMap) -> RowMap:
    # The function is taken out first: maps made of the old one keep the old values.
    before, changed = map_.rows, {aten.relu_.default: torch.relu}[func]
    map_.rows = lambda top, bottom: changed(before(top, bottom))
    return map_


def _cast(func: Any, map_: RowMap, *, dtype: torch.dtype | None = None, device: Any = None, **others: Any) -> RowMap:
    if device is not None and torch.device(device).type != map_.device.type:
        raise NotImplementedError("a map that is worked on in bands stays on its device")
    before, wanted = map_.rows, dtype or map_.dtype
    like = torch.empty(map_.shape, dtype=wanted, device="meta")
    return RowMap(like, lambda top, bottom: before(top, bottom).to(wanted), map_.bands)


def _same(func: Any, map_: RowMap, *args: Any, **kwargs: Any) -> RowMap:
    """Copies and views that change nothing."""
    if _like(func, map_, *args, **kwargs).shape != map_.shape:
        raise NotImplementedError(f"{func} of a map that is worked on in bands must keep its shape")
    return RowMap(map_, map_.rows, map_.bands)


def _concatenated(func: Any, maps: Sequence[Tensor], dim: int = 0) -> RowMap:
    if len(maps) > 1 and dim != 1:
        raise NotImplementedError("maps that are worked on in bands are joined along channels only")
    given = [_rows_of(map_) for map_ in maps]
    return RowMap(
        _like(func, maps, dim),
        lambda top, bottom: torch.cat([rows(top, bottom) for rows in given], dim),
        _first(maps).bands,
    )


def _split(func: Any, map_: RowMap, size: int, dim: int = 0) -> list[RowMap]:
    if dim != 0:
        raise NotImplementedError("maps that are worked on in bands are one image and not split")
    return [RowMap(map_, map_.rows, map_.bands)]


def _made(func: Any, map_: RowMap, *args: Any, **kwargs: Any) -> Tensor:
    """A new tensor that takes device and number format from a map (new_zeros, empty_like): not a map."""
    return func(torch.empty_strided(map_.shape, map_.stride(), dtype=map_.dtype, device=map_.device), *args, **kwargs)


def _dropout(func: Any, map_: RowMap, probability: float, train: bool | None) -> tuple[RowMap, Tensor]:
    ones = torch.empty_strided(map_.shape, map_.stride(), dtype=map_.dtype, device=map_.device).fill_(1)
    # Drawn whole, so that the dice are those of the image that is not worked on in bands.
    noise, mask = torch.native_dropout(ones, probability, train)
    return _pixelwise(aten.mul.Tensor, map_, noise), mask


# Neighbours


def _convolution(
    func: Any,
    map_: RowMap,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> RowMap:
    like = _like(func, map_, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
    before, height = map_.rows, map_.shape[2]
    step, before_first, span = stride[0], padding[0], dilation[0] * (weight.shape[2] - 1) + 1

    def straight(top: int, bottom: int) -> Tensor:
        first, last = top * step - before_first, (bottom - 1) * step - before_first + span
        inside = before(max(first, 0), min(last, height))
        padded = F.pad(inside, (0, 0, max(0, -first), max(0, last - height)))
        return func(padded, weight, bias, stride, [0, padding[1]], dilation, False, output_padding, groups)

    def backwards(top: int, bottom: int) -> Tensor:
        # Row i of the input adds to the rows i * step to i * step + span - 1 of an output without padding.
        first = max(0, -(-(top + before_first - span + 1) // step))
        last = min(height, (bottom - 1 + before_first) // step + 1)
        extra = max(0, bottom + before_first - ((last - 1) * step + span))
        spread = func(
            before(first, last), weight, bias, stride, [0, padding[1]], dilation, True,
            [extra, output_padding[1]], groups,
        )  # fmt: skip
        start = top + before_first - first * step
        return spread[:, :, start : start + bottom - top]

    return RowMap(like, backwards if transposed else straight, map_.bands).kept()


def _reflected(func: Any, map_: RowMap, padding: list[int]) -> RowMap:
    def source(row: Tensor, height: int) -> Tensor:
        return (height - 1) - ((height - 1) - row.abs()).abs()

    return _padded(func, map_, padding, source)


def _replicated(func: Any, map_: RowMap, padding: list[int]) -> RowMap:
    return _padded(func, map_, padding, lambda row, height: row.clamp(0, height - 1))


def _padded(func: Any, map_: RowMap, padding: list[int], source: Callable[[Tensor, int], Tensor]) -> RowMap:
    """`source`: rows counted from the first that was there, to the rows whose values they get."""
    left, right, above, _ = padding
    before, height = map_.rows, map_.shape[2]

    def rows(top: int, bottom: int) -> Tensor:
        wanted = source(torch.arange(top - above, bottom - above), height)
        return func(_picked(before, wanted, map_.bands), [left, right, 0, 0])

    return RowMap(_like(func, map_, padding), rows, map_.bands)


def _zero_padded(func: Any, map_: RowMap, padding: list[int], value: float = 0) -> RowMap:
    left, right, above, below = padding
    before, height = map_.rows, map_.shape[2]
    if min(above, below) < 0:
        raise NotImplementedError("a map that is worked on in bands is not cropped by padding")

    def rows(top: int, bottom: int) -> Tensor:
        first, last = (min(max(row - above, 0), height) for row in (top, bottom))
        missing = (max(0, min(bottom, above) - top), max(0, bottom - max(top, above + height)))
        return F.pad(before(first, last), (left, right, *missing), value=value)

    return RowMap(_like(func, map_, padding, value), rows, map_.bands)


def _picked(rows: Rows, wanted: Tensor, bands: Bands) -> Tensor:
    """The rows of those numbers, in that order."""
    first, last = int(wanted.min()), int(wanted.max())
    found = rows(first, last + 1).index_select(2, (wanted - first).to(bands.device))
    return found.contiguous(memory_format=bands.memory_format)


def _enlarged(func: Any, map_: RowMap, size: list[int], *options: Any) -> RowMap:
    """Nearest or bilinear interpolation by whole factors, the latter without aligned corners."""
    before, (height, width) = map_.rows, map_.shape[2:]
    factor = size[0] // height
    if size[0] != factor * height or size[1] % width or options[0] is True:
        raise NotImplementedError("maps that are worked on in bands are enlarged by whole factors")

    def rows(top: int, bottom: int) -> Tensor:
        # One row more on either side, which at the edges repeats them, as interpolation does.
        first, last = top // factor - 1, (bottom - 1) // factor + 2
        wider = _picked(before, torch.arange(first, last).clamp(0, height - 1), map_.bands)
        enlarged = func(wider, [wider.shape[2] * factor, size[1]], *options)
        return enlarged[:, :, top - first * factor : bottom - first * factor]

    return RowMap(_like(func, map_, size, *options), rows, map_.bands)


def _shuffled(func: Any, map_: RowMap, factor: int) -> RowMap:
    before = map_.rows

    def rows(top: int, bottom: int) -> Tensor:
        first = top // factor
        shuffled = func(before(first, -(-bottom // factor)), factor)
        return shuffled[:, :, top - first * factor : bottom - first * factor]

    return RowMap(_like(func, map_, factor), rows, map_.bands)


def _whole(func: Any, map_: RowMap, *args: Any, **kwargs: Any) -> Tensor:
    """Of all rows at once, for what makes a small tensor of a map of few channels."""
    return func(map_.rows(0, map_.shape[2]), *args, **kwargs)


# All pixels


def _batch_norm(
    func: Any,
    map_: RowMap,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Any, ...]:
    """Of a batch of one image, which is instance normalisation too. Running statistics are read, not moved."""
    if training or mean is None or variance is None:
        mean, variance = moments(map_)
    return _results(func, _normalised(map_, weight, bias, mean, variance, eps))


def _group_norm(
    func: Any,
    map_: RowMap,
    weight: Tensor | None,
    bias: Tensor | None,
    images: int,
    channels: int,
    pixels: int,
    groups: int,
    eps: float,
) -> tuple[Any, ...]:
    return _results(func, _normalised(map_, weight, bias, *grouped(*moments(map_), groups), eps))


def _normalised(
    map_: RowMap, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> RowMap:
    before = map_.rows

    def rows(top: int, bottom: int) -> Tensor:
        return torch.batch_norm(before(top, bottom), weight, bias, mean, variance, False, 0.0, eps, False)

    return RowMap(map_, rows, map_.bands)


def _results(func: Any, made: RowMap) -> tuple[Any, ...]:
    """With nothing for the statistics, which only a gradient needs."""
    return made, *(torch.empty(0, device=made.device) for _ in func._schema.returns[1:])


def _rows_of(value: Any) -> Any:
    """A map's function of rows; the same for a tensor of images; anything else as it is."""
    if isinstance(value, RowMap):
        return value.rows
    if isinstance(value, Tensor) and value.dim() == 4 and value.shape[2] > 1:
        return lambda top, bottom: value[:, :, top:bottom]
    return value


def _like(func: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A tensor without memory, of the shape and number format of what `func` makes."""

    def bare(value: Tensor) -> Tensor:
        return torch.empty(value.shape, dtype=value.dtype, device="meta")

    return func(*tree_map_only(Tensor, bare, args), **tree_map_only(Tensor, bare, kwargs))


def _first(args: Any) -> RowMap:
    for arg in args:
        if isinstance(arg, RowMap):
            return arg
        if isinstance(arg, list | tuple) and any(isinstance(value, RowMap) for value in arg):
            return _first(arg)
    raise AssertionError("no map among the arguments")


RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(
        (
            aten.relu.default,
            aten.leaky_relu.default,
            aten.tanh.default,
            aten.atanh.default,
            aten.mul.Tensor,
            aten.clamp.default,
        ),
        _pixelwise,
    ),
    aten.add.Tensor: _sum,
    aten.relu_.default: _in_place,
    aten._to_copy.default: _cast,
    **dict.fromkeys(
        (aten.clone.default, aten.view.default, aten.alias.default, aten.detach.default, aten._unsafe_view.default),
        _same,
    ),
    aten.cat.default: _concatenated,
    aten.split.Tensor: _split,
    **dict.fromkeys((aten.new_zeros.default, aten.new_ones.default, aten.empty_like.default), _made),
    aten.native_dropout.default: _dropout,
    aten.convolution.default: _convolution,
    aten.reflection_pad2d.default: _reflected,
    aten.replication_pad2d.default: _replicated,
    aten.constant_pad_nd.default: _zero_padded,
    aten.upsample_nearest2d.default: _enlarged,
    aten.upsample_bilinear2d.default: _enlarged,
    aten.pixel_shuffle.default: _shuffled,
    aten._upsample_bilinear2d_aa.default: _whole,
    **dict.fromkeys(
        (aten.native_batch_norm.default, aten.cudnn_batch_norm.default, aten.miopen_batch_norm.default), _batch_norm
    ),
    aten.native_group_norm.default: _group_norm,
}
