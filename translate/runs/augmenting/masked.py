"""Pictures and their masks as pairs to learn from: the numbers in masks, whatever they are, become classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.annotated import Original
from translate.data.decoding import Decoding
from translate.data.domain import Domain
from translate.data.io.images import version
from translate.data.label_maps import MOST, NOTHING, one_band
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError
from translate.models.base import ImageSpec
from translate.utils.printing import shown


@dataclass(frozen=True)
class Mask:
    """A mask as numbers of classes: the place of its number among `values`, `NOTHING` for the number `ignore`."""

    path: Path
    values: tuple[int, ...]
    ignore: int | None

    def read(self, channels: int) -> np.ndarray:
        """Returns uint8 (height, width, 1). Raises ImageError for a number that no training mask has."""
        found = _numbers(self.path)
        places = np.searchsorted(self.values, found).clip(max=len(self.values) - 1)
        known = np.asarray(self.values)[places] == found
        ignored = np.zeros_like(known) if self.ignore is None else found == self.ignore
        if (strange := found[~known & ~ignored]).size:
            raise ImageError(f"{shown(self.path)}: the number {strange[0]}, which is in no training mask")
        return np.where(ignored, NOTHING, places).astype(np.uint8)

    def identity(self) -> str:
        """See `Readable`."""
        return f"{version(self.path)}:{self.values}:{self.ignore}"


@dataclass(frozen=True)
class MaskedImages:
    """The numbers that training masks hold, as classes, and pairs of pictures and masks."""

    values: tuple[int, ...]
    ignore: int | None

    @property
    def kinds(self) -> tuple[Domain, Domain]:
        return Domain("pictures", 3), Domain("masks", len(self.values), dtype="uint8", kind="labels")

    def spec(self, size: int) -> ImageSpec:
        """What a segmenter is built for."""
        return ImageSpec(max(3, len(self.values)), size, ("pictures", "masks"), each=self.kinds)

    def ways(self, size: int) -> list[Decoding]:
        """How pictures and masks are decoded: stretched to squares."""
        return [Decoding.of(kind, size, "square") for kind in self.kinds]

    def pairs(self, originals: Sequence[Original]) -> list[list[Readable]]:
        """The pictures, and their masks."""
        masks: list[Readable] = [Mask(one.mask, self.values, self.ignore) for one in originals if one.mask]
        return [[Source(one.path) for one in originals], masks]


def masked_images(training: Sequence[Original], ignore: int | None) -> MaskedImages:
    """The classes of these pictures' masks: the numbers in them, in order, without `ignore`. Raises ImageError, and
    ConfigurationError for more numbers than classes can have."""
    found: set[int] = set()
    for one in training:
        if one.mask:
            found |= set(np.unique(_numbers(one.mask)).tolist())
    values = tuple(sorted(found - {ignore}))
    if not 1 < len(values) < MOST:
        raise ConfigurationError(
            f"{len(values)} different numbers in the masks; a segmenter tells 2 to {MOST - 1} classes apart"
        )
    return MaskedImages(values, ignore)


def _numbers(path: Path) -> np.ndarray:
    """The numbers of a mask, int64 (height, width, 1). Raises ImageError for colours."""
    found = one_band(path)
    if found is None:
        raise ImageError(f"{shown(path)}: its pixels are colours; a segmenter learns from masks of one number a pixel")
    return found.astype(np.int64)
