"""What a conversion keeps of a file: format x depth x channels x alpha, at an odd size, in and out.

    python benchmarks/fidelity.py

Each file is written by one library, converted to its negative by `convert_folder`, and read back by another library
than the one that wrote it: TIFF by tifffile, PNG by the twenty lines below, the rest by OpenCV. Colour profile and
EXIF are looked for in the bytes of the file. `error` is the largest difference from the exact negative, in levels.
Needs tifffile.
"""

from __future__ import annotations

import argparse
import functools
import io
import itertools
import struct
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
import torch
from PIL import Image, ImageCms
from torch import Tensor

from common import report
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Runtime

HEIGHT, WIDTH = 23, 37
ARTIST = "Ada of the test card"
SMOOTH = {".jpg", ".webp"}
"""Formats that lose a little at quality 95: they are given a smooth picture, and a few levels."""
LOSS = {".jpg": 4, ".webp": 12}


@dataclass(frozen=True)
class Case:
    suffix: str
    bits: int
    channels: int
    alpha: bool

    @property
    def name(self) -> str:
        return f"{self.channels}x{self.bits}{'a' if self.alpha else ''}{self.suffix}"


@dataclass(frozen=True)
class Row:
    """What came back. `error`: in levels, of colours and of alpha."""

    case: Case
    same_form: bool
    error: int
    alpha_error: int
    profile: bool
    exif: bool

    @property
    def kept(self) -> bool:
        fine = self.error <= LOSS.get(self.case.suffix, 0) and self.alpha_error == 0
        # BMP has no place for either.
        return fine and self.same_form and (self.case.suffix == ".bmp" or (self.profile and self.exif))


class Negative(ImageTranslator):
    """A translator whose translation is known to the last level."""

    stride = 8

    def targets(self) -> Sequence[int]:
        return [1]

    def translate(self, images: Tensor, request: Request) -> Tensor:
        return -images


def cases() -> list[Case]:
    lossless = itertools.product((".png", ".tiff"), (8, 16), (1, 3), (False, True))
    others = [
        Case(".jpg", 8, 1, False),
        Case(".jpg", 8, 3, False),
        Case(".bmp", 8, 1, False),
        Case(".bmp", 8, 3, False),
    ]
    return [*itertools.starmap(Case, lossless), *others, Case(".webp", 8, 3, False), Case(".webp", 8, 3, True)]


def table() -> list[Row]:
    """Every case, converted by a model of as many channels."""
    with tempfile.TemporaryDirectory() as folder:
        return [_row(case, Path(folder)) for case in cases()]


def _row(case: Case, folder: Path) -> Row:
    source, output = folder / "in" / case.name, folder / "out" / case.name
    source.parent.mkdir(exist_ok=True)
    planes = picture(case)
    source.write_bytes(_written(case, planes))
    converter = Converter(Negative(), ImageSpec(case.channels, 0, ("a", "b")), Runtime(torch.device("cpu")))  # type: ignore[arg-type]
    outcome = convert_folder(converter, plan(source, output), Request.to(1))
    top = 2**case.bits - 1
    if outcome.failed:
        return Row(case, False, top, top, False, False)
    data = output.read_bytes()
    found = _read(case, data)
    if found.dtype != planes.dtype or found.shape != planes.shape:
        return Row(case, False, top, top, False, False)
    colours = slice(0, case.channels)
    error = np.abs(found[..., colours].astype(int) - (top - seen(planes, case))).max()
    alpha_error = np.abs(found[..., case.channels :].astype(int) - planes[..., case.channels :]).max(initial=0)
    raw = data + (_png_profile(data) if case.suffix == ".png" else b"")
    return Row(case, True, int(error), int(alpha_error), profile(case) in raw, ARTIST.encode() in data)


def picture(case: Case) -> np.ndarray:
    """(height, width, channels and alpha): noise where every level must come back, else a slope."""
    planes = case.channels + case.alpha
    dtype = np.uint16 if case.bits == 16 else np.uint8
    if case.suffix not in SMOOTH:
        return np.random.default_rng(0).integers(0, 2**case.bits, (HEIGHT, WIDTH, planes)).astype(dtype)
    slope = np.linspace(40, 200, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1)
    return np.repeat(slope, planes, axis=2).astype(dtype)


