"""Looks at the files of a domain to find what its images are: their channels, type, and the values they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median_low
from typing import Any, Literal

import numpy as np

from translate.data.checks.files import Files
from translate.data.checks.finding_instances import instances_in
from translate.data.checks.finding_labels import labels_in
from translate.data.checks.shades import nearly_black, stretching
from translate.data.decoding import Decoding
from translate.data.domain import BYTES, KINDS, Domain
from translate.data.domain_settings import DomainSettings
from translate.data.io.values import DEEP, UNIT, Span, are_values
from translate.data.layers import in_layers
from translate.data.scale import Scale
from translate.data.settings import DataSettings
from translate.data.sound.finding import domain_in, refuse_idle
from translate.data.sound.source import Sound
from translate.data.source import Readable
from translate.data.volumes.slices import VolumeSlice
from translate.errors import ConfigurationError

LOOKED = 5000
"""Most files of a domain that are looked at, evenly spread."""
SAMPLED = 64
"""Files that are decoded to see whether 16-bit images use only the darkest of their shades."""

SIZED = 1000
"""Most files of a domain whose size is looked at."""
HEARD = 200
"""Most files of sound whose level is measured, which decodes them."""
FOUND = {"instances": instances_in, "labels": labels_in}
"""Finds the domain of a kind that the settings say it is, or that its files look like, in this order; None if they do
not. A kind that files do not show is set."""


def kinds_of(columns: Mapping[str, Sequence[Readable]], data: DataSettings, files: Files) -> tuple[Domain, ...]:
    """What the images of each domain are: as the settings say, else as they are found to be; label maps and instance
    maps are found where there are two domains."""
    found = tuple(_of_domain(name, sources, data, len(columns) == 2, files) for name, sources in columns.items())
    refuse_idle(found, data)
    return tuple(replace(one, void=_plain(one)) for one in found) if any(map(_void, found)) else found


def _void(domain: Domain) -> bool:
    return domain.void and _plain(domain)


def _plain(domain: Domain) -> bool:
    """Whether its pixels may hold no data: if those of one domain do, black ones of the others are no such."""
    return domain.kind == "image" and not domain.layers


def _of_domain(name: str, sources: Sequence[Readable], data: DataSettings, two: bool, files: Files) -> Domain:
    """What the images of a domain are; each layer of its samples is looked at by itself."""
    layers = [_kind(layer, images, data, two, files) for layer, images in in_layers({name: sources}).items()]
    return Domain.stacked(name, layers) if len(layers) > 1 else layers[0]


def _kind(name: str, sources: Sequence[Readable], data: DataSettings, two: bool, files: Files) -> Domain:
    said = data.domain_settings.get(name, DomainSettings())
    if sound := domain_in(name, sources, said, data):
        return sound
    channels, span = said.channels or data.channels, said.span or data.range
    perhaps = two and said.said is None and not (channels or span)
    of_volumes = [source for source in sources if isinstance(source, VolumeSlice)]
    for kind, look_for in FOUND.items() if not of_volumes else ():
        if (said.said == kind or perhaps) and (numbered := look_for(name, sources, said, files)):
            return numbered
    found = look(name, sources, files, channels=channels, span=span)
    if said.span and not found.deep:
        raise ConfigurationError(
            f"data.domains.{name}.span: no effect on files of 8 bits, whose 0 and 255 are black and white; leave it out"
        )
    if of_volumes and said.said not in (None, "image"):
        raise ConfigurationError(
            f"data.domains.{name}.kind: slices of volumes are images; save {said.said} as PNG, or leave it out"
        )
    unit = said.unit or _unit(of_volumes)
    slicing = of_volumes[0].slicing if of_volumes else None
    return replace(found, unit=unit, kind=said.said or "image", slicing=slicing)


def _unit(slices: Sequence[VolumeSlice]) -> str:
    """The unit that all files of a domain say, if they do."""
    units = {one.file.unit for one in slices}
    return units.pop() if len(units) == 1 else ""


def introduced(kinds: Sequence[Domain]) -> list[str]:
    """A line for each domain that is not 8-bit RGB, with the settings that say what else it is."""
    lines = []
    for kind in layers_of(kinds):
        if kind.numbered:
            # Sound, of which nothing is set here, is in files of its own.
            others = " or ".join(other for other in KINDS if other != kind.kind and KINDS[other].settings)
            *some, last = (f"data.domains.{kind.name}.{key}" for key in (f"kind={others}", *KINDS[kind.kind].settings))
            lines.append(f"{kind.name}: {kind} ({', '.join(some)} and {last} say otherwise)")
        elif kind.sound:
            lines.append(f"{kind.name}: {kind} (data.sound says otherwise)")
        elif kind != Domain(kind.name, dtype="uint8"):
            settings: list[Literal["channels", "span"]] = ["channels", "span"] if kind.deep else ["channels"]
            keys = " and ".join(key_of(kinds, kind, key) for key in settings)
            lines.append(f"{kind.name}: {kind} ({keys} say{'s' * (not kind.deep)} otherwise)")
    return lines


def layers_of(kinds: Sequence[Domain]) -> list[Domain]:
    """What single images are: those of each domain, or of each layer of its samples."""
    return [part for kind in kinds for part in kind.parts]


def key_of(kinds: Sequence[Domain], kind: Domain, key: Literal["channels", "span"]) -> str:
    """The setting of a domain; that of all where there is one kind only."""
    if len(kinds) > 1:
        return f"data.domains.{kind.name}.{key}"
    return {"channels": "data.channels", "span": "data.range"}[key]


def look(
    name: str,
    sources: Sequence[Readable],
    files: Files,
    *,
    channels: int | None = None,
    span: Span | None = None,
) -> Domain:
    """What the images of domain `name` are, as far as `channels` and `span` do not say it.

    Reads headers; measured values are decoded, too. A span that is found is rounded outwards. Files that cannot be read
    are passed over: they are reported when all are tried.
    """
    some = _spread(sources, LOOKED)
    headers = files.of_each(files.header, some)
    dtype = np.result_type(*{header.dtype for header in headers}) if headers else BYTES
    dtype = np.dtype(np.float64) if dtype == np.int64 else dtype  # which holds 32 bits of either sign, as TIFF does
    found = channels or max((header.bands for header in headers), default=3)
    void = any(header.void for header in headers)
    return Domain(name, found, span or _span(dtype, some, files), dtype.name, void=void)


def scale_of(sources: Sequence[Readable], way: Decoding, files: Files) -> Scale | None:
    """The scale that training sees these images at, if it resizes them so; reads headers. None if none can be read."""
    sizes = files.of_each(files.size, _spread(sources, SIZED))
    if not sizes:
        return None
    height, width = (median_low(sides) for sides in zip(*sizes, strict=True))
    side = min(height, width) if way.resize == "none" else way.sides.as_set
    return Scale(height, width, side, way.resize, way.interpolation)


def level_of(sources: Sequence[Any], kind: Domain, files: Files) -> float | None:
    """The median level of files of sound, in dB of full scale; None if none can be read, and of images."""
    if kind.sound is None:
        return None
    heard = [Sound.of(source, kind) for source in _spread(sources, HEARD) if isinstance(source, Sound)]
    levels = files.of_each(Sound.level, heard)
    return round(median_low(levels), 2) if levels else None


def size_of(source: Readable) -> tuple[int, int]:
    """Height and width, of a file from its header. Raises ImageError."""
    return Files().size(source)


def outwards(low: float, high: float) -> Span:
    """The values rounded outwards to a hundredth of what they span, or somewhat more, so that both lie within: -998
    and 903 become -1000 and 1000."""
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1) if high > low else 1.0
    return round(math.floor(low / step) * step, 12), round(math.ceil(high / step) * step, 12)


def _span(dtype: np.dtype, sources: Sequence[Readable], files: Files) -> Span:
    if are_values(dtype):
        low, high = _hull(sources, files)
        if dtype.kind == "f" and low >= 0 and high <= 1:
            return UNIT
        return outwards(low, high)
    if dtype == np.uint16 and nearly_black(DEEP, _hull(_spread(sources, SAMPLED), files)[1]):
        return 0.0, float(max(1, stretching(_hull(sources, files)[1])))
    return UNIT


def _hull(sources: Sequence[Readable], files: Files) -> Span:
    """The least and the largest value of all images; 0 and 1 if none can be read."""
    ends = files.of_each(files.ends, sources)
    return min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=1.0)


def _spread(sources: Sequence[Readable], most: int) -> Sequence[Readable]:
    return sources[:: -(-len(sources) // most)] if sources else sources
