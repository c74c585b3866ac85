"""16-bit colour, which Pillow reduces to 8: read and written with OpenCV, or by our own code where OpenCV cannot."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from translate.data.tiff_tags import tag_of, with_tags

DEEP = 65535
_BITS, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 338, 339


class BadImageError(Exception):
    """An image that cannot be used; the message does not name the file."""


def is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Returns whether an image, opened and as bytes, has 16-bit colour. Raises BadImageError for kinds that no decoder
    here gets right."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    if image.format == "PNG":
        return data[24] == 16  # the IHDR chunk's bit depth
    if image.format != "TIFF" or max(tag_of(image, _BITS, (8,))) <= 8:
        return False
    if set(tag_of(image, _BITS)) != {16} or set(tag_of(image, _SAMPLE_FORMAT, (1,))) != {1}:
        raise BadImageError("colours of more than 8 bits are read as 16-bit whole numbers only")
    if 1 in tag_of(image, _EXTRA_SAMPLES, ()):
        raise BadImageError("16-bit colours multiplied by alpha are not read; save it with straight alpha")
    return True


def deep_planes(image: Image.Image, data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes an image of deep colour to pixels (H, W, 1 or 3) and alpha (H, W), uint16; TIFF comes upright.

    OpenCV may accept damaged files, so the caller must have loaded the image with Pillow first.
    """
    cv2 = _opencv()
    planes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if planes is None or planes.dtype != np.uint16 or planes.shape[:2] != (image.height, image.width):
        raise BadImageError("16-bit colours cannot be decoded; the file is damaged or of a rare kind")
    pixels = planes[..., 2::-1]  # OpenCV's order is BGR
    if image.format == "PNG" and data[25] == 4:  # grey with alpha
        pixels = pixels[..., :1]
    if "transparency" in image.info:
        return pixels, alpha_of_key(pixels, image.info["transparency"])
    return pixels, planes[..., 3].copy() if image.mode == "RGBA" else None


def encode_deep(
    format: str, pixels: np.ndarray, alpha: np.ndarray | None, icc: bytes | None, exif: bytes | None
) -> bytes:
    """Encodes pixels (H, W, 1 or 3) and alpha (H, W), uint16, with ICC profile and EXIF, as PNG or TIFF."""
    if format == "PNG" and pixels.shape[2] == 1 and alpha is not None:
        data = _png_of_grey_and_alpha(np.dstack([pixels, alpha]))
    else:
        data = _opencvs(format, pixels, alpha)
    if format != "PNG":
        return with_tags(data, icc, exif) if icc or exif else data
    chunks = b""
    if icc:
        chunks += _png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(icc))
    if exif:
        chunks += _png_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return data[:33] + chunks + data[33:]  # after the signature and the IHDR chunk


def alpha_of_key(pixels: np.ndarray, key: int | tuple[int, ...] | None) -> np.ndarray | None:
    """Returns alpha that is 0 where a pixel equals the colour `key` (PNG's tRNS chunk); None if `key` is None."""
    if key is None:
        return None
    return np.where((pixels == np.asarray(key)).all(-1), 0, DEEP).astype(np.uint16)


def _opencvs(format: str, pixels: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """Encodes with OpenCV. Grey with alpha becomes RGBA, as OpenCV lacks it (only for TIFF without tifffile)."""
    planes = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., ::-1]
    if alpha is not None:
        planes = np.dstack([planes, alpha])
    cv2 = _opencv()
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 1] if format == "TIFF" else []  # 1: none
    done, encoded = cv2.imencode(f".{format.lower()}", np.ascontiguousarray(planes), options)
    if not done:
        raise BadImageError(f"OpenCV cannot encode it as 16-bit {format}")
    return encoded.tobytes()


def _png_of_grey_and_alpha(planes: np.ndarray) -> bytes:
    """Encodes (H, W, 2), uint16, which neither Pillow nor OpenCV can; rows are stored as differences ("up" filter)."""
    height, width = planes.shape[:2]
    samples = planes.astype(">u2").view(np.uint8).reshape(height, -1)
    rows = np.diff(samples, axis=0, prepend=np.zeros_like(samples[:1]))  # wraps modulo 256, as PNG wants
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    body = (
        _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", zlib.compress(filtered.tobytes())) + _png_chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _opencv() -> Any:
    import cv2

    logging = cv2.utils.logging
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # it warns of TIFF tags that it omitted itself
    return cv2
