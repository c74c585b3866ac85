"""A comparison as text: aligned tables with a column for each run."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from translate.evaluation.table import aligned, numbers_of, titled
from translate.reporting.page import duration
from translate.runs.comparing.comparison import Comparison
from translate.runs.comparing.rows import Row
from translate.runs.comparing.run_files import State

_MARKED = "* best of its row; ~ its 95 % interval overlaps that of the best"
_NOTHING = "-"


def as_text(comparison: Comparison, width: int | None = None) -> str:
    """Tables, then warnings, then what is missing; columns beyond `width` (None: no limit) are continued below."""
    runs = list(comparison.states)
    blocks = [_settings(comparison, runs, width), _states(comparison.states, width)]
    rows = [*comparison.validation, *comparison.evaluation]
    for _, table in groupby(rows, key=lambda row: (row.table, row.unit, row.better)):
        blocks.append(_table(list(table), runs, width))
    notes = [_MARKED] if any(row.best is not None for row in rows) else []
    notes += [f"warning: {line}" for line in comparison.warnings] + comparison.missing
    return "\n\n".join("\n".join(block) for block in [*blocks, notes] if block)


def _settings(comparison: Comparison, runs: Sequence[str], width: int | None) -> list[str]:
    if len(runs) == 1:
        return []
    if not comparison.settings:
        return ["settings: all are equal"]
    keys = ["", *comparison.settings]
    columns = [
        [run, *(_plain(found[run]) if run in found else _NOTHING for found in comparison.settings.values())]
        for run in runs
    ]
    return ["settings that differ", *_folded(keys, columns, width)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _states(states: dict[str, State], width: int | None) -> list[str]:
    rows = {run: _state(state) for run, state in states.items()}
    names = ["", *next(iter(rows.values()), {})]
    return ["training", *_folded(names, [[run, *row.values()] for run, row in rows.items()], width)]


def _state(state: State) -> dict[str, str]:
    of = "" if state.wanted is None else f" of {state.wanted:,}"
    early = state.ended and state.wanted is not None and (state.checkpoint or 0) < state.wanted
    hours = _NOTHING if state.hours is None else duration(3600 * state.hours)
    return {
        "steps": _count(state.steps) + of + ", stopped early" * early,
        "images seen": _count(state.images),
        "first to last row of metrics.jsonl": hours,
        "newest checkpoint": _count(state.checkpoint),
        "validated after step": _count(state.validated),
        "best step": state.best or _NOTHING,
        "scored": state.scored or _NOTHING,
    }


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _table(rows: Sequence[Row], runs: Sequence[str], width: int | None) -> list[str]:
    columns = [[run, *(_marked(row, place) for row in rows)] for place, run in enumerate(runs)]
    first = rows[0]
    text = numbers_of(first.key)
    for kind, found in (("floor", [row.floor for row in rows]), ("ceiling", [row.ceiling for row in rows])):
        names = dict.fromkeys(name for row in found for name in row)
        columns += [[f"{kind}: {name}", *(f"{text(row.get(name))} " for row in found)] for name in names]
    return [titled(first.table, first.unit, first.better), *_folded(["", *(row.name for row in rows)], columns, width)]


def _marked(row: Row, place: int) -> str:
    """A number and its mark, or a space, so that numbers stay aligned."""
    value, best, text = row.values[place], row.best, numbers_of(row.key)
    if value is None or best is None:
        return f"{text(value)} "
    if value == best:
        return f"{text(value)}*"
    lower, higher = (place, row.values.index(best)) if row.better == "lower" else (row.values.index(best), place)
    low, high = row.low[lower], row.high[higher]
    return f"{text(value)}{'~' if low is not None and high is not None and low <= high else ' '}"


def _folded(names: list[str], columns: Sequence[list[str]], width: int | None) -> Iterator[str]:
    """As many columns as fit beside the names; below them, the names again and the next columns."""
    part: list[list[str]] = []
    for column in columns:
        wide = sum(2 + max(map(len, each)) for each in (names, *part, column))
        if part and width is not None and wide > width:
            yield from _indented([names, *part])
            part = []
        part.append(column)
    yield from _indented([names, *part])


def _indented(columns: list[list[str]]) -> list[str]:
    return [f"  {line}".rstrip() for line in aligned(columns)]
