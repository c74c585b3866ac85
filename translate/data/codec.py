"""Decoding and encoding for `images`: Pillow, with `deep_colour` and `bands` for what Pillow cannot do."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from translate.data.bands import can_write, read_bands, write_bands
from translate.data.deep_colour import DEEP, BadImageError, alpha_of_key, deep_planes, encode_deep, is_deep_colour
from translate.data.tiff_tags import describes_a_stack, tag_of, with_tags
from translate.data.values import are_values

READ = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's other decoders are never tried: less C code that a malicious file can reach."""
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}  # fmt: skip
WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF"})
WITH_16_BITS = frozenset({"PNG", "TIFF"})

# `images` refuses oversized images itself, with a message that names the file.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Pillow's warnings about damaged metadata quote its own source and do not name the file.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow logs that it cannot decode many-band TIFF, which `bands` handles.
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)

_DESCRIPTION, _ORIENTATION = 270, 274
_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _SAMPLE_FORMAT = 258, 262, 277, 284, 339
# Description, make, model, resolution (3), software, time, artist, host, copyright; then Exif and GPS.
_KEPT = (_DESCRIPTION, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432)
# Georeferencing (GeoTIFF): scale, tie points, transformation, keys with their numeric and text parameters. Not GDAL's
# "no data" value, 42113: any translated pixel may happen to have it.
_PLACE = (33550, 33922, 34264, 34735, 34736, 34737)
_KEPT_FOLDERS = (34665, 34853)
_PIXEL_SIZES = (40962, 40963)
_JPEG_EXIF_LIMIT = 65_500

Decoded = tuple[np.ndarray, np.ndarray | None, bytes | None, bytes | None, bool]
"""Pixels (uint8, uint16 or measured values, see `values`), alpha, ICC profile, EXIF, whether there are more frames."""


class UnknownImageError(BadImageError):
    """Pillow does not recognise the format."""


def open_image(source: bytes | Path) -> Image.Image:
    """Opens an image and reads its header only; `decode` reads the pixels. Raises UnknownImageError."""
    try:
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=READ)
    except UnidentifiedImageError as error:
        known = ", ".join(READ)
        raise UnknownImageError(f"no image of a kind that is read here ({known}), or damaged") from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Returns (height, width) of the upright image."""
    turned = image.format != "TIFF" and _orientation(image) >= 5  # Pillow already rotates TIFF
    return (image.width, image.height) if turned else (image.height, image.width)


def holds_more(image: Image.Image) -> bool:
    """Returns whether there are more frames or pages than one."""
    return bool(getattr(image, "is_animated", False))


def has_other_bands(image: Image.Image) -> bool:
    """Returns whether a TIFF needs `decode_bands`: it has bands that Pillow would drop, or stores bands of more than
    8 bits plane by plane, which Pillow and OpenCV decode wrongly."""
    if image.format != "TIFF":
        return False
    samples, deep = tag_of(image, _SAMPLES, 1), max(tag_of(image, _BITS, (1,))) > 8
    return samples != len(image.getbands()) or (samples > 1 and deep and tag_of(image, _PLANES, 1) == 2)


def is_upright_rgb(image: Image.Image, data: bytes) -> bool:
    """Returns whether Pillow's pixels can be used as they are: 8-bit RGB without alpha, upright, JPEG or PNG."""
    plain = image.format in ("JPEG", "PNG") and image.mode == "RGB" and not image.has_transparency_data
    return plain and _orientation(image) == 1 and not is_deep_colour(image, data)


def decode(image: Image.Image, data: bytes) -> Decoded:
    """Decodes an opened image and its bytes into the fields of a `Picture`. May raise nearly anything if damaged."""
    orientation, exif = _orientation(image), _exif(image)
    deep = is_deep_colour(image, data)
    image.load()  # for deep colour too: OpenCV may accept a damaged file
    pixels, alpha = deep_planes(image, data) if deep else _planes(image)
    if image.format != "TIFF":  # both decoders already rotate TIFF
        pixels = _upright(pixels, orientation)
        alpha = None if alpha is None else _upright(alpha, orientation)
    icc = _profile_for(pixels.shape[2], image.info.get("icc_profile"))
    return np.ascontiguousarray(pixels), alpha, icc, exif, holds_more(image)


def decode_bands(data: bytes, max_pixels: int) -> Decoded:
    """Like `decode`, for TIFF that Pillow cannot read. May raise nearly any exception."""
    found = read_bands(data, max_pixels)
    alpha = None if found.alpha is None else _upright(found.alpha, found.orientation)
    notes = _kept(found.tags, found.orientation)
    icc = _profile_for(found.pixels.shape[2], found.icc)
    return _upright(found.pixels, found.orientation), alpha, icc, notes.tobytes() if len(notes) else None, found.more


