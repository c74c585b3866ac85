"""Files that appear whole or not at all, even if the process writing them is killed."""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems without locks answer."""
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
"""Some network file systems keep locks local to a machine, so nobody can tell whether other machines still write."""
_PREFIX = f".translate-{_MACHINE}-"
_OURS = re.compile(re.escape(_PREFIX) + r"[0-9a-f]{16}(\.\w+)?")
_ANYONES = re.compile(r"\.translate-[0-9a-f]{8}-[0-9a-f]{16}(\.\w+)?")


@contextmanager
def atomic_file(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Context yielding an empty file next to `path`, which is renamed to `path` on success and removed on any error.

    Its name is hidden, so that no scan mistakes it for one of the folder's files, and ends in `suffix`, for libraries
    that infer the format from it. Raises OSError.
    """
    working = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{suffix}")
    file = _new_file(working)
    try:
        yield working
        os.replace(working, path)
    finally:
        working.unlink(missing_ok=True)
        file.close()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_file`, for a new folder, which replaces whatever is at `path` by then. Raises OSError."""
    with hidden_folder(path) as working:
        yield working
        remove_folder(path)
        os.replace(working, path)


@contextmanager
def hidden_folder(beside: Path) -> Iterator[Path]:
    """Context yielding a new folder next to `beside`, which is removed at the end, if it still has its name."""
    working = beside.with_name(f"{_PREFIX}{secrets.token_hex(8)}.tmp")
    descriptor = _new_folder(working)
    try:
        yield working
    finally:
        shutil.rmtree(working, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def remove_folder(path: Path) -> None:
    """Removes a folder, if it exists, at once: killed half-way, nothing is left under its name. Raises OSError."""
    if path.is_dir():
        condemned = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}.tmp")
        os.replace(path, condemned)
        shutil.rmtree(condemned)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Context in which this process holds the lock on `path`, an empty file that stays.

    The lock ends with the process in any case. Raises BlockingIOError if another process holds it, OSError if it cannot
    be made. Windows and some file systems have no such locks; there, nothing is locked.
    """
    with path.open("ab") as file:
        if not lock(file):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        yield


def lock(file: IO[bytes], shared: bool = False) -> bool:
    """Locks `file`, open for reading and writing, until it is closed, for this process or `shared` with others.

    A lock that it has is exchanged. Returns False if another process's lock is in the way. Windows and some file
    systems have no such locks; there, every process gets one. Raises OSError.
    """
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def unlock(file: IO[bytes]) -> None:
    """Gives the lock of `lock` up, with the file still open."""
    if sys.platform != "win32":
        with suppress(OSError):  # no locks on this file system
            fcntl.flock(file, fcntl.LOCK_UN)


def is_at(file: IO[bytes] | int, path: Path) -> bool:
    """Whether the open `file`, or its descriptor, is still at `path`: another process may have removed it."""
    try:
        return os.path.samestat(os.fstat(file if isinstance(file, int) else file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def write_atomic(path: Path, text: str) -> None:
    """Writes `text` in UTF-8, whole or not at all, and clears what killed processes left beside. Raises OSError."""
    clear_leftovers(path.parent)
    with atomic_file(path) as working:
        working.write_text(text, encoding="utf-8")


def atomic_copy(source: Path, path: Path) -> None:
    """Copies the content of a file, whole or not at all. Raises OSError."""
    with atomic_file(path) as working:
        shutil.copyfile(source, working)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_leftover(name: str) -> bool:
    """Whether a file or folder is named as `atomic_file` names what is not whole yet."""
    return _ANYONES.fullmatch(name) is not None


def clear_leftovers(folder: Path, alone: bool = False) -> None:
    """Removes what killed processes of this machine left in `folder`, named as `atomic_file` names files and folders.

    What a running process is writing is locked and stays, as do leftovers of other machines; unless this process is
    `alone`, the only one on any machine that may write there.
    """
    if sys.platform == "win32" and not alone:
        return
    names = _ANYONES if alone else _OURS
    with suppress(OSError), os.scandir(folder) as entries:  # missing, or not readable
        for entry in entries:
            if names.fullmatch(entry.name) and not entry.is_symlink():
                _remove(Path(entry.path)) if alone else _clear(Path(entry.path))


def _new_file(path: Path) -> IO[bytes]:
    """Opens a new file, locked until it is closed or the process ends, however it ends."""
    while True:
        file = open(path, "xb")  # noqa: SIM115 (closed by who asked, with its lock)
        if sys.platform == "win32":  # Windows has no such locks, and cannot rename an open file
            file.close()
            return file
        if _lock(file.fileno(), path):
            return file
        file.close()


def _new_folder(path: Path) -> int | None:
    """Makes a folder, locked like a new file; it may be renamed meanwhile. Returns its descriptor."""
    while True:
        path.mkdir(parents=True)
        if sys.platform == "win32":  # Windows cannot open folders
            return None
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            if _lock(descriptor, path):
                return descriptor
            os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Locks what is open there; False if it was taken for a leftover before, and is gone from `path`."""
    with suppress(OSError):  # no locks on this file system, so `_clear` gets none either
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return is_at(descriptor, path)


def _clear(path: Path) -> None:
    with suppress(OSError):  # gone by now, another user's, or locked
        descriptor = os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
