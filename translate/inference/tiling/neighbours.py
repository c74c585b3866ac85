"""Rules for operations that read a pixel's neighbours: rows of the output need some more rows of the input.

Each rule takes torch's operation and its arguments, the first of which is a `RowMap`.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.inference.tiling.rowmap import Bands, RowMap, Rows, like_result


def convolution(
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
    """A convolution or transposed convolution, of any stride and dilation; computed at once, into a store."""
    like = like_result(func, map_, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
    before, height = map_.rows, map_.shape[2]
    step, before_first, span = stride[0], padding[0], dilation[0] * (weight.shape[2] - 1) + 1

    def straight(top: int, bottom: int) -> Tensor:
        first, last = top * step - before_first, (bottom - 1) * step - before_first + span
        inside = before(max(first, 0), min(last, height))
        padded = F.pad(inside, (0, 0, max(0, -first), max(0, last - height)))
        return func(padded, weight, bias, stride, [0, padding[1]], dilation, False, output_padding, groups)

    def backwards(top: int, bottom: int) -> Tensor:
        # Row i of the input adds to rows i * step to i * step + span - 1 of the unpadded output.
        first = max(0, -(-(top + before_first - span + 1) // step))
        last = min(height, (bottom - 1 + before_first) // step + 1)
        extra = max(0, bottom + before_first - ((last - 1) * step + span))
        spread = func(
            before(first, last), weight, bias, stride, [0, padding[1]], dilation, True,
            [extra, output_padding[1]], groups,
        )  # fmt: skip
        start = top + before_first - first * step
        return spread[:, :, start : start + bottom - top]

    return RowMap(like, backwards if transposed else straight, map_.bands).stored()


def reflected(func: Any, map_: RowMap, padding: list[int]) -> RowMap:
    """Reflection padding, as [left, right, above, below]; the edge row is not repeated."""

    def source(row: Tensor, height: int) -> Tensor:
        return (height - 1) - ((height - 1) - row.abs()).abs()

    return _padded(func, map_, padding, source)


def replicated(func: Any, map_: RowMap, padding: list[int]) -> RowMap:
    """Replication padding, as [left, right, above, below], with copies of the edge row."""
    return _padded(func, map_, padding, lambda row, height: row.clamp(0, height - 1))


def _padded(func: Any, map_: RowMap, padding: list[int], source: Callable[[Tensor, int], Tensor]) -> RowMap:
    """Pads with copies of rows. `source` maps row numbers, 0 at the first unpadded row, to the rows they copy."""
    left, right, above, _ = padding
    before, height = map_.rows, map_.shape[2]

    def rows(top: int, bottom: int) -> Tensor:
        wanted = source(torch.arange(top - above, bottom - above), height)
        return func(_picked(before, wanted, map_.bands), [left, right, 0, 0])

    return RowMap(like_result(func, map_, padding), rows, map_.bands)


def zero_padded(func: Any, map_: RowMap, padding: list[int], value: float = 0) -> RowMap:
    """Padding with `value`, as [left, right, above, below].

    Raises NotImplementedError for a negative number of rows, which would crop.
    """
    left, right, above, below = padding
    before, height = map_.rows, map_.shape[2]
    if min(above, below) < 0:
        raise NotImplementedError("a map that is processed in bands is not cropped by padding")

    def rows(top: int, bottom: int) -> Tensor:
        first, last = (min(max(row - above, 0), height) for row in (top, bottom))
        missing = (max(0, min(bottom, above) - top), max(0, bottom - max(top, above + height)))
        return F.pad(before(first, last), (left, right, *missing), value=value)

    return RowMap(like_result(func, map_, padding, value), rows, map_.bands)


def _picked(rows: Rows, wanted: Tensor, bands: Bands) -> Tensor:
    """The rows with numbers `wanted`, in that order."""
    first, last = int(wanted.min()), int(wanted.max())
    found = rows(first, last + 1).index_select(2, (wanted - first).to(bands.device))
    return found.contiguous(memory_format=bands.memory_format)


def enlarged(func: Any, map_: RowMap, size: list[int], *options: Any) -> RowMap:
    """Nearest or bilinear interpolation by integer factors, without aligned corners.

    Raises NotImplementedError for anything else.
    """
    before, (height, width) = map_.rows, map_.shape[2:]
    factor = size[0] // height
    if size[0] != factor * height or size[1] % width or options[:1] == (True,):
        raise NotImplementedError("maps that are processed in bands are enlarged by whole factors")

    def rows(top: int, bottom: int) -> Tensor:
        # One more row on either side; at the edges the edge row repeats, as in interpolation.
        first, last = top // factor - 1, (bottom - 1) // factor + 2
        wider = _picked(before, torch.arange(first, last).clamp(0, height - 1), map_.bands)
        enlarged = func(wider, [wider.shape[2] * factor, size[1]], *options)
        return enlarged[:, :, top - first * factor : bottom - first * factor]

    return RowMap(like_result(func, map_, size, *options), rows, map_.bands)


def averaged(func: Any, map_: RowMap, kernel: list[int], stride: list[int], *options: Any) -> RowMap:
    """Means of windows of any size, stride and padding, counted or not. Raises NotImplementedError for windows that
    reach beyond the padding (`ceil_mode`)."""
    before, height, window, step = map_.rows, map_.shape[2], kernel[0], (stride or kernel)[0]
    margin = options[0][0] if options else 0
    if options[1:2] == (True,):
        raise NotImplementedError("maps that are processed in bands are averaged in whole windows")

    def rows(top: int, bottom: int) -> Tensor:
        # Rows above that are only there so that the padding of a band, which `func` adds, is in none of these means.
        above = min(top, -(-margin // step))
        first, last = (top - above) * step, min(height, (bottom - 1) * step - margin + window)
        means = func(before(first, last), kernel, stride, *options)
        return means[:, :, above : above + bottom - top]

    return RowMap(like_result(func, map_, kernel, stride, *options), rows, map_.bands)


def nearest(func: Any, map_: RowMap, size: list[int], *options: Any) -> RowMap:
    """Nearest interpolation: `enlarged`, or every n-th row and column of a map.

    Raises NotImplementedError for anything else.
    """
    before, (height, width) = map_.rows, map_.shape[2:]
    if size[0] >= height:
        return enlarged(func, map_, size, *options)
    factor = height // size[0]
    if height % size[0] or width % size[1]:
        raise NotImplementedError("maps that are processed in bands are reduced by whole factors")

    def rows(top: int, bottom: int) -> Tensor:
        return func(before(top * factor, bottom * factor), [bottom - top, size[1]], *options)

    return RowMap(like_result(func, map_, size, *options), rows, map_.bands)


def shuffled(func: Any, map_: RowMap, factor: int) -> RowMap:
    """Pixel shuffle: (1, channels * factor^2, height, width) to (1, channels, height * factor, width * factor)."""
    before = map_.rows

    def rows(top: int, bottom: int) -> Tensor:
        first = top // factor
        shuffled = func(before(first, -(-bottom // factor)), factor)
        return shuffled[:, :, top - first * factor : bottom - first * factor]

    return RowMap(like_result(func, map_, factor), rows, map_.bands)
