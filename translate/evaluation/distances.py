"""Distances between sets of features (images, features): Frechet distance, KID, and the spread within one set. All in
float64. For the networks they come from see `translate.evaluation.spaces`."""

from collections.abc import Callable

import torch
from torch import Tensor

from translate.evaluation.intervals import Estimate, estimate, redrawn

FEW_FOR_FRECHET = 2048
"""With fewer images than Inception has features, the covariance is singular and the distance strongly biased."""
QUADRATIC_DRAWS = 200  # each costs a pass over all pairs
_BLOCK = 1024
Kernel = Callable[[Tensor, Tensor], Tensor]
"""Takes two sets of features and returns a value for every pair of one from the first and one from the second."""


def frechet(features: Tensor, reals: Tensor) -> float:
    """The Frechet distance of the Gaussians fitted to two sets (Heusel et al. 2017, eq. 6).

    It is biased upwards, more so for fewer images: compare only values from equally many. Raises ValueError for fewer
    than two images in a set.
    """
    return frechet_of_gaussians(*_moments(features), *_moments(reals))


def frechet_of_gaussians(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """|m - n|^2 + tr(S + T - 2 (S^(1/2) T S^(1/2))^(1/2)) for N(m, S) and N(n, T).

    The product under the root is symmetric, so its eigenvalues are real; those of S T are real only in theory.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    between = torch.linalg.eigvalsh(root @ other_covariance.double() @ root).clamp(min=0).sqrt().sum()
    means = (mean.double() - other_mean.double()).square().sum()
    return float((means + covariance.trace() + other_covariance.trace() - 2 * between).clamp(min=0))


def kid(features: Tensor, reals: Tensor, draws: int = QUADRATIC_DRAWS) -> Estimate:
    """KID, which may be negative: the unbiased squared MMD with k(x, y) = (x . y / d + 1)^3 (Binkowski et al. 2018,
    section 4), from all images at once; the papers' means over subsets estimate it with more noise.

    The interval is bootstrapped over the images of both sets, with `draws` draws (0: none). Raises ValueError for fewer
    than two images in a set.
    """
    x, y = _two_or_more(features), _two_or_more(reals)
    wx, wy = (_draws(len(z), draws, seed) for seed, z in enumerate((x, y)))
    across = _pairs(_cubic, x, y, wx, wy) / (wx.sum(1) * wy.sum(1))
    values = _mean_of_pairs(_cubic, x, wx) + _mean_of_pairs(_cubic, y, wy) - 2 * across
    return estimate(float(values[0]), values[1:], len(x))


def spread(features: Tensor) -> Estimate:
    """The mean Euclidean distance between two members of a set, with a bootstrap interval; 0 if all are equal.

    Raises ValueError for fewer than two.
    """
    x = _two_or_more(features)
    values = _mean_of_pairs(torch.cdist, x, _draws(len(x), QUADRATIC_DRAWS, seed=0))
    return estimate(float(values[0]), values[1:], len(x))


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    x = _two_or_more(features)
    return x.mean(0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])


def _two_or_more(features: Tensor) -> Tensor:
    if features.dim() != 2 or len(features) < 2:
        raise ValueError(f"expected features (images, features) of two images or more, not {tuple(features.shape)}")
    return features.double().cpu()


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _draws(images: int, draws: int, seed: int) -> Tensor:
    """A row that counts each image once, then bootstrap draws: (1 + draws, images)."""
    return torch.cat([torch.ones(1, images, dtype=torch.float64), redrawn(images, draws, seed)])


def _mean_of_pairs(function: Kernel, x: Tensor, weights: Tensor) -> Tensor:
    """The mean over pairs of different images, each weighted by how often it was drawn: (draws,)."""
    alone = torch.cat([function(block, block).diagonal() for block in x.split(_BLOCK)])
    squared = weights.square()
    return (_pairs(function, x, x, weights, weights) - squared @ alone) / (weights.sum(1).square() - squared.sum(1))


def _pairs(function: Kernel, x: Tensor, y: Tensor, wx: Tensor, wy: Tensor) -> Tensor:
    """The sum over i and j of wx_i wy_j f(x_i, y_j), computed a block of x at a time: (draws,)."""
    blocks = zip(x.split(_BLOCK), wx.split(_BLOCK, 1), strict=True)
    return torch.stack([((w @ function(block, y)) * wy).sum(1) for block, w in blocks]).sum(0)
