"""Files of a few bytes or megabytes that claim gigabytes or hours, in every way that a format has of claiming: refused
by name before anything is decoded.

A child process reads them; its memory may grow by less than 100 MB.
"""

from __future__ import annotations

import json
import struct
import zlib
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from images_child import Child
from mutants import chunk, png, saved
from PIL import Image

from translate.data.io import images
from translate.errors import ImageError

CHILD = str(Path(__file__).with_name("images_child.py"))
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))


def tiff(body: bytes, *changed: tuple[int, int, int, int], order: str = "<") -> bytes:
    """A TIFF of 5 x 5 grey bytes by hand; `changed` entries (tag, type, count, value) stand for its own. Lists lie at
    the offset that is given as their value; the body begins at 512, if the entries end before."""
    fields = {
        tag: (3, 1, value) for tag, value in ((256, 5), (257, 5), (258, 8), (259, 1), (262, 1), (277, 1), (278, 5))
    }
    fields |= {273: (4, 1, 512), 279: (4, 1, len(body))}
    fields |= {tag: (kind, count, value) for tag, kind, count, value in changed}
    fields = {tag: field for tag, field in sorted(fields.items()) if field[1]}
    entries = b"".join(struct.pack(order + "HHII", tag, 4 if n == 1 else k, n, v) for tag, (k, n, v) in fields.items())
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return (head + struct.pack(order + "H", len(fields)) + entries + bytes(4)).ljust(512, b"\0") + body


