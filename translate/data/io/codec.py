"""Decoding and encoding for `images`: Pillow, with `png` and `tiff` for what Pillow does not get right."""

from __future__ import annotations

import logging
import struct
import warnings
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from translate.data.io import gate, metadata, nodata, png
from translate.data.io.picture import JPEG_EXIF_LIMIT, Picture
from translate.data.io.png import deep_planes, encode_deep, is_deep_colour
from translate.data.io.tiff import Page
from translate.data.io.tiff_samples import Samples, samples_of
from translate.data.io.tiff_writing import encode_tiff
from translate.data.io.values import BadImageError

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}  # fmt: skip

_SHADES_APART = {"L;2": 85, "L;4": 17}
"""How far apart Pillow lays the numbers of a grey file of 2 or 4 bits, by how it is stored."""

# `gate` refuses oversized images itself, with a message that names the file.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Pillow's warnings about damaged metadata quote its own source and do not name the file.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)


class Header(NamedTuple):
    """What the beginning of a file says of its image, upright: `bands` without alpha, the type that it is read as,
    whether it `holds_numbers`, and whether it names a value that stands for no data."""

    height: int
    width: int
    bands: int
    dtype: np.dtype
    numbers: bool = False
    void: bool = False


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decodes the bytes of a file: pixels uint8, uint16 or measured values (see `values`). May raise nearly anything if
    they are damaged."""
    found = gate.opened(BytesIO(data), max_pixels)
    if isinstance(found, Page):
        return _of_page(found, data)
    with found as image:
        return _of_image(image, data)


def header_of(opened: Page | Image.Image) -> Header:
    """Returns what is known of an opened image before it is decoded."""
    void = isinstance(opened, Page) and bool(metadata.no_data_of(opened))
    return Header(*upright_size(opened), *_kind_of(opened), holds_numbers(opened), void)


def holds_numbers(opened: Page | Image.Image) -> bool:
    """Returns whether it has one band, which may be indices of a palette, besides alpha."""
    if isinstance(opened, Page):
        return opened.bands == 1 or opened.photometric == 3
    return opened.mode in ("1", "L", "LA", "P", "PA") or opened.mode.startswith("I;16")


def numbers(data: bytes, max_pixels: int) -> tuple[np.ndarray, bytes | None] | None:
    """The numbers that stand in a file that `holds_numbers`, (height, width, 1), and its palette if it has one; None of
    other files.

    Of a palette these are the indices, not their colours; of less than 8 bits the numbers, not the shades that they
    mean; of 1 bit they are bool.
    """
    found = gate.opened(BytesIO(data), max_pixels)
    if not holds_numbers(found):
        return None
    if isinstance(found, Page) and found.plain:
        return _of_page(found, data).pixels, None
    with gate.by_pillow(BytesIO(data)) if isinstance(found, Page) else found as image:
        orientation = 1 if image.format == "TIFF" else metadata.orientation_of(image)
        tiles: list[Any] = getattr(image, "tile", [])
        step = _SHADES_APART.get(str(tiles[0][3]) if tiles else "", 1)
        first = image.getchannel(0) if len(image.getbands()) > 1 else image
        palette = image.getpalette() if image.mode.startswith("P") else None
        pixels = _upright(np.array(first)[..., None], orientation)
        pixels = pixels // np.uint8(step) if step > 1 else pixels
        return pixels, None if palette is None else bytes(palette)


def exif_of(opened: Page | Image.Image) -> bytes | None:
    """The EXIF that stays true of the upright image, GeoTIFF's tags among it; None if there is none."""
    return metadata.of_page(opened) if isinstance(opened, Page) else metadata.of_image(opened)


def upright_size(opened: Page | Image.Image) -> tuple[int, int]:
    """Returns (height, width) of the upright image."""
    if isinstance(opened, Page):
        return opened.upright
    turned = metadata.orientation_of(opened) >= 5
    return (opened.width, opened.height) if turned else (opened.height, opened.width)