def encode(
    format: str,
    pixels: np.ndarray,
    alpha: np.ndarray | None,
    icc: bytes | None,
    exif: bytes | None,
    quality: int,
) -> bytes:
    """Encodes an image as the bytes of a file. TIFF stays uncompressed because Pillow's compressor rejects EXIF."""
    icc = _profile_for(3 if format == "WEBP" else pixels.shape[2], icc)  # WebP has no grey
    grey_tiff = format == "TIFF" and pixels.dtype == np.uint16 and pixels.shape[2] == 1 and alpha is not None
    if are_values(pixels) or pixels.shape[2] not in (1, 3) or (grey_tiff and can_write()):
        return _encode_bands(pixels, alpha, icc, exif)
    if pixels.dtype == np.uint16 and (pixels.shape[2] == 3 or alpha is not None):
        return encode_deep(format, pixels, alpha, icc, exif)
    planes = pixels if alpha is None else np.dstack([pixels, alpha])
    image = Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
    options: dict[str, Any] = {
        "PNG": {"compress_level": 4},
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality, "lossless": quality == 100, "exact": True},
    }.get(format, {})
    if icc:
        options["icc_profile"] = icc
    if exif and not (format == "JPEG" and len(exif) > _JPEG_EXIF_LIMIT):
        options["exif"] = exif
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _encode_bands(pixels: np.ndarray, alpha: np.ndarray | None, icc: bytes | None, exif: bytes | None) -> bytes:
    """Encodes as TIFF, the only format here for many bands and for measured values."""
    if pixels.dtype == np.float32 and pixels.shape[2] == 1 and alpha is None:
        buffer = BytesIO()
        Image.fromarray(pixels[..., 0]).save(buffer, "TIFF")
        data = buffer.getvalue()
    else:
        data = write_bands(pixels if alpha is None else np.dstack([pixels, alpha]), alpha is not None)
    return with_tags(data, icc, exif) if icc or exif else data


def _planes(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns pixels (H, W, 1 or 3) and alpha (H, W) of images that Pillow decodes faithfully."""
    if image.mode.startswith("I;16"):
        return _deep_grey(image)
    if image.mode == "F":
        return np.array(image)[..., None], None
    if image.format == "TIFF" and (image.mode == "I" or (image.mode == "L" and tag_of(image, _SAMPLE_FORMAT) == (2,))):
        return _whole_values(image), None
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


def _deep_grey(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    pixels = np.array(image).astype(np.uint16)[..., None]
    if image.format == "TIFF" and tag_of(image, _PHOTOMETRIC) == 0:  # white is zero
        pixels = DEEP - pixels
    return pixels, alpha_of_key(pixels, image.info.get("transparency"))


def _whole_values(image: Image.Image) -> np.ndarray:
    """Returns grey (H, W, 1) in the type stated by the file's tags; Pillow gives int32 for all but signed bytes."""
    (bits,), (form,) = tag_of(image, _BITS), tag_of(image, _SAMPLE_FORMAT, (1,))
    return np.array(image)[..., None].astype(f"{'i' if form == 2 else 'u'}{bits // 8}")


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes the EXIF orientation (1..8) of an (H, W, ...) array."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _orientation(image: Image.Image) -> int:
    # The base class's method: PNG's override would decode the image to look for a late chunk.
    value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _exif(image: Image.Image) -> bytes | None:
    try:
        found = Image.Image.getexif(image)
        kept = _kept(found, _orientation(image))
        for folder in _KEPT_FOLDERS:
            entries = {tag: value for tag, value in found.get_ifd(folder).items() if tag not in _PIXEL_SIZES}
            if entries:
                kept[folder] = entries
        return kept.tobytes() if len(kept) else None
    except Exception:  # damaged metadata is no reason to reject an intact image
        return None


def _kept(found: Mapping[int, Any], orientation: int) -> Image.Exif:
    """Returns the tags that remain true of a translated image. Georeferencing is only valid if nothing was rotated."""
    kept = Image.Exif()
    for tag in _KEPT + (_PLACE if orientation == 1 else ()):
        if tag in found and not (tag == _DESCRIPTION and describes_a_stack(found[tag])):
            kept[tag] = found[tag]
    return kept


def _profile_for(channels: int, icc: bytes | None) -> bytes | None:
    """Returns the profile if it fits that many channels, else None: a CMYK profile says nothing about RGB."""
    wanted = b"GRAY" if channels == 1 else b"RGB "
    return icc if icc and icc[16:20] == wanted else None
