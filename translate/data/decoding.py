"""Images decoded and resized as a recipe wants them, once each as far as a cache can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from translate.data.cache.memory import Cache
from translate.data.checks.scan import Attempt
from translate.data.crops import middle, pixels_of
from translate.data.domain import Domain
from translate.data.io.images import Interpolation, resize
from translate.data.io.nodata import marked, void
from translate.data.layers import Layered
from translate.data.scale import Resize
from translate.data.sound.source import Sound
from translate.data.source import Readable, Stretched
from translate.errors import ImageError
from translate.utils.printing import shown
from translate.utils.sides import Sides, Size


@dataclass(frozen=True)
class Decoding:
    """How the images of a domain are decoded, to `channels` channels, and resized, to `side`: that of squares, or
    (height, width).

    `domain`: what the images are, where they are not just images: they become its planes on the device (see `planes`).
    `reduced`: how many times less high and wide than the other images of a pair they are; `grid`: both sides become
    multiples of it where they are resized in proportion, so that the other ones can be.
    """

    channels: int
    side: Size
    resize: Resize = "square"
    interpolation: Interpolation = "bicubic"
    domain: Domain | None = None
    reduced: int = 1
    grid: int = 1

    @classmethod
    def of(
        cls,
        domain: Domain,
        side: Size,
        resize: Resize = "square",
        interpolation: Interpolation = "bicubic",
        scale: int = 1,
    ) -> Self:
        """How the images of a domain are decoded, whose pairs are so that the target has `scale` times the sides of the
        input, and `side` is the target's: the nearest multiple of `scale`."""
        sides, filter = Sides.of(side), "nearest" if domain.numbered else interpolation
        own = side if scale == 1 else sides.over(scale).times(scale // domain.reduced).as_set
        held = domain if domain.numbered or domain.layers or domain.void else None
        return cls(domain.stored_channels, own, resize, filter, held, domain.reduced, scale // domain.reduced)

    @property
    def held(self) -> Domain:
        """What the images are, as batches hold them."""
        return self.domain or Domain("", self.channels)

    @property
    def sides(self) -> Sides:
        return Sides.of(self.side)

    def __call__(self, source: Readable) -> np.ndarray:
        """Returns (height, width, channels), uint8 or uint16. Raises ImageError."""
        if isinstance(source, Layered):
            return self._of_layers(source)
        if self.resize == "square" and isinstance(source, Stretched) and not self.held.void:
            return source.stretched(self.channels, *self.sides, self.interpolation)
        pixels = source.read(self.channels)
        if self.resize == "centre":
            pixels = _centre(pixels, self.sides)
        target = self._target(*pixels.shape[:2])
        resized = pixels if pixels.shape[:2] == target else self._resized(pixels, *target)
        return np.ascontiguousarray(resized)  # a view of half a side-by-side file would keep the whole in memory

    def _resized(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """The pixels in another size; one that is made of any without data has none."""
        resized = resize(pixels, height, width, self.interpolation)
        if not self.held.void:
            return resized
        missing = resize(void(pixels)[..., None].astype(np.uint8) * 255, height, width, "bilinear")[..., 0] > 0
        return marked(resized, missing, 0)

    def _of_layers(self, sample: Layered) -> np.ndarray:
        """The layers of a sample, each resized in its own way, to the size that the first one gets."""
        images = [_centre(image, self.sides) if self.resize == "centre" else image for image in sample.images()]
        height, width = self._target(*images[0].shape[:2])
        ways = [Decoding.of(layer, self.side, self.resize, self.interpolation) for layer in sample.layers]
        each = zip(images, ways, strict=True)
        return sample.together([resize(image, height, width, way.interpolation) for image, way in each])

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.resize == "none":
            return height, width
        if self.resize in ("square", "centre"):
            return self.sides
        return Sides(*_covering(self.sides.over(self.grid), height, width, self.resize)).times(self.grid)


def _covering(sides: Sides, height: int, width: int, resize: Resize) -> tuple[int, int]:
    """The size in an image's proportions that covers `sides`; `resize` says how the longer side is rounded."""
    if resize == "short_side":
        return sides.covering(height, width)
    if sides.height * width < sides.width * height:
        return height * sides.width // width, sides.width
    return sides.height, width * sides.height // height


def for_each(decoding: Decoding | Sequence[Decoding], domains: int) -> Sequence[Decoding]:
    """How the images of each domain are decoded, where one way may be given for all."""
    return [decoding] * domains if isinstance(decoding, Decoding) else decoding


class DecodedImages:
    """The decoded images of domain `number`, in `cache` as far as they fit; each must hold a `crop`."""

    def __init__(self, number: int, sources: Sequence[Readable], decoding: Decoding, crop: Sides, cache: Cache) -> None:
        self.number, self.sources, self._decoding, self._crop, self._cache = number, sources, decoding, crop, cache

    def __len__(self) -> int:
        return len(self.sources)

    def load(self, index: int) -> np.ndarray:
        """Returns (height, width, channels), uint8 or uint16. Raises ImageError, also for an image smaller than a
        crop."""
        place, source = (self.number, index), self.sources[index]
        image = self._cache.get(place, source)
        if image is None:
            image = self._decoding(source)
            require_crop(self._crop, source, *image.shape[:2])
            self._cache.put(place, source, image)
        return image

    def attempts(self) -> list[Attempt]:
        """Returns attempts that load each image once, and so fill the cache."""
        return [(source.path, partial(self.load, index)) for index, source in enumerate(self.sources)]


def require_crop(crop: Sides, source: Readable, height: int, width: int) -> None:
    """Raises ImageError unless an image of that size holds the crop."""
    if isinstance(source, Sound) and (short := source.too_short(crop.height)):
        raise ImageError(short)
    if not crop.fit_in(height, width):
        raise ImageError(
            f"{shown(source.path)}: {width} x {height} pixels are too few for a crop of {crop.pixels}: set a "
            "smaller data.size, or data.resize: square"
        )


def require_pair(sources: Sequence[Readable], images: Sequence[np.ndarray], reduced: Sequence[int]) -> None:
    """Raises ImageError that names the files unless the decoded images of a pair show the same; see `require_sizes`."""
    require_sizes(sources, [(image.shape[0], image.shape[1]) for image in images], reduced)


def require_sizes(sources: Sequence[Readable], sizes: Sequence[tuple[int, int]], reduced: Sequence[int]) -> None:
    """Raises ImageError that names the files unless the images of a pair, of these sizes (height, width), can show the
    same, each as many times `reduced` as that says."""
    whole = [Sides(*size).times(factor) for size, factor in zip(sizes, reduced, strict=True)]
    if len(set(whole)) == 1:
        return
    if max(reduced) == 1:
        names = " and ".join(shown(source.path) for source in sources)
        raise ImageError(
            f"{names}: the images of this pair differ in proportions: set data.resize: square, or crop them alike"
        )
    raise ImageError(
        f"{shown(sources[-1].path)}: {Sides(*sizes[-1]).pixels} pixels, where {max(reduced)} times its input is "
        f"{whole[0].pixels}: crop it so, or set data.resize: square"
    )


def _centre(pixels: np.ndarray, sides: Sides) -> np.ndarray:
    """Crops the largest centred part of the shape of `sides`."""
    part = sides.largest_in(*pixels.shape[:2])
    return pixels_of(middle(pixels, part), part).copy()  # a view would keep the whole in memory
