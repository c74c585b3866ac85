"""Files in messages: many of them, or many with one fault, in one line."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from translate.errors import LEAST, folded
from translate.utils.printing import shown

NAMED = 20
"""Most kinds of faults that are named before a training."""


def few(paths: Sequence[Path], twins: Mapping[Path, Path] | None = None) -> str:
    """Formats the number of paths, the first ones, and the folder that they have in common; after each path the one
    that `twins` holds for it."""
    twins = twins or {}
    every = [*paths, *twins.values()]
    home = _home(every) if len(every) > 1 else None

    def name(path: Path) -> str:
        twin = f" ({name(twins[path])})" if path in twins else ""
        return shown(path.relative_to(home) if home else path) + twin

    return f"{len(paths):,}: {folded([name(path) for path in paths])}" + (f" in {shown(home)}" if home else "")


def counted(number: int, noun: str) -> str:
    """The number with its noun: 1 patient, 2,000 patients."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def by_fault(faults: Mapping[Path, str], most: int | None = None) -> list[str]:
    """Returns `PATH: fault` for each file, or one line `fault: N: ...` where more than `LEAST` have the same fault; of
    more lines than `most`, that many, and how many others there are."""
    files: dict[str, list[Path]] = {}
    for path, message in faults.items():
        files.setdefault(message.removeprefix(f"{shown(path)}: "), []).append(path)
    lines = []
    for fault, paths in files.items():
        each = [f"{shown(path)}: {fault}" for path in paths]
        lines += each if len(paths) <= LEAST else [f"{fault}: {few(paths)}"]
    if most is None or len(lines) <= most:
        return lines
    return [*lines[:most], f"and {len(lines) - most} other faults"]


def _home(paths: Sequence[Path]) -> Path | None:
    """Returns the folder that holds all paths, or None if that is nothing worth saying."""
    if len({path.is_absolute() for path in paths}) != 1:
        return None
    home = Path(os.path.commonpath([path.parent for path in paths]))
    return None if home in (Path(), Path(home.anchor)) else home
