"""How the slices of a DICOM series lie: ordered by their places along the normal, never by number or name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from translate.errors import ImageError
from translate.utils.printing import shown

TURNED = 1e-3
"""Cosines of directions that differ by no more are those of the same orientation."""
UNEVEN = 0.1
"""Distances of slices may differ by so much of the usual one."""


def in_order(folder: Path, slices: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
    """The headers in the order of their slices, and the affine from (slice, row, column) to millimetres to the right,
    front and head.

    Raises ImageError for slices that differ in orientation, size or spacing, that lie at one place, that do not lie
    behind one another, or that have gaps.
    """
    first = slices[0]
    across, down = _directions(first)
    for other in slices[1:]:
        _require_alike(folder, first, other)
    normal = np.cross(across, down)
    ordered = sorted(slices, key=lambda one: float(normal @ _position(one)))
    step = _step(folder, ordered, normal)
    rows, columns = (float(value) for value in first.PixelSpacing)
    affine = np.eye(4)
    affine[:3] = np.stack([step, down * rows, across * columns, _position(ordered[0])], 1)
    return ordered, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # DICOM counts to the left and to the back


def _directions(one: Any) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along a row, and down a column. Raises ImageError unless they are perpendicular."""
    both = np.array(one.ImageOrientationPatient, np.float64)
    if both.shape != (6,) or not np.isfinite(both).all() or not 0.9 < np.linalg.norm(both[:3]) < 1.1:
        raise ImageError(f"{shown(one.filename)}: its ImageOrientationPatient is no orientation: {list(both)}")
    across, down = both[:3], both[3:]
    if abs(across @ down) > TURNED or min(map(float, one.PixelSpacing)) <= 0:
        raise ImageError(f"{shown(one.filename)}: its rows and columns are not perpendicular, or have no spacing")
    return across, down


def _position(one: Any) -> np.ndarray:
    return np.array(one.ImagePositionPatient, np.float64)


def _called(one: Any) -> str:
    """The name of a slice: its file, and its frame."""
    name = shown(Path(one.filename).name)
    return name if one.frame is None else f"{name} frame {one.frame + 1}"


def _into_own(one: Any, which: str) -> str:
    if one.frame is None:
        return f"put each {which} into a folder of its own"
    return f"split the file, so that each {which} is a series of its own"


def _require_alike(folder: Path, first: Any, other: Any) -> None:
    each, apart = f"{_called(first)} and {_called(other)}", _into_own(other, "kind")
    if np.abs(np.subtract(_directions(first), _directions(other))).max() > TURNED:
        raise ImageError(f"{shown(folder)}: slices of different orientations, {each}: {apart}")
    if (first.Rows, first.Columns) != (other.Rows, other.Columns):
        raise ImageError(f"{shown(folder)}: slices of different sizes, {each}: {apart}")
    if not np.allclose(np.array(first.PixelSpacing, float), np.array(other.PixelSpacing, float), rtol=1e-3):
        raise ImageError(f"{shown(folder)}: slices of different PixelSpacing, {each}: {apart}")


def _step(folder: Path, ordered: Sequence[Any], normal: np.ndarray) -> np.ndarray:
    """The way from a slice to the next one, (3,)."""
    if len(ordered) == 1:
        one = ordered[0]
        thick = one.get("SpacingBetweenSlices") or one.get("SliceThickness") or 1
        return normal * abs(float(thick))
    places = np.array([_position(one) for one in ordered])
    gaps = np.diff(places @ normal)
    usual, names = float(np.median(gaps)), [_called(one) for one in ordered]
    low, high = int(gaps.argmin()), int(gaps.argmax())
    if gaps[low] <= UNEVEN * usual or usual <= 0:
        raise ImageError(
            f"{shown(folder)}: {names[low]} and {names[low + 1]} lie at the same place: "
            f"{'' if ordered[low].frame is not None else 'leave one out, or '}{_into_own(ordered[low], 'repetition')}"
        )
    if gaps[high] > (1 + UNEVEN) * usual:
        lost = round(gaps[high] / usual) - 1
        what = f"{lost} missing {'slice' if lost == 1 else 'slices'}" if lost else "a wider gap"
        raise ImageError(
            f"{shown(folder)}: {what} between {names[high]} and {names[high + 1]}: they are {gaps[high]:.4g} mm apart, "
            f"and others {usual:.4g} mm; copy the series again, whole"
        )
    if gaps[low] < (1 - UNEVEN) * usual:
        raise ImageError(
            f"{shown(folder)}: slices are not evenly spaced: {names[low]} and {names[low + 1]} are {gaps[low]:.4g} mm "
            f"apart, and others {usual:.4g} mm; resample the series"
        )
    step: np.ndarray = (places[-1] - places[0]) / (len(ordered) - 1)
    astray = np.abs(places - (places[0] + step * np.arange(len(ordered))[:, None])).max(1)
    if astray.max() > UNEVEN * usual + 1e-3:
        stray = names[int(astray.argmax())]
        raise ImageError(f"{shown(folder)}: {stray} does not lie behind the other slices; resample the series")
    return step
