"""The TIFF files of `file_table.py`: as tifffile writes them, or by hand what it does not write."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 7, 5
ORDERS = ("<", ">")
COMPRESSIONS = ("none", "lzw", "zlib", "packbits", "lzma", "zstd")
TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")
UNREAD = {"u8": "type uint64", "i8": "type int64", "c8": "complex numbers"}
LAYOUTS = {  # bands, photometric, extra samples
    "grey": (1, "minisblack", ()),
    "white is zero": (1, "miniswhite", ()),
    "grey, straight": (2, "minisblack", (2,)),
    "grey, multiplied": (2, "minisblack", (1,)),
    "grey, unspecified": (2, "minisblack", (0,)),
    "rgb": (3, "rgb", ()),
    "rgb, straight": (4, "rgb", (2,)),
    "rgb, multiplied": (4, "rgb", (1,)),
    "rgb, unspecified": (4, "rgb", (0,)),
    "rgb, infrared, straight": (5, "rgb", (0, 2)),
    "alpha before infrared": (5, "rgb", (2, 0)),
    "five bands": (5, "minisblack", (0, 0, 0, 0)),
}
RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Cell:
    """A file, and what must be read of it: pixels and alpha, or a pattern of the words that refuse it."""

    name: str
    data: bytes
    pixels: np.ndarray | str
    alpha: np.ndarray | None = None
    rgb: bool | None = None
    """Of a TIFF: what its photometric interpretation says of three or more bands."""
    close: int = 0
    """How far a decoder of a lossy format may be off."""
    options: dict[str, Any] = field(default_factory=dict)


def values(kind: str, bands: int) -> np.ndarray:
    """Values (7, 5, bands) of a type, over its whole range but for floats, from -3 to 5, and alpha, from 0 to 1."""
    dtype = np.dtype(kind)
    if dtype.kind == "c":
        return (RNG.random((HEIGHT, WIDTH, bands)) + 1j).astype(dtype)
    if dtype.kind == "f":
        return (RNG.random((HEIGHT, WIDTH, bands)) * 8 - 3).astype(dtype)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, (HEIGHT, WIDTH, bands), dtype, endpoint=True)


def alpha_values(kind: str) -> np.ndarray:
    """From clear to opaque: 0 to 1 as floats, else to the largest number of the type."""
    share = RNG.random((HEIGHT, WIDTH))
    dtype = np.dtype(kind)
    return (share if dtype.kind == "f" else share * np.iinfo(dtype).max).astype(dtype)


def expected(stored: np.ndarray, layout: str) -> tuple[np.ndarray | str, np.ndarray | None]:
    """What the TIFF specification says that the values of a layout mean."""
    dtype, extras = stored.dtype, LAYOUTS[layout][2]
    if layout == "white is zero":
        return (np.iinfo(dtype).max - stored, None) if dtype.kind == "u" else ("white-is-zero", None)
    if layout == "alpha before infrared":
        return "alpha is read as the last band only", None
    if not extras or extras[-1] == 0:
        return stored, None
    pixels, alpha = stored[..., :-1], stored[..., -1]
    if extras[-1] == 2:
        return pixels, alpha
    if dtype.kind != "u":
        return "multiplied by alpha", None
    share, top = alpha[..., None].astype(np.longdouble), np.longdouble(np.iinfo(dtype).max)
    straight = np.where(share > 0, np.floor(pixels * top / np.maximum(share, 1) + 0.5).clip(0, top), 0)
    return straight.astype(dtype), alpha


def tiff(kind: str, order: str, layout: str, compression: str, **more: Any) -> Cell:
    """A TIFF of tifffile's."""
    bands, photometric, extras = LAYOUTS[layout]
    stored = values(kind, bands)
    if extras[-1:] in ((1,), (2,)):
        stored[..., -1] = alpha_values(kind)
    if extras[-1:] == (1,) and stored.dtype.kind == "u":
        share = stored[..., -1:] / np.longdouble(np.iinfo(kind).max)
        stored[..., :-1] = np.floor(stored[..., :-1] * share)
    pixels, alpha = expected(stored, layout)
    planes = more.pop("planes", "contig")
    planes = planes if bands > 1 else None
    written = stored[..., 0] if bands == 1 else np.moveaxis(stored, -1, 0) if planes == "separate" else stored
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, written, byteorder=order, photometric=photometric, planarconfig=planes, extrasamples=extras or None,
        compression=None if compression == "none" else compression, metadata=None, **more,
    )  # fmt: skip
    name = f"tiff {kind} {order} {layout} {compression} {planes or ''} {more or ''}"
    judged = tifffile.imread(io.BytesIO(buffer.getvalue()))
    assert np.array_equal(judged, written), f"{name}: tifffile does not read what it wrote"
    told = photometric == "rgb" if bands - sum(extra > 0 for extra in extras) >= 3 else None
    return Cell(name, buffer.getvalue(), UNREAD.get(kind, pixels), alpha, told)


