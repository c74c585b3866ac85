"""What happened to each file of a conversion, and to all of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

Status = Literal["written", "skipped", "failed"]


@dataclass(frozen=True)
class Record:
    """The outcome for one file: written, skipped because its output exists, or failed, with the reason in `error`.

    `size`: width and height, if the file was read. `seconds`: time spent on decoding, its share of the batch, and
    encoding. `note`: a remark on a written file. `lacking`: what of the source could not be read, and is missing there.
    `beside`: the further images of the sample, by layer; None of those that are not there. `measures`: what was
    measured on the way, by name.
    """

    source: Path
    output: Path
    status: Status
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    lacking: str = ""
    beside: Mapping[str, Path | None] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as a row of the manifest."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "status": self.status,
            "size": self.size,
            "seconds": round(self.seconds, 4),
            "error": self.error,
            "note": self.lacking or self.note,
            **self.measures,
            **({"with": {layer: path and str(path) for layer, path in self.beside.items()}} if self.beside else {}),
        }


@dataclass
class Outcome:
    """Counts of written, skipped and failed files, and the records of files that failed or have a note.

    `missing`: what else was asked for and is not there, each with its reason: pictures in the sheets, the gallery or
    the cycle errors, rows of the manifest, frames of a video. `others`: images in the output folder that this
    conversion did not write, where it was to convert all again.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Record] = field(default_factory=list)
    noted: list[Record] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def take(self, other: Self) -> None:
        """Adds what another conversion came to."""
        self.counts += other.counts
        for held, more in zip(self._lists, other._lists, strict=True):
            held.extend(more)

    @property
    def _lists(self) -> tuple[list[Any], ...]:
        return self.failed, self.noted, self.missing, self.others

    def add(self, record: Record) -> None:
        self.counts[record.status] += 1
        if record.status == "failed":
            self.failed.append(record)
        elif record.note:
            self.noted.append(record)
        if record.lacking:
            self.missing.append(record.lacking)