def seen(planes: np.ndarray, case: Case) -> np.ndarray:
    """The colours that a model without alpha is given: in front of white, rounded to nearest."""
    top, values = 2**case.bits - 1, planes.astype(np.int64)
    colours, alpha = values[..., : case.channels], values[..., case.channels :]
    return (colours * alpha + top * (top - alpha) + top // 2) // top if case.alpha else colours


@functools.cache  # it holds the time of its making
def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(case: Case) -> bytes:
    """sRGB's, or the same with its header saying grey."""
    data = _srgb()
    # WebP holds RGB only.
    return data if case.channels == 3 else data[:16] + b"GRAY" + data[20:]


def _exif() -> bytes:
    notes = Image.Exif()
    notes[315] = ARTIST
    return notes.tobytes()


def _written(case: Case, planes: np.ndarray) -> bytes:
    if case.suffix == ".png":
        return _png(planes, case)
    buffer = io.BytesIO()
    if case.suffix == ".tiff":
        icc = profile(case)
        tifffile.imwrite(
            buffer,
            planes if planes.shape[2] > 1 else planes[..., 0],
            photometric="rgb" if case.channels == 3 else "minisblack",
            extrasamples=["unassalpha"] if case.alpha else None,
            planarconfig="contig" if planes.shape[2] > 1 else None,
            extratags=[(34675, 7, len(icc), icc, True), (315, 2, 0, ARTIST, True)],
            metadata=None,
        )
        return buffer.getvalue()
    image = Image.fromarray(planes if planes.shape[2] > 1 else planes[..., 0])
    kind = {".jpg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}[case.suffix]
    notes = {} if kind == "BMP" else {"icc_profile": profile(case), "exif": _exif(), "quality": 100}
    image.save(buffer, kind, **notes)
    return buffer.getvalue()


def _read(case: Case, data: bytes) -> np.ndarray:
    if case.suffix == ".png":
        return _png_planes(data)
    if case.suffix == ".tiff":
        planes = tifffile.imread(io.BytesIO(data))
        return planes if planes.ndim == 3 else planes[..., None]
    planes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if planes.ndim == 2:
        return planes[..., None]
    return np.concatenate([planes[..., 2::-1], planes[..., 3:]], axis=2)


def _png(planes: np.ndarray, case: Case) -> bytes:
    kind = {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}[case.channels, case.alpha]
    rows = planes.astype(">u2") if case.bits == 16 else planes
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", WIDTH, HEIGHT, case.bits, kind, 0, 0, 0),
        b"iCCP": b"profile\0\0" + zlib.compress(profile(case)),
        b"eXIf": _exif().removeprefix(b"Exif\0\0"),
        b"IDAT": zlib.compress(lines),
        b"IEND": b"",
    }
    framed = (
        struct.pack(">I", len(body)) + key + body + struct.pack(">I", zlib.crc32(key + body))
        for key, body in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _png_planes(data: bytes) -> np.ndarray:
    """(height, width, samples) of a PNG that is neither interlaced nor of a palette (PNG specification, section 9)."""
    chunks = _png_chunks(data)
    width, height, bits, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    step, stride = samples * bits // 8, width * samples * bits // 8
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, stride + 1).astype(int)
    done = np.zeros((height + 1, stride + step), np.int64)  # a row above and a pixel to the left, both 0
    for number, line in enumerate(lines, 1):
        for place in range(step, stride + step):
            left, above, corner = done[number, place - step], done[number - 1, place], done[number - 1, place - step]
            nearest = min((left, above, corner), key=lambda value: abs(left + above - corner - value))
            guess = (0, left, above, (left + above) // 2, nearest)[line[0]]
            done[number, place] = (line[1 + place - step] + guess) % 256
    raw = done[1:, step:].astype(np.uint8).tobytes()
    values = np.frombuffer(raw, ">u2" if bits == 16 else np.uint8)
    return values.reshape(height, width, samples).astype(np.uint16 if bits == 16 else np.uint8)


def _png_profile(data: bytes) -> bytes:
    body = _png_chunks(data).get(b"iCCP", b"")
    return zlib.decompress(body[body.index(b"\0") + 2 :]) if body else b""


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """By name; those of one name joined."""
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        key = data[place + 4 : place + 8]
        chunks[key] = chunks.get(key, b"") + data[place + 8 : place + 8 + length]
        place += 12 + length
    return chunks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    path = parser.parse_args().json
    rows = [
        {
            "format": row.case.suffix,
            "bits": row.case.bits,
            "channels": row.case.channels,
            "alpha": row.case.alpha,
            "form kept": row.same_form,
            "error, levels": row.error,
            "alpha's": row.alpha_error,
            "profile": row.profile,
            "EXIF": row.exif,
            "kept": row.kept,
        }
        for row in table()
    ]
    report("fidelity", torch.device("cpu"), rows, path, settings={"height": HEIGHT, "width": WIDTH})


if __name__ == "__main__":
    main()
