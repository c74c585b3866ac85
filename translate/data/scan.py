"""Tries every image once, so that all that cannot be read are known together, before the first step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from translate.data.folders import Source
from translate.data.images import dimensions, holds_more
from translate.data.source import Readable
from translate.errors import ImageError

Attempt = tuple[Path, Callable[[], object]]
"""What an image is called, and what raises ImageError where it cannot be used."""


def decoding(sources: Iterable[Readable], channels: int) -> list[Attempt]:
    """Attempts that decode images whole."""
    return [(source.path, partial(source.read, channels)) for source in sources]


def headers(sources: Iterable[Readable]) -> list[Attempt]:
    """Attempts that read the header of each file: quick, and blind to files that were cut short."""
    paths = dict.fromkeys(source.path for source in sources if isinstance(source, Source))
    return [(path, partial(dimensions, path)) for path in paths]


def noting_more(attempts: Iterable[Attempt], files: Collection[Path], several: set[Path]) -> list[Attempt]:
    """The same attempts, each of which then adds its path to `several` where it is one of the `files`, and holds more
    frames or pages than the first."""

    def tried(path: Path, attempt: Callable[[], object]) -> None:
        attempt()
        if path in files and holds_more(path):
            several.add(path)

    return [(path, partial(tried, path, attempt)) for path, attempt in attempts]


def failures(attempts: Sequence[Attempt], threads: int, done: Callable[[], None]) -> dict[Path, str]:
    """The reasons of those that fail, by path, in order; `done` is called after each. At least one thread."""
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="scan")
    found: dict[Path, str] = {}
    try:
        for (path, _), reason in zip(attempts, pool.map(_reason, attempts), strict=True):
            if reason:
                found.setdefault(path, reason)
            done()
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _reason(attempt: Attempt) -> str:
    try:
        attempt[1]()
    except ImageError as error:
        return str(error)
    return ""
