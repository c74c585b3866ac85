"""Slides and scenes: TIFFs too large to be read whole, translated by rows into tiled TIFFs with a pyramid.

Neither the input nor the output is ever whole in memory, nor are the network's maps (see `tiling`), so that memory
does not grow with the height. Statistics are those of the whole image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from translate.data.domain import Domain
from translate.data.io.images import MAX_PIXELS, Picture, as_image_error, in_own_kind, within
from translate.data.io.nodata import marked, value_for
from translate.data.io.tiff_rows import TiffRows, pixels_of_tiff
from translate.data.io.tiff_tiled import TiledWriter
from translate.data.io.values import BadImageError
from translate.data.planes import planes_of
from translate.data.written import depth_of
from translate.errors import ImageError, TranslateError
from translate.inference.converter import Converter
from translate.inference.delivery import delivered, form_of, remarks, shades_for_values
from translate.inference.forecast import forecast, reading_and_writing, tell
from translate.inference.jobs import Job
from translate.inference.network import Network
from translate.inference.records import Record
from translate.inference.rehearsal import Plan
from translate.inference.sources import Sources, made_of
from translate.inference.tiling.banded import RowsOfPixels
from translate.models.base import Request
from translate.utils.atomic_files import atomic_file
from translate.utils.outputs import why_never
from translate.utils.printing import shown

SLIDE = MAX_PIXELS
"""TIFFs of more pixels are slides."""


def is_slide(job: Job) -> bool:
    """Whether the job's source is a TIFF of more pixels than are read whole, by its header. Raises ImageError."""
    return not job.beside and pixels_of_tiff(job.source) > SLIDE


def convert_slide(
    converter: Converter, job: Job, request: Request, inputs: Container[Path] = (), sources: Sources | None = None
) -> Record:
    """Translates a slide, whose output appears only once it is whole. Raises ImageError if it cannot be read or
    written, or the model translates no slides, or its maps fit neither disk nor memory."""
    start = time.perf_counter()
    if never := why_never(job.output, inputs):
        raise ImageError(f"{shown(job.output)}: cannot be written: {never}")
    noting = sources.noting(job, made_of(job)) if sources else nullcontext()
    with noting, TiffRows(job.source) as rows:
        slide = _Slide(rows, converter.images.to_translate(request))
        _refuse(slide, converter, job, request)
        written = _translate(slide, converter, job, request)
        first = slide.picture(0, 1)
        taken = shades_for_values(first, slide.given)
        known = (*taken, *remarks(first, written, job.output))
        note = f"{shown(job.source)}: {'; '.join(known)}" if known else ""
        took = time.perf_counter() - start
        return job.record("written", size=(rows.width, rows.height), seconds=took, note=note)


@dataclass(frozen=True)
class _Slide:
    """The rows of a file, as pictures of the domain that they are of."""

    file: TiffRows
    given: Domain

    def picture(self, top: int, bottom: int) -> Picture:
        try:
            return within(self.file.picture(top, bottom), self.given.span)
        except BadImageError as error:
            raise as_image_error(self.file.path, error) from error

    def planes(self, top: int, bottom: int) -> np.ndarray:
        return planes_of(self.picture(top, bottom), self.given)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.file.height, self.file.width, self.given.channels


def _translate(slide: _Slide, converter: Converter, job: Job, request: Request) -> Picture:
    """Writes the translation and returns its first rows, as they are delivered."""
    target, first, output = converter.images.translated(request), slide.picture(0, 1), job.output
    form = form_of(target, first, converter.depth)
    network = converter.network_for(slide.planes(0, 1).dtype, target)
    plan, depth = _planned(slide, network, converter, job, request), depth_of(form)
    head = delivered(first, _blank(slide, form.channels, depth), form)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(output) as working, working.open("r+b") as file:
            writer = _writer(file, head, slide)

            def put(top: int, made: np.ndarray) -> None:
                picture = replace(slide.picture(top, top + len(made)), icc=None, exif=None)
                writer.write(_samples(delivered(picture, made, form)))

            network.convert_rows(RowsOfPixels(slide.shape, slide.planes), plan.bands, request, depth, put)
            writer.close()
    except OSError as error:
        raise as_image_error(output, error, "cannot be written") from error
    except BadImageError as error:
        raise as_image_error(output, error) from error
    return head


