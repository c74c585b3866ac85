"""metrics.jsonl: the record of a run that a killed process cannot lose, one JSON object a row.

    {"step": 100, "time": 1795218471.622, "generator/adversarial": 0.69, "generator/l1": "NaN"}

`time` is in seconds since 1970. JSON has no word for a number that is not finite; such a value is written as
one of the strings "NaN", "Infinity" and "-Infinity", and read back as a float.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from translate.errors import TranslateError
from translate.whole_file import appearing

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_OURS = ("step", "time")


class MetricsLog:
    """Appends rows to the file at `path`, made where it is missing; a row torn by a crash is dropped first.

    Every row is one unbuffered write: it outlives the process, and after `fsync` the machine.
    Raises TranslateError where the file cannot be written.
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
        """Write one row. Raises ValueError where a value is called "step" or "time"."""
        if taken := [name for name in _OURS if name in values]:
            raise ValueError(f'a metric cannot be called "{taken[0]}": every row has its own')
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
        """Wait until the rows are on the disk: called when a checkpoint is written."""
        os.fsync(self._file.fileno())

    def keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Drop all other rows, all or none: a resumed run logs as if it never stopped."""
        lines = list(_rows(self._path))
        kept = [line for line, row in lines if wanted(row)]
        if len(kept) == len(lines):
            return
        try:
            with appearing(self._path) as working:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NoMetrics:
    """Writes nothing: for processes that train beside the one that writes."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def fsync(self) -> None: ...

    def keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of the file at `path`, in order: `step` an int, every other value a float.

    A last row without its end of line was torn by a crash and is left out. Raises FileNotFoundError, and
    TranslateError where another row is no JSON object with a step.
    """
    return [{name: _number(value) for name, value in row.items()} for _, row in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Every whole line, with what it says."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                raise TranslateError(f"{path}, line {number}: not a metrics row; remove this line by hand")
            yield line, row


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
