"""PNG where Pillow is not enough: chunks after the image, 16-bit colour, and what the file says of its colours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from translate.data.io.values import BadImageError

_START = b"\x89PNG\r\n\x1a\n"
_COLOUR = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
"""Chunks that say what the numbers look like, where there is no profile."""
_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps, of each pass."""
_MOST_CHUNKS = 1 << 20
_USUAL_GAMMA = struct.pack(">I", 45455)


def is_png(head: bytes) -> bool:
    return head[:8] == _START


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, length of the content) of every chunk of an open file, until it ends or is no PNG any more."""
    place, end = 8, file.seek(0, 2)
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if place + 12 + length > end or not kind.isalpha():
            return
        yield kind, place + 8, length
        if kind == b"IEND":
            return
        place += 12 + length
    raise BadImageError(f"more than {_MOST_CHUNKS:,} chunks")


def notes(file: BinaryIO) -> dict[str, bytes]:
    """What an open file says beside its pixels, where Pillow's header lacks it, by Pillow's names: "exif" and "xmp"
    that stand after the image, as widespread programs write them, and as "colour" gamma, primaries, sRGB."""
    found: dict[str, bytes] = {}
    late = False
    for kind, place, length in chunks(file):
        late = late or kind == b"IDAT"
        if kind in _COLOUR and not late and length <= 32:
            found["colour"] = found.get("colour", b"") + chunk(kind, _content(file, place, length))
        elif kind == b"eXIf" and late:
            found["exif"] = b"Exif\0\0" + _content(file, place, length)
        elif kind == b"iTXt" and late and (text := _xmp(_content(file, place, length))):
            found["xmp"] = text
    return found


def unusual_gamma(colour: bytes | None) -> bool:
    """Whether colour chunks say that shades are not spaced as in nearly all files."""
    place = (colour or b"").find(b"gAMA")
    return place >= 0 and b"sRGB" not in (colour or b"") and (colour or b"")[place + 4 : place + 8] != _USUAL_GAMMA


def is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Returns whether an image, opened and as bytes, is a PNG of 16-bit colour, or of 16-bit grey with alpha."""
    return image.format == "PNG" and image.mode in ("RGB", "RGBA") and data[24] == 16  # IHDR's bit depth


