"""Which pictures the outputs in a folder were made of, so that they are never taken for those of others."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from translate.errors import ConfigurationError, ImageError
from translate.inference.jobs import Job
from translate.utils.printing import shown

FILE = ".translate.sources"
"""Lies in a folder of outputs, a line for each: digests of its name, and of its source's look and content."""
OTHER = "its output was made of another picture: give another output folder, or --overwrite to convert all again"
_LINE = re.compile(rb"^([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{32})$", re.MULTILINE)
_CHUNK = 1 << 20


class Made(NamedTuple):
    """What an output was made of. `look`: of place on the disk, size and time, which say without reading that a file is
    still the same; `content`: of its bytes, by which a copy is known."""

    look: str
    content: str


class Sources:
    """Knows, and notes, what the outputs in `folder` were made of. Outputs without a line, as of earlier versions, may
    be of anything. Several processes may note at once: each line is appended in one piece, and a torn one is nobody's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path, self._reason = folder, folder / FILE, ""
        self._known: dict[bytes, bytes] = {}
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Raises ConfigurationError if the file is there and cannot be read, or cannot be written."""
        try:
            with suppress(FileNotFoundError):
                lines = _LINE.finditer(self._path.read_bytes())
                self._known = {line[1]: line[2] + line[3] for line in lines}  # the last one counts
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise ConfigurationError(
                f"{shown(self._path)}: cannot be read and written ({error.strerror}); remove it, or give another folder"
            ) from error
        return self

    def __exit__(self, *_: TracebackType | type[BaseException] | BaseException | None) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def are_others(self, job: Job) -> bool:
        """Whether the job's output is known to be made of another picture than its source is now. Reads the source only
        where it looks different."""
        held = self._known.get(self._key(job).encode())
        if held is None:
            return False
        known = Made(held[:16].decode(), held[16:].decode())
        try:
            if look(job) == known.look:
                return False
            now = made_of(job)
        except (OSError, ImageError):  # to be said where it is converted
            return False
        if now.content == known.content:
            self.note(job, now)  # moved or copied: not to be read again the next time
        return now.content != known.content

    @contextmanager
    def noting(self, job: Job, made: Made) -> Iterator[None]:
        """Context in which the job's output is written. Its line comes first where there is none yet, so that whatever
        stops this leaves no output without a line; and last where one is replaced, whose own line holds until then."""
        if new := not os.path.lexists(job.output):
            self.note(job, made)
        yield
        if not new:
            self.note(job, made)

    def note(self, job: Job, made: Made) -> None:
        """Adds the line of an output. Never fails; `missing` says what is lacking."""
        assert self._file is not None
        try:
            # The line end comes first, so that what a full disk cut short spoils no other line.
            os.write(self._file, f"\n{self._key(job)} {made.look} {made.content}\n".encode())
        except OSError as error:
            self._reason = error.strerror or str(error)

    def missing(self) -> list[str]:
        """Why lines are missing, if any are."""
        return [f"{shown(self._path)}: cannot be written: {self._reason}"] if self._reason else []

    def _key(self, job: Job) -> str:
        name = os.fsencode(os.path.relpath(job.output, self._folder))
        return blake2b(name, digest_size=8).hexdigest()


def look(job: Job) -> str:
    """See `Made`. Raises OSError, and ImageError for what is no regular file, which might never end."""
    seen = [os.stat(path) for path in _files(job)]
    for path, status in zip(_files(job), seen, strict=True):
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{shown(path)}: not a regular file")
    parts = [(status.st_ino, status.st_size, status.st_mtime_ns) for status in seen]
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def made_of(job: Job) -> Made:
    """What the output of a job is made of now: its source, and the further images of the sample. Raises as `look`."""
    digest, before = blake2b(digest_size=16), look(job)
    for path in _files(job):
        with path.open("rb", buffering=0) as file:
            digest.update(f"{os.fstat(file.fileno()).st_size}:".encode())
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return Made(before, digest.hexdigest())


def _files(job: Job) -> Sequence[Path]:
    return [job.source, *filter(None, (job.beside[layer] for layer in sorted(job.beside)))]
