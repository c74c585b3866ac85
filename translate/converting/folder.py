"""Every image below a folder, translated to the same relative name below another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from translate.converting.converter import Changes, Converter
from translate.data.images import WRITABLE, Picture, find_images, read, write
from translate.errors import ConfigurationError, ImageError


@dataclass
class Outcome:
    """What became of the files: written, left because the output exists, and failed with the reason."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    source: Path
    output: Path


def plan(source: Path, output: Path) -> list[Job]:
    """What is converted to where. Raises ConfigurationError where nothing is found or a file would be overwritten."""
    if not source.exists():
        raise ConfigurationError(f"{source}: no such file or folder")
    if source.is_file():
        # An output with an image's suffix is the file itself; any other is a folder to put it in.
        target = output if output.suffix.lower() in WRITABLE and not output.is_dir() else output / source.name
        if _same(source, target):
            raise ConfigurationError(f"{target}: the output is the input; give another file or folder")
        return [Job(source, _writable(target))]
    inside, outside = output.resolve(), source.resolve()
    if inside == outside or outside in inside.parents:
        raise ConfigurationError(f"{output}: the output folder is the input folder or lies inside it; choose another")
    images = find_images(source)
    if not images:
        raise ConfigurationError(
            f"{source}: no images found (looked for PNG, JPEG, WebP, TIFF, BMP and GIF, in all sub-folders)"
        )
    return [Job(path, _writable(output / path.relative_to(source))) for path in images]


def convert_folder(
    converter: Converter,
    jobs: Sequence[Job],
    changes: Changes,
    *,
    overwrite: bool = False,
    workers: int = 2,
    batch_size: int = 1,
    done: Callable[[Path], None] = lambda path: None,
) -> Outcome:
    """Converts every job; what cannot be read or written is recorded and the rest is done.

    Decoding and encoding run in `workers` threads each, beside the network; images of equal padded size are
    batched, and no more than a few batches are in memory. `done` is called for each file that is finished.
    """
    outcome = Outcome()
    todo = []
    for job in jobs:
        if job.output.exists() and not overwrite:
            outcome.skipped.append(job.source)
            done(job.source)
        else:
            todo.append(job)
    with ThreadPoolExecutor(max(1, workers)) as decoders, ThreadPoolExecutor(max(1, workers)) as encoders:
        writing: deque[tuple[Job, Future[None]]] = deque()

        def finish(job: Job, future: Future[None]) -> None:
            error = _reason(future)
            if error is None:
                outcome.written.append(job.source)
            else:
                outcome.failed[job.source] = error
            done(job.source)

        pictures = _decoded(decoders, todo, ahead=2 * batch_size + workers, failed=finish)
        for batch in _batches(pictures, converter, batch_size):
            outputs = converter.convert_pictures([picture for _, picture in batch], changes)
            for (job, _), picture in zip(batch, outputs, strict=True):
                writing.append((job, encoders.submit(_write, job.output, picture)))
            while len(writing) > 2 * batch_size + workers:
                finish(*writing.popleft())
        while writing:
            finish(*writing.popleft())
    return outcome


def _decoded(
    threads: ThreadPoolExecutor, jobs: Sequence[Job], ahead: int, failed: Callable[[Job, Future], None]
) -> Iterator[tuple[Job, Picture]]:
    """Pictures in order, read a few ahead."""
    reading: deque[tuple[Job, Future[Picture]]] = deque()
    waiting = iter(jobs)
    for job in waiting:
        reading.append((job, threads.submit(read, job.source)))
        if len(reading) > ahead:
            break
    while reading:
        job, future = reading.popleft()
        if (following := next(waiting, None)) is not None:
            reading.append((following, threads.submit(read, following.source)))
        if _reason(future) is None:
            yield job, future.result()
        else:
            failed(job, future)


def _batches(
    pictures: Iterator[tuple[Job, Picture]], converter: Converter, batch_size: int
) -> Iterator[list[tuple[Job, Picture]]]:
    """Full batches of one padded size; what never fills up comes when too much is held, and at the end."""
    held: dict[tuple[int, int], list[tuple[Job, Picture]]] = {}
    for job, picture in pictures:
        size = converter.padded_size(*picture.pixels.shape[:2])
        held.setdefault(size, []).append((job, picture))
        if len(held[size]) == batch_size:
            yield held.pop(size)
        elif sum(map(len, held.values())) >= 4 * batch_size:
            yield held.pop(max(held, key=lambda size: len(held[size])))
    yield from held.values()


def _write(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, picture)


def _reason(future: Future) -> str | None:
    """Why a file failed, or None; what is no fault of the file is raised."""
    error = future.exception()
    if error is None or isinstance(error, (ImageError, OSError)):
        return str(error) if error else None
    raise error


def _writable(path: Path) -> Path:
    # A format that cannot be written keeps its whole name, so that a.gif and a.png stay two files.
    return path if path.suffix.lower() in WRITABLE else path.with_name(path.name + ".png")


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()
