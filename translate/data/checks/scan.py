"""Tries every image once, so that all unreadable ones are known before the first step."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from translate.data.io.images import dimensions, holds_more
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.errors import ImageError

Found = TypeVar("Found")
Given = TypeVar("Given")


class Look(NamedTuple):
    """What was seen of an image: the brightest shade that is possible, and its own without alpha, and whether it is of
    one colour all over."""

    full: int
    white: int
    flat: bool


AnySource = TypeVar("AnySource", bound=Readable)
Attempt = tuple[Path, Callable[[], object]]
"""An image's path, and a function that raises ImageError if it cannot be used."""


def decoding(sources: Iterable[Readable], channels: int) -> list[Attempt]:
    """Returns attempts that fully decode the images."""
    return [(source.path, partial(source.read, channels)) for source in sources]


def headers(sources: Iterable[Readable]) -> list[Attempt]:
    """Returns attempts that read each file's header: fast, but they miss truncated files."""
    paths = dict.fromkeys(source.path for source in sources if isinstance(source, Source))
    return [(path, partial(dimensions, path)) for path in paths]


def noting(
    attempts: Iterable[Attempt], looks: dict[int, Look], files: Collection[Path], several: set[Path]
) -> list[Attempt]:
    """Wraps attempts so that each also adds its path to `several` if it is in `files` and has more than one frame or
    page; and, if it returns pixels, what is seen of them to `looks` under its place among the attempts."""

    def tried(place: int, path: Path, attempt: Callable[[], object]) -> None:
        pixels = attempt()
        if isinstance(pixels, np.ndarray):
            colours = pixels[..., :3] if pixels.shape[2] == 4 else pixels
            flat = bool((colours[0] == colours[0, 0]).all() and (colours == colours[0, 0]).all())
            looks[place] = Look(int(np.iinfo(pixels.dtype).max), int(colours.max()), flat)
        if path in files and holds_more(path):
            several.add(path)

    return [(path, partial(tried, place, path, attempt)) for place, (path, attempt) in enumerate(attempts)]


def failures(attempts: Sequence[Attempt], threads: int, done: Callable[[], None]) -> dict[Path, str]:
    """Runs the attempts, in one thread at least; returns errors by path, in order. Calls `done` after each."""
    found: dict[Path, str] = {}
    for (path, _), reason in zip(attempts, _in_threads(_reason, attempts, threads, done), strict=True):
        if reason:
            found.setdefault(path, reason)
    return found


def _reason(attempt: Attempt) -> str:
    try:
        attempt[1]()
    except ImageError as error:
        return str(error)
    return ""


def of_each(
    function: Callable[[Given], Found], sources: Iterable[Given], done: Callable[[], None] = lambda: None
) -> list[Found]:
    """What the function finds of those that can be read, in order. Calls `done` after each."""

    def unless_unreadable(source: Given) -> list[Found]:
        try:
            return [function(source)]
        except ImageError:
            return []

    threads = min(8, os.cpu_count() or 1)
    return [found for some in _in_threads(unless_unreadable, sources, threads, done) for found in some]


def _in_threads(
    function: Callable[[Given], Found], given: Iterable[Given], threads: int, done: Callable[[], None]
) -> Iterator[Found]:
    """What the function returns for each, in order; what has not begun is dropped where the caller stops."""
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="scan")
    try:
        for found in pool.map(function, given):
            done()
            yield found
    finally:
        pool.shutdown(cancel_futures=True)
