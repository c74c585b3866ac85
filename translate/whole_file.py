"""Files that are seen whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
"""Some network file systems keep locks to one machine, so that nobody can tell whether others still write."""
_PREFIX = f".translate-{_MACHINE}-"
_OURS = re.compile(re.escape(_PREFIX) + r"[0-9a-f]{16}(\.\w+)?")


@contextmanager
def appearing(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """An empty file beside `path`, which becomes `path` at the end and is removed where anything goes wrong.

    Its name is hidden, so that no scan takes it for a file of the folder, and ends in `suffix`, for libraries that tell
    a format by it. Raises OSError.
    """
    working = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{suffix}")
    file = open(working, "xb")  # noqa: SIM115 (closed at the end, with its lock)
    try:
        _lock(file)
        yield working
        os.replace(working, path)
    finally:
        working.unlink(missing_ok=True)
        file.close()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Within, `path`, an empty file that stays, is this process's alone, until it ends in whatever way.

    Raises BlockingIOError where it is another's, OSError where it cannot be made. Windows and some file systems have no
    such locks: there it is everybody's.
    """
    with path.open("ab") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        yield


def write_whole(path: Path, text: str) -> None:
    """Writes `text` in UTF-8. Raises OSError."""
    with appearing(path) as working:
        working.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """By which a file is known again as the one that was written. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clear_leftovers(folder: Path) -> None:
    """Removes what killed processes on this machine left in `folder` under the names that `appearing` gives.

    What a running one writes is locked, and stays; so does what another machine left.
    """
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(folder) as entries:  # not there yet, or not to be listed
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                _clear(Path(entry.path))


def _lock(file: IO[bytes]) -> None:
    """Until it is closed, or the process ends in whatever way."""
    if sys.platform == "win32":  # has no such locks, and does not rename what is open
        file.close()
        return
    with suppress(OSError):  # a file system without locks, where `_clear` gets none either
        fcntl.flock(file, fcntl.LOCK_EX)


def _clear(path: Path) -> None:
    with suppress(OSError):  # gone meanwhile, another user's, or locked
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # An empty one may be about to be locked: nothing is written before.
            if os.fstat(file).st_size:
                path.unlink()
        finally:
            os.close(file)
