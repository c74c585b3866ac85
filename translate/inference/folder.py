"""Translates every image below a folder to the same relative name below another."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from translate.data.io.images import MAX_PIXELS, Picture, lost, read, write
from translate.errors import ImageError
from translate.inference.converter import Converter
from translate.inference.finite import NotFiniteError
from translate.inference.jobs import Job
from translate.models.base import Request
from translate.utils.atomic_files import clear_leftovers
from translate.utils.out_of_memory import out_of_memory
from translate.utils.outputs import why_never
from translate.utils.printing import shown

_HELD = 1 << 30
"""The most bytes of decoded pictures that may queue on either side of the network."""


@dataclass(frozen=True)
class Record:
    """The outcome for one file: written, skipped because its output exists, or failed, with the reason in `error`.

    `size`: width and height, if the file was read. `seconds`: time spent on decoding, its share of the batch, and
    encoding. `note`: a remark on a written file. `lacking`: what of the source could not be read, and is missing there.
    """

    source: Path
    output: Path
    status: Literal["written", "skipped", "failed"]
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    lacking: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as a row of the manifest."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "status": self.status,
            "size": self.size,
            "seconds": round(self.seconds, 4),
            "error": self.error,
            "note": self.lacking or self.note,
        }


@dataclass
class Outcome:
    """Counts of written, skipped and failed files, and the records of files that failed or have a note.

    `missing`: what else was asked for and is not there, each with its reason: pictures in the sheets, the gallery or
    the cycle errors, rows of the manifest, frames of a video.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Record] = field(default_factory=list)
    noted: list[Record] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.counts[record.status] += 1
        if record.status == "failed":
            self.failed.append(record)
        elif record.note:
            self.noted.append(record)
        if record.lacking:
            self.missing.append(record.lacking)


def convert_folder(
    converter: Converter,
    jobs: Iterable[Job],
    request: Request,
    *,
    overwrite: bool = False,
    workers: int = 2,
    batch_size: int | None = 1,
    max_pixels: int = MAX_PIXELS,
    inputs: Container[Path] = (),
    done: Callable[[Record], None] = lambda record: None,
) -> Outcome:
    """Converts every job; records files that cannot be read or written, or do not fit into memory, and continues.

    No output takes the place of one of `inputs`, even one that has come there since the jobs were planned.

    Decoding and encoding run in `workers` threads each, in parallel with the network. Images of equal padded size and
    depth are batched (`batch_size` None: as many as memory suggests). At most a few batches are in memory, fewer if
    images are large. `done` is called with each record as soon as it is known. Half-written files that a killed
    conversion left in the output folders are removed.
    """
    outcome = Outcome()
    window = _Window(converter.fitting.batch if batch_size is None else lambda height, width: batch_size, workers)

    def finish(record: Record) -> None:
        outcome.add(record)
        done(record)

    def todo() -> Iterator[Job]:
        cleared: set[Path] = set()
        for job in jobs:
            if job.output.parent not in cleared:
                cleared.add(job.output.parent)
                clear_leftovers(job.output.parent)
            if os.path.lexists(job.output) and not overwrite:  # a link that leads nowhere is somebody's, too
                finish(Record(job.source, job.output, "skipped"))
            else:
                yield job

    with ThreadPoolExecutor(max(1, workers)) as decoders, ThreadPoolExecutor(max(1, workers)) as encoders:
        writing: deque[tuple[_Read, float, Future[float]]] = deque()

        def finish_writing() -> None:
            read_, seconds, future = writing.popleft()
            error = _reason(future, read_.job.output)
            if error is None:
                seconds += future.result()
            finish(_record(read_.job, error, read_, seconds))

        reads = ((job, decoders.submit(_read, job, converter, max_pixels)) for job in todo())
        pictures = _decoded(reads, window, lambda job, error: finish(_record(job, error)))
        for batch in _batches(pictures, converter, window):
            for read_, result, seconds in _converted(converter, batch, request):
                if isinstance(result, str):
                    finish(_record(read_.job, result, read_, seconds))
                else:
                    writing.append((read_, seconds, encoders.submit(_write, read_.job.output, result, inputs)))
            while writing and (len(writing) > window.places or writing[0][-1].done()):
                finish_writing()
        while writing:
            finish_writing()
    return outcome


