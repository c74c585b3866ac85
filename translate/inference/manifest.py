"""The manifest of a conversion: a line of JSON for each image, added to a file as soon as it is known."""

import json
import os
from collections.abc import Container
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError
from translate.inference.records import Record
from translate.utils.outputs import admit, beginning, ending
from translate.utils.printing import shown
from translate.utils.stored import json_text

_LINE = 1 << 16
"""The most bytes of a line that is looked at to know a manifest: two names of the greatest length, escaped, fit."""

_EARLIER = "by an earlier conversion, of which there was no row"


class Manifest:
    """Adds rows to a file. What cannot be written does not end the conversion: it is tried again with the next row,
    and `close` says what is left."""

    def __init__(self, path: Path, all_ours: bool = False) -> None:
        """Opens the file, or makes it. `all_ours`: whether every image in the output folder is of this translation;
        then one without a row, as a process was killed or a disk was full, gets its row as written once it is
        skipped. Raises ConfigurationError if it is not a manifest, OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_other(path)
        self._recorded = _outputs(path) if all_ours and path.exists() else None
        self._path, self._waiting, self._reason = path, bytearray(), ""
        self._file = path.open("ab", buffering=0)
        # Of a killed process's last row a part may be there.
        if ending(path, 1) not in (b"", b"\n"):
            self._waiting += b"\n"

    def add(self, record: Record, more: dict[str, Any]) -> None:
        """Adds a row, at once, so that it is there if the process is killed. It is ASCII: names may hold any bytes."""
        if record.status == "skipped" and self._recorded is not None and _known_as(record.output) not in self._recorded:
            record = replace(record, status="written", note=_EARLIER)
        self._waiting += (json_text(record.to_json() | more) + "\n").encode("ascii")
        self._write()

    def close(self) -> list[str]:
        """Closes the file; returns why rows are missing from it, if any are."""
        self._write()
        try:
            self._file.close()
        except OSError as error:  # some file systems report it only now
            self._reason = error.strerror or str(error)
        if not (self._waiting or self._reason):
            return []
        rows = self._waiting.count(b"\n")
        return [f"--manifest {shown(self._path)}: {rows} rows could not be written: {self._reason}"]

    def _write(self) -> None:
        """Writes what waits, in one piece where that is possible, since other processes may add rows, too."""
        self._reason = ""
        try:
            while self._waiting and (count := self._file.write(self._waiting)):
                del self._waiting[:count]
        except OSError as error:
            self._reason = error.strerror or str(error)


def _outputs(path: Path) -> set[int]:
    """The outputs, as `_known_as`, that rows say are there. Raises OSError."""
    found = set()
    with path.open("rb") as file:
        while line := file.readline(_LINE):
            with suppress(ValueError, RecursionError):  # torn, when a process was killed or a disk full
                row = json.loads(line)
                if isinstance(row, dict) and row.get("status") in ("written", "skipped"):
                    found.add(_known_as(str(row.get("output"))))
    return found


def _known_as(output: str | Path) -> int:
    """A number, as there may be millions of outputs."""
    return hash(os.path.abspath(output))


def refuse_other(path: Path, inputs: Container[Path] = ()) -> None:
    """Raises ConfigurationError unless `path` is a manifest or an empty file, or is not there yet."""
    admit(path, "--manifest", ours=_is_manifest, inputs=inputs)
    if path.exists() and not os.access(path, os.W_OK):
        raise ConfigurationError(f"--manifest {shown(path)}: cannot be written; name another file")


def _is_manifest(path: Path) -> bool:
    line = beginning(path, _LINE).partition(b"\n")[0]
    try:
        row = json.loads(line) if line else None
    except (ValueError, RecursionError):
        return False
    known = isinstance(row, dict) and {"source", "output", "status"} <= row.keys()
    return known or not os.path.getsize(path)
