"""Every image below a folder, translated to the same relative name below another."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from translate.converting.converter import Changes, Converter
from translate.data.columns import few
from translate.data.images import WRITABLE, Picture, read, scan, shown, write
from translate.data.layouts import ARCHIVES
from translate.errors import ConfigurationError, ImageError


@dataclass(frozen=True)
class Job:
    source: Path
    output: Path
    name: str
    """The source within the folder that is converted, with forward slashes."""


@dataclass(frozen=True)
class Record:
    """What became of one file: written, skipped because its output exists, or failed, with the reason in `error`.

    `size`: width and height, where it was read. `seconds`: spent on it in decoding, its share of a batch, encoding.
    `note`: what is worth knowing of one that was written.
    """

    source: Path
    output: Path
    status: Literal["written", "skipped", "failed"]
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """A row of the manifest."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "status": self.status,
            "size": self.size,
            "seconds": round(self.seconds, 4),
            "error": self.error,
            "note": self.note,
        }


def plan(source: Path, output: Path, tell: Callable[[str], None] = lambda line: None) -> list[Job]:
    """What is converted to where; `tell` hears of links that are left out.

    Raises ConfigurationError where nothing is found or a file would be overwritten.
    """
    if not source.exists():
        raise ConfigurationError(f"{shown(source)}: no such file or folder")
    if source.is_file():
        if source.suffix.lower() in ARCHIVES:
            raise ConfigurationError(f"{shown(source)}: an archive; unpack it first and give the folder")
        # An output with an image's suffix is the file itself; any other is a folder to put it in.
        target = output if output.suffix.lower() in WRITABLE and not output.is_dir() else output / source.name
        if _same(source, target):
            raise ConfigurationError(f"{shown(target)}: the output is the input; give another file or folder")
        return [Job(source, _writable(target, set()), source.name)]
    if not source.is_dir():
        raise ConfigurationError(f"{shown(source)}: neither a file nor a folder")
    inside, outside = output.resolve(), source.resolve()
    if inside == outside or outside in inside.parents:
        raise ConfigurationError(
            f"{shown(output)}: the output folder is the input folder or lies inside it; choose another"
        )
    images, links = scan(source)
    if links:
        tell(f"warning: {shown(source)}: links that lead out of it are left out: {few(links)}")
    if not images:
        raise ConfigurationError(
            f"{shown(source)}: no images found (looked for PNG, JPEG, WebP, TIFF, BMP and GIF, in all sub-folders)"
        )
    names = [path.relative_to(source) for path in images]
    taken = {output / name for name in names}
    return [Job(source / name, _writable(output / name, taken), name.as_posix()) for name in names]


def shard(jobs: Sequence[Job], number: int, of: int) -> list[Job]:
    """Part `number` (1 to `of`) of the jobs, by a hash of each one's name: machines need not talk to each other.

    Raises ConfigurationError for a number out of range.
    """
    if not 1 <= number <= of:
        raise ConfigurationError(f"--shard {number}/{of}: expected 1/{of} to {of}/{of}")
    return [job for job in jobs if _hash(job.name) % of == number - 1]


def convert_folder(
    converter: Converter,
    jobs: Sequence[Job],
    changes: Changes,
    *,
    overwrite: bool = False,
    workers: int = 2,
    batch_size: int = 1,
    done: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Converts every job; what cannot be read or written is recorded and the rest is done.

    Decoding and encoding run in `workers` threads each, beside the network; images of equal padded size are
    batched, and no more than a few batches are in memory. `done` is called with each record as it comes; they are
    returned in that order.
    """
    records: list[Record] = []

    def finish(record: Record) -> None:
        records.append(record)
        done(record)

    todo = []
    for job in jobs:
        if os.path.exists(job.output) and not overwrite:  # of a name that is too long, Path.exists raises
            finish(Record(job.source, job.output, "skipped"))
        else:
            todo.append(job)
    with ThreadPoolExecutor(max(1, workers)) as decoders, ThreadPoolExecutor(max(1, workers)) as encoders:
        writing: deque[tuple[_Read, float, Future[float]]] = deque()

        def finish_writing() -> None:
            read_, seconds, future = writing.popleft()
            error = _reason(future)
            if error is None:
                seconds += future.result()
            finish(_record(read_.job, error, read_, seconds))

        pictures = _decoded(decoders, todo, 2 * batch_size + workers, lambda job, error: finish(_record(job, error)))
        for batch in _batches(pictures, converter, batch_size):
            start = time.perf_counter()
            outputs = converter.convert_pictures([read_.picture for read_ in batch], changes)
            share = (time.perf_counter() - start) / len(batch)
            for read_, picture in zip(batch, outputs, strict=True):
                writing.append((read_, read_.seconds + share, encoders.submit(_write, read_.job.output, picture)))
            while len(writing) > 2 * batch_size + workers:
                finish_writing()
        while writing:
            finish_writing()
    return records


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
    threads: ThreadPoolExecutor, jobs: Sequence[Job], ahead: int, failed: Callable[[Job, str], None]
) -> Iterator[_Read]:
    """Pictures in order, read a few ahead."""
    reading: deque[tuple[Job, Future[_Read]]] = deque()
    waiting = iter(jobs)
    for job in waiting:
        reading.append((job, threads.submit(_read, job)))
        if len(reading) > ahead:
            break
    while reading:
        job, future = reading.popleft()
        if (following := next(waiting, None)) is not None:
            reading.append((following, threads.submit(_read, following)))
        error = _reason(future)
        if error is None:
            yield future.result()
        else:
            failed(job, error)


def _read(job: Job) -> _Read:
    start = time.perf_counter()
    picture = read(job.source)
    return _Read(job, picture, time.perf_counter() - start)


def _batches(pictures: Iterator[_Read], converter: Converter, batch_size: int) -> Iterator[list[_Read]]:
    """Full batches of one padded size; what never fills up comes when too much is held, and at the end."""
    held: dict[tuple[int, int], list[_Read]] = {}
    for read_ in pictures:
        size = converter.padded_size(*read_.picture.pixels.shape[:2])
        held.setdefault(size, []).append(read_)
        if len(held[size]) == batch_size:
            yield held.pop(size)
        elif sum(map(len, held.values())) >= 4 * batch_size:
            yield held.pop(max(held, key=lambda size: len(held[size])))
    yield from held.values()


def _write(path: Path, picture: Picture) -> float:
    """The seconds it took."""
    start = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, picture)
    return time.perf_counter() - start


def _hash(name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _reason(future: Future) -> str | None:
    """Why a file failed, or None; what is no fault of the file is raised."""
    error = future.exception()
    if error is None or isinstance(error, (ImageError, OSError)):
        return str(error) if error else None
    raise error


def _writable(path: Path, taken: Set[Path]) -> Path:
    """A format that cannot be written keeps its whole name, so that a.gif, a.png and a.gif.png stay three files."""
    if path.suffix.lower() in WRITABLE:
        return path
    while (path := path.with_name(path.name + ".png")) in taken:
        pass
    return path


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()
