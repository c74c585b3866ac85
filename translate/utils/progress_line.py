"""A job's state as one line: in full for a log file, fitted into the width of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported where used: a machine without a terminal may lack rich
    from rich.text import Text

_BAR, _WIDEST_BAR = 10, 40
_WORDS = 20  # cells of the label, while what is measured has need of the rest


@dataclass(frozen=True)
class State:
    """A snapshot of a job; unknown values are empty strings, an unknown total is None. `measured`: such as losses, each
    with its name."""

    label: str
    done: float
    total: float | None
    unit: str
    rate: str
    left: str
    measured: Sequence[str]

    @property
    def count(self) -> str:
        return f"{self.done:.0f}{'' if self.total is None else f'/{self.total:.0f}'} {self.unit}"

    @property
    def percent(self) -> int | None:
        """From 0 to 100; None where there is no total."""
        return int(min(100, 100 * self.done / self.total)) if self.total else None

    def line(self, *more: str) -> str:
        percent = "" if self.percent is None else f"{self.percent} %"
        parts = [f"{self.label}: {self.count}", percent, self.rate, self.left, *more, "  ".join(self.measured)]
        return ", ".join(part for part in parts if part)


class _Room:
    """The cells of a line, given away part by part; between two parts there is one cell."""

    def __init__(self, cells: int) -> None:
        self.free = cells
        self.given: dict[str, int] = {}

    def give(self, name: str, wanted: int, whole: bool = False) -> None:
        """Gives as many of the `wanted` cells as are free, more than before or the same; all or none if `whole`."""
        before = self.given.pop(name, 0)
        self.free += before + (before > 0)
        cells = min(wanted, self.free)
        cells = before if cells < wanted and whole else max(before, cells, 0)
        self.free -= cells + (cells > 0)
        self.given[name] = cells


def fitted(state: State, width: int, ascii_only: bool = False) -> Text:
    """The line for a terminal of `width` columns, from 50 on always with percent, time left, speed and a bar.

    What else there is has to fit beside them: the count whole, then the label, cut short, and what is measured, as much
    as fits whole.
    """
    from rich.cells import cell_len
    from rich.text import Text

    parts = _parts(state)
    cells = {name: cell_len(part) for name, part in parts.items()}
    room = _Room(width - 1)  # some terminals break a line that ends in their last column
    for name in ("percent", "left", "rate"):
        room.give(name, cells[name], whole=True)
    room.give("bar", _BAR)
    room.give("count", cells["count"], whole=True)
    room.give("label", min(_WORDS, cells["label"]))
    parts["measured"] = _as_fit(state.measured, room.free, "..." if ascii_only else "…")
    room.give("measured", cell_len(parts["measured"]))
    room.give("label", cells["label"])
    room.give("bar", _WIDEST_BAR)
    line = Text(no_wrap=True, end="")
    for name, style in _STYLES.items():
        if given := room.given[name]:
            part = _bar(state, given, ascii_only) if name == "bar" else Text(parts[name], style=style)
            part.truncate(given, overflow="ellipsis")
            line.append(" " if line else "").append_text(part)
    return line


# In the order in which they stand.
_STYLES = {
    "label": "",
    "bar": "",
    "percent": "magenta",
    "count": "",
    "rate": "cyan",
    "left": "magenta",
    "measured": "dim",
}


def _parts(state: State) -> dict[str, str]:
    percent = 100 if state.done == state.total else state.percent
    return {
        "label": _one_line(state.label),
        "percent": "  ?%" if percent is None else f"{percent:3}%",
        "count": state.count,
        "rate": state.rate or f"- {state.unit}/s",
        "left": state.left or ("" if state.done == state.total else "-:-- left"),
    }


def _as_fit(measured: Sequence[str], cells: int, more: str) -> str:
    """The first ones that fit whole, and `more` where there are others; empty if none fits."""
    from rich.cells import cell_len

    for count in range(len(measured), 0, -1):
        text = _one_line("  ".join(measured[:count])) + f" {more}" * (count < len(measured))
        if cell_len(text) <= cells:
            return text
    return ""


def _one_line(text: str) -> str:
    """Names of domains come from folders, and may hold anything."""
    return "".join(character if character.isprintable() else " " for character in text)


def _bar(state: State, cells: int, ascii_only: bool) -> Text:
    from rich.text import Text

    full = cells if state.done == state.total else cells * (state.percent or 0) // 100
    sign = "-" if ascii_only else "━"
    rest = " " if ascii_only else sign  # where signs are few, so may colours be
    return Text(sign * full, style="green" if full == cells else "magenta") + Text(
        rest * (cells - full), style="bar.back"
    )