def types() -> Iterator[Cell]:
    """Every type in every byte order and compression."""
    for kind, order, compression in product((*TYPES, *UNREAD), ORDERS, COMPRESSIONS):
        yield tiff(kind, order, "grey", compression)


def layouts() -> Iterator[Cell]:
    """Every layout of bands and alpha."""
    for kind, order, layout in product(("u1", "u2", "u4", "i2", "f4"), ORDERS, LAYOUTS):
        for compression, planes in product(("none", "lzw"), ("contig", "separate")):
            if planes == "contig" or LAYOUTS[layout][0] > 1:
                yield tiff(kind, order, layout, compression, planes=planes)


def predictors() -> Iterator[Cell]:
    """Differences instead of values, strips and tiles (which are larger than the image), BigTIFF."""
    for kind, order, layout in product(("u1", "u2", "i4", "f2", "f4", "f8"), ORDERS, ("grey", "rgb", "rgb, straight")):
        for tile, planes in product((None, (16, 16)), ("contig", "separate")):
            if planes == "contig" or layout != "grey":
                yield tiff(kind, order, layout, "zlib", planes=planes, tile=tile, predictor=True)
        yield tiff(kind, order, layout, "none", tile=(16, 32))
        yield tiff(kind, order, layout, "zstd", rowsperstrip=2, predictor=True)
        yield tiff(kind, order, layout, "lzw", rowsperstrip=3, bigtiff=True)


def other_compressions() -> Iterator[Cell]:
    """Compressions with a header of their own, and depths that are no whole bytes: refused by name, never misread."""
    for kind, compression in product(("u1", "u2"), ("jpeg2000", "jpegxl", "webp", "lerc", "png", "lzw")):
        if (kind, compression) == ("u2", "webp"):
            continue
        cell = tiff(kind, "<", "rgb", compression, compressionargs={"level": 101} if compression == "webp" else None)
        yield cell if compression == "lzw" else Cell(cell.name, cell.data, "TIFF compression .* is not read")
    for bits, order in product((10, 12, 14), ORDERS):
        buffer = io.BytesIO()
        with_bits = RNG.integers(0, 1 << bits, (HEIGHT, WIDTH), np.uint16)
        packed = imagecodecs.packints_encode(with_bits, bits)
        header = tifffile_header(order, [(258, 3, bits), (259, 3, 1), (262, 3, 1), (277, 3, 1)], packed)
        buffer.write(header)
        yield Cell(f"tiff of {bits} bits {order}", header, f"samples of {bits} bits")


def tifffile_header(order: str, tags: list[tuple[int, int, int]], body: bytes) -> bytes:
    """A TIFF written by hand of (tag, type, value), with one strip."""
    import struct

    every = sorted([(256, 4, WIDTH), (257, 4, HEIGHT), (278, 4, HEIGHT), (279, 4, len(body)), *tags])
    start = 8 + 2 + 12 * (len(every) + 1) + 4
    every = sorted([*every, (273, 4, start)])
    form = {3: "HH", 4: "I"}
    entries = b"".join(
        struct.pack(order + "HHI" + form[kind], tag, kind, 1, *((value, 0) if kind == 3 else (value,)))
        for tag, kind, value in every
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(every)) + entries + bytes(4) + body


def inks() -> Iterator[Cell]:
    """CMYK, Lab and YCbCr of tifffile's, of 8 and 16 bits."""
    for kind, order, compression in product(("u1", "u2"), ORDERS, ("none", "lzw", "zlib")):
        for photometric, bands in (("separated", 4), ("cielab", 3)):
            stored, buffer = values(kind, bands), io.BytesIO()
            packing = None if compression == "none" else compression
            tifffile.imwrite(
                buffer, stored, byteorder=order, photometric=photometric, compression=packing, planarconfig="contig",
                metadata=None,
            )  # fmt: skip
            ink = stored.astype(int)
            wanted: np.ndarray | str = "(CMYK|Lab) of .* bits is not read"
            if (kind, bands) == ("u1", 4):
                bare = (255 - ink[..., :3]) * (255 - ink[..., 3:])  # Pillow's rule, rounded
                wanted = ((bare + 127) // 255).astype(np.uint8)
            yield Cell(f"tiff {photometric} {kind} {order} {compression}", buffer.getvalue(), wanted)
    for order, shape in product(ORDERS, ((1, 1), (2, 2))):
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, np.repeat(values("u1", 1), 3, axis=2), byteorder=order, photometric="ycbcr", subsampling=shape,
            compression="jpeg", planarconfig="contig", metadata=None,
        )  # fmt: skip
        judged = tifffile.imread(io.BytesIO(buffer.getvalue()))
        yield Cell(f"tiff ycbcr {order} {shape}", buffer.getvalue(), judged, close=4)


