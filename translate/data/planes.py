"""Planes: what networks take and give of the images of a domain, whatever their kind; the one table of kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data import instance_maps, label_maps
from translate.data.domain import BYTES, KINDS, Domain, Kind, in_words
from translate.data.io.codec import exif_of
from translate.data.io.images import MAX_PIXELS, Picture, of_header, read, to_8_bits, to_float, with_channels
from translate.data.io.nodata import marked
from translate.data.sound import kind as sound

KINDS |= {
    "image": Kind(
        words=in_words,
        planes=lambda held, domain: to_float(held),
        coloured=lambda images, domain: _middle(images, domain),
        settings=("channels", "span", "unit"),
    ),
    "labels": label_maps.KIND,
    "instances": instance_maps.KIND,
    "sound": sound.KIND,
}


def _middle(images: Tensor, domain: Domain) -> Tensor:
    """The images, of slices with neighbours the slices themselves."""
    slicing = domain.slicing
    if slicing is None or not slicing.neighbours or domain.channels != slicing.channels:
        return images
    return images[:, slicing.neighbours : slicing.neighbours + 1]


def read_as(path: Path, domain: Domain, max_pixels: int = MAX_PIXELS) -> Picture:
    """The file as a picture of the domain: of numbers these, as they are held, a `palette`, and where they lie. Raises
    ImageError."""
    if domain.numbers is None:
        return read(path, max_pixels, domain.span)
    found = domain.numbers.picture(domain.numbers.raw(path, domain, max_pixels), domain, path)
    return replace(found, exif=of_header(path, exif_of))


def together(images: Sequence[np.ndarray], domain: Domain) -> np.ndarray:
    """The images of a sample, each (height, width, stored channels) of its layer, one after another in the type that
    holds all: 8 bits among deeper ones range over 16, and numbers stay. Raises ValueError if their sizes differ."""
    return np.concatenate([_in_type(*of, domain.held) for of in zip(images, domain.layers, strict=True)], 2)


def _in_type(image: np.ndarray, layer: Domain, held: np.dtype) -> np.ndarray:
    if image.dtype == held:
        return image
    if held == np.uint8:  # a file that is deeper than those that were looked at
        return to_8_bits(image)
    return image.astype(held) * np.uint16(1 if layer.numbered else 257)


def planes(held: Tensor, domain: Domain) -> Tensor:
    """What is held of samples (batch, stored channels, height, width), uint8 or uint16, as planes (batch, channels,
    height, width), float32 in [-1, 1]; the layers of a sample one after another."""
    if not domain.layers:
        return KINDS[domain.kind].planes(held, domain)
    each = held.split([layer.stored_channels for layer in domain.layers], 1)
    return torch.cat([planes(images, layer) for images, layer in zip(each, domain.layers, strict=True)], 1)


def planes_of(picture: Picture, domain: Domain) -> np.ndarray:
    """The picture, whose pixels are what is held, as networks take it: (height, width, channels), uint8 or uint16.
    Images as they are; of numbers the planes, whose -1 and 1 are 0 and the highest."""
    if domain.layers:
        each = zip(domain.split(picture.pixels), domain.layers, strict=True)
        return np.concatenate([_planes(image, layer, domain.held) for image, layer in each], 2)
    if domain.numbered:
        return _planes(picture.pixels, domain, BYTES)
    pixels = with_channels(picture, domain.channels)
    return marked(pixels, picture.missing, 0) if domain.void and picture.nodata else pixels


def _planes(pixels: np.ndarray, domain: Domain, dtype: np.dtype) -> np.ndarray:
    if not domain.numbered:
        return pixels
    made = planes(torch.from_numpy(pixels).permute(2, 0, 1)[None], domain)
    return ((made[0].permute(1, 2, 0) + 1) * (np.iinfo(dtype).max / 2)).round().numpy().astype(dtype)


def each_layer(images: Tensor, domain: Domain) -> list[Tensor]:
    """The planes of each image of samples, views (batch, channels of the layer, height, width)."""
    return list(images.split([part.channels for part in domain.parts], 1)) if domain.layers else [images]


def as_images_of(images: Tensor, domain: Domain, target: Domain) -> Tensor | None:
    """The planes of samples' first image that could be one of the target, None if there is none."""
    alike = zip(each_layer(images, domain), domain.parts, strict=True)
    return next((layer for layer, part in alike if part.like(target)), None)


def columns(caption: str, images: Tensor, domain: Domain) -> dict[str, Tensor]:
    """Planes as colours to look at, in [-1, 1], under captions: a column for each image of a sample, images first."""
    layers = sorted(zip(domain.parts, each_layer(images, domain), strict=True), key=lambda layer: layer[0].numbered)
    return {
        f"{caption}: {part.name}" if domain.layers else caption: KINDS[part.kind].coloured(planes_of_it, part)
        for part, planes_of_it in layers
    }


def coloured(images: Tensor, domain: Domain) -> Tensor:
    """Planes as colours to look at, in [-1, 1]: of the first image of a sample."""
    return next(iter(columns("", images, domain).values()))
