"""A translation as it is delivered: in the type, span and channels of the domain that it belongs to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from translate.data.domain import Domain
from translate.data.io.images import Picture, lost, resize, to_8_bits
from translate.data.io.metadata import enlarged_place, has_place, without_meanings, without_place
from translate.data.io.values import UNIT, Span
from translate.data.label_maps import labels_picture
from translate.data.planes import together
from translate.inference.options import Depth


def written_as(target: Domain, depth: Depth) -> Domain:
    """What translations to the domain `target` are written as; of no type if as their inputs. Label maps stay numbers
    of classes, whatever the depth."""
    if target.classes:
        return target
    if depth in ("8", "16"):
        return replace(target, dtype=f"uint{depth}", span=UNIT)
    if depth == "float":
        return replace(target, dtype="float32", span=target.ends)
    return target if depth == "target" else replace(target, dtype="", span=UNIT)


def form_of(target: Domain, picture: Picture, depth: Depth) -> Domain:
    """What the translation of a picture to the domain `target` is written as."""
    form = written_as(target, depth)
    if form.type is not None:
        return form
    came = picture.pixels.dtype if picture.span is None else picture.kind
    return replace(target, dtype=came.name, span=picture.span or UNIT)


def holds(suffix: str, form: Domain) -> bool:
    """Whether files of that suffix hold such images, if only as shades instead of values."""
    if suffix.lower() in (".tif", ".tiff"):
        return True
    return suffix.lower() == ".png" if form.classes else form.channels in (1, 3, 4)


def fits(suffix: str, form: Domain) -> bool:
    """Whether files of that suffix hold such images as they are."""
    tiff, png = suffix.lower() in (".tif", ".tiff"), suffix.lower() == ".png"
    shades = tiff or form.classes > 0 or not form.measured or (form.type == np.uint16 and png)
    return holds(suffix, form) and shades


def span_in(path: Path, given: Domain, target: Domain, depth: Depth) -> Span:
    """The span to read the file of a translation from `given` to `target` with."""
    form = written_as(target, depth)
    if form.type is None:
        form = replace(form, dtype=given.dtype, span=given.span)
    return form.span if fits(path.suffix, form) else UNIT


def shades_for_values(picture: Picture, given: Domain) -> tuple[str, ...]:
    """Says so where a picture holds shades, and images of its domain values: black and white are taken for the ends."""
    if picture.span is not None or not given.measured:
        return ()
    low, high = given.ends
    unit = f" {given.unit}" if given.unit else ""
    bits = 8 * picture.pixels.dtype.itemsize
    return (f"its {bits}-bit shades were taken for {low:g} (black) to {high:g}{unit} (white)",)


def remarks(picture: Picture, made: Picture, output: Path) -> tuple[str, ...]:
    """What is to be known of the translation of a picture, written as `output`: what was not read, or is not held."""
    moved = times_larger(picture, made.pixels) is None and has_place(picture.exif)
    place = ("its position on Earth is left out, as the translation has other pixels",) * moved
    return (*picture.remarks, *place, *lost(output, made))


def times_larger(picture: Picture, pixels: np.ndarray) -> int | None:
    """How many times as high and wide as the picture its translation is; None if it is not a whole number of times."""
    (height, width), (rows, columns) = picture.pixels.shape[:2], pixels.shape[:2]
    times = max(1, rows // height)
    return times if (rows, columns) == (height * times, width * times) else None


def delivered(picture: Picture, pixels: np.ndarray, form: Domain) -> Picture:
    """The translation (height, width, channels) of `picture`, of the `depth_of` its form.

    What belongs to the place follows the picture: orientation, resolution, position, alpha. What belongs to the values
    follows the form: type, span; a colour profile and what GDAL says of values stay only where they still fit. A
    translation that is larger by a whole number of times has the position on Earth and the resolution of its smaller
    pixels; one of any other size has neither. That of a sample of several images is what is held of one.
    """
    if form.classes:
        return labels_picture(replace(picture, pixels=_classes(pixels)), form)
    if form.layers:
        each = zip(form.split(pixels), form.layers, strict=True)
        return Picture(together([_classes(image) if layer.numbered else image for image, layer in each], form))
    alpha = None if picture.alpha is None else _as_deep(picture.alpha, pixels.dtype)
    exif, size, missing = picture.exif, pixels.shape[:2], picture.missing
    if size != picture.pixels.shape[:2]:
        alpha = None if alpha is None else resize(alpha[..., None], *size)[..., 0]
        if missing is not None:
            missing = resize(missing[..., None].astype(np.uint8), size[0], size[1], "nearest")[..., 0] > 0
        times = times_larger(picture, pixels)
        exif = enlarged_place(exif, times) if times else without_place(exif)
    if pixels.shape[-1] == 4 and picture.pixels.shape[-1] != 4:  # RGBA, not four bands
        pixels, alpha = pixels[..., :3], pixels[..., 3]
    alike = pixels.shape[-1] == picture.pixels.shape[-1]
    span = form.span if form.measured else None
    same_values = span == picture.span and (span is None or form.type == picture.kind)
    return replace(
        picture,
        pixels=pixels,
        alpha=alpha,
        icc=picture.icc if alike and same_values else None,
        rgb=picture.rgb if alike else None,
        colour=picture.colour if alike and same_values else None,
        exif=exif if same_values else without_meanings(exif),
        span=span,
        palette=None,
        kind=form.type or picture.kind,
        missing=missing,
    )


def _classes(planes: np.ndarray) -> np.ndarray:
    return planes.argmax(2)[..., None].astype(np.uint8)


def _as_deep(alpha: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Alpha of the same bit depth as the pixels beside it."""
    if alpha.dtype == dtype:
        return alpha
    return alpha.astype(np.uint16) * 257 if dtype == np.uint16 else to_8_bits(alpha)
