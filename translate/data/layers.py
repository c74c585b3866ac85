"""Several images a sample, read as one: each layer in its own way, to one size."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.domain import Domain
from translate.data.planes import together
from translate.data.source import Readable
from translate.errors import ImageError
from translate.utils.printing import shown


@dataclass(frozen=True)
class Layered:
    """The images of one sample, and the names of their layers; read once their `domain` is known."""

    sources: tuple[Any, ...]
    names: tuple[str, ...]
    domain: Domain | None = None

    @property
    def path(self) -> Path:
        return self.sources[0].path  # type: ignore[no-any-return]

    @property
    def known(self) -> Domain:
        """What the samples are. Raises ValueError while that is not known."""
        if self.domain is None:
            raise ValueError(f"{self.path}: a sample of {', '.join(self.names)} is read as one of its domain")
        return self.domain

    @property
    def layers(self) -> tuple[Domain, ...]:
        """What the layers are."""
        return self.known.layers

    @classmethod
    def of(cls, sample: Layered, domain: Domain) -> Layered:
        """The sample as one of the domain, of as many layers."""
        each = zip(sample.sources, domain.layers, strict=True)
        return replace(sample, sources=tuple(type(source).of(source, layer) for source, layer in each), domain=domain)

    def read(self, channels: int) -> np.ndarray:
        """See `Readable`; in the size of the first image. `channels` are those of the domain."""
        images = self.images()
        size = images[0].shape[:2]
        return self.together([layer.resized(image, *size) for layer, image in zip(self.layers, images, strict=True)])

    def images(self) -> list[np.ndarray]:
        """Each layer as it is in its file. Raises ImageError that names the layer's own file, or both of two whose
        proportions differ, by more than a pixel that was rounded."""
        images = [one.read(layer.stored_channels) for one, layer in zip(self.sources, self.layers, strict=True)]
        for source, image in zip(self.sources, images, strict=True):
            if not proportional(images[0].shape, image.shape):
                (high, wide), (other_high, other_wide) = images[0].shape[:2], image.shape[:2]
                raise ImageError(
                    f"{shown(self.path)}: {wide} x {high} pixels and {shown(source.path)} {other_wide} x {other_high}: "
                    "the images of this sample differ in proportions: crop them alike"
                )
        return images

    def together(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The layers, of one size, as the array that the sample is held as."""
        return together(images, self.known)

    def identity(self) -> str:
        """See `Readable`. Raises ImageError."""
        each = zip(self.sources, self.layers, strict=True)
        return " + ".join(f"{source.identity()}:{layer.stored_channels}:{layer.dtype}" for source, layer in each)


def files_of(source: Readable) -> tuple[Any, ...]:
    """What an image of a data set is read from: itself, or each layer of a sample."""
    return source.sources if isinstance(source, Layered) else (source,)


def holds_any(source: Readable, paths: Collection[Path]) -> bool:
    """Whether the image, or a layer of the sample, is one of these files."""
    return any(one.path in paths for one in files_of(source))


def in_layers(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The images of each domain, by its name, as those of each layer by the layer's name."""
    found: dict[str, list[Any]] = {}
    for name, sources in columns.items():
        layers = layer_names(name, sources)
        for number, layer in enumerate(layers):
            found[layer] = [files_of(source)[number] for source in sources]
    return found


def layer_names(name: str, sources: Sequence[Any]) -> tuple[str, ...]:
    """The names of the layers of a domain's samples; its own name if it has single images."""
    return sources[0].names if sources and isinstance(sources[0], Layered) else (name,)


def proportional(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether images of these shapes (height, width, ...) show the same, up to a pixel that was rounded in the smaller
    one."""
    small, large = sorted((tuple(shape[:2]), tuple(other[:2])))
    longer = 0 if large[0] >= large[1] else 1
    return abs(large[1 - longer] * small[longer] / large[longer] - small[1 - longer]) <= 1
