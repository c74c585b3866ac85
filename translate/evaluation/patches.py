"""Patch distance: how unlike two sets of images are at several scales, without a network and without pairs."""

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 128
_PATCH, _SMALLEST = 7, 16  # pixels a side; images are halved as long as they stay as large as this
_QUANTILES = 256
_FLAT, _FLATTER = 1e-3, 0.1
"""The least deviation of a channel that counts, and the least beside the mean of all: what is flat in the reals, such
as an empty band, does not outweigh all else."""


def patch_distance(images: Tensor, reals: Tensor) -> float:
    """The sliced Wasserstein distance between the patches of two sets of images (images, channels, height, width) of
    one size, at every level of a Laplacian pyramid, averaged (Karras et al. 2018, section 5). 0 for equal sets.

    Directions are random, and the same at every call; values are in standard deviations of the `reals` at that level.
    """
    levels = zip(_pyramid(images.float()), _pyramid(reals.float()), strict=True)
    distances = [_between(level, of_reals) for level, of_reals in levels]
    return sum(distances) / len(distances)


def _pyramid(images: Tensor) -> list[Tensor]:
    """What each halving loses, and at last what is left."""
    levels = []
    while min(images.shape[-2:]) >= 2 * _SMALLEST:
        small = F.avg_pool2d(images, 2)
        levels.append(images - F.interpolate(small, size=images.shape[-2:], mode="bilinear"))
        images = small
    return [*levels, images]


def _between(images: Tensor, reals: Tensor) -> float:
    mean, deviation = reals.mean((0, 2, 3), keepdim=True), reals.std((0, 2, 3), correction=0, keepdim=True)
    deviation = deviation.clamp(min=max(_FLAT, _FLATTER * float(deviation.mean())))
    projected, of_reals = (_quantiles((of - mean) / deviation) for of in (images, reals))
    return float((projected - of_reals).abs().mean())


def _quantiles(images: Tensor) -> Tensor:
    """Those of the patches' projections on each direction: (directions, quantiles)."""
    side = min(images.shape[-2:])
    patch, stride = min(_PATCH, side), side // _SMALLEST | 1  # odd, as what a network repeats has an even period
    directions = torch.randn(DIRECTIONS, images.shape[1], patch, patch, generator=torch.Generator().manual_seed(0))
    directions /= directions.flatten(1).norm(dim=1)[:, None, None, None]
    projections = F.conv2d(images, directions, stride=stride).transpose(0, 1).flatten(1).sort(1).values
    return projections[:, torch.linspace(0, projections.shape[1] - 1, _QUANTILES).round().long()]
