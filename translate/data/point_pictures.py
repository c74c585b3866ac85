"""Points in the plane as pictures to look at: images (1, 3, side, side) in [-1, 1], the view 1.25 to each side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

VIEW = 1.25
_SIDE = 256
_PAPER, _REAL, _SAMPLE = (1.0, 1.0, 1.0), (0.55, 0.58, 0.62), (0.76, 0.2, 0.36)
_LOW, _HIGH = (0.85, 0.9, 0.98), (0.07, 0.39, 0.6)


def columns(real: Tensor, samples: Tensor) -> dict[str, Tensor]:
    """Columns of a sample grid: real and generated points (count, 2, 1, 1) as dots, and the density of the latter."""
    return {"samples on real points": dots(real, samples), "density": density(samples)}


def dots(real: Tensor, samples: Tensor, side: int = _SIDE) -> Tensor:
    """Real points in grey, generated ones in red on top; both (count, 2, 1, 1). Those out of view are not drawn."""
    canvas = np.empty((side, side, 3))
    canvas[:] = _PAPER
    _dot(canvas, real, _REAL)
    _dot(canvas, samples, _SAMPLE)
    return _picture(canvas)


def density(samples: Tensor, side: int = _SIDE, bins: int = 64) -> Tensor:
    """How many points fall into each of bins x bins squares, darker where more, by the square root."""
    x, y = _coordinates(samples)
    counts, _, _ = np.histogram2d(-y, x, bins=bins, range=[[-VIEW, VIEW]] * 2)
    return _heat(np.sqrt(counts), side, paper=counts == 0)


def heights(values: Tensor, side: int = _SIDE) -> Tensor:
    """A function's values (n, n) on `places(n)`, in twelve steps from the least to the greatest, which is darkest."""
    steps = np.floor(_unit(values.detach().double().cpu().numpy()) * 11.999) / 11
    return _heat(steps, side)


def places(n: int = 64) -> Tensor:
    """The middles of n x n squares that fill the view, row by row from the top: points (n * n, 2, 1, 1)."""
    ticks = (torch.arange(n) + 0.5) / n * 2 * VIEW - VIEW
    y, x = torch.meshgrid(-ticks, ticks, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)[:, :, None, None]


def _dot(canvas: np.ndarray, points: Tensor, colour: tuple[float, float, float]) -> None:
    x, y = _coordinates(points)
    side = len(canvas)
    columns, rows = (np.floor((value / VIEW + 1) / 2 * side).astype(int) for value in (x, -y))
    inside = (columns >= 0) & (columns < side - 1) & (rows >= 0) & (rows < side - 1)
    for right in (0, 1):
        for down in (0, 1):
            canvas[rows[inside] + down, columns[inside] + right] = colour


def _coordinates(points: Tensor) -> tuple[np.ndarray, np.ndarray]:
    flat = points.detach().flatten(1).double().cpu().numpy()
    flat = flat[np.isfinite(flat).all(1)].clip(-1e6, 1e6)
    return flat[:, 0], flat[:, 1]


def _heat(values: np.ndarray, side: int, paper: np.ndarray | None = None) -> Tensor:
    share = _unit(values)[..., None]
    canvas = (1 - share) * _LOW + share * _HIGH
    if paper is not None:
        canvas[paper] = _PAPER
    repeat = np.arange(side) * len(values) // side
    return _picture(canvas[repeat][:, repeat])


def _unit(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _picture(canvas: np.ndarray) -> Tensor:
    return torch.from_numpy(canvas * 2 - 1).float().permute(2, 0, 1)[None]