def overlapping(entries: int, size: int) -> bytes:
    """A directory of so many different tags, each of which claims the same megabytes behind it."""
    start = 8 + 2 + 12 * entries + 4
    listed = b"".join(struct.pack("<HHII", 1000 + tag, 7, size, start) for tag in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + listed + bytes(4) + bytes(size)


def of_many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    whole = saved(Image.new("RGB", (400, 400)), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * scans + b"\xff\xd9"


@cache
def bombs() -> dict[str, tuple[bytes, str]]:
    """Files by name, each with words of its refusal."""
    large = (256, 4, 1, 9000), (257, 4, 1, 9000), (278, 4, 1, 9000)
    empty = (259, 3, 1, 5), (273, 4, 1, 0), (279, 4, 1, 0)
    tags = [(40_000 + number, 7, 1 << 20, 512) for number in range(5000)]
    tiles = (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 512), (325, 4, 1, 50), (273, 4, 0, 0), (279, 4, 0, 0)
    many = struct.pack("<100000I", *[512 + 800_000] * 100_000) + struct.pack("<100000I", *[200_000] * 100_000)
    strips = (256, 4, 1, 500), (257, 4, 1, 100_000), (278, 4, 1, 1), (273, 4, 100_000, 512), (279, 4, 100_000, 400_512)
    exif = b"Exif\0\0" + overlapping(5000, 1 << 20)
    vp8x = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\x3f\0" * 2
    canvas = b"RIFF" + struct.pack("<I", len(vp8x) + 4) + b"WEBP" + vp8x
    webp = saved(PHOTO, "WEBP", lossless=True, exif=exif)
    parts = [exif[6 + at : 6 + at + 60_000] for at in range(0, len(exif), 60_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    jpeg = saved(PHOTO, "JPEG")
    zstd = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 13 << 30) + bytes(20)
    big = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + struct.pack("<Q", 1 << 60) + bytes(400)
    return {
        "bands.tif": (tiff(b"", *large, (277, 3, 1, 40), (258, 3, 1, 32)), "bytes once decoded"),
        "empty strips.tif": (tiff(b"", *large, (277, 3, 1, 40), (258, 3, 1, 32), *empty)[:204], "bytes once decoded"),
        "bands not there.tif": (tiff(b"", *large, (277, 3, 1, 5)), "truncated"),
        "doubles.tif": (tiff(b"", *large, (277, 4, 1, 40), (339, 4, 1, 3), (258, 4, 1, 64), order=">"), "once"),
        "samples.tif": (tiff(b"", *large, (277, 3, 1, 65_535), (259, 3, 1, 5)), "bytes once decoded"),
        "pixels.tif": (tiff(b"", (256, 4, 1, 1 << 31), (257, 4, 1, 1 << 31), (259, 3, 1, 8)), "pixels are more than"),
        "tiles.tif": (tiff(zlib.compress(bytes(99)), *tiles, (259, 3, 1, 8)), "bytes once decoded"),
        "tiles of few bits.tif": (tiff(zlib.compress(b"0"), *tiles, (259, 3, 1, 8), (258, 3, 1, 4)), "once decoded"),
        "tags.tif": (tiff(bytes(1 << 20), *tags), "its tags claim"),
        "tags below.tif": (tiff(b"", (34665, 4, 1, 600)).ljust(600, b"\0") + _below(600), "its tags claim"),
        "strips.tif": (tiff(many + zlib.compress(bytes(600)) + bytes(200_000), *strips, (259, 3, 1, 8)), "its strips"),
        "numbers.tif": (tiff(bytes(9 << 20), (273, 4, 2_000_000, 512), (279, 4, 2_000_000, 512)), "numbers, more than"),
        "entries of BigTIFF.tif": (big, "without an image, or damaged"),
        "zstd.tif": (tiff(zstd, (259, 3, 1, 50_000)), "cannot be decompressed"),
        "exif.png": (png(np.asarray(PHOTO), 2, chunk(b"eXIf", exif[6:])), "EXIF entries claim"),
        "exif behind.png": (png(np.asarray(PHOTO), 2)[:-12] + chunk(b"eXIf", exif[6:]), "EXIF entries claim"),
        "exif.webp": (webp, "EXIF entries claim"),
        "exif.jpg": (jpeg[:2] + segments + jpeg[2:], "EXIF entries claim"),
        "canvas.webp": (canvas, "pixels are more than"),
        "chunks.png": (png(np.asarray(PHOTO), 2)[:33] + chunk(b"teXt", b"") * ((1 << 20) + 9), "chunks"),
        "scans.jpg": (of_many_scans(400), "scans, more than 100"),
    }  # fmt: skip


def _below(place: int) -> bytes:
    """Entries of EXIF's folder that claim the same bytes, from that place of the file."""
    entries, size = 3000, 1 << 20
    start = place + 2 + 12 * entries + 4
    listed = b"".join(struct.pack("<HHII", 1000 + tag, 7, size, start) for tag in range(entries))
    return struct.pack("<H", entries) + listed + bytes(4) + bytes(size)


@cache
def harmless() -> dict[str, bytes]:
    """Files that look like bombs and hold what they say: read, in the memory that they need."""
    flood = zlib.compress(bytes(120 << 20), 1)
    links = b"".join(struct.pack("<HI", 0, 518 + 6 * number) for number in range(1, 200_000))
    chained = bytearray(tiff(links, (273, 4, 1, 480), (279, 4, 1, 25)))
    place = 8 + 2 + 12 * 9
    chained[place : place + 4] = struct.pack("<I", 512)
    return {
        "flood.tif": tiff(flood, (259, 3, 1, 8)),
        "flood of floats.tif": tiff(flood, (259, 3, 1, 8), (258, 3, 1, 32), (339, 3, 1, 3)),
        "flood of zstd.tif": tiff(imagecodecs.zstd_encode(bytes(120 << 20)), (259, 3, 1, 50_000), (258, 3, 1, 16)),
        "pages.tif": bytes(chained),
        "few scans.jpg": of_many_scans(40),
    }


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What became of every file, in one process."""
    folder = tmp_path_factory.mktemp("bombs")
    files = {name: data for name, (data, _) in bombs().items()} | harmless()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    ended = Child(["read"], folder, json.dumps(list(files)), program=CHILD).end().ended_in_words(0)
    assert ended.stderr == "", ended.stderr
    return dict(zip(files, json.loads(ended.stdout), strict=True))


@pytest.mark.parametrize("name", bombs())
def test_what_claims_more_than_it_holds_is_refused_before_it_is_decoded(rows: dict[str, dict], name: str) -> None:
    assert rows[name]["outcome"].startswith(f"{name}: ") and bombs()[name][1] in rows[name]["outcome"], rows[name]
    assert rows[name]["grown_mb"] < 100, rows[name]


@pytest.mark.parametrize("name", harmless())
def test_what_holds_more_than_it_claims_takes_the_memory_that_it_claims(rows: dict[str, dict], name: str) -> None:
    assert rows[name]["outcome"] in ("5x5x1", "400x400x3") and rows[name]["grown_mb"] < 100, rows[name]


def test_more_pixels_allow_more_bytes(tmp_path: Path) -> None:
    planes = np.zeros((30, 30, 13), "<f4")
    data = tiff(planes.tobytes(), (256, 3, 1, 30), (257, 3, 1, 30), (278, 3, 1, 30), (277, 3, 1, 13), (258, 3, 1, 32),
                (339, 3, 1, 3))  # fmt: skip
    with pytest.raises(ImageError, match=r"x: 13 bands of 32 bits are 46,800 bytes once decoded, .* --max-pixels"):
        images.decode(data, "x", max_pixels=3000)
    assert images.decode(data, "x", max_pixels=4000).pixels.shape == (30, 30, 13)
