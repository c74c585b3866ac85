"""A slice of a volume as an image of a data set, with its neighbours as further channels where that is wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.values import BadImageError
from translate.data.volumes.grid import PLANES, slices_along
from translate.data.volumes.reading import values_of
from translate.data.volumes.slicing import Slicing
from translate.data.volumes.volume_file import VolumeFile
from translate.errors import ImageError
from translate.utils.printing import shown

FEW = 0.01
"""The most of a volume's values, as a share, that are clipped in conversion."""


@dataclass(frozen=True)
class VolumeSlice:
    """Slice number `index` of a volume, cut as `slicing` says."""

    file: VolumeFile
    slicing: Slicing
    index: int
    patient: str
    """Whom it is of: all slices of a patient are trained on, or none."""
    span: images.Span = images.UNIT
    dtype: str = ""
    """The type of its domain, which holds the values of all its volumes."""

    @classmethod
    def of(cls, source: VolumeSlice, domain: Domain) -> VolumeSlice:
        """The slice as an image of the domain."""
        return replace(source, span=domain.span, dtype=domain.dtype)

    @property
    def path(self) -> Path:
        """Its name: nothing lies there."""
        return self.file.path / f"{self.file.name}-{PLANES[self.slicing.axis]}-{self.index + 1:04d}"

    def values(self) -> np.ndarray:
        """(height, width, channels) in the file's own values. Raises ImageError."""
        found = stacked(slices_along(values_of(self.file), self.slicing.axis), self.index, self.slicing.neighbours)
        return in_type(found, self.dtype)

    def read(self, channels: int) -> np.ndarray:
        """See `Readable`: (height, width, channels). Raises ImageError, also for values outside of the span."""
        picture = picture_of(self.values(), self.span, self.path)
        images.refuse_other_bands(picture, channels, self.path)
        return images.with_channels(picture, channels)

    def header(self) -> images.Header:
        """See `OfDomain`."""
        height, width = size_of(self.file, self.slicing.axis)
        return images.Header(height, width, self.slicing.channels, np.dtype(self.file.dtype))

    def decoded(self) -> tuple[images.Picture, bytes]:
        """See `OfDomain`. Raises ImageError."""
        values = np.ascontiguousarray(self.values())
        # Slices of air are alike in all volumes, and no copies.
        own = str(self.path).encode("utf-8", "surrogateescape") if (values == values.flat[0]).all() else b""
        return picture_of(values, None, self.path), values.tobytes() + own

    def identity(self) -> str:
        """See `Readable`."""
        return f"{self.file.version}:{self.slicing}:{self.index}:{self.span}:{self.dtype}"


def count_along(file: VolumeFile, axis: int) -> int:
    """How many slices a volume has."""
    return file.grid.shape[axis]


def size_of(file: VolumeFile, axis: int) -> tuple[int, int]:
    """Height and width of its slices."""
    height, width = (side for number, side in enumerate(file.grid.shape) if number != axis)
    return height, width


def stacked(slices: np.ndarray, index: int, neighbours: int) -> np.ndarray:
    """A slice of (slices, height, width) between its neighbours, (height, width, channels); the first and the last
    slice are repeated beyond the ends."""
    wanted = np.clip(np.arange(index - neighbours, index + neighbours + 1), 0, len(slices) - 1)
    return np.stack([slices[number] for number in wanted], 2)


def in_type(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values in a type that holds them and those of that type: bytes among deeper ones are amounts like these."""
    return values.astype(np.result_type(values.dtype, dtype), copy=False) if dtype else values


def clipped(values: np.ndarray, domain: Domain) -> tuple[np.ndarray, str]:
    """The values with those beyond the span of the domain at its ends, and a note of how many these are or nothing.

    The brightest vessel must not keep a patient out. More than `FEW` are no bright spots, but another scale, and stay
    as they are: `picture_of` refuses them.
    """
    if not domain.measured:
        return values, ""
    low, high = domain.ends
    beyond = int(np.count_nonzero((values < low) | (values > high)))
    if not 0 < beyond <= FEW * values.size:
        return values, ""
    words = f"{beyond:,} of {values.size:,} values beyond {low:g} to {high:g}, which {domain.name} spans, are clipped"
    ends = (low, high) if values.dtype.kind == "f" else (math.ceil(low), math.floor(high))
    return values.clip(*ends), f"{words}; they go from {values.min():g} to {values.max():g}"


def picture_of(values: np.ndarray, span: images.Span | None, name: Path) -> images.Picture:
    """Values (height, width, channels) as a picture of them. Raises ImageError that begins with the name."""
    try:
        return images.within(images.Picture(np.ascontiguousarray(values)), span)
    except BadImageError as error:
        raise ImageError(f"{shown(name)}: {error}") from error
