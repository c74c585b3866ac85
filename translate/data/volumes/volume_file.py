"""A volume that was looked at, and not read yet: a NIfTI file, or the files of a DICOM series in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from translate.data.volumes.grid import Grid, Turned

HU = "HU"
MAX_VOXELS = 1 << 31
"""The most voxels that are read: a header that claims more is likely an attack."""


@dataclass(frozen=True)
class VolumeFile:
    """What a volume is, by its headers."""

    path: Path
    """The file, or the folder of a series."""
    format: Literal["nifti", "dicom"]
    grid: Grid
    turned: Turned
    dtype: str
    """numpy's name of the type of its values, as they are meant: after slope and intercept."""
    version: str
    """What distinguishes it from every other, and from itself after a change."""
    unit: str = ""
    """Of the values, if the file says it: HU of CT."""
    patient: str = ""
    """Whom the file says that it is of, if it does."""
    files: tuple[Path, ...] = ()
    """Of a series, that of each slice, in their order."""
    frames: tuple[int | None, ...] = ()
    """Of a series, which frame of its file each slice is, from 0; None of a file that is one slice."""

    @property
    def name(self) -> str:
        """What it is called: the file without suffixes, or the folder."""
        return without_suffix(self.path.name)


def without_suffix(name: str) -> str:
    """The name of a file without .nii, .nii.gz or .dcm; of a series as it is."""
    lower = name.lower()
    return next((name[: -len(end)] for end in (".nii.gz", ".nii", ".dcm") if lower.endswith(end)), name)


def type_of_values(low: int, high: int, slope: float, intercept: float) -> np.dtype:
    """The smallest type that holds what integers from `low` to `high` mean: whole numbers stay whole."""
    if not (float(slope).is_integer() and float(intercept).is_integer()):
        return np.dtype(np.float32)
    ends = sorted((low * int(slope) + int(intercept), high * int(slope) + int(intercept)))
    for kind in (np.uint8, np.uint16, np.int16, np.int32):
        if np.iinfo(kind).min <= ends[0] and ends[1] <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float64)