class _Window:
    """Limits how many pictures queue on either side of the network: a few batches, but at most `_HELD` bytes."""

    def __init__(self, batch: Callable[[int, int], int], workers: int) -> None:
        self._batch, self._workers = batch, workers
        self._largest_batch, self._largest_picture = 1, 1

    def batch(self, height: int, width: int) -> int:
        """How many pictures of that padded size to batch."""
        size = self._batch(height, width)
        self._largest_batch = max(self._largest_batch, size)
        return size

    def saw(self, picture: Picture) -> None:
        self._largest_picture = max(self._largest_picture, picture.pixels.nbytes)

    @property
    def places(self) -> int:
        return max(1, min(2 * self._largest_batch + self._workers, _HELD // self._largest_picture))


@dataclass(frozen=True)
class _Read:
    job: Job
    picture: Picture
    seconds: float


def _record(job: Job, error: str | None, read_: _Read | None = None, seconds: float = 0.0) -> Record:
    size = None if read_ is None else (read_.picture.pixels.shape[1], read_.picture.pixels.shape[0])
    remarks = () if error or read_ is None else (*read_.picture.remarks, *lost(job.output, read_.picture))
    note = f"{shown(job.source)}: {'; '.join(remarks)}" if remarks else ""
    return Record(job.source, job.output, "failed" if error else "written", size, seconds, error or "", note)


def _decoded(
    reads: Iterator[tuple[Job, Future[_Read]]], window: _Window, failed: Callable[[Job, str], None]
) -> Iterator[_Read]:
    """Yields decoded pictures in order, reading a few ahead; reports unreadable files to `failed`."""
    reading: deque[tuple[Job, Future[_Read]]] = deque()
    while True:
        while len(reading) <= window.places and (following := next(reads, None)) is not None:
            reading.append(following)
        if not reading:
            return
        job, future = reading.popleft()
        error = _reason(future, job.source)
        if error is None:
            window.saw(future.result().picture)
            yield future.result()
        else:
            failed(job, error)


def _read(job: Job, converter: Converter, max_pixels: int) -> _Read:
    start = time.perf_counter()
    picture = read(job.source, max_pixels, converter.images.span)
    converter.refuse(picture, job.source)
    return _Read(job, picture, time.perf_counter() - start)


def _batches(pictures: Iterator[_Read], converter: Converter, window: _Window) -> Iterator[list[_Read]]:
    """Yields batches of one padded size and depth: full ones, the largest partial one when too many pictures are held,
    and the rest at the end."""
    held: dict[tuple[tuple[int, int], np.dtype], list[_Read]] = {}
    for read_ in pictures:
        pixels = read_.picture.pixels
        size = converter.padded_size(*pixels.shape[:2])
        kind = size, pixels.dtype
        held.setdefault(kind, []).append(read_)
        if len(held[kind]) >= window.batch(*size):
            yield held.pop(kind)
        elif sum(map(len, held.values())) >= 2 * window.places:
            yield held.pop(max(held, key=lambda kind: len(held[kind])))
    yield from held.values()


def _converted(
    converter: Converter, batch: list[_Read], request: Request
) -> Iterator[tuple[_Read, Picture | str, float]]:
    """For each picture of the batch, its translation, or why there is none, and its share of the seconds.

    A batch that fails is converted one by one, so that a picture too large for the memory fails alone.
    """
    start = time.perf_counter()
    try:
        found: list[Picture] = converter.convert_pictures([read_.picture for read_ in batch], request)
        reason = None
    except Exception as error:
        found, reason = [], _why(error, batch[0].job.source)
        if reason is None:
            raise
    # Outside the except clause, where the error would keep the tensors alive.
    share = (time.perf_counter() - start) / len(batch)
    if reason is None:
        yield from zip(batch, found, [read_.seconds + share for read_ in batch], strict=True)
    elif len(batch) == 1:
        yield batch[0], reason, batch[0].seconds + share
    else:
        for read_ in batch:
            yield from _converted(converter, [read_], request)


def _write(path: Path, picture: Picture, inputs: Container[Path]) -> float:
    """Writes the picture and returns the seconds it took."""
    start = time.perf_counter()
    if reason := why_never(path, inputs):
        raise ImageError(f"{shown(path)}: cannot be written: {reason}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be written: {error.strerror}") from error
    write(path, picture)
    return time.perf_counter() - start


def _reason(future: Future, path: Path) -> str | None:
    """Why the file failed, or None if it did not. Raises errors that are not the file's fault."""
    error = future.exception()
    reason = None if error is None else _why(error, path)
    if error is not None and reason is None:
        raise error
    return reason


def _why(error: BaseException, path: Path) -> str | None:
    """Why the file failed, as a line that names it; None for an error that is not the file's fault."""
    if isinstance(error, ImageError):
        return str(error)
    if out_of_memory(error):
        return f"{shown(path)}: too large for the memory that is free; close other programs, or convert with --tile 16"
    if isinstance(error, OSError):
        return f"{shown(path)}: {error.strerror or error}"
    return f"{shown(path)}: {error}" if isinstance(error, NotFiniteError) else None