def deep_planes(image: Image.Image, data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes an image of deep colour to pixels (H, W, 1 or 3) and alpha (H, W), uint16. Raises BadImageError if it is
    damaged, which OpenCV might accept."""
    cv2 = _opencv()
    planes = cv2.imdecode(np.frombuffer(_bare(data), np.uint8), cv2.IMREAD_UNCHANGED)
    if planes is None or planes.dtype != np.uint16 or planes.shape[:2] != (image.height, image.width):
        raise BadImageError("16-bit colours cannot be decoded; the file is damaged or of a rare kind")
    pixels = planes[..., 2::-1]  # OpenCV's order is BGR
    if data[25] == 4:  # grey with alpha
        pixels = pixels[..., :1]
    return pixels, planes[..., 3].copy() if image.mode == "RGBA" else None


def key_of(image: Image.Image, data: bytes) -> int | tuple[int, ...] | None:
    """The transparent colour of an opened PNG in the values of its decoded pixels; None if there is none."""
    key = image.info.get("transparency")
    if image.format != "PNG" or image.mode == "P" or key is None:
        return None
    top = 2 ** data[24] - 1
    if isinstance(key, tuple):
        return tuple(number & top for number in key)
    # Pillow stretches grey of 1, 2 and 4 bits to 8, and of these keys only those of 1.
    return key if top == 1 else (key & top) * max(1, 255 // top)


def alpha_of_key(pixels: np.ndarray, key: int | tuple[int, ...]) -> np.ndarray:
    """Returns alpha (H, W) that is 0 where a pixel equals the colour `key` (PNG's tRNS chunk), and opaque elsewhere."""
    opaque = np.iinfo(pixels.dtype).max
    return np.where((pixels == np.asarray(key)).all(-1), 0, opaque).astype(pixels.dtype)


def encode_deep(pixels: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """Encodes pixels (H, W, 1 or 3) and alpha (H, W), uint16."""
    if pixels.shape[2] == 1 and alpha is not None:
        return _of_grey_and_alpha(np.dstack([pixels, alpha]))
    planes = pixels[..., ::-1] if pixels.shape[2] == 3 else pixels
    done, encoded = _opencv().imencode(
        ".png", np.ascontiguousarray(planes if alpha is None else np.dstack([planes, alpha]))
    )
    if not done:
        raise BadImageError("OpenCV cannot encode it as 16-bit PNG")
    return bytes(encoded.tobytes())


def with_chunks(data: bytes, icc: bytes | None, exif: bytes | None, colour: bytes | None) -> bytes:
    """The file with an ICC profile, EXIF and colour chunks. A profile stands for the latter: both may not be there."""
    added = chunk(b"iCCP", b"profile\0\0" + zlib.compress(icc)) if icc else colour or b""
    if exif:
        added += chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return data[:33] + added + data[33:]  # after the signature and the IHDR chunk


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _of_grey_and_alpha(planes: np.ndarray) -> bytes:
    """Encodes (H, W, 2), uint16, which neither Pillow nor OpenCV can; rows are stored as differences ("up" filter)."""
    height, width = planes.shape[:2]
    samples = planes.astype(">u2").view(np.uint8).reshape(height, -1)
    rows = np.diff(samples, axis=0, prepend=np.zeros_like(samples[:1]))  # wraps modulo 256, as PNG wants
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    return _START + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered.tobytes())) + chunk(b"IEND", b"")


def _bare(data: bytes) -> bytes:
    """The image alone, found whole, and wrapped again: OpenCV's libpng writes to stderr about anything odd. Raises
    BadImageError for wrong checksums and missing rows."""
    parts = [(kind, data[place - 4 : place + length + 4]) for kind, place, length in chunks(BytesIO(data))]
    critical = [(kind, part) for kind, part in parts if kind in (b"IHDR", b"IDAT")]
    if any(zlib.crc32(part[:-4]) != int.from_bytes(part[-4:], "big") for _, part in critical):
        raise BadImageError("damaged: a checksum is wrong")
    width, height, _, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    step = 2 * _SAMPLES[colour]
    rows = _rows(b"".join(part[4:-4] for kind, part in critical if kind == b"IDAT"), width, height, step, interlaced)
    return _START + chunk(b"IHDR", data[16:29]) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def _rows(packed: bytes, width: int, height: int, step: int, interlaced: bool) -> bytes:
    """The filtered rows of an image of `step` bytes a pixel, decompressed."""
    expected = sum(rows * (1 + columns * step) for rows, columns in _passes(width, height, interlaced) if columns)
    try:
        unpacker = zlib.decompressobj()
        rows = unpacker.decompress(packed, expected)
        unpacker.decompress(unpacker.unconsumed_tail, 1)  # to the checksum after the last row
    except zlib.error as error:
        raise BadImageError("damaged: it cannot be decompressed") from error
    if len(rows) < expected:
        raise BadImageError("image file is truncated")
    place = 0
    for count, columns in _passes(width, height, interlaced):
        line = 1 + columns * step
        filters = rows[place : place + count * line : line] if columns else b""
        if max(filters, default=0) > 4:
            raise BadImageError("damaged: a row has an unknown filter")
        place += count * line if columns else 0
    return rows


def _passes(width: int, height: int, interlaced: bool) -> Iterator[tuple[int, int]]:
    """(rows, columns) of the image, or of the seven that it is interlaced of (Adam7)."""
    for x, y, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        yield max(0, -(-(height - y) // down)), max(0, -(-(width - x) // across))


def _xmp(body: bytes) -> bytes | None:
    """The text of an iTXt chunk that holds XMP."""
    if not body.startswith(b"XML:com.adobe.xmp\0"):
        return None
    packed, parts = body[18:19] == b"\1", body[20:].split(b"\0", 2)
    return zlib.decompressobj().decompress(parts[-1], _MOST_CHUNKS) if packed else parts[-1]


def _content(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _opencv() -> Any:
    import cv2

    logging = cv2.utils.logging
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # what it finds is raised here, with the file's name
    return cv2
