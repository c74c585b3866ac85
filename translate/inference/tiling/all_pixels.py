"""Rules for operations that need all pixels of a map, whatever the bands: normalisation by the map's statistics.

Each rule takes torch's operation and its arguments, the first of which is a `RowMap`.
"""

from typing import Any

import torch
from torch import Tensor

from translate.inference.tiling.rowmap import RowMap


def batch_norm(
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
    """Batch norm of a single image, and so instance norm, too. Running statistics are read but never updated."""
    if training or mean is None or variance is None:
        mean, variance = moments(map_)
    return _results(func, _normalised(map_, weight, bias, mean, variance, eps))


def group_norm(
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
    """Group norm of a single image, with the statistics of each group of channels over the whole map."""
    return _results(func, _normalised(map_, weight, bias, *grouped(*moments(map_), groups), eps))


def _normalised(
    map_: RowMap, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> RowMap:
    before = map_.rows

    def rows(top: int, bottom: int) -> Tensor:
        return torch.batch_norm(before(top, bottom), weight, bias, mean, variance, False, 0.0, eps, False)

    return RowMap(map_, rows, map_.bands)


def _results(func: Any, made: RowMap) -> tuple[Any, ...]:
    """The map, and empty tensors in place of the statistics, which only the backward pass needs."""
    return made, *(torch.empty(0, device=made.device) for _ in func._schema.returns[1:])


def whole(func: Any, map_: RowMap, *args: Any, **kwargs: Any) -> Tensor:
    """Applies `func` to all rows at once: for operations that reduce a map of few channels to a small tensor."""
    bands = [map_.rows(top, bottom) for top, bottom in map_.bands.of(map_.shape[2])]
    return func(torch.cat(bands, 2), *args, **kwargs)


def moments(map_: RowMap) -> tuple[Tensor, Tensor]:
    """(channels,) mean and biased variance over height and width, float32 on the map's device.

    Computed per band in float32 and combined in float64: the variance is the mean of the bands' variances plus the
    variance of their means (Chan et al. 1979), so no precision is lost if the mean is large.
    """
    counts, found = [], []
    map_.bands.account.statistics += 1
    for top, bottom in map_.bands.of(map_.shape[2]):
        variance, mean = torch.var_mean(map_.rows(top, bottom).float(), (0, 2, 3), correction=0)
        counts.append(bottom - top)
        found.append(torch.stack([mean, variance]))
    # On the CPU, because not every device has float64.
    means, variances = torch.stack(found, 1).cpu().double()
    weights = torch.tensor(counts, dtype=torch.float64)[:, None] / map_.shape[2]
    mean = (weights * means).sum(0)
    variance = (weights * (variances + (means - mean) ** 2)).sum(0)
    return mean.float().to(map_.device), variance.float().to(map_.device)


def grouped(mean: Tensor, variance: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Combines channel moments over `groups` groups of equal size; returns one value per channel again."""
    means, variances = (values.double().cpu().view(groups, -1) for values in (mean, variance))
    common = means.mean(1, keepdim=True)
    spread = (variances + (means - common) ** 2).mean(1, keepdim=True)
    return tuple(value.expand_as(means).flatten().float().to(mean.device) for value in (common, spread))  # type: ignore[return-value]