def in_parts() -> Iterator[Cell]:
    """Inks, palettes and JPEG in tiles, planes and strips with differences, as large as tiles and blocks want it."""
    size = (32, 48)
    ink, shown = RNG.integers(0, 256, (*size, 4), np.uint8), RNG.integers(0, 256, size, np.uint8)
    bare = (255 - ink[..., :3].astype(int)) * (255 - ink[..., 3:])
    colours = RNG.integers(0, 65536, (3, 256), np.uint16)
    for tile, order, packing in product((None, (16, 16)), ORDERS, ("none", "lzw", "zlib")):
        more = {"tile": tile, "byteorder": order, "predictor": packing != "none", "metadata": None}
        more["compression"] = None if packing == "none" else packing
        for planes, stored in (("contig", ink), ("separate", np.moveaxis(ink, -1, 0))):
            data = _imwritten(stored, photometric="separated", planarconfig=planes, **more)
            yield Cell(f"tiff CMYK {planes} {more}", data, ((bare + 127) // 255).astype(np.uint8))
        data = _imwritten(shown, photometric="palette", colormap=colours, **more)
        yield Cell(f"tiff palette {more}", data, (colours.T[shown] >> 8).astype(np.uint8))
    smooth = np.asarray(Image.fromarray(RNG.integers(0, 256, (4, 4, 3), np.uint8)).resize(size[::-1]))
    for tile, photometric, subsampling in product((None, (16, 16)), ("rgb", "ycbcr"), ((1, 1), (2, 1), (2, 2))):
        data = _imwritten(
            smooth, photometric=photometric, compression="jpeg", tile=tile, metadata=None,
            subsampling=subsampling if photometric == "ycbcr" else None,
        )  # fmt: skip
        yield Cell(f"tiff jpeg {photometric} {tile} {subsampling}", data, tifffile.imread(io.BytesIO(data)), close=4)
    tags = [(258, 3, 8), (259, 3, 1), (262, 3, 6), (277, 3, 3)]
    for order in ORDERS:
        data = tifffile_header(order, tags, bytes(HEIGHT * WIDTH * 2))
        yield Cell(f"tiff YCbCr subsampled {order}", data, "YCbCr with fewer samples of colour")


def _imwritten(stored: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, **options)
    return buffer.getvalue()


def few_bits() -> Iterator[Cell]:
    """1, 2, 4 and 8 bits of grey, white-is-zero and palettes, filled from either end, by hand."""
    for bits, order, photometric, fill in product((1, 2, 4, 8), ORDERS, (0, 1, 3), (1, 2)):
        stored = RNG.integers(0, 1 << bits, (HEIGHT, WIDTH), np.uint8)
        body = packed(stored, bits)
        if fill == 2:
            body = bytes(int(f"{byte:08b}"[::-1], 2) for byte in body)
        tags = [(258, 3, bits), (259, 3, 1), (262, 3, photometric), (266, 3, fill), (277, 3, 1)]
        name = f"tiff of {bits} bits {order} photometric {photometric} fill order {fill}"
        if photometric == 3:
            palette = RNG.integers(0, 256, (3, 1 << bits), np.uint16) * 257
            data = _with_palette(order, tags, body, palette)
            shown: np.ndarray | str = (palette.T[stored] // 257).astype(np.uint8)
            yield Cell(name, data, "palette whose bits are in reversed order" if fill == 2 and bits < 8 else shown)
        else:
            shade = (stored.astype(int) * 255 // ((1 << bits) - 1)).astype(np.uint8)[..., None]
            yield Cell(name, tifffile_header(order, tags, body), shade if photometric else 255 - shade)


def _with_palette(order: str, tags: list[tuple[int, int, int]], body: bytes, palette: np.ndarray) -> bytes:
    import struct

    padded = body + bytes(len(body) % 2)
    data = bytearray(tifffile_header(order, [*tags, (320, 4, 0)], padded))
    entry = struct.pack(order + "HHI", 320, 4, 1)
    place = data.index(entry)
    data[place : place + 12] = struct.pack(order + "HHII", 320, 3, palette.size, len(data))
    return bytes(data) + palette.astype(order + "u2").tobytes()


def packed(stored: np.ndarray, bits: int) -> bytes:
    """Samples of a few bits in rows of whole bytes, the first in the highest bits."""
    singles = (stored[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(singles.reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes()


TIFFS = (types, layouts, predictors, other_compressions, inks, in_parts, few_bits)
"""Each makes files of one kind."""
