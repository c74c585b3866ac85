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
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from file_table_tiff import HEIGHT, RNG, TIFFS, WIDTH, Cell, packed, values
from pictures import chunk
from PIL import Image

from translate.data.io import images
from translate.data.io.images import Picture
from translate.errors import ImageError


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
        stored = RNG.integers(0, 1 << bits, (HEIGHT, WIDTH, samples[colour])).astype(kind)
        body = stored.astype(f">u{kind().itemsize}").tobytes() if bits >= 8 else packed(stored[..., 0], bits)
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


GROUPS = {group.__name__: group for group in (*TIFFS, pillows, pngs, opencvs)}


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
