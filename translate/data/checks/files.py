"""The files of a set while they are looked at: each is read once, and progress is shown where that takes long."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from translate.data.checks.scan import AnySource, of_each
from translate.data.io import images
from translate.data.io.images import Header
from translate.data.io.values import Span, are_values, own_span
from translate.data.layers import files_of
from translate.data.source import OfDomain, Readable
from translate.data.source_file import Source
from translate.utils.progress import Progress

Found = TypeVar("Found")
KEPT = 1 << 26
"""The most bytes of integers that are kept for another look at the same files."""
SHORT = 3.0
"""Seconds that pass before progress is shown."""


class Files:
    """What has been read of files so far. To be dropped after the look, as files may change."""

    def __init__(self, quiet: bool = True) -> None:
        self.quiet = quiet
        self._headers: dict[Path, Header] = {}
        self._ends: dict[Path, Span] = {}
        self._integers: dict[Path, tuple[np.ndarray, bytes | None]] = {}
        self._room = KEPT

    def of_each(self, function: Callable[[AnySource], Found], sources: Collection[AnySource]) -> list[Found]:
        """What the function finds of those that can be read, in order."""
        label = "looking at images"
        with Progress(len(sources), unit="image", label=label, quiet=self.quiet, after=SHORT) as bar:
            return of_each(function, sources, bar.advance)

    def header(self, source: Readable) -> Header:
        """What the header says of the whole file. Raises ImageError."""
        if not isinstance(source, OfDomain):
            height, width, bands = (pixels := source.read(1)).shape  # of an array, which is grey
            return Header(height, width, bands, pixels.dtype)
        if source.path not in self._headers:
            self._headers[source.path] = source.header()
        return self._headers[source.path]

    def size(self, source: Readable) -> tuple[int, int]:
        """Height and width of the image, of a sample those of its first. Raises ImageError."""
        first = files_of(source)[0]
        height, width = self.header(first)[:2]
        return height, width // 2 if isinstance(first, Source) and first.half else width

    def integers(self, source: Source) -> tuple[np.ndarray, bytes | None] | None:
        """What `images.numbers` finds, if it is integers; files of anything else are not decoded. Raises ImageError."""
        if source.path in self._integers:
            return self._integers[source.path]
        header = self.header(source)
        held = images.numbers(source.path) if header.numbers and header.dtype.kind in "iu" else None
        if held is None or held[0].dtype.kind not in "iu":
            return None
        if held[0].dtype == header.dtype != np.uint8:
            self._ends[source.path] = _ends_of(held[0])
        if held[0].nbytes <= self._room:
            self._room -= held[0].nbytes
            self._integers[source.path] = held
        return held

    def know(self, ends: Mapping[Path, Span]) -> None:
        """Takes the least and the largest values of files that were decoded elsewhere."""
        self._ends |= ends

    def ends(self, source: Readable) -> Span:
        """The least and the largest value of a file that is decoded for it, or has been. Raises ImageError."""
        if source.path not in self._ends:
            if not isinstance(source, OfDomain):
                return _ends_of(source.read(1))
            picture, _ = source.decoded()
            self._ends[source.path] = picture.span or _ends_of(picture.pixels)
        return self._ends[source.path]


def _ends_of(pixels: np.ndarray) -> Span:
    return own_span(pixels) if are_values(pixels.dtype) else (float(pixels.min()), float(pixels.max()))
