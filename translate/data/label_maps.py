"""Label maps: files of class numbers or of class colours, as bytes in batches, and as a plane for each class beyond."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data.domain import BYTES, Domain, Kind, Numbers
from translate.data.io.images import MAX_PIXELS, Picture, numbers, read, with_channels
from translate.errors import ImageError
from translate.utils.printing import shown

NOTHING = 255
"""The number of pixels that nobody labelled, in batches: they are of no class."""
MOST = NOTHING
"""The most classes: a number is a byte."""
LOSSY = (".jpg", ".jpeg", ".jfif", ".webp")
"""Files whose colours are not exact: each pixel is of the class with the nearest."""


def raw(path: Path, domain: Domain, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """What stands in the file of a label map: numbers (height, width, 1), or colours (height, width, 3) where the
    domain goes by them. Raises ImageError."""
    if domain.colours:
        return with_channels(read(path, max_pixels), 3)
    found = one_band(path, max_pixels)
    if found is None:
        raise ImageError(
            f"{shown(path)}: its pixels are colours, not numbers of classes: give a file of one band, or with a "
            f"palette; or train with data.domains.{domain.name}.colours"
        )
    return found


def one_band(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray | None:
    """The numbers that stand in a file (height, width, 1), also of shades of grey that are stored as RGB; None of
    colours. Raises ImageError."""
    found = numbers(path, max_pixels)
    if found is None:
        pixels = with_channels(read(path, max_pixels), 3)
        return None if (pixels != pixels[..., :1]).any() else pixels[..., :1]
    return found[0] * np.uint8(1) if found[0].dtype == bool else found[0]


def classed(found: np.ndarray, domain: Domain, path: Path | str) -> np.ndarray:
    """The classes of what `raw` found, uint8 (height, width, 1), `NOTHING` where nobody labelled.

    Raises ImageError, with the value and how many pixels have it, for numbers that are no class and for colours that
    are not in the table.
    """
    if domain.colours:
        return _by_colour(found, domain, path)
    ignored = np.zeros(found.shape, bool) if domain.ignore is None else found == domain.ignore
    wrong = ~ignored & ((found < 0) | (found >= domain.classes) | (found != np.floor(found)))
    if wrong.any():
        values, counts = np.unique(found[wrong], return_counts=True)
        worst = int(counts.argmax())
        others = f", and {len(values) - 1} other values" if len(values) > 1 else ""
        raise ImageError(
            f"{shown(path)}: value {values[worst]:g} in {counts[worst]:,} pixels{others}, where {domain.name} has the "
            f"classes 0 to {domain.classes - 1}{_but(domain)}: give those pixels such a number, or train with more "
            f"data.domains.{domain.name}.classes, or with data.domains.{domain.name}.ignore"
        )
    return np.where(ignored, NOTHING, found).astype(np.uint8)


def _but(domain: Domain) -> str:
    return "" if domain.ignore is None else f", and {domain.ignore} for none"


def labels_picture(picture: Picture, domain: Domain) -> Picture:
    """A picture of classes, uint8 (height, width, 1), as it is written: with the palette, without what says something
    of colours."""
    return replace(picture, alpha=None, icc=None, rgb=None, colour=None, span=None, palette=palette(domain))


def in_words(domain: Domain) -> str:
    """What such files are: "label maps of 19 classes, 255 ignored"."""
    ignored = "" if domain.ignore is None else f", {domain.ignore} ignored"
    return f"label maps of {domain.classes} classes{ignored}{', by colours' * bool(domain.colours)}"


def planes(classes: Tensor, count: int) -> Tensor:
    """One-hot planes, float32 (batch, count, height, width), of classes, uint8 or uint16 (batch, 1, height, width).

    1 in the plane of a pixel's class, -1 in the others; all -1 where nobody labelled."""
    numbered = torch.arange(count, dtype=torch.uint8, device=classes.device).view(1, -1, 1, 1)
    return (classes.to(torch.uint8) == numbered).to(torch.float32).mul_(2).sub_(1)


def classes_of(images: Tensor) -> Tensor:
    """The classes (batch, height, width), int64, whose planes are the highest; `NOTHING` where all are -1."""
    highest = images.max(1)
    return torch.where(highest.values > -1, highest.indices, NOTHING)


def coloured(images: Tensor, domain: Domain) -> Tensor:
    """Planes as colours to look at, RGB (batch, 3, height, width) in [-1, 1]."""
    table = torch.from_numpy(palette(domain)).to(images.device, torch.float32) / 127.5 - 1
    return table[classes_of(images)].permute(0, 3, 1, 2)


def palette(domain: Domain) -> np.ndarray:
    """A colour for each byte, uint8 (256, 3): those of the domain's table, else those of Pascal VOC, in which
    neighbours differ clearly; white for `NOTHING`."""
    index, table = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            table[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    table[: len(domain.colours)] = np.array(domain.colours, np.uint8).reshape(-1, 3)
    table[NOTHING] = 255
    return table


def _by_colour(found: np.ndarray, domain: Domain, path: Path | str) -> np.ndarray:
    """The classes of colours (height, width, 3); in files whose colours are not exact, of the nearest colours."""
    table = np.array(domain.colours, np.int32)
    packed = found.astype(np.int32) @ (1 << 16, 1 << 8, 1)
    values, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colours = np.stack([values >> 16, values >> 8 & 255, values & 255], 1)
    apart = np.stack([np.square(colours - colour).sum(1) for colour in table], 1)
    nearest = apart.argmin(1)
    strange = apart.min(1) > 0
    if Path(path).suffix.lower() not in LOSSY and strange.any():
        worst = int(np.where(strange, counts, 0).argmax())
        others = f", and {int(strange.sum()) - 1} other colours" if strange.sum() > 1 else ""
        raise ImageError(
            f"{shown(path)}: colour {colours[worst].tolist()} in {counts[worst]:,} pixels{others}, which is none of "
            f"the {len(table)} of {domain.name}: paint those pixels in one of them, or train with "
            f"data.domains.{domain.name}.colours that has it, too"
        )
    classes = nearest.astype(np.uint8)
    if domain.ignore is not None:
        classes[nearest == domain.ignore] = NOTHING
    return classes[places].reshape(found.shape[:2])[..., None]


KIND = Kind(
    words=in_words,
    planes=lambda held, domain: planes(held, domain.channels),
    coloured=coloured,
    settings=("classes", "ignore", "colours"),
    numbers=Numbers(
        held=BYTES,
        raw=raw,
        picture=lambda found, domain, name: labels_picture(Picture(classed(found, domain, name)), domain),
    ),
)
