"""One image of a data set in a file of its own, or in one half of a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.nodata import marked
from translate.errors import ImageError
from translate.utils.printing import shown


@dataclass(frozen=True)
class Source:
    """One image of a data set: a file, or half of one that holds a pair side by side."""

    path: Path
    half: Literal["left", "right"] | None = None
    span: images.Span = images.UNIT
    domain: Domain | None = None
    """Of what its numbers are, if its pixels are numbers."""
    void: bool = False
    """Whether pixels without data are 0 in all channels, and no others, see `Domain.void`."""

    @classmethod
    def of(cls, source: Source, domain: Domain) -> Source:
        """The image as one of the domain."""
        numbered = domain if domain.numbered else None
        wanted = replace(source, span=domain.span, domain=numbered, void=domain.void)
        return source if source == wanted else wanted

    def read(self, channels: int) -> np.ndarray:
        """Reads (height, width, channels), uint8 or uint16; of numbers these, (height, width, 1). Raises ImageError."""
        if self.domain is not None and (numbers := self.domain.numbers):
            found = self.halved(numbers.raw(self.path, self.domain, images.MAX_PIXELS))
            return numbers.picture(found, self.domain, self.path).pixels
        picture = images.read(self.path, span=self.span)
        images.refuse_other_bands(picture, channels, self.path)
        pixels = self.halved(images.with_channels(picture, channels))
        if not self.void:
            return pixels
        missing = None if picture.missing is None else self.halved(picture.missing)
        if missing is not None and missing.all():
            raise ImageError(f"{shown(self.path)}: no pixel holds data; leave it out")
        return marked(pixels, missing, 0)

    def header(self) -> images.Header:
        """See `OfDomain`; of a file that holds a pair, both halves. Raises ImageError."""
        return images.header(self.path)

    def decoded(self) -> tuple[images.Picture, bytes]:
        """See `OfDomain`; of a file that holds a pair, both halves. Raises ImageError."""
        data = images.read_bytes(self.path)
        return images.decode(data, self.path, span=None), data

    def halved(self, pixels: np.ndarray) -> np.ndarray:
        """The part of the file's pixels that is this image. Raises ImageError."""
        if self.half is None:
            return pixels
        middle, odd = divmod(pixels.shape[1], 2)
        if odd:
            raise ImageError(f"{shown(self.path)}: its width of {pixels.shape[1]} cannot be halved into a pair")
        return pixels[:, :middle] if self.half == "left" else pixels[:, middle:]

    def stretched(
        self, channels: int, height: int, width: int, interpolation: images.Interpolation = "bicubic"
    ) -> np.ndarray:
        """See `Stretched`. Raises ImageError."""
        if self.half is None and channels == 3 and self.domain is None and not self.void:
            pixels = images.read_stretched(self.path, height, width, interpolation)
            if pixels is not None:
                return pixels
        return images.resize(self.read(channels), height, width, interpolation)

    def identity(self) -> str:
        """See `Readable`. Raises ImageError."""
        of = self.domain
        numbers = "" if of is None else f":{of.kind}:{of.channels}:{of.ignore}:{of.colours}"
        return f"{images.version(self.path)}:{self.half}:{self.span}{numbers}{':void' * self.void}"
