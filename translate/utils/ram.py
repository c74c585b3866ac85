"""How much main memory a process may take: what the machine has free, and what its control groups leave it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_UNKNOWN = 4 << 30
"""Bytes assumed free if the system does not say."""


class _Names(NamedTuple):
    """What a version of Linux control groups calls its files, and the lines of memory.stat."""

    limits: tuple[str, ...]
    usage: str
    prefix: str
    mapped: str


_VERSIONS = {
    "cgroup": _Names(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_", "total_mapped_file"),
    "cgroup2": _Names(("memory.max", "memory.high"), "memory.current", "", "file_mapped"),
}


def available_ram(root: Path = Path("/")) -> int:
    """Bytes of main memory that this process may take: what Linux says is available, or what a control group leaves.

    On other systems half of the total, and a fixed guess on Windows. `root`: where proc and sys are found.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return _half_of_all()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    free = kilobytes.get("MemAvailable", kilobytes["MemFree"])  # old kernels and sandboxes do not say
    return min([free * 1024, *(left for names, group in _groups(root) for left in _left(group, names))])


def _groups(root: Path) -> Iterator[tuple[_Names, Path]]:
    """Yields the folders of this process's control groups that may limit memory, the outermost of each tree last."""
    try:
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    own = {name: path for _, names, path in (line.split(":", 2) for line in memberships) for name in names.split(",")}
    for line in mounts:
        where, _, what = line.partition(" - ")
        (top, place), (kind, _, options) = where.split()[3:5], what.split(maxsplit=2)
        path = own.get("" if kind == "cgroup2" else "memory")
        if path is None or not (kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(","))):
            continue
        mounted = root / _unescaped(place).lstrip("/")
        below = _below(path, _unescaped(top))
        for depth in range(len(below.parts), -1, -1):
            yield _VERSIONS[kind], mounted.joinpath(*below.parts[:depth])


def _below(path: str, top: str) -> PurePosixPath:
    """Where a group lies below the one that is mounted; nowhere, if the mounted one does not contain it."""
    if not PurePosixPath(path).is_relative_to(top) or ".." in PurePosixPath(path).parts:
        return PurePosixPath()
    return PurePosixPath(path).relative_to(top)


def _left(group: Path, names: _Names) -> Iterator[int]:
    """Yields what each limit of a group leaves; file cache that nobody has mapped can be taken back."""
    with suppress(OSError, ValueError):  # the outermost group has no such files
        used = int((group / names.usage).read_text())
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        files = sum(int(facts.get(f"{names.prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
        used -= max(0, files - int(facts.get(names.mapped, 0)))
        limits = [facts.get("hierarchical_memory_limit", "max")]  # of version 1: also of groups that cannot be seen
        limits += [(group / name).read_text().strip() for name in names.limits if (group / name).exists()]
        yield from (max(0, int(limit) - used) for limit in limits if limit != "max")


def _unescaped(text: str) -> str:
    """A path in mountinfo, where spaces are written as octal numbers."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1"))


def _half_of_all() -> int:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # Windows
        return _UNKNOWN
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
