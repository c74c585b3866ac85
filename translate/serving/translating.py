"""What the worker does with a picture: reads, translates and writes it as `translate convert` would."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from translate.data.domain import Domain
from translate.data.io import codec, gate
from translate.data.io.images import Picture, display_bands, to_8_bits, with_channels, write
from translate.data.io.tiff import Page
from translate.data.io.values import BadImageError
from translate.data.planes import read_as
from translate.inference.converter import Converter, size_of
from translate.inference.delivery import fits, remarks, shades_for_values, written_as
from translate.models.base import Request
from translate.serving.names import TYPES, name_for, suffix_for
from translate.serving.refusal import Gone, Refusal, refusal_for
from translate.serving.shelf import Shelf
from translate.serving.wishes import Wish
from translate.utils.sides import Sides

_PREVIEW = 1600
"""Pixels on the longer side of what is only looked at."""


@dataclass(frozen=True)
class Translated:
    """A translation as a file: its bytes, media type and name; `notes` on what became of the picture; and PNGs of
    `before` and `after`, if they were wanted."""

    data: bytes
    type: str
    name: str
    notes: tuple[str, ...]
    before: bytes = b""
    after: bytes = b""


def translate(
    shelf: Shelf, wish: Wish, upload: BinaryIO, name: str, max_pixels: int, given_up: Callable[[], bool]
) -> Translated:
    """Translates the picture in `upload`. `name`, the client's, is only part of the answer.

    Raises Refusal, whatever goes wrong, and Gone between two stages when nobody waits any more.
    """
    with TemporaryDirectory(prefix="translate-") as folder:
        source = Path(folder) / "picture"
        try:
            kind = _stored(upload, source, max_pixels)
            source = source.rename(source.with_suffix(suffix_for(kind)))
            return _Work(shelf, wish, source, kind, name, max_pixels, given_up).done()
        except Gone:
            raise
        except Exception as error:
            if given_up():  # the upload may have been closed meanwhile
                raise Gone from error
            raise refusal_for(error, Path(folder)) from error


@dataclass(frozen=True)
class _Work:
    """A picture whose file lies at `source`, in a folder of our own."""

    shelf: Shelf
    wish: Wish
    source: Path
    kind: str
    name: str
    max_pixels: int
    given_up: Callable[[], bool]

    def done(self) -> Translated:
        served, step = self.shelf.find(self.wish.model, self.wish.checkpoint)
        converter = self.shelf.held(served, step)
        converter.depth, converter.size = self.wish.depth, self.wish.size
        request = converter.request(self.wish.to)
        given, target = converter.images.to_translate(request), converter.images.translated(request)
        _refuse_layers(given, target)
        converter.sizing(request)  # refuses what is impossible
        picture = self._read(given, converter, request)
        (made,) = converter.convert_pictures([picture], request)
        self._go_on()
        output = self._written(made, target)
        return Translated(
            output.read_bytes(),
            TYPES[output.suffix],
            name_for(self.name, output.suffix),
            (*shades_for_values(picture, given), *remarks(picture, made, output), *_scale(converter, request, picture)),
            *((_preview(picture), _preview(made)) if self.wish.previews else ()),
        )

    def _go_on(self) -> None:
        if self.given_up():
            raise Gone

    def _read(self, given: Domain, converter: Converter, request: Request) -> Picture:
        picture = read_as(self.source, given, self.max_pixels)
        converter.refuse(picture, self.source, request)
        self._refuse_large(*Sides(*size_of(picture)).times(converter.model.scale))
        self._go_on()
        return picture

    def _refuse_large(self, height: int, width: int) -> None:
        if height * width > self.max_pixels:
            most = f"{self.max_pixels:,}, the most that are made here"
            raise Refusal(413, f"its translation has {width} x {height} pixels, more than {most}")

    def _written(self, made: Picture, target: Domain) -> Path:
        form, format = written_as(target, self.wish.depth), self.wish.format
        if format == "same" and (form.classes or not fits(".png", form)):
            format = "png" if form.classes else "tiff"
        output = self.source.with_name(f"translation{suffix_for(self.kind if format == 'same' else format)}")
        write(output, made)
        return output


def _stored(upload: BinaryIO, path: Path, max_pixels: int) -> str:
    """Writes the upload to `path`, and returns its format, judging by what it holds. Raises Refusal (413, 415, 422)."""
    with path.open("xb") as file:
        shutil.copyfileobj(upload, file)
    try:
        with path.open("rb") as file:
            opened = gate.opened(file)
            kind = "TIFF" if isinstance(opened, Page) else str(opened.format)
            height, width = codec.upright_size(opened)
    except BadImageError as error:
        unknown = isinstance(error.__cause__, UnidentifiedImageError)
        raise Refusal(415 if unknown else 422, str(error)) from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise Refusal(422, "the picture is damaged") from error
    if height * width > max_pixels:
        raise Refusal(413, f"{width} x {height} pixels are more than {max_pixels:,}, the most that are taken here")
    return kind.lower()


def _refuse_layers(*domains: Domain) -> None:
    for domain in domains:
        if domain.sound:
            raise Refusal(422, f"{domain.name} is sound, and pictures are taken here: use `translate convert`")
        if domain.layers:
            raise Refusal(422, f"a sample of {domain.name} is {len(domain.layers)} images; one image is taken here")


def _scale(converter: Converter, request: Request, picture: Picture) -> tuple[str, ...]:
    sizing, times = converter.sizing(request), converter.model.scale
    height, width = sizing.working(*size_of(picture))
    larger = (f"{times} times as high and wide",) if times != 1 else ()
    if (height, width) == size_of(picture):
        return larger
    back = "brought back to its own size" if times == 1 else f"brought to {times} times its own size"
    return (f"translated at {width} x {height} pixels, and {back}",)


def _preview(picture: Picture) -> bytes:
    """The picture as 8-bit RGB, to look at, as PNG."""
    pixels = with_channels(display_bands(picture), 3)
    image, buffer = Image.fromarray(to_8_bits(pixels) if pixels.dtype == np.uint16 else pixels), BytesIO()
    image.thumbnail((_PREVIEW, _PREVIEW))
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
