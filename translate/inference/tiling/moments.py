"""Mean and variance of a whole map, computed from its bands."""

from __future__ import annotations

import torch
from torch import Tensor

from translate.inference.tiling.rowmap import RowMap


def moments(map_: RowMap) -> tuple[Tensor, Tensor]:
    """(channels,) mean and biased variance over height and width, float32 on the map's device.

    Computed per band in float32 and combined in float64: the variance is the mean of the bands' variances plus the
    variance of their means (Chan et al. 1979), so no precision is lost if the mean is large.
    """
    counts, found = [], []
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
