"""Instance maps: each thing has a number of its own, 0 is outside; the planes of what is inside and of boundaries."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data.domain import Domain, Kind, Numbers
from translate.data.io.images import Picture
from translate.data.label_maps import LOSSY, NOTHING, one_band
from translate.errors import ImageError
from translate.utils.printing import shown

PLANES = 2
"""Inside of a thing, and boundary."""
MOST = np.iinfo(np.uint16).max - 1
"""The most things in a file: they are held in 16 bits, of which augmentation takes one number for what it uncovers."""


def raw(path: Path, domain: Domain, max_pixels: int) -> np.ndarray:
    """The numbers in the file of an instance map (height, width, 1). Raises ImageError."""
    found = None if path.suffix.lower() in LOSSY else one_band(path, max_pixels)
    if found is None:
        raise ImageError(
            f"{shown(path)}: holds colours, or numbers that compression has changed: instance maps are PNG or TIFF of "
            f"one band: give one, or train with data.domains.{domain.name}.kind=image, which takes it as it is"
        )
    return found


def picture(found: np.ndarray, domain: Domain, name: Path | str) -> Picture:
    """Numbers of things, of any type (height, width, 1), as a picture of what is held: uint16, 0 outside, and without
    the number that label maps have for `NOTHING`, which is outside, too.

    They stay as they are where 16 bits hold them; else things are numbered anew in the order of their numbers. Raises
    ImageError.
    """
    if not (np.isfinite(found) & (found == np.floor(found))).all():
        raise ImageError(f"{shown(name)}: holds fractions, where instance maps have a whole number for each thing")
    whole = found.astype(np.int64)
    if domain.ignore is not None:
        whole = np.where(whole == domain.ignore, 0, whole)
    if whole.min() < 0 or whole.max() > MOST:
        things = np.setdiff1d(whole, 0)
        if len(things) > MOST:
            raise ImageError(f"{shown(name)}: {len(things):,} things, and {MOST:,} at most are told apart")
        whole = np.where(whole == 0, 0, np.searchsorted(things, whole) + 1)
    return Picture((whole + (whole >= NOTHING)).astype(np.uint16), palette=palette())


def planes(held: Tensor) -> Tensor:
    """Numbers (batch, 1, height, width), uint16, as planes (batch, 2, height, width), float32 of -1 and 1: inside of a
    thing, and boundary: a pixel one of whose four neighbours has another number (Wang et al. 2018, section 3.3). At the
    image's edge there is none."""
    numbers = held.to(torch.int32)
    numbers = numbers.masked_fill(numbers == NOTHING, 0)
    boundary = torch.zeros_like(numbers, dtype=torch.bool)
    for axis in (2, 3):
        pairs = numbers.shape[axis] - 1
        differ = numbers.narrow(axis, 0, pairs) != numbers.narrow(axis, 1, pairs)
        for side in (0, 1):
            boundary.narrow(axis, side, pairs).logical_or_(differ)
    return torch.cat([numbers != 0, boundary], 1).to(torch.float32).mul_(2).sub_(1)


def coloured(images: Tensor) -> Tensor:
    """Planes as colours to look at, RGB (batch, 3, height, width) in [-1, 1]: boundaries white, and between them a
    colour for each connected area inside of things, as planes do not know numbers."""
    table = torch.from_numpy(palette()).to(torch.float32) / 127.5 - 1
    shown = [table[_areas(inside > boundary)] for inside, boundary in images.cpu()]
    return torch.where(images[:, 1:] > 0, 1.0, torch.stack(shown).permute(0, 3, 1, 2).to(images.device))


@cache
def palette() -> np.ndarray:
    """A colour for each number, uint8 (65536, 3), black outside: numbers near each other differ clearly."""
    index = np.arange(1 << 16)[:, None]
    hue, light = index * 0.618034 % 1, 0.55 + 0.45 * (index * 0.754878 % 1)
    table = np.rint(255 * light * (0.5 + 0.5 * np.cos(2 * np.pi * (hue + np.arange(3) / 3)))).astype(np.uint8)
    table[[0, NOTHING]] = 0
    return table


def in_words(domain: Domain) -> str:
    """What such files are: "instance maps, 9 ignored"."""
    return f"instance maps{'' if domain.ignore is None else f', {domain.ignore} ignored'}"


def _areas(inside: Tensor) -> Tensor:
    """The number of the connected area that a pixel lies in, int64 (height, width); 0 outside of all."""
    import cv2

    _, areas = cv2.connectedComponents(inside.numpy().astype(np.uint8), connectivity=4)
    return torch.from_numpy(areas + (areas >= NOTHING)).long() % (1 << 16)


KIND = Kind(
    words=in_words,
    planes=lambda held, domain: planes(held),
    coloured=lambda images, domain: coloured(images),
    settings=("ignore",),
    numbers=Numbers(held=np.dtype(np.uint16), raw=raw, picture=picture),
    target=False,
)