def _planned(slide: _Slide, network: Network, converter: Converter, job: Job, request: Request) -> Plan:
    """How it is translated, which is said. Raises ImageError if there is neither the disk nor the memory."""
    name = shown(job.source)
    try:
        plan = network.plan_rows(slide.shape, slide.planes(0, 1).dtype, request)
    except TranslateError as error:
        raise ImageError(f"{name}: {error}") from error
    more = reading_and_writing(slide.planes, slide.file.height, plan.readings)
    converter.remark(f"{name}: {slide.file.width} x {slide.file.height} pixels by rows: {forecast(plan, more)}")
    tell(plan, name, converter.remark)
    return plan


def _blank(slide: _Slide, channels: int, depth: torch.dtype) -> np.ndarray:
    return torch.zeros(1, slide.file.width, channels, dtype=depth).numpy()


def _writer(file: BinaryIO, head: Picture, slide: _Slide) -> TiledWriter:
    pixels, alpha = in_own_kind(head)
    bands = pixels.shape[2]
    shape = (slide.file.height, slide.file.width, bands + (alpha is not None))
    nodata = value_for(head.nodata, pixels.dtype)
    return TiledWriter(file, shape, pixels.dtype, bands, head.rgb, head.icc, head.exif, nodata)


def _samples(picture: Picture) -> np.ndarray:
    """Rows as they are written, alpha last."""
    pixels, alpha = in_own_kind(picture)
    nodata = value_for(picture.nodata, pixels.dtype)
    if nodata is not None:
        pixels = marked(pixels, picture.missing, nodata)
    return pixels if alpha is None else np.dstack([pixels, alpha])


def _refuse(slide: _Slide, converter: Converter, job: Job, request: Request) -> None:
    """Raises ImageError if the slide, or a translation by this model, is not converted by rows, with a way out."""
    file, target = slide.file, converter.images.translated(request)
    name = f"{shown(job.source)}: {file.width} x {file.height} pixels are converted by rows"
    whole = f"--max-pixels {file.width * file.height} reads it whole"
    if job.output.suffix.lower() not in (".tif", ".tiff"):
        raise ImageError(f"{name}, into TIFF only; give --format tiff, or name the output so")
    if slide.given.numbered or slide.given.layers or target.numbered or target.layers:
        raise ImageError(f"{name}, which label maps and samples of several images are not; {whole}")
    if converter.derived or converter.model.scale != 1:
        raise ImageError(f"{name}, and this model makes its inputs itself, or larger outputs; {whole}")
    if not converter.fitting.divisible or converter.fitting.tile == "off":
        why = "--tile off forbids" if converter.fitting.divisible else "this network does not allow"
        raise ImageError(f"{name}, which {why}; {whole}")
    height, width = converter.sizing(request).working(file.height, file.width)
    if (height, width) != (file.height, file.width):
        raise ImageError(
            f"{name} at their own size, and the model would take {width} x {height}; give --size native, or scale it "
            "down"
        )
    converter.refuse(slide.picture(0, 1), job.source, request)


def apart(
    jobs: Iterator[Job | Record], failed: Callable[[BaseException, Path], str], convert: Callable[[Job], Record]
) -> Iterator[Job | Record]:
    """The jobs with those of slides `convert`ed, one at a time; `failed` says why one was not."""
    for job in jobs:
        if isinstance(job, Record):
            yield job
            continue
        try:
            yield convert(job) if is_slide(job) else job
        except Exception as error:
            yield job.record("failed", error=failed(error, job.source))
