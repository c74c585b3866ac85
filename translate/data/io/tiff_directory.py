"""TIFF directories, those of image files and of EXIF: read without trust, before any library sees them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from translate.data.io.values import BadImageError

MOST_VALUES = 1 << 20
"""Numbers of one tag that are read: an image in a million strips."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by the number of its type."""
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BELOW = (34665, 34853, 40965)
"""Tags that point to further directories: Exif, GPS, interoperability."""
_SPARE = 1 << 16


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    place: int
    """Where the values are in the file."""

    @property
    def size(self) -> int:
        return self.count * _SIZES.get(self.kind, 0)


@dataclass(frozen=True)
class Directory:
    """The first directory of an open file: its entries by tag, none of them read yet."""

    file: BinaryIO
    order: str
    """struct's sign of the byte order, "<" or ">"."""
    big: bool
    """BigTIFF, whose offsets have 8 bytes."""
    start: int
    entries: dict[int, _Entry]
    following: int
    """Where the next directory is; 0: this is the last."""

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The whole numbers of a tag, none if it is missing or of another type. Raises BadImageError."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _WHOLE:
            return ()
        if entry.count > MOST_VALUES:
            raise BadImageError(f"its tag {tag} has {entry.count:,} numbers, more than {MOST_VALUES:,}")
        body = _part(self.file, entry.place, entry.size)
        return struct.unpack(f"{self.order}{entry.count}{_WHOLE[entry.kind]}", body)

    def number(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return (self.numbers(tag) or (default,))[0]

    def content(self, tag: int) -> bytes:
        """The bytes of a tag, of whatever type; empty if it is missing."""
        entry = self.entries.get(tag)
        return b"" if entry is None else _part(self.file, entry.place, entry.size)


def is_tiff(head: bytes) -> bool:
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def first_directory(file: BinaryIO) -> Directory:
    """Reads the entries of a TIFF file's first directory. Raises BadImageError if there is none."""
    head = _part(file, 0, 8)
    order, big = "<" if head[:2] == b"II" else ">", 43 in head[2:4]
    start = _number(file, order + "Q", 8) if big else struct.unpack(order + "I", head[4:])[0]
    return _directory(file, order, big, start)


def refuse_claims(directory: Directory, name: str = "its tags") -> None:
    """Raises BadImageError if the values of this directory and those below overlap so that together they take more
    than twice the file: a few kilobytes could ask for gigabytes. A single damaged length does not."""
    length = _length(directory.file)
    refuse_sums((span for part in _with_below(directory) for span in _spans(part)), length, name)


def refuse_sums(spans: Iterator[tuple[int, int]], length: int, name: str) -> None:
    """Raises BadImageError if (offset, size) together take more than twice a file of that length."""
    claimed = sum(min(size, max(0, length - place)) for place, size in spans)
    if claimed > 2 * length + _SPARE:
        raise BadImageError(f"{name} claim {claimed:,} bytes of a file of {length:,}; save it again")


def refuse_exif(block: bytes) -> None:
    """Like `refuse_claims` for a block of EXIF; what is no such block is left to those who read it."""
    bare = block.removeprefix(b"Exif\0\0")
    if is_tiff(bare):
        try:
            directory = first_directory(BytesIO(bare))
        except BadImageError:  # damaged metadata is no reason to refuse an intact image
            return
        refuse_claims(directory, "its EXIF entries")


def _directory(file: BinaryIO, order: str, big: bool, start: int) -> Directory:
    wide, form, step = (8, "HHQ", 20) if big else (2, "HHI", 12)
    count = _number(file, order + ("Q" if big else "H"), start)
    body = _part(file, start + wide, min(count, 1 << 16) * step)
    entries: dict[int, _Entry] = {}
    for number in range(min(count, 1 << 16)):
        tag, kind, length = struct.unpack_from(order + form, body, number * step)
        inside = start + wide + number * step + (12 if big else 8)
        entry = _Entry(kind, length, inside)
        if entry.size > (8 if big else 4):
            entry = _Entry(kind, length, _number(file, order + ("Q" if big else "I"), inside))
        entries.setdefault(tag, entry)
    end = start + wide + count * step
    try:
        following = _number(file, order + ("Q" if big else "I"), end)
    except BadImageError:  # EXIF may end here
        following = 0
    return Directory(file, order, big, start, entries, following)


def _with_below(directory: Directory) -> Iterator[Directory]:
    waiting, seen = [directory], {directory.start}
    while waiting:
        part = waiting.pop()
        yield part
        for tag in _BELOW:
            start = part.number(tag, 0) if tag in part.entries else 0
            if start and start not in seen:
                seen.add(start)
                try:
                    waiting.append(_directory(part.file, part.order, part.big, start))
                except BadImageError:  # damaged metadata; its readers leave them out
                    continue


def _spans(directory: Directory) -> Iterator[tuple[int, int]]:
    return ((entry.place, entry.size) for entry in directory.entries.values())


def _number(file: BinaryIO, form: str, place: int) -> int:
    return int(struct.unpack(form, _part(file, place, struct.calcsize(form)))[0])


def _part(file: BinaryIO, place: int, size: int) -> bytes:
    """Raises BadImageError unless the file has so many bytes at that place."""
    if size > _length(file) or place > _length(file):
        raise BadImageError("a TIFF without an image, or damaged")
    file.seek(place)
    body = file.read(size)
    if len(body) < size:
        raise BadImageError("a TIFF without an image, or damaged")
    return body


def _length(file: BinaryIO) -> int:
    return file.seek(0, 2)
