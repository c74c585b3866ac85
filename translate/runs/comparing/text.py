"""A comparison as text: aligned tables with a column for each run."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from translate.evaluation.table import beside, numbers_of, titled
from translate.reporting.page import duration
from translate.runs.comparing.comparison import Comparison
from translate.runs.comparing.groups import REPEATED, MeanRow
from translate.runs.comparing.rows import Row
from translate.runs.comparing.run_files import State
from translate.utils.wrapping import wrapped

_MARKED = "* best of its row; ~ its 95 % interval overlaps that of the best"
_MEANS = "mean ± standard deviation (number of runs) of runs that differ in seed or fold alone"
_NOTHING = "-"


def as_text(comparison: Comparison, width: int | None = None) -> str:
    """Tables, then warnings, then what is missing; columns beyond `width` (None: no limit) are continued below."""
    columns = columns_of(comparison)
    blocks = [_settings(comparison, columns, width), _states(states_of(comparison), width)]
    for table in tables(comparison):
        blocks.append([table.title, *beside(["", *table.names], table.columns, width)])
    blocks.append([wrapped(note, width) for note in notes_of(comparison)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def notes_of(comparison: Comparison) -> list[str]:
    """What stands below the tables: what marks mean, warnings, and what is missing."""
    notes = [_MARKED] if any(row.best is not None for row in rows_of(comparison)) else []
    notes += [_MEANS] if comparison.means else []
    return [*notes, *(f"warning: {line}" for line in comparison.warnings), *comparison.missing]


def columns_of(comparison: Comparison) -> dict[str, list[str]]:
    """The runs of every column, by its name."""
    return comparison.means.columns if comparison.means else {run: [run] for run in comparison.states}


def rows_of(comparison: Comparison) -> Sequence[Row]:
    """The rows that are shown: of means, where there are groups."""
    shown = comparison.means or comparison
    return [*shown.validation, *shown.evaluation]


@dataclass(frozen=True)
class Table:
    """Rows of one measure: their names, and columns of text, each with its title."""

    title: str
    names: list[str]
    columns: list[list[str]]


def tables(comparison: Comparison) -> Iterator[Table]:
    """The tables of scores, in order."""
    runs = list(columns_of(comparison))
    for _, found in groupby(rows_of(comparison), key=lambda row: (row.table, row.unit, row.better)):
        yield _table(list(found), runs)


def settings_of(comparison: Comparison) -> dict[str, dict[str, str]]:
    """The settings in which columns differ, as text by key and column."""
    firsts = {name: runs[0] for name, runs in columns_of(comparison).items()}
    shown = {}
    for key, values in comparison.settings.items():
        found = {name: _plain(values[run]) if run in values else _NOTHING for name, run in firsts.items()}
        if len(set(found.values())) > 1 and not (comparison.means and key in REPEATED):
            shown[key] = found
    return shown


def states_of(comparison: Comparison) -> dict[str, dict[str, str]]:
    """How far each column came, as text by its name and that of the fact; of a group what is said of its runs."""
    found = {}
    for name, runs in columns_of(comparison).items():
        each = [_state(comparison.states[run]) for run in runs]
        said = {key: ", ".join(dict.fromkeys(state[key] for state in each)) for key in each[0]}
        found[name] = {"runs": _count(len(runs)), **said} if comparison.means else said
    return found


def _settings(comparison: Comparison, columns: Collection[str], width: int | None) -> list[str]:
    if len(columns) == 1:
        return []
    settings = settings_of(comparison)
    if not settings:
        return ["settings: all are equal"]
    texts = [[name, *(found[name] for found in settings.values())] for name in columns]
    return ["settings that differ", *beside(["", *settings], texts, width)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _states(rows: dict[str, dict[str, str]], width: int | None) -> list[str]:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells = [[run, *(row.get(name, _NOTHING) for name in names)] for run, row in rows.items()]
    return ["training", *beside(["", *names], cells, width)]


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
        **({"schedule changed": state.rescheduled} if state.rescheduled else {}),
    }


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _table(rows: Sequence[Row], runs: Sequence[str]) -> Table:
    columns = [[run, *(_marked(row, place) for row in rows)] for place, run in enumerate(runs)]
    first = rows[0]
    text = numbers_of(first.key)
    for kind, found in (("floor", [row.floor for row in rows]), ("ceiling", [row.ceiling for row in rows])):
        names = dict.fromkeys(name for row in found for name in row)
        columns += [[f"{kind}: {name}", *(f"{text(row.get(name))} " for row in found)] for name in names]
    return Table(titled(first.table, first.unit, first.better), [row.name for row in rows], columns)


def _marked(row: Row, place: int) -> str:
    """A number and its mark, or a space, so that numbers stay aligned; of a mean also how far runs are from it."""
    value, best, text = row.values[place], row.best, _number(row, place)
    if value is None or best is None:
        return f"{text} "
    if value == best:
        return f"{text}*"
    lower, higher = (place, row.values.index(best)) if row.better == "lower" else (row.values.index(best), place)
    low, high = row.low[lower], row.high[higher]
    return f"{text}{'~' if low is not None and high is not None and low <= high else ' '}"


def _number(row: Row, place: int) -> str:
    text = numbers_of(row.key)
    if not isinstance(row, MeanRow) or row.runs[place] == 0:
        return text(row.values[place])
    deviation = "" if row.sd[place] is None else f" ± {text(row.sd[place])}"
    return f"{text(row.values[place])}{deviation} ({row.runs[place]})"
