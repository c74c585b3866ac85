"""Tags of TIFF: read, and profile and notes added where a file's writer leaves them out."""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_PROFILE, _EXIF, _GPS = 34675, 34665, 34853
_TEXT, _LONG, _BYTES = 2, 4, 7


def tag_of(image: Image.Image, number: int, default: Any = None) -> Any:
    """A tag's value, of an opened TIFF."""
    return image.tag_v2.get(number, default)  # type: ignore[attr-defined]


def with_tags(data: bytes, icc: bytes | None, exif: bytes | None) -> bytes:
    """The file with a colour profile, and the texts, camera and place of EXIF notes (TIFF 6.0, section 2).

    A directory with these entries and the old ones is put at the end and the header points there; nothing else moves.
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

    if icc:
        add(_PROFILE, _BYTES, icc)
    notes = Image.Exif()
    notes.load(exif or b"")
    for tag, value in notes.items():
        if isinstance(value, str):
            add(tag, _TEXT, value.encode("utf-8") + b"\0")
    for tag in (_EXIF, _GPS):
        if folder := notes.get_ifd(tag):
            inner = ImageFileDirectory_v2(prefix=data[:2])
            inner.update(folder)
            start = append(b"")
            file.extend(inner.tobytes(start))
            entries[tag] = struct.pack(order + "HHII", tag, _LONG, 1, start)
    listed = b"".join(entries[tag] for tag in sorted(entries))
    start = append(struct.pack(order + "H", len(entries)) + listed + following)
    file[4:8] = struct.pack(order + "I", start)
    return bytes(file)


def _directory(data: bytes, order: str) -> tuple[dict[int, bytes], bytes]:
    """The first directory's entries by tag, as they stand, and the offset of the directory after it."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    found = (data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count))
    end = start + 2 + 12 * count
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in found}, data[end : end + 4]
