"""Damaged image files: whole ones of every format, and what hypothesis makes of them."""

from __future__ import annotations

import json
import resource
import struct
import sys
import zlib
from io import BytesIO

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

ROOM = 2 << 30
"""Bytes of memory that decoding may ask for beyond what the program has: the pixel cap of 89 MP needs less."""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def png(pixels: np.ndarray, colour: int, *extra: bytes) -> bytes:
    """(height, width, samples) uint8 or uint16, written by hand, so that no library judges itself."""
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = png_header(pixels.shape[1], pixels.shape[0], 8 * pixels.itemsize, colour)
    return header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def originals(format: str) -> list[bytes]:
    """Small sound files of a format, of several kinds."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    deep = rng.integers(0, 65536, (24, 24, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[271], exif[34665] = "Maker", {36867: "2020:01:01 00:00:00"}
    plain = saved(colour, format, exif=exif.tobytes())
    if format == "PNG":
        return [plain, saved(colour.quantize(16), "PNG"), saved(colour.convert("1"), "PNG"), png(deep, 2)]
    if format == "JPEG":
        return [plain, saved(colour, "JPEG", progressive=True), saved(colour.convert("CMYK"), "JPEG")]
    if format == "WEBP":
        frames = [colour, colour.rotate(90)]
        animated = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
        return [plain, saved(colour, "WEBP", lossless=True), saved(colour.convert("RGBA"), "WEBP"), animated]
    compressed = [saved(colour, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
    pages = saved(colour, "TIFF", save_all=True, append_images=[colour])
    return [plain, *compressed, pages, saved(Image.fromarray(deep[..., 0]), "TIFF")]


FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
EDITS = ("byte", "byte", "head", "length", "repeat", "remove", "noise", "cut")
LENGTHS = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@st.composite
def mutants(draw: st.DrawFn, format: str) -> bytes:
    """One to three edits: bytes changed, length fields, ranges repeated, removed or made noise, the end cut off."""
    data = bytearray(draw(st.sampled_from(originals(format))))
    for kind in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=3)):
        if not data:
            break
        place = draw(st.integers(0, min(len(data), 120 if kind == "head" else len(data)) - 1))
        if kind in ("byte", "head"):
            data[place] = draw(st.integers(0, 255))
        elif kind == "length":
            data[place : place + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", draw(st.sampled_from(LENGTHS)))
        elif kind == "cut":
            del data[place:]
        else:
            end = place + draw(st.integers(1, 40))
            piece = {"repeat": 2 * data[place:end], "remove": b"", "noise": draw(st.binary(min_size=1, max_size=40))}
            data[place:end] = piece[kind]
    # Half of the PNG files get right checksums again, or the first check would hide all that lies behind it.
    return _with_checksums(bytes(data)) if format == "PNG" and draw(st.booleans()) else bytes(data)


def _with_checksums(data: bytes) -> bytes:
    mended, place = bytearray(data), 8
    while place + 12 <= len(mended):
        length = int.from_bytes(mended[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[place + 4 : end]))
        place = end + 4
    return bytes(mended)


def sample(format: str, count: int) -> list[bytes]:
    """The first mutants that come."""
    found: list[bytes] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(mutants(format))
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found[:count]


def fuzz(format: str, count: int) -> None:
    """Decodes so many mutants in this process, which may not ask for more than ROOM; prints what became of them."""
    from translate.data.io import images
    from translate.data.io import png as deep
    from translate.errors import ImageError

    deep._opencv()
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loss_meter = {"decoded": 0, "refused": 0}

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(mutants(format))
    def attempt(data: bytes) -> None:
        try:
            picture = images.decode(data, "mutant")
        except ImageError as error:
            loss_meter["refused"] += 1
            assert "\n" not in str(error)
        else:
            loss_meter["decoded"] += 1
            assert picture.pixels.ndim == 3 and picture.pixels.dtype in (np.uint8, np.uint16)

    attempt()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    json.dump({**loss_meter, "grown_mb": grown}, sys.stdout)
