"""Points in the plane from known densities, on which a generator's failures can be measured.

A point is an image of one pixel with two channels: (batch, 2, 1, 1), float32 in [-1, 1].
"""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Plain


@dataclass(frozen=True)
class PointSet:
    """A mixture of equally likely modes, each uniform along a segment, plus Gaussian noise.

    `starts` and `ends` (modes, 2) are the segments' ends, equal if a mode is a point; `sigma` is the standard deviation
    of the noise along each axis.
    """

    name: str
    starts: np.ndarray
    ends: np.ndarray
    sigma: float

    @property
    def modes(self) -> int:
        return len(self.starts)

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """Draws points (count, 2, 1, 1)."""
        chosen = rng.integers(self.modes, size=count)
        along = rng.random((count, 1))
        places = self.starts[chosen] * (1 - along) + self.ends[chosen] * along
        points = places + self.sigma * rng.standard_normal((count, 2))
        return torch.from_numpy(points.astype(np.float32))[:, :, None, None]

    def coverage(self, points: Tensor) -> dict[str, float]:
        """Measures how well `points` (count, 2, 1, 1) cover the modes.

        `near_a_mode`: the share of points within 3 sigma of a mode, as in VEEGAN (Srivastava et al. 2017, section 4.1).
        `modes_covered`: the number of modes that have at least a quarter of their fair share of points (1 / modes) near
        them; VEEGAN requires a single point. `largest_share`: the largest mode's share of the points near any mode;
        1 / modes if all are equal.
        """
        distances = self._distances(points.flatten(1).double().cpu().numpy())
        near = np.bincount(distances.argmin(1)[distances.min(1) <= 3 * self.sigma], minlength=self.modes)
        return {
            "modes_covered": float((near >= len(points) / self.modes / 4).sum()),
            "near_a_mode": float(near.sum() / len(points)),
            "largest_share": float(near.max() / max(near.sum(), 1)),
        }

    def _distances(self, points: np.ndarray) -> np.ndarray:
        """Returns the distances (points, modes) from each point to each segment."""
        direction = self.ends - self.starts
        length = np.maximum((direction**2).sum(1), 1e-12)
        offset = points[:, None] - self.starts
        along = ((offset * direction).sum(2) / length).clip(0, 1)
        return np.linalg.norm(offset - along[..., None] * direction, axis=2)


class PointLoader:
    """Makes endless batches of new points, each a pure function of seed and step."""

    steps_per_epoch = 100
    """Arbitrary, as there are no passes over a set: what reports and schedules call an epoch."""

    def __init__(self, points: PointSet, batch_size: int, seed: int) -> None:
        self.points, self.batch_size, self.seed = points, batch_size, seed

    def stream(self, start: int = 0, every: int = 1) -> Generator[Plain]:
        yield from map(self.batch, count(start, every))

    def batch(self, step: int) -> Plain:
        return Plain(self.points.draw(self.batch_size, np.random.default_rng([self.seed, step])))


def ring(modes: int = 8, radius: float = 0.8) -> PointSet:
    """Gaussian modes on a circle; sigma is a hundredth of the radius (Metz et al. 2017; Gulrajani et al. 2017)."""
    angles = 2 * np.pi * np.arange(modes) / modes
    centres = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    return PointSet("ring", centres, centres, radius / 100)


def grid(side: int = 5, spacing: float = 0.4) -> PointSet:
    """`side` x `side` Gaussian modes; sigma is a fortieth of the spacing (Lin et al. 2018, PacGAN: 0.05 of 2)."""
    ticks = spacing * (np.arange(side) - (side - 1) / 2)
    centres = np.stack(np.meshgrid(ticks, ticks), 2).reshape(-1, 2)
    return PointSet("grid", centres, centres, spacing / 40)


def lines(apart: float = 1.0, length: float = 1.2) -> PointSet:
    """Two parallel vertical lines, as in the example where KL and JS fail (Arjovsky et al. 2017, example 1)."""
    starts = np.array([[-apart / 2, -length / 2], [apart / 2, -length / 2]])
    return PointSet("lines", starts, starts + np.array([0, length]), 0.02)


POINT_SETS = {"ring": ring, "grid": grid, "lines": lines}
