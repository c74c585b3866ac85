"""An input of a data set that is made from its target, and its crops in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from translate.data.augment import PHOTOMETRY, Augmentation, Augmenter
from translate.data.crops import WHOLE, Cropped, Crops, pixels_of
from translate.data.derived.settings import Derive, for_all_time
from translate.data.domain import Domain
from translate.data.io.images import Header, Picture
from translate.data.order import generator
from translate.utils.sides import Sides

DERIVE = 3
"""The use of a seed beside those in `order`."""


@dataclass(frozen=True)
class Derived:
    """The input of `target`, whose images have so many `channels`: the same for all time, by the file's name."""

    target: Any
    channels: int
    derive: Derive

    @property
    def path(self) -> Any:
        return self.target.path

    @classmethod
    def of(cls, source: Self, domain: Domain) -> Self:
        """What it is follows from the target, and was said when it was made."""
        return source

    def made_from(self, target: np.ndarray) -> np.ndarray:
        """The input of the target's pixels, or of a part of them, at the size at which they are measured."""
        return self.derive(np.ascontiguousarray(target), for_all_time(self.path.name))

    def read(self, channels: int) -> np.ndarray:
        """See `Readable`; of the target at its own size. Raises ImageError."""
        return self.made_from(self.target.read(self.channels))

    def header(self) -> Header:
        """See `OfDomain`. Raises ImageError."""
        found = self.target.header()
        height, width = (-(-side // self.derive.shrinks) for side in found[:2])
        return Header(height, width, found.bands, found.dtype)

    def decoded(self) -> tuple[Picture, bytes]:
        """See `OfDomain`. Raises ImageError."""
        _, data = self.target.decoded()
        return Picture(self.read(self.channels)), data

    def identity(self) -> str:
        """See `Readable`. Raises ImageError."""
        return f"{self.target.identity()}:{self.channels}:{self.derive.model_dump_json()}"


def derivation_of(split: Sequence[Sequence[Any]]) -> Derive | None:
    """What makes the first images of the second ones, if anything does."""
    first = split[0][0] if split and split[0] else None
    return first.derive if isinstance(first, Derived) else None


class DerivedCrops:
    """Crops of targets, and inputs made of these: a pure function of seed and position, new in each pass. Geometry is
    augmented before, in both; colours, noise and blur after, in the input's image alone."""

    def __init__(
        self, crops: Crops, derive: Derive, seed: int, given: Domain, augment: Sequence[Augmentation] = ()
    ) -> None:
        self._crops, self._derive, self._seed, self._given = crops, derive, seed, given
        geometry = [one for one in augment if one.name not in PHOTOMETRY]
        photometry = [one for one in augment if one.name in PHOTOMETRY]
        self._geometry = Augmenter(geometry) if geometry else None
        self._photometry = Augmenter(photometry) if photometry else None

    def __call__(self, position: int, images: Sequence[np.ndarray]) -> list[Cropped]:
        """The crops of input and target, given the target at `position`."""
        (image,) = images
        size = self._crops.size_of(1)
        crop = self._crops.crop(1, position, *image.shape[:2])
        target = np.ascontiguousarray(pixels_of(Cropped(image, crop), size))
        if self._geometry:
            (target,) = self._geometry([target], crop.seed, inputs=0)
        made = self._derive(target, generator(self._seed, DERIVE, 0, position))
        return [Cropped(self._augmented(made, crop.seed), WHOLE), Cropped(target, WHOLE)]

    def _augmented(self, made: np.ndarray, seed: int) -> np.ndarray:
        if not self._photometry:
            return made
        image, *others = np.split(made, [self._given.parts[0].stored_channels], 2)
        (image,) = self._photometry([np.ascontiguousarray(image)], seed)
        return np.concatenate([image, *others], 2)


def derived_middles(sources: Sequence[Derived], targets: Sequence[Cropped], size: Sides) -> list[Cropped]:
    """The inputs of crops of that size."""
    made = (source.made_from(pixels_of(crop, size)) for source, crop in zip(sources, targets, strict=True))
    return [Cropped(pixels, WHOLE) for pixels in made]
