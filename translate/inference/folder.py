"""Translates every image below a folder to the same relative name below another, by stages that run side by side.

Files are read, batched, translated and written; a file that fails, or is skipped, is a `Record` from there on, which
the later stages pass on.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from translate.data.io.images import MAX_PIXELS, Picture, write
from translate.errors import ImageError
from translate.inference.converter import Converter, size_of
from translate.inference.delivery import remarks, shades_for_values
from translate.inference.jobs import Job
from translate.inference.options import OutputOptions
from translate.inference.reasons import reason
from translate.inference.records import Outcome, Record
from translate.inference.samples import read_sample
from translate.inference.slides import apart, convert_slide
from translate.inference.sources import OTHER, Made, Sources, made_of
from translate.models.base import Request
from translate.utils.atomic_files import clear_leftovers
from translate.utils.outputs import why_never
from translate.utils.printing import shown

_TOO_LARGE = "too large for the memory that is free; close other programs, or convert with --tile 16"
_HELD = 1 << 30
"""The most bytes of decoded pictures that may queue on either side of the network."""


def convert_folder(
    converter: Converter,
    jobs: Iterable[Job],
    request: Request,
    options: OutputOptions = OutputOptions(),
    *,
    inputs: Container[Path] = (),
    sources: Sources | None = None,
    done: Callable[[Record], None] = lambda record: None,
) -> Outcome:
    """Converts every job; records files that cannot be read or written, or do not fit into memory, and continues.

    No output takes the place of one of `inputs`, even one that has come there since the jobs were planned. An output
    that is there already, and by `sources` was made of another picture, is a failure, not skipped.

    Decoding and encoding run in `options.workers` threads each, in parallel with the network. Images of equal padded
    size and depth are batched (`options.batch` None: as many as memory suggests). At most a few batches are in memory,
    fewer if images are large. `done` is called with each record as soon as it is known. Half-written files that a
    killed conversion left in the output folders are removed. Slides (see `slides`) are translated by rows, one at a
    time, unless `options.max_pixels` says how much is read whole.
    """
    outcome, window = Outcome(), _Window(converter, options)
    workers = max(1, options.workers)
    with ThreadPoolExecutor(workers) as decoders, ThreadPoolExecutor(workers) as encoders:
        wanted = pending(jobs, options.overwrite, sources)
        if options.max_pixels is None:
            wanted = apart(
                wanted, _reason, partial(convert_slide, converter, request=request, inputs=inputs, sources=sources)
            )
        loaded = _loaded(wanted, converter, request, options.max_pixels or MAX_PIXELS, window, decoders)
        translated = _translated(_batches(loaded, converter, request, window), converter, request)
        for record in _written(translated, inputs, window, sources, encoders):
            outcome.add(record)
            done(record)
    return outcome


class _Window:
    """Limits how many pictures queue on either side of the network: a few batches, but at most `_HELD` bytes."""

    def __init__(self, converter: Converter, options: OutputOptions) -> None:
        self._fitting, self._options, self._larger = converter.fitting, options, converter.model.scale**2
        self._largest_batch, self._largest_picture = 1, 1

    def batch(self, height: int, width: int) -> int:
        """How many pictures of that padded size to batch."""
        size = self._options.batch or self._fitting.batch(height, width)
        self._largest_batch = max(self._largest_batch, size)
        return size

    def count(self, picture: Picture) -> None:
        self._largest_picture = max(self._largest_picture, picture.pixels.nbytes * self._larger)

    @property
    def places(self) -> int:
        return max(1, min(2 * self._largest_batch + self._options.workers, _HELD // self._largest_picture))


@dataclass(frozen=True)
class _Item:
    """A file on its way: its picture as read, the seconds spent on it, and its translation once there is one."""

    job: Job
    picture: Picture
    seconds: float
    made: Made
    translation: Picture | None = None
    taken: tuple[str, ...] = ()
    """How its shades were read, if they are no values of the domain."""

    def record(self, seconds: float = 0.0, error: str = "") -> Record:
        """As written, or as failed with that error."""
        height, width = size_of(self.picture)
        made = self.translation or self.picture
        known = () if error else (*self.taken, *remarks(self.picture, made, self.job.output))
        note = f"{shown(self.job.source)}: {'; '.join(known)}" if known else ""
        took = self.seconds + seconds
        return self.job.record(
            "failed" if error else "written", size=(width, height), seconds=took, error=error, note=note
        )


def pending(jobs: Iterable[Job], overwrite: bool, sources: Sources | None) -> Iterator[Job | Record]:
    """The jobs whose outputs are to be written, and records of the others. Removes what killed processes left half
    written in the folders of outputs."""
    cleared = set()
    for job in jobs:
        if job.output.parent not in cleared:
            cleared.add(job.output.parent)
            clear_leftovers(job.output.parent)
        present = os.path.lexists(job.output)  # a link that leads nowhere is somebody's, too
        if not present or overwrite:
            yield job
        elif sources and sources.are_others(job):
            yield job.record("failed", error=f"{shown(job.source)}: {OTHER}")
        else:
            yield job.record("skipped")


def _loaded(
    jobs: Iterator[Job | Record],
    converter: Converter,
    request: Request,
    max_pixels: int,
    window: _Window,
    decoders: Executor,
) -> Iterator[_Item | Record]:
    """The pictures in order, a few read ahead."""
    ahead: deque[tuple[Job, Future[_Item]]] = deque()
    while True:
        while len(ahead) <= window.places and (job := next(jobs, None)) is not None:
            if isinstance(job, Record):
                yield job
            else:
                ahead.append((job, decoders.submit(_load, job, converter, request, max_pixels)))
        if not ahead:
            return
        job, future = ahead.popleft()
        if error := _reason(future.exception(), job.source):
            yield job.record("failed", error=error)
        else:
            window.count(future.result().picture)
            yield future.result()


def _load(job: Job, converter: Converter, request: Request, max_pixels: int) -> _Item:
    start = time.perf_counter()
    given = converter.images.to_translate(request)
    picture = read_sample(job.source, job.beside, given, max_pixels)
    converter.refuse(picture, job.source, request)
    return _Item(job, picture, time.perf_counter() - start, made_of(job), taken=shades_for_values(picture, given))


def _batches(
    items: Iterator[_Item | Record], converter: Converter, request: Request, window: _Window
) -> Iterator[list[_Item] | Record]:
    """Batches of one padded working size and depth: full ones, the largest partial one when too many pictures are held,
    and the rest at the end."""
    sizing = converter.sizing(request)
    held: dict[tuple[tuple[int, int], np.dtype], list[_Item]] = {}
    for item in items:
        if isinstance(item, Record):
            yield item
            continue
        size = converter.padded_size(*sizing.working(*size_of(item.picture)))
        kind = size, item.picture.pixels.dtype
        held.setdefault(kind, []).append(item)
        if len(held[kind]) >= window.batch(*size):
            yield held.pop(kind)
        elif sum(map(len, held.values())) >= 2 * window.places:
            yield held.pop(max(held, key=lambda kind: len(held[kind])))
    yield from held.values()


def _translated(
    batches: Iterable[list[_Item] | Record], converter: Converter, request: Request
) -> Iterator[_Item | Record]:
    """The pictures with their translations.

    A batch that fails is translated one by one, so that a picture too large for the memory fails alone.
    """
    for batch in batches:
        if isinstance(batch, Record):
            yield batch
            continue
        start = time.perf_counter()
        try:
            found, failure = converter.convert_pictures([item.picture for item in batch], request), ""
        except Exception as error:
            found, failure = [], _reason(error, batch[0].job.source)
        # Outside the except clause, where the error would keep the tensors alive.
        share = (time.perf_counter() - start) / len(batch)
        if not failure:
            for item, picture in zip(batch, found, strict=True):
                yield replace(item, translation=picture, seconds=item.seconds + share)
        elif len(batch) == 1:
            yield batch[0].record(share, failure)
        else:
            yield from _translated([[item] for item in batch], converter, request)


def _written(
    items: Iterable[_Item | Record],
    inputs: Container[Path],
    window: _Window,
    sources: Sources | None,
    encoders: Executor,
) -> Iterator[Record]:
    """Writes the translations, several at a time."""
    writing: deque[tuple[_Item, Future[float]]] = deque()

    def first() -> Record:
        item, future = writing.popleft()
        error = _reason(future.exception(), item.job.output)
        return item.record(0.0 if error else future.result(), error)

    for item in items:
        if isinstance(item, Record):
            yield item
            continue
        writing.append((item, encoders.submit(_write, item, inputs, sources)))
        while writing and (len(writing) > window.places or writing[0][-1].done()):
            yield first()
    while writing:
        yield first()


def _write(item: _Item, inputs: Container[Path], sources: Sources | None) -> float:
    """Writes the translation and returns the seconds it took."""
    start, path = time.perf_counter(), item.job.output
    assert item.translation is not None
    if never := why_never(path, inputs):
        raise ImageError(f"{shown(path)}: cannot be written: {never}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be written: {error.strerror}") from error
    with sources.noting(item.job, item.made) if sources else nullcontext():
        write(path, item.translation)
    return time.perf_counter() - start


def _reason(error: BaseException | None, path: Path) -> str:
    """Why the file failed; empty if it did not. Raises an error that is not the file's fault."""
    return "" if error is None else reason(error, path, _TOO_LARGE)
