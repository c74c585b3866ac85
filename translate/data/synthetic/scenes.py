"""Scenes of the `shapes` set, generated from a number: one to four convex shapes on a grey textured ground.

Lengths are fractions of the picture's side; depth is the distance to the nearest edge, positive inside.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Outline = tuple[Array, Array]  # angles of the edges' normals, and the edges' distances from the centre

MOST = 4  # shapes per scene
GAP = 0.1  # minimum between two shapes: room for what styles draw outside
CHROMA = np.array([0, 2, 4]) * np.pi / 3  # places of red, green and blue on the circle of hues
CELLS = (2, 4, 8)  # cells per side of the ground's lattices
_GRID = np.stack(np.meshgrid(*[(np.arange(24) + 0.5) / 24] * 2), -1)  # points checked to keep shapes apart


@dataclass(frozen=True)
class Shape:
    """A convex shape: all points where `normals @ point <= reach` in every row. `fill`: colour in [0, 1]."""

    normals: Array  # (edges, 2), of length 1
    reach: Array  # (edges,)
    fill: Array  # (3,)

    def depth(self, points: Array) -> Array:
        """Returns the depth (...,) of points (..., 2)."""
        return self._depths(points).min(-1)

    def normal(self, points: Array) -> Array:
        """Returns the normal (..., 2) of the edge nearest to each of points (..., 2)."""
        return self.normals[self._depths(points).argmin(-1)]

    def _depths(self, points: Array) -> Array:
        return self.reach - points @ self.normals.T


@dataclass(frozen=True)
class Scene:
    """The content of a scene, independent of style and size."""

    shapes: tuple[Shape, ...]
    noise: tuple[Array, ...]  # the ground's lattices of values in [0, 1], coarse to fine
    tint: Array  # (3,) the ground's mean colour

    def ground(self, points: Array) -> Array:
        """Returns colours (..., 3) in [0, 1] at points (..., 2): value noise, each octave half as strong."""
        strengths = 0.5 ** np.arange(len(self.noise))
        waves = sum(s * _interpolate(lattice, points) for s, lattice in zip(strengths, self.noise, strict=True))
        return np.clip(self.tint + (waves / strengths.sum() - 0.5)[..., None], 0, 1)


def compose(number: int) -> Scene:
    """Generates scene `number`: adds random shapes that keep clear of the others until enough is covered."""
    rng = np.random.default_rng([number, 0x5CE2E])
    noise = tuple(rng.random((cells + 1, cells + 1)) for cells in CELLS)
    tint = 0.5 + rng.uniform(-0.03, 0.03, 3)
    wanted = rng.uniform(0.35, 0.55)  # share of the picture to cover with shapes
    shapes: list[Shape] = []
    taken = np.full(_GRID.shape[:2], -np.inf)  # greatest depth of each point in the shapes so far
    for _ in range(40):
        shape = _throw(rng)
        depth = shape.depth(_GRID)
        if (taken[depth > -GAP] < 0).all():
            shapes.append(shape)
            taken = np.maximum(taken, depth)
        if len(shapes) == MOST or (taken > 0).mean() > wanted:
            break
    return Scene(tuple(shapes), noise, tint)


def _throw(rng: np.random.Generator) -> Shape:
    """Returns a shape of random kind, position, size, rotation and hue, with its centre inside the picture."""
    angles, reach = OUTLINES[rng.integers(len(OUTLINES))](rng)
    angles = angles + rng.uniform(0, 2 * np.pi)
    normals = np.stack([np.cos(angles), np.sin(angles)], -1)
    centre, radius = rng.uniform(0.08, 0.92, 2), rng.uniform(0.17, 0.32)
    hue = rng.uniform(0, 2 * np.pi)
    fill = hued(rng.uniform(0.42, 0.58), hue)
    return Shape(normals, radius * reach + normals @ centre, fill)


def hued(brightness: float, hue: float) -> Array:
    """The colour (3,) in [0, 1] of that mean, and of that hue in radians."""
    return brightness + 0.32 * np.cos(hue + CHROMA)


def _regular(edges: int) -> Callable[[np.random.Generator], Outline]:
    return lambda rng: (2 * np.pi * np.arange(edges) / edges, np.ones(edges))


def _ellipse(rng: np.random.Generator) -> Outline:
    """Approximates an ellipse with semi-axes 1 and 1.2 to 1.7 by tangent half-planes."""
    angles = 2 * np.pi * np.arange(64) / 64
    return angles, np.hypot(np.cos(angles), rng.uniform(1.2, 1.7) * np.sin(angles))


# Disc, ellipse, square and triangle, each circumscribed about a circle of radius 1.
OUTLINES = (_regular(64), _ellipse, _regular(4), _regular(3))


def _interpolate(lattice: Array, points: Array) -> Array:
    """Interpolates a lattice with a smooth step, which leaves no creases along its lines."""
    place = points * (len(lattice) - 1)
    cell = np.minimum(place.astype(int), len(lattice) - 2)
    across, down = np.moveaxis((place - cell) ** 2 * (3 - 2 * (place - cell)), -1, 0)
    x, y = cell[..., 0], cell[..., 1]
    upper = lattice[y, x] + across * (lattice[y, x + 1] - lattice[y, x])
    lower = lattice[y + 1, x] + across * (lattice[y + 1, x + 1] - lattice[y + 1, x])
    return upper + down * (lower - upper)
