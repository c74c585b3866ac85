"""Planes: what networks take and give of the images of a domain, whatever their kind; the one table of kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data import label_maps
from translate.data.domain import Domain
from translate.data.io.images import MAX_PIXELS, Picture, read, to_float, with_channels


@dataclass(frozen=True)
class Kind:
    """How images of a kind are read, and what they become; a sample is held as (height, width, `stored_channels`)."""

    read: Callable[[Path, Domain, int], Picture]
    """The file as a picture, whose pixels are what is held. Raises ImageError."""
    planes: Callable[[Tensor, Domain], Tensor]
    """What is held, uint8 or uint16 (batch, stored channels, height, width), as planes, float32 in [-1, 1] (batch,
    channels, height, width)."""
    coloured: Callable[[Tensor, Domain], Tensor]
    """Planes as colours to look at, in [-1, 1]."""


KINDS = {
    "image": Kind(
        read=lambda path, domain, most: read(path, most, domain.span),
        planes=lambda held, domain: to_float(held),
        coloured=lambda images, domain: images,
    ),
    "labels": Kind(
        read=label_maps.read_labels,
        planes=lambda held, domain: label_maps.planes(held, domain.channels),
        coloured=label_maps.coloured,
    ),
}


def read_as(path: Path, domain: Domain, max_pixels: int = MAX_PIXELS) -> Picture:
    """The file as a picture of the domain: of label maps the classes, with the `palette`. Raises ImageError."""
    return KINDS[domain.kind].read(path, domain, max_pixels)


def together(images: Sequence[np.ndarray], domain: Domain) -> np.ndarray:
    """The images of a sample, each (height, width, stored channels) of its layer, one after another in the type that
    holds all: 8 bits among deeper ones range over 16, and numbers stay. Raises ValueError if their sizes differ."""
    return np.concatenate([_in_type(*of, domain.held) for of in zip(images, domain.layers, strict=True)], 2)


def _in_type(image: np.ndarray, layer: Domain, held: np.dtype) -> np.ndarray:
    if image.dtype == held:
        return image
    return image.astype(held) * np.uint16(1 if layer.numbered else 257)


def planes(held: Tensor, domain: Domain) -> Tensor:
    """What is held of samples (batch, stored channels, height, width), uint8 or uint16, as planes (batch, channels,
    height, width), float32 in [-1, 1]; the layers of a sample one after another."""
    if not domain.layers:
        return KINDS[domain.kind].planes(held, domain)
    each = held.split([layer.stored_channels for layer in domain.layers], 1)
    return torch.cat([planes(images, layer) for images, layer in zip(each, domain.layers, strict=True)], 1)


def planes_of(picture: Picture, domain: Domain) -> np.ndarray:
    """The picture as networks take it, (height, width, channels), uint8 or uint16: images as they are, of label maps
    the highest in the plane of a pixel's class and 0 in the others, all 0 where nobody labelled."""
    if not (domain.numbered or domain.layers):
        return with_channels(picture, domain.channels)
    made = planes(torch.from_numpy(picture.pixels).permute(2, 0, 1)[None], domain)
    most = np.iinfo(domain.held).max
    return ((made[0].permute(1, 2, 0) + 1) * (most / 2)).round().numpy().astype(domain.held)


def coloured(images: Tensor, domain: Domain) -> Tensor:
    """Planes as colours to look at, in [-1, 1]: of the first image of a sample."""
    first = domain.parts[0]
    return KINDS[first.kind].coloured(images[:, : first.channels] if domain.layers else images, first)
