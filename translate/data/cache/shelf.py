"""Files that many processes share: each appears whole, their sum is counted, and the least recently used make room."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from translate.utils.atomic_files import atomic_file, clear_leftovers, lock

SUFFIX = ".pixels"
RESERVE = 0.05
"""Share of the disk to leave free."""
_SLACK = 1 / 16
"""Share of the limit that is made free at once, so that files are rarely counted again."""
_BLOCK = 4096
"""What file systems give out: a file of one byte takes as much."""
_PATIENCE = 10.0
"""Seconds to wait for a process that counts or makes room; one that is suspended meanwhile must not hold up others."""


class Held(NamedTuple):
    """A file on the shelf."""

    used: int
    """When it was last used, in nanoseconds, by the clock of the file system."""
    size: int
    path: str


class Shelf:
    """The files `root`/FOLDER/NAME.pixels, at most `limit` bytes together, whichever processes write them.

    What has been used since this shelf was opened is never removed for it, so processes that share one do not take
    turns in removing what the other needs. Raises OSError.
    """

    def __init__(self, root: Path, limit: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root, self._limit = root, limit
        self._count = root / "bytes"
        self._opened = _touched(self._count)
        self._lock = threading.Lock()

    def add(self, path: Path, parts: Sequence[memoryview | bytes]) -> bool:
        """Writes the file `path` of the shelf, unless it is there; returns False if there is no room for it.

        Raises OSError, BlockingIOError among them if another process does not let go of the shelf.
        """
        size = _on_disk(sum(memoryview(part).nbytes for part in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._in_turn() as count:
            if path.exists():
                return True
            held = _number(count)
            if held is None or size > self._room(held):
                held = self._made_room(size)
            fits = size <= self._room(held)
            # Counted before it is written: killed in between, too much is counted, until there is no room and all files
            # are counted again. Never truncated, because some file systems then wait for the disk.
            count.seek(0)
            count.write(b"%020d" % (held + size * fits))
            if fits:
                with atomic_file(path) as working, open(working, "wb") as file:
                    file.writelines(parts)
        return fits

    def _room(self, held: int) -> int:
        disk = shutil.disk_usage(self._root)
        return min(self._limit - held, disk.free - int(RESERVE * disk.total))

    def _made_room(self, wanted: int) -> int:
        """Removes files unused since the shelf was opened, if need be; counts the others and returns their bytes."""
        files = sorted(self._files())
        held = sum(file.size for file in files)
        surplus = wanted - self._room(held)
        if surplus > 0:
            surplus += int(_SLACK * self._limit)
        for file in files:
            if surplus <= 0 or file.used >= self._opened:
                break
            with suppress(OSError):  # removed by hand; or open, on Windows
                os.unlink(file.path)
                held, surplus = held - file.size, surplus - file.size
        return held

    def _files(self) -> Iterator[Held]:
        for folder in filter(Path.is_dir, self._root.iterdir()):
            clear_leftovers(folder)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIX):
                        with suppress(FileNotFoundError):  # found damaged, by another process
                            status = entry.stat(follow_symlinks=False)
                            yield Held(status.st_mtime_ns, _on_disk(status.st_size), entry.path)

    @contextmanager
    def _in_turn(self) -> Iterator[FileIO]:
        """Context that one thread of one process is in at a time. Yields the file with the count."""
        with self._lock, open(self._count, "r+b", buffering=0, opener=_made) as file:
            latest = time.monotonic() + _PATIENCE
            while not lock(file):
                if time.monotonic() > latest:
                    raise BlockingIOError(errno.EWOULDBLOCK, "another process holds it and does not go on")
                time.sleep(0.002)
            yield file


def _touched(path: Path) -> int:
    """Returns the time, in nanoseconds, by the file system's clock if `path` may be touched; a reader has his own."""
    try:
        path.touch()
        return path.stat().st_mtime_ns
    except OSError:
        return time.time_ns()


def _made(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


def _number(count: FileIO) -> int | None:
    """Returns the number in a file, or None: a new one, or one that the machine's end cut short."""
    text = count.read(20) or b""
    return int(text) if len(text) == 20 and text.isdigit() else None


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
