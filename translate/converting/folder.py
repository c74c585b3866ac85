"""Translates every image below a folder to the same relative name below another."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from translate.converting.converter import Changes, Converter
from translate.converting.finite import NotFiniteError
from translate.converting.jobs import Job
from translate.data.images import MAX_PIXELS, Picture, read, shown, write
from translate.errors import ImageError
from translate.whole_file import clear_leftovers

_HELD = 1 << 30
"""The most bytes of decoded pictures that may queue on either side of the network."""


@dataclass(frozen=True)
class Record:
    """The outcome for one file: written, skipped because its output exists, or failed, with the reason in `error`.

    `size`: width and height, if the file was read. `seconds`: time spent on decoding, its share of the batch, and
    encoding. `note`: a remark on a written file.
    """

    source: Path
    output: Path
    status: Literal["written", "skipped", "failed"]
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as a row of the manifest."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "status": self.status,
            "size": self.size,
            "seconds": round(self.seconds, 4),
            "error": self.error,
            "note": self.note,
        }


@dataclass
class Outcome:
    """Counts of written, skipped and failed files, and the records of files that failed or have a note.

    `unseen`: why files are missing from the sheets, the gallery or the cycle errors.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Record] = field(default_factory=list)
    noted: list[Record] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.counts[record.status] += 1
        if record.status == "failed":
            self.failed.append(record)
        elif record.note:
            self.noted.append(record)


def convert_folder(
    converter: Converter,
    jobs: Iterable[Job],
    changes: Changes,
    *,
    overwrite: bool = False,
    workers: int = 2,
    batch_size: int | None = 1,
    max_pixels: int = MAX_PIXELS,
    done: Callable[[Record], None] = lambda record: None,
) -> Outcome:
    """Converts every job; records files that cannot be read or written and continues with the rest.

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
            if os.path.exists(job.output) and not overwrite:  # Path.exists raises if the name is too long
                finish(Record(job.source, job.output, "skipped"))
            else:
                yield job

    with ThreadPoolExecutor(max(1, workers)) as decoders, ThreadPoolExecutor(max(1, workers)) as encoders:
        writing: deque[tuple[_Read, float, Future[float]]] = deque()

        def finish_writing() -> None:
            read_, seconds, future = writing.popleft()
            error = _reason(future)
            if error is None:
                seconds += future.result()
            finish(_record(read_.job, error, read_, seconds))

        reads = ((job, decoders.submit(_read, job, converter, max_pixels)) for job in todo())
        pictures = _decoded(reads, window, lambda job, error: finish(_record(job, error)))
        for batch in _batches(pictures, converter, window):
            start = time.perf_counter()
            outputs = _converted(converter, batch, changes)
            share = (time.perf_counter() - start) / len(batch)
            for read_, picture in zip(batch, outputs, strict=True):
                if isinstance(picture, str):
                    finish(_record(read_.job, picture, read_, read_.seconds + share))
                    continue
                writing.append((read_, read_.seconds + share, encoders.submit(_write, read_.job.output, picture)))
            while writing and (len(writing) > window.places or writing[0][-1].done()):
                finish_writing()
        while writing:
            finish_writing()
    return outcome


def _converted(converter: Converter, batch: list[_Read], changes: Changes) -> list[Picture | str]:
    """The translation of each, or why there is none: one that is not finite does not stop the others."""
    try:
        return [*converter.convert_pictures([read_.picture for read_ in batch], changes)]
    except NotFiniteError as error:
        if len(batch) == 1:
            return [f"{shown(batch[0].job.source)}: {error}"]
    return [one for read_ in batch for one in _converted(converter, [read_], changes)]


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
    several = not error and read_ is not None and read_.picture.animated
    note = f"{shown(job.source)}: holds more frames or pages; the first was converted" if several else ""
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
        error = _reason(future)
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


def _write(path: Path, picture: Picture) -> float:
    """Writes the picture and returns the seconds it took."""
    start = time.perf_counter()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be written: {error.strerror}") from error
    write(path, picture)
    return time.perf_counter() - start


def _reason(future: Future) -> str | None:
    """Why the file failed, or None if it did not. Raises errors that are not the file's fault."""
    error = future.exception()
    if error is None or isinstance(error, (ImageError, OSError)):
        return str(error) if error else None
    raise error
