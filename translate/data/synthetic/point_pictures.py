"""Pictures of points in the plane: images (1, 3, side, side) in [-1, 1] that show [-1.25, 1.25] on both axes."""

import numpy as np
import torch
from torch import Tensor

VIEW = 1.25
_SIDE = 256
_PAPER, _REAL, _SAMPLE = (1.0, 1.0, 1.0), (0.55, 0.58, 0.62), (0.76, 0.2, 0.36)
_LOW, _HIGH = (0.85, 0.9, 0.98), (0.07, 0.39, 0.6)


def columns(real: Tensor, samples: Tensor) -> dict[str, Tensor]:
    """Returns the columns of a sample grid for points (count, 2, 1, 1): real and generated dots, generated density."""
    return {"samples on real points": dots(real, samples), "density": density(samples)}


def dots(real: Tensor, samples: Tensor, side: int = _SIDE) -> Tensor:
    """Draws real points in grey and generated ones in red on top, both (count, 2, 1, 1); omits those out of view."""
    canvas = np.empty((side, side, 3))
    canvas[:] = _PAPER
    _dot(canvas, real, _REAL)
    _dot(canvas, samples, _SAMPLE)
    return _picture(canvas)


def density(samples: Tensor, side: int = _SIDE, bins: int = 64) -> Tensor:
    """Draws a histogram of points in bins x bins squares; darkness grows with the square root of the count."""
    x, y = _coordinates(samples)
    counts, _, _ = np.histogram2d(-y, x, bins=bins, range=[[-VIEW, VIEW]] * 2)
    return _heat(np.sqrt(counts), side, paper=counts == 0)


def heights(values: Tensor, side: int = _SIDE) -> Tensor:
    """Draws a function's values (n, n) at `places(n)` in twelve steps; the greatest is darkest."""
    steps = np.floor(_unit(values.detach().double().cpu().numpy()) * 11.999) / 11
    return _heat(steps, side)


def places(n: int = 64) -> Tensor:
    """Returns the centres of n x n squares that fill the view, row by row from the top: points (n * n, 2, 1, 1)."""
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
