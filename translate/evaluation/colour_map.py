"""The best affine map of colours: what a translation must beat to show that it sees shapes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.evaluation.metrics import of_equal_shape


def fit_affine_colour(inputs: Tensor, targets: Tensor) -> Tensor:
    """The affine colour map that takes inputs nearest to targets by least squares, in float64: a matrix (channels
    of targets, channels of inputs + 1) for colours with a 1 appended. A translation must beat it to show that it sees
    shapes."""
    of_equal_shape(inputs[:, :1], targets[:, :1])
    inputs, targets = inputs.double(), targets.double()
    colours = _with_one(_colours(inputs))
    # The pseudo-inverse also works where the colours leave the map undetermined, as in grey pictures stored as RGB.
    inverse = torch.linalg.pinv(colours.T @ colours, rtol=1e-10, hermitian=True)
    return (inverse @ (colours.T @ _colours(targets))).T


def apply_affine_colour(images: Tensor, colour_map: Tensor) -> Tensor:
    """Applies a matrix from `fit_affine_colour` to the colours of `images`; in float64, not clamped."""
    colours = _with_one(_colours(images.double())) @ colour_map.to(images.device).T
    return colours.unflatten(0, (images.shape[0], *images.shape[2:])).permute(0, 3, 1, 2)


def _colours(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1).flatten(0, 2)


def _with_one(colours: Tensor) -> Tensor:
    return F.pad(colours, (0, 1), value=1.0)
