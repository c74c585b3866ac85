"""The cache on disk, shared by all runs, one file an image: each image is decoded once."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from translate.data.cache.memory import Place
from translate.data.cache.shelf import SUFFIX, Shelf
from translate.data.decoding import Decoding, for_each
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.utils.printing import Log, say, shown
from translate.version import __version__

FORMAT = 2
_END = struct.Struct("<8sIIHHI")  # mark, height, width, channels, bytes a number, checksum of all before
_MARK = b"resized2"
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2")}


class DiskCache:
    """A `Cache` of images, decoded in one way or in one for each domain, in a folder shared by all runs and limited to
    `limit` bytes.

    Each way of decoding has a subfolder. Images are named by what `identity` said before they were decoded, so that a
    changed file is decoded again. They are read, not mapped: others may shorten files at any time. When space runs out,
    images that no run has used since this one began are deleted, least recently used first. If that is not enough, or
    the disk fails, a warning says so once, and images that are not cached are decoded each time. Raises
    ConfigurationError if the folder cannot be created.
    """

    def __init__(
        self,
        folder: Path,
        limit: int,
        decoding: Decoding | Sequence[Decoding],
        log: Log = say,
    ) -> None:
        self._root, self._decoding = folder, decoding
        try:
            self._shelf = Shelf(folder, limit)
        except OSError as error:
            raise ConfigurationError(
                f"{shown(folder)}: the cache folder cannot be created ({error.strerror}); "
                "set TRANSLATE_HOME to another place, or use --cache ram"
            ) from error
        _remove_packs(folder)
        self._full = f"is full ({limit / 1e9:g} GB by data.cache_gb, or what the disk has free)"
        self._log, self._stopped = log, False
        self._paths: dict[Place, Path] = {}
        self._sound: set[Place] = set()

    def get(self, place: Place, source: Readable) -> np.ndarray | None:
        path = self._paths.get(place)
        if path is None:
            way = for_each(self._decoding, place[0] + 1)[place[0]]
            path = self._paths[place] = self._root / _way(way) / f"{_key(source)}{SUFFIX}"
        pixels = _read(path, checked=place in self._sound)
        if pixels is not None:
            self._sound.add(place)
        return pixels

    def put(self, place: Place, source: Readable, pixels: np.ndarray) -> None:
        """Keeps what was decoded after `get` found nothing at `place`."""
        if self._stopped:
            return
        try:
            if not self._shelf.add(self._paths[place], _content(pixels)):
                self._stop(self._full)
        except OSError as error:
            self._stop(f"cannot be written to ({error.strerror})")

    def _stop(self, why: str) -> None:
        if not self._stopped:
            self._stopped = True
            self._log(f"warning: {shown(self._root)}: {why}; images that are not in it are decoded each time")


def _way(decoding: Decoding) -> str:
    """The name of the folder of images that were decoded like this."""
    way: str = decoding.resize
    if way != "none":
        way += f"-{decoding.interpolation}-{decoding.sides.pixels.replace(' ', '')}"
        way += f"-by-{decoding.grid}" if decoding.grid > 1 else ""
    # Other versions may decode and resize to different pixels.
    return f"{FORMAT}-{decoding.channels}-{way}-translate-{__version__}-pillow-{PIL.__version__}"


def _key(source: Readable) -> str:
    return hashlib.blake2b(source.identity().encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _content(pixels: np.ndarray) -> tuple[memoryview, bytes]:
    """Returns what `_read` reads: the pixels, and their shape and checksum after them."""
    body = np.ascontiguousarray(pixels, _TYPES[pixels.itemsize]).data
    end = _END.pack(_MARK, *pixels.shape, pixels.itemsize, 0)[:-4]
    return body, end + struct.pack("<I", zlib.crc32(end, zlib.crc32(body)))


def _read(path: Path, checked: bool) -> np.ndarray | None:
    """Reads (height, width, channels), uint8 or uint16, and marks the file as used; None if it is gone or damaged.

    A damaged file is removed. `checked`: whether its checksum has been compared before.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            content = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
            whole = file.readinto(content.data) == len(content)
            with suppress(OSError):  # another user's
                os.utime(file.fileno() if os.utime in os.supports_fd else path)
    except OSError:
        return None
    body, end = content[: -_END.size], content[-_END.size :].tobytes()
    if whole and len(end) == _END.size:
        mark, height, width, channels, depth, checksum = _END.unpack(end)
        fits = mark == _MARK and depth in _TYPES and height * width * channels * depth == len(body)
        if fits and (checked or zlib.crc32(end[:-4], zlib.crc32(body.data)) == checksum):
            return body.view(_TYPES[depth]).reshape(height, width, channels)
    with suppress(OSError):
        path.unlink()
    return None


def _remove_packs(folder: Path) -> None:
    """Removes the packs of many images that older versions wrote."""
    for path in folder.glob("1-*/*"):
        if path.suffix in (".pack", ".index"):
            with suppress(OSError):
                path.unlink()
    for path in folder.glob("1-*"):
        with suppress(OSError):  # not empty: something else is in it
            path.rmdir()
