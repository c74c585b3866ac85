"""Reads TIFF tags, and adds ICC profile and EXIF where the encoder cannot write them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_PROFILE, _EXIF, _GPS = 34675, 34665, 34853
_TEXT, _LONG, _BYTES = 2, 4, 7


def tag_of(image: Image.Image, number: int, default: Any = None) -> Any:
    """Returns a tag's value of an opened TIFF."""
    return image.tag_v2.get(number, default)  # type: ignore[attr-defined]


def describes_a_stack(description: object) -> bool:
    """Returns whether an image description tells programs the file's layout (ImageJ, OME, tifffile), which would be
    wrong for another file."""
    return isinstance(description, str) and (description.startswith(("ImageJ=", '{"shape"')) or "<OME" in description)


def with_tags(data: bytes, icc: bytes | None, exif: bytes | None) -> bytes:
    """Returns the file with an ICC profile and EXIF's texts, numbers, camera and GPS entries (TIFF 6.0, section 2).

    Appends a directory with the old and new entries, and points the header to it; nothing else moves.
    """
    order = "<" if data[:2] == b"II" else ">"
    entries, following = _directory(data, order)
    file = bytearray(data)

    def append(body: bytes) -> int:
        file.extend(b"\0" * (len(file) % 2))  # values begin at even offsets
        file.extend(body)
        return len(file) - len(body)

    def add(tag: int, kind: int, body: bytes) -> None:
        value = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack(order + "I", append(body))
        entries[tag] = struct.pack(order + "HHI", tag, kind, len(body)) + value

    def append_directory(tags: Mapping[int, Any]) -> int:
        inner = ImageFileDirectory_v2(prefix=data[:2])
        inner.update(tags)
        start = append(b"")
        file.extend(inner.tobytes(start))
        return start

    if icc:
        add(_PROFILE, _BYTES, icc)
    notes = Image.Exif()
    notes.load(exif or b"")
    for tag, value in notes.items():
        if isinstance(value, str):
            add(tag, _TEXT, value.encode("utf-8") + b"\0")
    numbers = {tag: value for tag, value in notes.items() if not isinstance(value, str | bytes | dict)}
    start = append_directory({tag: value for tag, value in numbers.items() if tag not in (_EXIF, _GPS)})
    entries |= _entries(file, order, start)
    for tag in (_EXIF, _GPS):
        if folder := notes.get_ifd(tag):
            entries[tag] = struct.pack(order + "HHII", tag, _LONG, 1, append_directory(folder))
    listed = b"".join(entries[tag] for tag in sorted(entries))
    start = append(struct.pack(order + "H", len(entries)) + listed + following)
    file[4:8] = struct.pack(order + "I", start)
    return bytes(file)


def _directory(data: bytes, order: str) -> tuple[dict[int, bytes], bytes]:
    """Returns the first directory's raw entries by tag, and the offset of the next directory, as bytes."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    entries = _entries(data, order, start)
    end = start + 2 + 12 * len(entries)
    return entries, data[end : end + 4]


def _entries(data: bytes | bytearray, order: str, start: int) -> dict[int, bytes]:
    """Returns the raw entries of the directory at `start`, by tag."""
    (count,) = struct.unpack_from(order + "H", data, start)
    found = (bytes(data[start + 2 + 12 * i : start + 14 + 12 * i]) for i in range(count))
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in found}
