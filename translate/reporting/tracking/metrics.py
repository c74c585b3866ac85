"""metrics.jsonl: the record of a run, one JSON object per row, which survives if the process is killed.

    {"step": 100, "time": 1795218471.622, "generator/adversarial": 0.69, "generator/l1": "NaN"}

`time` is in seconds since 1970. JSON cannot represent non-finite numbers; they are written as one of the strings "NaN",
"Infinity" and "-Infinity", and read back as floats.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from translate.errors import TranslateError
from translate.reporting.keys import current_key
from translate.utils.atomic_files import atomic_file
from translate.utils.stored import UnreadableError, lines_of, parse_json

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_OURS = ("step", "time")


class MetricsLog:
    """Appends rows to the file at `path`, creating it if missing and first dropping a row torn by a crash.

    Every row is one unbuffered write: it survives a crash of the process, and after `fsync` one of the machine.
    Raises TranslateError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _drop_torn_row(path)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one row. Raises ValueError if a value is named "step" or "time"."""
        if taken := [name for name in _OURS if name in values]:
            raise ValueError(f'a metric cannot be called "{taken[0]}": every row has that key already')
        numbers = {name: _writable(float(value)) for name, value in values.items()}
        row = {"step": step, "time": round(time.time(), 3), **numbers}
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        if written != len(line):
            raise _unwritable(self._path, OSError("the disk is full"))

    def fsync(self) -> None:
        """Waits until the rows are on the disk; called when a checkpoint is written."""
        os.fsync(self._file.fileno())

    def keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Atomically drops all rows but the `wanted` ones, so that a resumed run logs as if it had never stopped."""
        lines = list(_rows(self._path))
        kept = [line for line, row in lines if wanted(row)]
        if len(kept) == len(lines):
            return
        try:
            with atomic_file(self._path) as working:
                with working.open("wb") as file:
                    file.writelines(kept)
                    file.flush()
                    os.fsync(file.fileno())
                self._file.close()
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        self._file.close()


class NoMetrics:
    """Writes nothing; for the processes of a distributed run that do not write."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def fsync(self) -> None: ...

    def keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None: ...

    def close(self) -> None: ...


_LARGEST = 1 << 63
"""Whole numbers beyond are none that anybody counts up to, and become no float."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of the file at `path`, in order: `step` is an int, every other value a float. Keys are those
    of today, whatever version wrote the row.

    A last row without a line end was torn by a crash and is left out. Raises FileNotFoundError, and TranslateError if
    any other row is not a JSON object with an integer `step`.
    """
    return [{name: _number(value) for name, value in row.items()} for _, row in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields every complete line and its parsed row, with the keys of today."""
    if not path.exists():
        raise FileNotFoundError(path)
    for number, line in lines_of(path):
        if not line.endswith(b"\n"):
            return
        try:
            row: dict[str, Any] = parse_json(line, dict[str, int | float | str], str(path))
        except UnreadableError:
            row = {}
        countless = any(isinstance(value, int) and abs(value) > _LARGEST for value in row.values())
        if countless or not isinstance(row.get("step"), int):
            raise TranslateError(f"{path}, line {number}: not a metrics row; remove this line by hand")
        yield line, {current_key(key): value for key, value in row.items()}


def _drop_torn_row(path: Path) -> None:
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


def _writable(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _number(value: Any) -> Any:
    return float(value) if value in _NOT_FINITE else value


def _unwritable(path: Path, error: OSError) -> TranslateError:
    reason = error.strerror or str(error)
    return TranslateError(f"{path}: cannot be written ({reason}); free some space or the folder, then resume the run")
