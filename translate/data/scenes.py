"""Scenes of the `shapes` set: one to four convex shapes on grey textured ground, from a number.

Lengths are in units of the picture's side; depth is the distance to the nearest edge, positive inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Outline = tuple[Array, Array]  # angles of the edges' normals, and how far the edges are from the centre

MOST = 4  # shapes in a scene
GAP = 0.1  # between two edges at least: room for what is drawn outside
CELLS = (2, 4, 8)  # of the ground's lattices
_GRID = np.stack(np.meshgrid(*[(np.arange(24) + 0.5) / 24] * 2), -1)  # places looked at to keep shapes apart


@dataclass(frozen=True)
class Shape:
    """A convex shape: the points with `normals @ point <= reach` in every row. `fill`: colour in [0, 1]."""

    normals: Array  # (edges, 2), of length 1
    reach: Array  # (edges,)
    fill: Array  # (3,)

    def depth(self, points: Array) -> Array:
        """Depth (...,) of points (..., 2)."""
        return self._depths(points).min(-1)

    def normal(self, points: Array) -> Array:
        """The normal (..., 2) of the edge that is nearest to points (..., 2)."""
        return self.normals[self._depths(points).argmin(-1)]

    def _depths(self, points: Array) -> Array:
        return self.reach - points @ self.normals.T


@dataclass(frozen=True)
class Scene:
    """What a scene's number stands for, whatever the style and the size."""

    shapes: tuple[Shape, ...]
    noise: tuple[Array, ...]  # the ground's lattices of values in [0, 1], from coarse to fine
    tint: Array  # (3,) the ground's middle colour

    def ground(self, points: Array) -> Array:
        """Colours (..., 3) in [0, 1] at points (..., 2): value noise, each octave half the last."""
        strengths = 0.5 ** np.arange(len(self.noise))
        waves = sum(s * _interpolate(lattice, points) for s, lattice in zip(strengths, self.noise, strict=True))
        return np.clip(self.tint + (waves / strengths.sum() - 0.5)[..., None], 0, 1)


def compose(number: int) -> Scene:
    """Scene `number`: shapes are thrown in, and stay where they are clear of others, until it is enough."""
    dice = np.random.default_rng([number, 0x5CE2E])
    noise = tuple(dice.random((cells + 1, cells + 1)) for cells in CELLS)
    tint = 0.5 + dice.uniform(-0.03, 0.03, 3)
    wanted = dice.uniform(0.35, 0.55)  # share of the picture that is shape
    shapes: list[Shape] = []
    taken = np.full(_GRID.shape[:2], -np.inf)  # depth of each place in the shapes so far
    for _ in range(40):
        shape = _throw(dice)
        depth = shape.depth(_GRID)
        if (taken[depth > -GAP] < 0).all():
            shapes.append(shape)
            taken = np.maximum(taken, depth)
        if len(shapes) == MOST or (taken > 0).mean() > wanted:
            break
    return Scene(tuple(shapes), noise, tint)


def _throw(dice: np.random.Generator) -> Shape:
    """A shape of any kind, place, size, turn and hue; its centre is in the picture."""
    angles, reach = OUTLINES[dice.integers(len(OUTLINES))](dice)
    angles = angles + dice.uniform(0, 2 * np.pi)
    normals = np.stack([np.cos(angles), np.sin(angles)], -1)
    centre, radius = dice.uniform(0.08, 0.92, 2), dice.uniform(0.17, 0.32)
    hue = dice.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3
    fill = dice.uniform(0.42, 0.58) + 0.32 * np.cos(hue)
    return Shape(normals, radius * reach + normals @ centre, fill)


def _regular(edges: int) -> Callable[[np.random.Generator], Outline]:
    return lambda dice: (2 * np.pi * np.arange(edges) / edges, np.ones(edges))


def _ellipse(dice: np.random.Generator) -> Outline:
    """Of half axes 1 and 1.2 to 1.7, as the half planes that touch it."""
    angles = 2 * np.pi * np.arange(64) / 64
    return angles, np.hypot(np.cos(angles), dice.uniform(1.2, 1.7) * np.sin(angles))


# Disc, ellipse, square and triangle, all around a circle of radius 1.
OUTLINES = (_regular(64), _ellipse, _regular(4), _regular(3))


def _interpolate(lattice: Array, points: Array) -> Array:
    """A lattice's values between its corners, by a smooth step: no creases at the lattice's lines."""
    place = points * (len(lattice) - 1)
    cell = np.minimum(place.astype(int), len(lattice) - 2)
    across, down = np.moveaxis((place - cell) ** 2 * (3 - 2 * (place - cell)), -1, 0)
    x, y = cell[..., 0], cell[..., 1]
    upper = lattice[y, x] + across * (lattice[y, x + 1] - lattice[y, x])
    lower = lattice[y + 1, x] + across * (lattice[y + 1, x + 1] - lattice[y + 1, x])
    return upper + down * (lower - upper)
