"""The interface of an image to the loader, wherever it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np

from translate.data.domain import Domain
from translate.data.io.images import Header, Interpolation, Picture


class Readable(Protocol):
    """One image of a data set: a file, half of one, or one of many in an array."""

    @property
    def path(self) -> Path:
        """The name used in messages."""

    def read(self, channels: int) -> np.ndarray:
        """Reads (height, width, channels), uint8 or uint16. Raises ImageError."""

    def identity(self) -> str:
        """Returns what the pixels depend on: the file, as it is now, and the part of it; or the pixels themselves, if
        they are in memory. Raises ImageError."""


@runtime_checkable
class Stretched(Protocol):
    """A `Readable` with a faster way to read and resize."""

    def stretched(self, channels: int, height: int, width: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Returns exactly what `read` gives, resized to (height, width, channels). Raises ImageError."""


@runtime_checkable
class OfDomain(Readable, Protocol):
    """A `Readable` in a file of the user's, which is looked at to find what the images of its domain are, and then read
    as one of them. Its `path` is its own: no other image of the set has it."""

    @classmethod
    def of(cls, source: Self, domain: Domain) -> Self:
        """The image as one of the domain."""

    def header(self) -> Header:
        """What is known of the whole file without decoding it. Raises ImageError."""

    def decoded(self) -> tuple[Picture, bytes]:
        """The whole file in its own values (see `images.decode`, with a span of None), and the bytes by which copies of
        it are known. Raises ImageError."""


@dataclass(frozen=True)
class Grey:
    """An image of `channels` as grey, whatever these are: their mean."""

    source: Readable
    channels: int

    @property
    def path(self) -> Path:
        return self.source.path

    def read(self, channels: int) -> np.ndarray:
        """See `Readable`; the same grey in all channels."""
        pixels = self.source.read(self.channels)
        grey = np.rint(pixels.mean(2, keepdims=True)).astype(pixels.dtype)
        return np.repeat(grey, channels, axis=2)

    def identity(self) -> str:
        return f"grey of {self.channels}:{self.source.identity()}"
