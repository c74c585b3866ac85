"""Where the voxels of a volume lie, and how its array is turned so that all volumes lie alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Affine = tuple[tuple[float, ...], ...]
"""4 x 4: from indices of voxels to millimetres to the right, to the front and to the head."""
Shape = tuple[int, int, int]
Axis = Literal["auto", 0, 1, 2]
"""Across which slices are cut: 0 from feet to head (axial), 1 from front to back (coronal), 2 from right to left
(sagittal); auto where slices are thickest, else 0."""
PLANES = ("axial", "coronal", "sagittal")
NEARLY = 1.01
"""Spacings of which the larger is at most so many times the smaller are equal."""
APART = 0.1
"""Grids whose corners lie within this share of the smallest spacing are the same."""


@dataclass(frozen=True)
class Grid:
    """The voxels of an array turned as `Turned` says: slices from feet to head, rows from front to back, columns from
    right to left, each as nearly as the scan allows."""

    shape: Shape
    affine: Affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between slices, rows and columns."""
        each = np.linalg.norm(np.array(self.affine)[:3, :3], axis=0)
        return float(each[0]), float(each[1]), float(each[2])

    @property
    def thickest(self) -> Literal[0, 1, 2]:
        """The axis along which slices lie farthest apart; 0 unless another one is clearly longer."""
        longest = int(np.argmax(self.spacing))
        if self.spacing[longest] <= NEARLY * self.spacing[0]:
            return 0
        return 1 if longest == 1 else 2

    def apart(self, other: Grid) -> float:
        """The distance, in mm, of the corners of grids of one shape, at the most; infinite of other shapes."""
        if self.shape != other.shape:
            return float("inf")
        corners = np.array(np.meshgrid(*((0, side - 1) for side in self.shape), [1])).reshape(4, -1)
        offsets = (np.array(self.affine) - np.array(other.affine)) @ corners
        return float(np.linalg.norm(offsets[:3], axis=0).max())

    def same_as(self, other: Grid) -> bool:
        """Whether the voxels of both lie at the same places."""
        return self.apart(other) <= APART * min(self.spacing)

    def __str__(self) -> str:
        slices, height, width = self.shape
        deep, high, wide = self.spacing
        return f"{width} x {height} x {slices} voxels of {wide:.3g} x {high:.3g} x {deep:.3g} mm"


@dataclass(frozen=True)
class Turned:
    """How the array of a file becomes one that lies as `Grid` says: axis n is axis `order[n]` of the file, the other
    way round where `flipped`. Nothing is computed, so that it goes back to the bit."""

    order: Shape
    flipped: tuple[bool, bool, bool]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """A view of a file's array."""
        return np.flip(values.transpose(self.order), self._axes)

    def back(self, values: np.ndarray) -> np.ndarray:
        """A view of the array as it lies in the file."""
        return np.flip(values, self._axes).transpose(np.argsort(self.order))

    def grid(self, affine: np.ndarray, shape: Sequence[int]) -> Grid:
        """The grid of the turned array, from a file's affine (to the right, front and head) and shape."""
        sides = tuple(int(shape[axis]) for axis in self.order)
        indices = np.zeros((4, 4))
        indices[3, 3] = 1
        for axis, (of, flipped) in enumerate(zip(self.order, self.flipped, strict=True)):
            indices[of, axis] = -1 if flipped else 1
            indices[of, 3] = sides[axis] - 1 if flipped else 0
        turned = np.asarray(affine, np.float64) @ indices
        return Grid((sides[0], sides[1], sides[2]), tuple(tuple(map(float, row)) for row in turned))

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, flipped in enumerate(self.flipped) if flipped)


def turned_by(affine: np.ndarray) -> Turned:
    """How arrays with that affine are turned: each axis to the one of the body that it is nearest to."""
    from nibabel.orientations import io_orientation

    found = io_orientation(affine)
    body = {int(to): (axis, sign) for axis, (to, sign) in enumerate(found)}
    # To the head, to the back, to the left: as radiologists look at slices.
    wanted = ((2, 1), (1, -1), (0, -1))
    order = tuple(body[to][0] for to, _ in wanted)
    flipped = tuple(bool(body[to][1] != sign) for to, sign in wanted)
    return Turned((order[0], order[1], order[2]), (flipped[0], flipped[1], flipped[2]))


def slices_along(values: np.ndarray, axis: int) -> np.ndarray:
    """A view (slices, height, width) of a turned array, cut across an axis; the head is up where it is in the picture.
    Calling it on an array that is being filled fills that."""
    return values if axis == 0 else np.moveaxis(values, axis, 0)[:, ::-1]
