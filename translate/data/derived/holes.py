"""Holes in images, to be filled: rectangles, strokes of a brush, or masks of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import Field, model_validator

from translate.data.derived.amounts import Count, Shares, counted, drawn, full
from translate.data.domain import Domain
from translate.data.io import images
from translate.data.layouts.listing import iterate_images
from translate.errors import ConfigurationError, ImageError
from translate.utils.printing import shown
from translate.utils.settings import Settings

PHOTO, MASK = "photo", "mask"
"""The layers of an input with a hole."""
BENDS = 8
"""Most bends of a stroke."""


class Holes(Settings):
    """Holes of mid-grey; the input gets a mask as a further image, white where the hole is."""

    rectangles: Count = Field(1, examples=[[1, 3]])
    """How many; 0 for none."""
    side: Shares = (0.25, 0.5)
    """Height and width of a rectangle, each as a share of the image's shorter side (Pathak et al. 2016: half)."""
    strokes: Count = Field(0, examples=[[1, 4]])
    """How many strokes of a brush that wanders (Yu et al. 2019)."""
    width: Shares = (0.04, 0.12)
    """Of a stroke, as a share of the image's shorter side."""
    masks: str | None = Field(None, examples=["masks/"])
    """A folder of masks, white where the hole is, one of which is drawn for each image and stretched to it; instead of
    rectangles and strokes."""

    @model_validator(mode="after")
    def _acts(self) -> Holes:
        if self.masks is None and not (_most(self.rectangles) or _most(self.strokes)):
            raise ValueError("no hole: set rectangles or strokes to 1 or more, or masks to a folder of masks")
        return self

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The image with the hole in mid-grey, and after it the mask: (height, width, channels + 1)."""
        height, width = pixels.shape[:2]
        return with_hole(pixels, self.hole(height, width, rng))

    def hole(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        """Where the hole is: (height, width), bool. Raises ConfigurationError, ImageError."""
        if self.masks is not None:
            paths = masks_in(self.masks)
            return stretched(read_mask(paths[int(rng.integers(len(paths)))]), height, width)
        hole, shorter = np.zeros((height, width), np.uint8), min(height, width)
        for _ in range(counted(self.rectangles, rng)):
            down, across = (max(1, round(drawn(self.side, rng) * shorter)) for _ in "hw")
            top, left = int(rng.integers(height - down + 1)), int(rng.integers(width - across + 1))
            hole[top : top + down, left : left + across] = 1
        for _ in range(counted(self.strokes, rng)):
            _stroke(hole, max(1, round(drawn(self.width, rng) * shorter)), rng)
        return hole.astype(bool)

    def given(self, target: Domain) -> Domain:
        """See `Derive.given`: samples of the photo and its mask."""
        layers = [replace(target, name=PHOTO), Domain(MASK, 1, dtype="uint8", scale=target.scale)]
        return Domain.stacked(target.name, layers).at(target.scale)


def with_hole(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The image with mid-grey in the hole, and after it the mask, white where the hole is: (height, width,
    channels + 1)."""
    filled = np.where(hole[..., None], middle_grey(pixels.dtype), pixels)
    mask = hole[..., None].astype(pixels.dtype) * pixels.dtype.type(full(pixels))
    return np.concatenate([filled, mask], 2)


def middle_grey(dtype: np.dtype) -> np.number:
    """What stands in a hole: as good as 0 between -1 and 1."""
    return dtype.type(0.5 if dtype.kind == "f" else (int(np.iinfo(dtype).max) + 1) // 2)  # type: ignore[no-any-return]


def is_hole(mask: np.ndarray) -> np.ndarray:
    """Where a mask (height, width, 1), uint8, uint16 or floats from 0 to 1, is nearer to white: (height, width)."""
    return mask[..., 0] > full(mask) / 2


def read_mask(path: Path) -> np.ndarray:
    """Where the hole of a mask is: (height, width), bool. Raises ImageError, also for a mask without any hole."""
    hole = is_hole(images.with_channels(images.read(path), 1))
    if not hole.any():
        raise ImageError(f"{shown(path)}: a mask without a hole, which is where it is white (more than half of full)")
    return hole


def stretched(hole: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask in another size, by the nearest pixel."""
    import cv2

    return cv2.resize(hole.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)


@lru_cache(16)
def masks_in(folder: str) -> Sequence[Path]:
    """The masks of a folder, in natural order. Raises ConfigurationError if there are none."""
    found = tuple(iterate_images(Path(folder)))
    if not found:
        raise ConfigurationError(f"data.derive.holes.masks: {shown(folder)}: no images in it")
    return found


def _stroke(hole: np.ndarray, width: int, rng: np.random.Generator) -> None:
    """Draws a stroke that wanders, from a place anywhere."""
    import cv2

    height, across = hole.shape
    reach = 0.3 * min(height, across)
    x, y, angle = rng.uniform(0, across), rng.uniform(0, height), rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(2, BENDS + 1))):
        length = rng.uniform(0.2, 1) * reach
        to_x, to_y = (
            np.clip(x + length * np.cos(angle), 0, across - 1),
            np.clip(y + length * np.sin(angle), 0, height - 1),
        )
        cv2.line(hole, (round(x), round(y)), (round(float(to_x)), round(float(to_y))), 1, width)
        x, y, angle = float(to_x), float(to_y), angle + rng.uniform(-1, 1) * np.pi / 2


def _most(count: int | tuple[int, int]) -> int:
    return count[1] if isinstance(count, tuple) else count
