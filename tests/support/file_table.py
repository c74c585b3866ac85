"""The table of image files: every container, type, byte order, compression, photometric interpretation and alpha that
Pillow, tifffile with imagecodecs and OpenCV write, as small files beside the values that they hold.

`python tests/support/file_table.py FOLDER` prints how many cells are read equal, and why the others are refused.
"""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from pictures import chunk
from PIL import Image

from translate.data.io import images
from translate.data.io.images import Picture
from translate.errors import ImageError

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
rng = np.random.default_rng(0)


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
        return (rng.random((HEIGHT, WIDTH, bands)) + 1j).astype(dtype)
    if dtype.kind == "f":
        return (rng.random((HEIGHT, WIDTH, bands)) * 8 - 3).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (HEIGHT, WIDTH, bands), dtype, endpoint=True)


def alpha_values(kind: str) -> np.ndarray:
    """From clear to opaque: 0 to 1 as floats, else to the largest number of the type."""
    share = rng.random((HEIGHT, WIDTH))
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
        with_bits = rng.integers(0, 1 << bits, (HEIGHT, WIDTH), np.uint16)
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
    ink, shown = rng.integers(0, 256, (*size, 4), np.uint8), rng.integers(0, 256, size, np.uint8)
    bare = (255 - ink[..., :3].astype(int)) * (255 - ink[..., 3:])
    colours = rng.integers(0, 65536, (3, 256), np.uint16)
    for tile, order, packing in product((None, (16, 16)), ORDERS, ("none", "lzw", "zlib")):
        more = {"tile": tile, "byteorder": order, "predictor": packing != "none", "metadata": None}
        more["compression"] = None if packing == "none" else packing
        for planes, stored in (("contig", ink), ("separate", np.moveaxis(ink, -1, 0))):
            data = _imwritten(stored, photometric="separated", planarconfig=planes, **more)
            yield Cell(f"tiff CMYK {planes} {more}", data, ((bare + 127) // 255).astype(np.uint8))
        data = _imwritten(shown, photometric="palette", colormap=colours, **more)
        yield Cell(f"tiff palette {more}", data, (colours.T[shown] >> 8).astype(np.uint8))
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize(size[::-1]))
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
        stored = rng.integers(0, 1 << bits, (HEIGHT, WIDTH), np.uint8)
        body = _packed(stored, bits)
        if fill == 2:
            body = bytes(int(f"{byte:08b}"[::-1], 2) for byte in body)
        tags = [(258, 3, bits), (259, 3, 1), (262, 3, photometric), (266, 3, fill), (277, 3, 1)]
        name = f"tiff of {bits} bits {order} photometric {photometric} fill order {fill}"
        if photometric == 3:
            palette = rng.integers(0, 256, (3, 1 << bits), np.uint16) * 257
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


def _packed(stored: np.ndarray, bits: int) -> bytes:
    """Samples of a few bits in rows of whole bytes, the first in the highest bits."""
    singles = (stored[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(singles.reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes()


def pillows() -> Iterator[Cell]:
    """What Pillow writes, in the modes and formats that it has."""
    colour = Image.fromarray(values("u1", 3))
    alpha = Image.fromarray(values("u1", 4))
    grey, deep = colour.convert("L"), values("u2", 1)
    palette = colour.quantize(16)
    as_rgb = np.asarray(palette.convert("RGB"))
    bit = colour.convert("1")
    shown = np.asarray(bit).astype(np.uint8)[..., None] * 255
    ink = values("u1", 4)
    inked = Image.fromarray(ink, "CMYK")
    inks = np.asarray(inked.convert("RGB"))
    modes: list[tuple[str, Image.Image, np.ndarray | str, np.ndarray | None]] = [
        ("1", bit, shown, None),
        ("L", grey, np.asarray(grey)[..., None], None),
        ("LA", alpha.convert("LA"), np.asarray(alpha.convert("LA"))[..., :1], np.asarray(alpha.convert("LA"))[..., 1]),
        ("P", palette, as_rgb, None),
        ("RGB", colour, np.asarray(colour), None),
        ("RGBA", alpha, np.asarray(alpha)[..., :3], np.asarray(alpha)[..., 3]),
        ("I;16", Image.fromarray(deep[..., 0]), deep, None),
        ("CMYK", inked, inks, None),
        ("LAB", Image.frombytes("LAB", (WIDTH, HEIGHT), ink[..., :3].tobytes()), "Lab of 8 bits", None),
        ("I", Image.fromarray(values("i4", 1)[..., 0]), "", None),
        ("F", Image.fromarray(values("f4", 1)[..., 0]), "", None),
    ]
    packings = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd")
    for mode, image, pixels, clear in modes:
        wanted = np.asarray(image)[..., None] if mode in ("I", "F") else pixels
        for packing in (*packings, *(("group3", "group4", "tiff_ccitt") if mode == "1" else ())):
            told = True if mode in ("RGB", "RGBA") else None
            yield Cell(f"tiff {mode} {packing}", _saved(image, "TIFF", compression=packing), wanted, clear, told)
        if mode in ("L", "RGB", "YCbCr"):
            data = _saved(image, "TIFF", compression="jpeg")
            judged = tifffile.imread(io.BytesIO(data)).reshape(HEIGHT, WIDTH, -1)
            yield Cell(f"tiff {mode} jpeg", data, judged, rgb=True if mode == "RGB" else None, close=3)
        if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
            yield Cell(f"png {mode}", _saved(image, "PNG"), pixels, clear)
        if mode in ("1", "L", "P", "RGB"):
            yield Cell(f"bmp {mode}", _saved(image, "BMP"), as_rgb if mode == "P" else pixels)
        if mode in ("RGB", "RGBA"):
            data = _saved(image, "WEBP", lossless=True, exact=True)
            yield Cell(f"webp {mode} lossless", data, pixels, clear)
            lossy = _saved(image, "WEBP", exact=True)
            judged = cv2.imdecode(np.frombuffer(lossy, np.uint8), cv2.IMREAD_UNCHANGED)
            yield Cell(f"webp {mode}", lossy, judged[..., 2::-1], clear, close=3)
        if mode in ("L", "RGB", "CMYK"):
            for progressive in (False, True):
                data = _saved(image, "JPEG", progressive=progressive)
                flag = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR
                judged = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
                wanted = judged[..., None] if mode == "L" else judged[..., ::-1]
                yield Cell(f"jpeg {mode} {progressive}", data, wanted, close=3 if mode != "CMYK" else 8)
    clear_place = int(np.asarray(palette)[2, 3])
    opaque = np.where(np.asarray(palette) == clear_place, 0, 255).astype(np.uint8)
    for format in ("GIF", "PNG"):
        yield Cell(f"{format} P key", _saved(palette, format, transparency=clear_place), as_rgb, opaque)
        yield Cell(f"{format} P", _saved(palette, format), as_rgb)


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pngs() -> Iterator[Cell]:
    """Every depth and colour of PNG, with and without a transparent colour, by hand."""
    import struct
    import zlib

    samples = {0: 1, 2: 3, 4: 2, 6: 4}
    for colour, bits, keyed in product(samples, (1, 2, 4, 8, 16), (False, True)):
        if (colour and bits < 8) or (keyed and colour >= 4):
            continue
        kind = np.uint16 if bits == 16 else np.uint8
        stored = rng.integers(0, 1 << bits, (HEIGHT, WIDTH, samples[colour])).astype(kind)
        body = stored.astype(f">u{kind().itemsize}").tobytes() if bits >= 8 else _packed(stored[..., 0], bits)
        step = len(body) // HEIGHT
        rows = b"".join(b"\0" + body[row * step : (row + 1) * step] for row in range(HEIGHT))
        key = chunk(b"tRNS", stored[2, 3].astype(">u2").tobytes()) if keyed else b""
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, 0))
        data += key + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        top = np.iinfo(kind).max
        shade = (stored.astype(int) * top // ((1 << bits) - 1)).astype(kind)
        pixels, alpha = (shade[..., :-1], shade[..., -1]) if colour >= 4 else (shade, None)
        if keyed:
            alpha = np.where((stored == stored[2, 3]).all(-1), 0, top).astype(kind)
        yield Cell(f"png {bits} bits colour {colour} key {keyed}", data, pixels, alpha)


def opencvs() -> Iterator[Cell]:
    """What OpenCV writes."""
    for kind, bands, compression in product(("u1", "u2", "i2", "i4", "f4", "f8"), (1, 3, 4), (1, 5, 8, 32773)):
        stored = values(kind, bands)
        planes = stored if bands == 1 else stored[..., [2, 1, 0, 3][:bands]]
        try:
            done, data = cv2.imencode(".tif", planes, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
        except cv2.error:
            continue
        judged = tifffile.imread(io.BytesIO(data.tobytes())) if done else None
        if judged is None or not np.array_equal(judged.reshape(stored.shape), stored):
            continue  # not what was asked for: OpenCV has no such type
        clear = bands == 4 and kind in ("u1", "u2")  # it does not say what the fourth is; of values it is a band
        pixels, alpha = (stored[..., :3], stored[..., 3]) if clear else (stored, None)
        yield Cell(f"opencv tiff {kind} {bands} {compression}", data.tobytes(), pixels, alpha, bands >= 3 or None)
    for suffix, kind, bands in product((".png", ".bmp", ".webp"), ("u1", "u2"), (1, 3, 4)):
        if kind == "u2" and suffix != ".png":
            continue
        stored = values(kind, bands)
        planes = stored if bands == 1 else stored[..., [2, 1, 0, 3][:bands]]
        data = cv2.imencode(suffix, planes, [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else [])[1].tobytes()
        pixels, alpha = (stored[..., :3], stored[..., 3]) if bands == 4 else (stored, None)
        if suffix == ".webp" and bands == 1:
            pixels = np.repeat(stored, 3, axis=2)
        if suffix == ".webp" and bands == 4:
            pixels = np.where(alpha[..., None] > 0, pixels, 0)  # it drops what nobody sees
        yield Cell(f"opencv {suffix} {kind} {bands}", data, pixels, alpha)


GROUPS = {
    group.__name__: group
    for group in (types, layouts, predictors, other_compressions, inks, in_parts, few_bits, pillows, pngs, opencvs)
}


def read(cell: Cell) -> Picture | str:
    """The picture, or the words that refuse it. Measured values are read over their own range."""
    try:
        return images.decode(cell.data, "cell", span=None)
    except ImageError as error:
        return str(error)


def wrong_with(cell: Cell, found: Picture | str) -> str:
    """What is wrong with what was read, in words; empty if nothing is."""
    if isinstance(cell.pixels, str):
        if isinstance(found, str) and found.startswith("cell: ") and re.search(cell.pixels, found):
            return ""
        return f"not refused by '{cell.pixels}': {found}"
    if isinstance(found, str):
        return f"refused: {found}"
    pixels, alpha = images.in_own_kind(found)
    if (pixels.dtype, pixels.shape) != (cell.pixels.dtype, cell.pixels.shape):
        return f"{pixels.dtype} {pixels.shape} instead of {cell.pixels.dtype} {cell.pixels.shape}"
    if (alpha is None) != (cell.alpha is None):
        return f"alpha is {'missing' if alpha is None else 'invented'}"
    if found.rgb != cell.rgb and cell.rgb is not None:
        return f"rgb is {found.rgb}"
    return _off(cell, pixels, alpha, found)


def _off(cell: Cell, pixels: np.ndarray, alpha: np.ndarray | None, found: Picture) -> str:
    """Shades are equal; measured values are within half a step of the 65,535 that the network is given."""
    assert isinstance(cell.pixels, np.ndarray)
    ends = found.span, found.span and (0.0, 1.0 if found.kind.kind == "f" else float(np.iinfo(found.kind).max))
    for wanted, got, span in zip((cell.pixels, cell.alpha), (pixels, alpha), ends, strict=True):
        if wanted is None or got is None:
            continue
        step = 0.0
        if span:
            rounding = float(np.spacing(np.abs(wanted).max())) if wanted.dtype.kind == "f" else 0.5
            step = 0.501 * (span[1] - span[0]) / 65535 + rounding
        worst = np.abs(wanted.astype(np.float64) - got.astype(np.float64)).max()
        if worst > max(step, cell.close):
            return f"{worst:g} off"
    return ""


def written(cell: Cell, found: Picture, folder: Path) -> str:
    """What is wrong with the file that the picture is written to, in the container that it came from: type, tags and
    pixels, by other decoders than ours. Empty if nothing is."""
    container = cell.name.removeprefix("opencv ").split()[0].strip(".").lower()
    path = folder / f"cell.{ {'gif': 'png', 'jpeg': 'jpg', 'tiff': 'tif'}.get(container, container) }"
    assert not images.lost(path, found), "nothing is lost in the container that it came from"
    images.write(path, found, quality=95)
    assert not isinstance(cell.pixels, str)
    wanted = cell.pixels if cell.alpha is None else np.dstack([cell.pixels, cell.alpha])
    if path.suffix == ".tif":
        page = tifffile.TiffFile(path).pages[0]
        stored = page.asarray().reshape(*wanted.shape[:2], -1)
        bands = cell.pixels.shape[2]
        colours = 3 if bands >= 3 and (bands == 3 if cell.rgb is None else cell.rgb) else 1
        extras = (0,) * (bands - colours) + (2,) * (cell.alpha is not None)
        if (int(page.photometric), tuple(map(int, page.extrasamples))) != (2 if colours == 3 else 1, extras):
            return f"photometric {page.photometric}, extra samples {page.extrasamples} instead of {extras}"
    elif path.suffix == ".png":
        stored = imagecodecs.png_decode(path.read_bytes()).reshape(*wanted.shape[:2], -1)
    else:
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        stored = stored.reshape(*wanted.shape[:2], -1)[..., [[0], [0], [2, 1, 0], [2, 1, 0, 3]][stored[0, 0].size - 1]]
    if path.suffix == ".bmp" and wanted.shape[2] == 1 and stored.shape[2] == 3:
        stored = stored[..., :1]
    if (stored.dtype, stored.shape) != (wanted.dtype, wanted.shape):
        return f"written as {stored.dtype} {stored.shape} instead of {wanted.dtype} {wanted.shape}"
    lossy = path.suffix == ".jpg" or (path.suffix == ".webp" and not found.lossless)
    bands = cell.pixels.shape[2]
    return (
        "" if lossy else _off(cell, stored[..., :bands], stored[..., bands] if cell.alpha is not None else None, found)
    )


def main() -> None:
    counts: Counter[str] = Counter()
    for group in GROUPS.values():
        for cell in group():
            found = read(cell)
            wrong = wrong_with(cell, found)
            if not wrong and not isinstance(found, str) and (wrong := written(cell, found, Path(sys.argv[1]))):
                wrong = f"written: {wrong}"
            if wrong:
                print(f"WRONG {cell.name}: {wrong}", file=sys.stderr)
            refusal = re.sub(r"\d+", "N", found) if isinstance(found, str) else ""
            counts["WRONG" if wrong else f"refused {refusal}" if refusal else "equal"] += 1
    print(sum(counts.values()), "cells")
    for what, count in counts.most_common():
        print(f"{count:5} {what}")


if __name__ == "__main__":
    main()