def _kind_of(opened: Page | Image.Image) -> tuple[int, np.dtype]:
    """Returns the number of bands, without alpha, and the type that it is read as."""
    if isinstance(opened, Page):
        return opened.bands, opened.type if opened.plain else np.dtype(np.uint8)
    tiles: list[Any] = getattr(opened, "tile", [])
    stored = str(tiles[0][3]) if opened.format == "PNG" and tiles else ""  # such as "LA;16B"
    grey = opened.mode in ("1", "L", "LA", "La") or opened.mode.startswith("I") or stored.startswith("L")
    deep = opened.mode.startswith("I") or "16" in stored
    return 1 if grey else 3, np.dtype(np.uint16 if deep else np.uint8)


def holds_more(opened: Page | Image.Image) -> bool:
    """Returns whether there are more frames or pages than one."""
    return opened.more if isinstance(opened, Page) else bool(getattr(opened, "is_animated", False))


def is_upright_rgb(image: Image.Image, data: bytes) -> bool:
    """Returns whether Pillow's pixels can be used as they are: 8-bit RGB without alpha, upright, JPEG or PNG."""
    plain = image.format in ("JPEG", "PNG") and image.mode == "RGB" and not image.has_transparency_data
    return plain and metadata.orientation_of(image) == 1 and not is_deep_colour(image, data)


def encode(format: str, picture: Picture, quality: int) -> bytes:
    """Encodes a picture, whose channels, depth and alpha the format holds, as the bytes of a file."""
    pixels, alpha, exif = picture.pixels, picture.alpha, picture.exif
    icc = _profile_for(3 if format == "WEBP" else pixels.shape[2], picture.icc)  # WebP has no grey
    if format == "TIFF":
        value = None if picture.palette is not None else nodata.value_for(picture.nodata, pixels.dtype)
        marked = pixels if value is None else nodata.marked(pixels, picture.missing, value)
        return encode_tiff(marked, alpha, picture.rgb, icc, exif, value)
    if format == "PNG":
        if picture.palette is not None:
            return _with_palette(pixels[..., 0], picture.palette, exif)
        deep = pixels.dtype == np.uint16 and (pixels.shape[2] == 3 or alpha is not None)
        bare = encode_deep(pixels, alpha) if deep else _by_pillow("PNG", pixels, alpha, compress_level=4)
        return png.with_chunks(bare, icc, exif, picture.colour)
    if format == "BMP":
        return _by_pillow("BMP", pixels, None) if alpha is None else _bmp_with_alpha(pixels, alpha)
    options: dict[str, Any] = {
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality, "lossless": quality == 100 or picture.lossless, "exact": True},
    }[format]
    if icc:
        options["icc_profile"] = icc
    if exif and not (format == "JPEG" and len(exif) > JPEG_EXIF_LIMIT):
        options["exif"] = exif
    return _by_pillow(format, pixels, alpha, **options)


def _of_page(page: Page, data: bytes) -> Picture:
    if page.plain:
        pixels, alpha, rgb = samples_of(page, data)
        upright = Samples(
            _upright(pixels, page.orientation), None if alpha is None else _upright(alpha, page.orientation), rgb
        )
        return picture_of(page, upright)
    with gate.by_pillow(BytesIO(data)) as image:
        if len(image.getbands()) != page.samples:
            raise BadImageError(f"{page.samples} bands of this kind are not read; save it as grey or RGB")
        image.load()  # which turns it upright
        pixels, alpha = _planes(image)
    return picture_of(page, Samples(pixels, alpha, pixels.shape[2] == 3))


def picture_of(page: Page, upright: Samples) -> Picture:
    """Decoded samples of a page, or of some of its rows, with its profile, metadata and pixels without data."""
    pixels, said = np.ascontiguousarray(upright.pixels), metadata.no_data_of(page)
    return Picture(
        pixels,
        upright.alpha,
        _profile_for(pixels.shape[2], metadata.profile_of(page)),
        metadata.of_page(page),
        page.more,
        rgb=upright.rgb if pixels.shape[2] >= 3 else None,
        nodata=said,
        missing=nodata.missing_in(pixels, said) if said else None,
    )


