"""The one gate for paths that a user names for writing: what is there and not ours is neither replaced nor added to.

Paths are compared by device and inode, so that other names, links and mounts of a file are known for what they are.
"""

import os
import stat
from collections.abc import Callable, Container, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from translate.errors import ConfigurationError
from translate.utils.printing import shown

Ours = Callable[[Path], bool]
"""Says by its content whether this package wrote a file, so that it may be replaced."""


class Inputs:
    """The files (or folders) that a command reads, by whatever name. They are looked at when that is first needed."""

    def __init__(self, paths: Callable[[], Iterable[str | Path]]) -> None:
        self._paths = paths

    def __contains__(self, path: Any) -> bool:
        there = _identity(path)
        if there is None:
            return False
        place = int(np.searchsorted(self._known, there))
        return place < len(self._known) and int(self._known[place]) == there

    @cached_property
    def _known(self) -> np.ndarray:
        """Sorted; a million files take 8 MB."""
        found = (_identity(path) for path in self._paths())
        return np.sort(np.fromiter((one for one in found if one is not None), np.int64))


def admit(
    path: Path,
    option: str = "",
    *,
    ours: Ours | None = None,
    overwrite: bool = False,
    inputs: Container[Path] = (),
    inside: Path | None = None,
    way_out: str = "name another file",
) -> None:
    """Raises ConfigurationError unless a file may be written as `path`, which `option` names. Writes nothing.

    Refused are folders, devices, pipes and sockets, the `inputs`, places in a run's folder (other than directly in
    `inside`), and files that are there already, unless they are `ours` or may be overwritten; without `ours`, no file
    is. `way_out` says what the user can do.
    """
    named = f"{option} {shown(path)}".strip()
    refuse_in_run(path, option, inside)
    if path.is_dir():
        raise ConfigurationError(f"{named}: is a folder; expected the name of a file")
    reason = why_never(path, inputs)
    if reason:
        raise ConfigurationError(f"{named}: {reason}; {way_out}")
    if os.path.lexists(path) and not overwrite and not (ours and path.is_file() and ours(path)):
        foreign = "exists and is not one that this command wrote" if ours else "exists already"
        raise ConfigurationError(f"{named}: {foreign}; {way_out}")


def why_never(path: Path, inputs: Container[Path] = ()) -> str:
    """Why no file may be put in the place of `path`, --overwrite or not; empty if one may."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # not there, or a name that cannot be: writing will say
        return ""
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return "is a device, a pipe or a socket, not a file"
    return "is one of the inputs, perhaps by another name" if path in inputs else ""


def refuse_in_run(path: Path, option: str = "", inside: Path | None = None) -> None:
    """Raises ConfigurationError if `path`, a file or folder to write, lies in a run or checkpoint.

    `inside`: the run whose own folder (none below it) is the file's place.
    """
    real = Path(os.path.realpath(path))
    if inside is not None and real.parent == Path(os.path.realpath(inside)):
        return
    around = next((folder for folder in (real, *real.parents) if is_run(folder)), None)
    if around is not None:
        named = f"{option} {shown(path)}".strip()
        raise ConfigurationError(f"{named}: lies in the run {shown(around)}; choose a place outside")


def is_run(folder: Path) -> bool:
    """Whether `folder` is a run that `translate train` wrote or is writing, or one of its checkpoints."""

    def has(name: str) -> bool:
        return os.path.isfile(folder / name)

    begun = has("recipe.yaml") and (has(".lock") or has("metrics.jsonl"))
    return begun or has("checkpoint.json") or beginning(folder / "checkpoints" / "latest", 5) == b"step-"


def beginning(path: Path, count: int, last: bool = False) -> bytes:
    """The first bytes of a regular file, or its `last`; nothing if there is none, or it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - count) if last else 0)
            return file.read(count)
    except OSError:
        return b""


def ending(path: Path, count: int) -> bytes:
    """The last bytes of a regular file; nothing if there is none, or it cannot be read."""
    return beginning(path, count, last=True)


def _identity(path: str | Path) -> int | None:
    """One number for device and inode; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return hash((status.st_dev, status.st_ino))
