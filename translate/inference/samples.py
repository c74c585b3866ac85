"""A sample of several images as one picture: read, checked, and brought to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translate.data.domain import Domain
from translate.data.io.images import MAX_PIXELS, Picture, refuse_other_bands, with_channels
from translate.data.layers import proportional
from translate.data.planes import read_as, together
from translate.errors import ImageError
from translate.inference.delivery import shades_for_values
from translate.inference.partners import Beside
from translate.utils.printing import shown


@dataclass(frozen=True)
class Sample(Picture):
    """`pixels` are those of all images `together`; everything else is that of `own`."""

    own: Picture | None = None
    """The image that a translation is named after and like; of its pixels only size, channels and type are kept."""
    notes: tuple[str, ...] = ()
    """What users should know of the further images."""

    @property
    def remarks(self) -> tuple[str, ...]:
        return (*super().remarks, *self.notes)


def own_image(picture: Picture) -> Picture:
    """The picture that a translation keeps place, alpha and colours of."""
    return (picture.own if isinstance(picture, Sample) else None) or picture


def own_layer(domain: Domain, beside: Beside) -> Domain:
    """What a file is that has these images beside it."""
    return next(part for part in domain.parts if part.name not in beside)


def read_sample(source: Path, beside: Beside, domain: Domain, max_pixels: int = MAX_PIXELS) -> Picture:
    """The file as a picture of the domain; where samples have several images, with those beside it. Raises
    ImageError."""
    if not domain.layers:
        return read_as(source, domain, max_pixels)
    own = domain.layers.index(own_layer(domain, beside))
    found = [source if number == own else beside.get(layer.name) for number, layer in enumerate(domain.layers)]
    if missing := [layer.name for layer, path in zip(domain.layers, found, strict=True) if path is None]:
        raise ImageError(f"{shown(source)}: there is no {' and no '.join(missing)} of its name")
    paths = [path for path in found if path]
    return sample_of([read_as(*of, max_pixels) for of in zip(paths, domain.layers, strict=True)], domain, paths, own)


def sample_of(pictures: Sequence[Picture], domain: Domain, names: Sequence[Path | str], own: int = 0) -> Sample:
    """The pictures of each layer, which messages name so, as one of the size of picture `own`, which a translation is
    to be like. Raises ImageError, for other bands than the layer's and for other proportions than that one's."""
    first, size = pictures[own], pictures[own].pixels.shape[:2]
    held, notes = [], list[str]()
    for picture, layer, name in zip(pictures, domain.layers, names, strict=True):
        refuse_other_bands(picture, layer.stored_channels, name)
        if not proportional(picture.pixels.shape, size):
            found = f"{_in_words(picture)} pixels, where {shown(names[own])} has {_in_words(first)}"
            raise ImageError(f"{shown(name)}: {found}: give images of the same proportions")
        pixels = picture.pixels if layer.numbered else with_channels(picture, layer.channels)
        held.append(layer.resized(pixels, *size))
        remarks = [*shades_for_values(picture, layer), *(picture.remarks if picture is not first else ())]
        notes += [f"{layer.name}: {remark}" for remark in remarks]
    nothing = np.broadcast_to(first.pixels[:1, :1, :1].copy(), first.pixels.shape)
    stacked = replace(first, pixels=together(held, domain))
    return Sample(**vars(stacked), own=replace(first, pixels=nothing), notes=tuple(notes))


def _in_words(picture: Picture) -> str:
    height, width = picture.pixels.shape[:2]
    return f"{width} x {height}"