def _of_image(image: Image.Image, data: bytes) -> Picture:
    orientation, exif = metadata.orientation_of(image), metadata.of_image(image)
    key = png.key_of(image, data)
    if key is not None:
        del image.info["transparency"]
    pixels, alpha = deep_planes(image, data) if is_deep_colour(image, data) else _planes(image)
    if key is not None:
        alpha = png.alpha_of_key(pixels, key)
    icc = _profile_for(pixels.shape[2], image.info.get("icc_profile"))
    return Picture(
        np.ascontiguousarray(_upright(pixels, orientation)),
        None if alpha is None else _upright(alpha, orientation),
        icc,
        exif,
        holds_more(image),
        colour=None if icc else image.info.get("colour"),
        lossless=image.format == "WEBP" and _is_lossless(data),
    )


def _planes(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns pixels (H, W, 1 or 3) and alpha (H, W) of images that Pillow decodes faithfully."""
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)[..., None], None
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        planes = np.array(_of_mode(image, "LA" if grey else "RGBA"))
        return planes[..., :-1], planes[..., -1].copy()
    if grey:
        return np.array(_of_mode(image, "L"))[..., None], None
    if image.mode in ("P", "RGB", "RGBX", "CMYK", "YCbCr"):
        return np.array(_of_mode(image, "RGB")), None
    raise BadImageError(f"pixels of kind '{image.mode}' have no known range; save it with 8 or 16 bits")


def _of_mode(image: Image.Image, mode: str) -> Image.Image:
    """Converts to `mode` if needed; Pillow's `convert` would copy the image in any case."""
    return image if image.mode == mode and "transparency" not in image.info else image.convert(mode)


def _by_pillow(format: str, pixels: np.ndarray, alpha: np.ndarray | None, **options: Any) -> bytes:
    planes = pixels if alpha is None else np.dstack([pixels, alpha])
    buffer = BytesIO()
    Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes).save(buffer, format, **options)
    return buffer.getvalue()


def _with_palette(indices: np.ndarray, palette: np.ndarray, exif: bytes | None) -> bytes:
    """A PNG of indices of a palette, uint8 (colours, 3)."""
    image, buffer = Image.fromarray(indices), BytesIO()
    image.putpalette(palette.tobytes())
    image.save(buffer, "PNG", bits=8)
    return png.with_chunks(buffer.getvalue(), None, exif, None)


def _bmp_with_alpha(pixels: np.ndarray, alpha: np.ndarray) -> bytes:
    """A BMP with the header that has a mask for alpha (BITMAPV4HEADER), which Pillow does not write."""
    height, width = alpha.shape
    blue_first = np.broadcast_to(pixels[::-1, :, ::-1], (height, width, 3))
    body = np.dstack([blue_first, alpha[::-1]]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    start = struct.pack("<IHHI", 122 + len(body), 0, 0, 122)
    return b"BM" + start + header + masks + b"BGRs" + bytes(48) + body


def _is_lossless(data: bytes) -> bool:
    """Whether the first frame of a WebP is compressed without loss, by the chunk that holds it."""
    place = 12
    while (kind := data[place : place + 4]) not in (b"VP8L", b"VP8 ", b""):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 24 if kind == b"ANMF" else 8 + size + size % 2  # the chunks of a frame lie inside
    return kind == b"VP8L"


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes the EXIF orientation (1..8) of an (H, W, ...) array."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _profile_for(channels: int, icc: bytes | None) -> bytes | None:
    """Returns the profile if it fits that many channels, else None: a CMYK profile says nothing about RGB."""
    wanted = b"GRAY" if channels == 1 else b"RGB "
    return icc if icc and icc[16:20] == wanted else None
