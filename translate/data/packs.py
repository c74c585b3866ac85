"""Files of arrays, read and extended by many processes. Each writer has its own pair of pack and index.

    *.pack     pixels, one image after another
    *.index    a record for each image

A record is written after its pixels, with checksums of both, so an image is complete or absent even if its writer was
killed.
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
import struct
import weakref
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

ALIGNMENT = 64
_RECORD = struct.Struct("<16sQIIHHI")  # key, offset, height, width, channels, bytes a number, checksum of the pixels
_CHECK = struct.Struct("<I")  # of the record
_STEP = _RECORD.size + _CHECK.size
_TYPES = {1: np.uint8, 2: np.uint16}


class Pack:
    """A pair of files, for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.used = False
        self._memory: bytes | mmap.mmap = b""
        self._read = 0

    def use(self) -> None:
        """Marks the pack as used and updates its modification time, which tells other processes."""
        if not self.used:
            self.used = True
            with suppress(FileNotFoundError):  # deleted by another process; existing mappings stay valid
                os.utime(self.path)

    def memory(self, end: int) -> bytes | mmap.mmap | None:
        """Maps at least `end` bytes of the file; returns None if it is shorter or gone."""
        if end > len(self._memory):
            try:
                with open(self.path, "rb") as file:
                    if os.fstat(file.fileno()).st_size < end:
                        return None
                    self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:
                return None
        return self._memory

    def added(self) -> Iterator[tuple[bytes, Entry]]:
        """Yields key and entry of each image added since the last call."""
        with open(self.path.with_suffix(".index"), "rb") as file:
            file.seek(self._read)
            records = file.read()
        whole = len(records) // _STEP * _STEP
        self._read += whole
        for start in range(0, whole, _STEP):
            record, check = records[start : start + _RECORD.size], records[start + _RECORD.size : start + _STEP]
            if check == _CHECK.pack(zlib.crc32(record)):
                key, offset, height, width, channels, depth, checksum = _RECORD.unpack(record)
                yield key, Entry(self, offset, (height, width, channels), depth, checksum)


class Entry(NamedTuple):
    """The location of an image in a pack."""

    pack: Pack
    offset: int
    shape: tuple[int, int, int]
    depth: int
    checksum: int

    def pixels(self) -> np.ndarray | None:
        """Returns (height, width, channels), uint8 or uint16, memory-mapped; None if the file is gone or truncated."""
        height, width, channels = self.shape
        count = height * width * channels
        memory = self.pack.memory(self.offset + count * self.depth)
        if memory is None:
            return None
        return np.frombuffer(memory, _TYPES[self.depth], count, self.offset).reshape(self.shape)

    def is_sound(self) -> bool:
        pixels = self.pixels()
        return pixels is not None and zlib.crc32(pixels.data) == self.checksum


class Writer:
    """Writes a new pair of files, which no other process writes to. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.pack = Pack(folder / f"{secrets.token_hex(8)}.pack")
        self.pack.used = True
        self._pixels = self._open(self.pack.path)
        self._index = self._open(self.pack.path.with_suffix(".index"))
        self._end = 0

    def append(self, key: bytes, pixels: np.ndarray) -> Entry:
        """Appends `pixels` (height, width, channels), uint8 or uint16, under a key of 16 bytes."""
        pixels = np.ascontiguousarray(pixels)
        entry = Entry(self.pack, self._end, pixels.shape, pixels.itemsize, zlib.crc32(pixels.data))
        padding = -pixels.nbytes % ALIGNMENT
        _write(self._pixels, pixels.data.cast("B"))
        _write(self._pixels, memoryview(bytes(padding)))
        record = _RECORD.pack(key, entry.offset, *entry.shape, entry.depth, entry.checksum)
        _write(self._index, memoryview(record + _CHECK.pack(zlib.crc32(record))))
        self._end += pixels.nbytes + padding
        return entry

    def _open(self, path: Path) -> int:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        weakref.finalize(self, os.close, file)
        return file


def _write(file: int, data: memoryview) -> None:
    while data:
        written = os.write(file, data)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        data = data[written:]
