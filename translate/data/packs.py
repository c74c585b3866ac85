"""Arrays in files that many processes add to and read: pairs of a pack and its index, each pair of one writer.

    *.pack     pixels, one image behind the other
    *.index    a record for each of them

A record is written after its pixels and bears a checksum of both: an image is whole or absent, however its writer
ended.
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
    """One pair of files, as it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.used = False
        self._memory: bytes | mmap.mmap = b""
        self._read = 0

    def use(self) -> None:
        """Notes the time, by which others see what is in use."""
        if not self.used:
            self.used = True
            with suppress(FileNotFoundError):  # deleted by another process; what is mapped stays
                os.utime(self.path)

    def memory(self, end: int) -> bytes | mmap.mmap | None:
        """The file mapped, `end` bytes of it at least; None where it has fewer, or is gone."""
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
        """Key and place of the images that came since this was last asked."""
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
    """Where one image lies."""

    pack: Pack
    offset: int
    shape: tuple[int, int, int]
    depth: int
    checksum: int

    def pixels(self) -> np.ndarray | None:
        """(height, width, channels), uint8 or uint16, mapped for reading; None where the file is gone or cut short."""
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
    """A pair of files that no other process writes to. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.pack = Pack(folder / f"{secrets.token_hex(8)}.pack")
        self.pack.used = True
        self._pixels = self._open(self.pack.path)
        self._index = self._open(self.pack.path.with_suffix(".index"))
        self._end = 0

    def append(self, key: bytes, pixels: np.ndarray) -> Entry:
        """`pixels` (height, width, channels), uint8 or uint16, under a key of 16 bytes."""
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
