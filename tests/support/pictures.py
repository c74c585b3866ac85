"""Pictures for tests: noise, and PNG files of 16 bits written by hand."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
TOP = {np.uint8: 255, np.uint16: 65535}


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return rng.integers(0, TOP[dtype] + 1, shape).astype(dtype)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, colour: int, *extra: bytes, size: tuple[int, int] | None = None) -> bytes:
    """A PNG of 16-bit samples (H, W, samples) written by hand, so that no library judges itself."""
    height, width = size or pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + data + chunk(b"IEND", b"")


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path
