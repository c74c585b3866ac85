"""Random crops of images, mirrored and augmented, written directly into the memory of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translate.data.augment import PHOTOMETRY, Augmentation, Augmenter
from translate.data.domain import Domain
from translate.data.io.nodata import void
from translate.data.order import RNG, generator
from translate.errors import ConfigurationError
from translate.utils.sides import Sides, Size


class Crop(NamedTuple):
    """A crop's position in an image, whether it is mirrored, and the seed for further augmentation."""

    top: int
    left: int
    mirrored: bool
    seed: int


class Cropped(NamedTuple):
    """Pixels (height, width, channels), uint8 or uint16, and the crop to take from them."""

    pixels: np.ndarray
    crop: Crop


WHOLE = Crop(0, 0, mirrored=False, seed=0)


@dataclass(frozen=True)
class Cropping:
    """How crops of `size`, N or (height, width), are drawn at random: if `flip`, mirrored with probability 1/2; and
    augmented."""

    size: Size
    flip: bool = True
    augment: tuple[Augmentation, ...] = ()


class Crops:
    """Random crops, a pure function of seed and position. Where it `is_pair`, all domains share crop and geometry.
    `held`: what the images of each domain are, if they are not all just images. `reduced`: how many times smaller than
    `size` the crops of each domain are; those of a pair show the same, so that they begin between pixels of the
    smallest."""

    def __init__(
        self,
        cropping: Cropping,
        seed: int,
        is_pair: Callable[[int], bool],
        held: Sequence[Domain] = (),
        reduced: Sequence[int] = (),
    ) -> None:
        self.size, self._flip, self._seed, self._is_pair = Sides.of(cropping.size), cropping.flip, seed, is_pair
        self._held, self._reduced = held, reduced
        self._most = max(reduced, default=1)
        if cropping.augment and self._most > 1 and is_pair(0):
            raise ConfigurationError(
                "data.augment: the images of a pair differ in size, and are not augmented alike; leave it out"
            )
        changing = [one.name for one in cropping.augment if one.name in PHOTOMETRY]
        if changing and self.void:
            raise ConfigurationError(
                f"data.augment: {changing[0]} changes values, by which pixels without data are known; leave it out"
            )
        self._augmenter = Augmenter(cropping.augment) if cropping.augment else None

    @property
    def void(self) -> bool:
        """Whether images may have pixels without data, on which crops then depend."""
        return any(held.void for held in self._held)

    def _with_data(self, crops: list[Cropped], paired: bool) -> list[Cropped]:
        """The crops, with one that holds no data moved to a pixel that does, drawn from all; of a pair, both, to where
        both do. A pair that has no such pixel stays."""
        made = list(crops)
        for group in [range(len(crops))] if paired else [range(at, at + 1) for at in range(len(crops))]:
            marked = [at for at in group if self._held[at].void]
            if not marked:
                continue
            first, crop, size = marked[0], crops[marked[0]].crop, self.size_of(marked[0])
            alike = [crops[at].pixels for at in marked if crops[at].pixels.shape[:2] == crops[first].pixels.shape[:2]]
            if _hold([pixels_of(Cropped(pixels, crop), size) for pixels in alike]).any():
                continue
            places = np.argwhere(_hold(alike))
            if len(places):
                row, column = places[np.random.default_rng(crop.seed).integers(len(places))]
                height, width = alike[0].shape[:2]
                top = min(max(0, int(row) - size.height // 2), height - size.height) // self._unit(first)
                left = min(max(0, int(column) - size.width // 2), width - size.width) // self._unit(first)
                for at in group:
                    place = {"top": top * self._unit(at), "left": left * self._unit(at)}
                    made[at] = Cropped(crops[at].pixels, crops[at].crop._replace(**place))
        return made

    @property
    def augments(self) -> bool:
        """Whether images are augmented beyond cropping and mirroring."""
        return self._augmenter is not None

    def size_of(self, domain: int) -> Sides:
        """The size of the domain's crops."""
        return self.size.over(self._times_smaller(domain))

    def crop(self, domain: int, position: int, height: int, width: int) -> Crop:
        """Returns the crop of the image (height, width) that `domain` shows at `position`."""
        if not self._is_pair(position):
            return random_crop(self._seed, domain, position, height, width, self.size_of(domain), self._flip)
        unit = self._unit(domain)
        size = self.size.over(self._most)
        drawn = random_crop(self._seed, 0, position, height // unit, width // unit, size, self._flip)
        return drawn._replace(top=drawn.top * unit, left=drawn.left * unit)

    def _unit(self, domain: int) -> int:
        """The pixels of the domain's images that are one of the smallest's."""
        return self._most // self._times_smaller(domain)

    def _times_smaller(self, domain: int) -> int:
        return self._reduced[domain] if self._reduced else 1

    def __call__(self, position: int, images: Sequence[np.ndarray]) -> list[Cropped]:
        """Crops the images of all domains at `position`."""
        crops = [Cropped(image, self.crop(domain, position, *image.shape[:2])) for domain, image in enumerate(images)]
        if self.void:
            crops = self._with_data(crops, self._is_pair(position))
        if self._augmenter is None:
            return crops
        count = len(crops)
        held = self._held or [Domain("", image.shape[2]) for image in images]
        alone = [slice(number, number + 1) for number in range(count)]
        together = [slice(0, count)] if self._is_pair(position) else alone
        return [
            crop
            for part in together
            for crop in self._augmented(crops[part], held[part], self._augmenter, self.size_of(part.start))
        ]

    def _augmented(
        self, crops: Sequence[Cropped], held: Sequence[Domain], augmenter: Augmenter, size: Sides
    ) -> list[Cropped]:
        """The crops, of a pair or of one image, each layer augmented as the image that it is."""
        ends = [np.cumsum([part.stored_channels for part in domain.parts])[:-1] for domain in held]
        images = [pixels_of(crop, size) for crop in crops]
        layers = [layer for image, at in zip(images, ends, strict=True) for layer in np.split(image, at, 2)]
        numbered = [part.numbered for domain in held for part in domain.parts]
        made = iter(augmenter(layers, crops[0].crop.seed, numbered, len(held[0].parts)))
        return [Cropped(np.concatenate([next(made) for _ in domain.parts], 2), WHOLE) for domain in held]


def _hold(images: Sequence[np.ndarray]) -> np.ndarray:
    """Where all of these images hold data, (height, width), bool."""
    return ~np.any([void(pixels) for pixels in images], 0)


def random_crop(seed: int, domain: int, position: int, height: int, width: int, size: Sides, flip: bool) -> Crop:
    """Draws a random crop of that size for a domain and position; if `flip`, mirrors it with probability 1/2."""
    rng = generator(seed, RNG, domain, position)
    top, left = rng.integers(height - size.height + 1), rng.integers(width - size.width + 1)
    mirrored, further = rng.random() < 0.5, int(rng.integers(2**31))
    return Crop(int(top), int(left), bool(mirrored and flip), further)


def middle(pixels: np.ndarray, size: Sides, unit: int = 1) -> Cropped:
    """The middle crop of that size, which begins at multiples of `unit` pixels."""
    top, left = ((whole - side) // unit // 2 * unit for whole, side in zip(pixels.shape, size, strict=False))
    return Cropped(pixels, Crop(top, left, mirrored=False, seed=0))


def pixels_of(cropped: Cropped, size: Sides) -> np.ndarray:
    """Returns a view (height, width, channels) of the crop."""
    pixels, (top, left, mirrored, _) = cropped
    taken = pixels[top : top + size.height, left : left + size.width]
    return taken[:, ::-1] if mirrored else taken


def stack(crops: Sequence[Cropped], size: Sides, pin: bool = False) -> Tensor:
    """Returns (crops, channels, height, width), channels-last in memory; uint16 if any image is.

    `pin`: uses pinned memory, which CUDA copies asynchronously.
    """
    deep = any(crop.pixels.dtype == np.uint16 for crop in crops)
    channels = crops[0].pixels.shape[2]
    batch = torch.empty((len(crops), *size, channels), dtype=torch.uint16 if deep else torch.uint8, pin_memory=pin)
    for image, crop in zip(batch.numpy(), crops, strict=True):
        _write(image, crop)
    return batch.permute(0, 3, 1, 2)


def _write(image: np.ndarray, cropped: Cropped) -> None:
    taken = pixels_of(cropped, Sides(*image.shape[:2]))
    if taken.dtype != image.dtype:
        taken = taken.astype(np.uint16) * 257
    if cropped.crop.mirrored:
        # numpy copies reversed pixels one at a time but a reversed plane in one loop: five times as fast.
        for channel in range(image.shape[2]):
            image[..., channel] = taken[..., channel]
    else:
        image[...] = taken
