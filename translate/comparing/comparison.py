"""Several runs as plain data: nothing is trained, converted or measured for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from translate.comparing.run_files import EVALUATION, RunFiles, State, read_run
from translate.errors import ConfigurationError
from translate.evaluation.table import Better, Score


@dataclass(frozen=True)
class Row:
    """One measure of all runs that were measured in the same way; in the order of the runs, None for the others.

    `floor` and `ceiling` are what needs no model and what real images reach, by name. `protocol` is the way: numbers
    of other rows do not compare with these.
    """

    table: str
    name: str
    unit: str
    better: Better
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    floor: dict[str, float]
    ceiling: dict[str, float]
    protocol: dict[str, Any]

    @property
    def best(self) -> float | None:
        """The best value, where at least two runs have one and it is known which way is better."""
        values = [value for value in self.values if value is not None and not math.isnan(value)]
        if len(values) < 2 or self.better == "neither":
            return None
        return max(values) if self.better == "higher" else min(values)


@dataclass(frozen=True)
class Comparison:
    """Runs by name, in order. `settings` holds the keys that differ, each with the value of every run that has it."""

    states: dict[str, State]
    settings: dict[str, dict[str, Any]]
    validation: list[Row]
    evaluation: list[Row]
    warnings: list[str]
    missing: list[str]
    """What a run has not got, and the command that makes it."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return asdict(self)


def compare(runs: Iterable[str | Path]) -> Comparison:
    """Compares the runs in these folders, whatever their methods and however far they came, from the files in them.

    Raises ConfigurationError for a folder that is no run's or is given twice, TranslateError for a damaged file.
    """
    folders = [Path(run) for run in runs]
    if twice := [folder for number, folder in enumerate(folders) if folder in folders[:number]]:
        raise ConfigurationError(f"{twice[0]}: is given twice")
    files = [read_run(folder) for folder in folders]
    states = {run.name: run.state() for run in files}
    validation, evaluation = _rows([run.validated() for run in files]), _rows([run.evaluated for run in files])
    names = list(states)
    told = [line for rows in (validation, evaluation) for line in _differently(rows, names)]
    return Comparison(
        states,
        _different(files),
        [row for row, _ in validation],
        [row for row, _ in evaluation],
        [*told, *(line for name, state in states.items() for line in _outdated(name, state))],
        [line for run in files for line in _missing(run, states[run.name])],
    )


def _different(runs: Sequence[RunFiles]) -> dict[str, dict[str, Any]]:
    """In the order of the recipes, section by section."""
    given = list(dict.fromkeys(key for run in runs for key in run.settings))
    sections = list(dict.fromkeys(map(_section, given)))
    keys = sorted(given, key=lambda key: sections.index(_section(key)))
    values = {key: {run.name: run.settings[key] for run in runs if key in run.settings} for key in keys}
    return {
        key: found
        for key, found in values.items()
        if len(found) < len(runs) or any(value != next(iter(found.values())) for value in found.values())
    }


def _section(key: str) -> str:
    return key.rpartition(".")[0]


_Scores = list[Score | None]


def _rows(scores: Sequence[Sequence[Score]]) -> list[tuple[Row, _Scores]]:
    """The scores of every run, those of one name and protocol in a row."""
    groups: list[_Scores] = []
    for number, of_run in enumerate(scores):
        for score in of_run:
            if score.value is None and score.note:  # it could not be measured
                continue
            group = next((group for group in groups if _alike(group, score) and group[number] is None), None)
            if group is None:
                group = [None] * len(scores)
                groups.append(group)
            group[number] = score
    tables = list(dict.fromkeys(one.table for group in groups for one in group if one))
    names = list(dict.fromkeys(one.name for group in groups for one in group if one))
    rows = [(_row(group), group) for group in groups]
    return sorted(rows, key=lambda row: (tables.index(row[0].table), names.index(row[0].name)))


def _row(group: _Scores) -> Row:
    there = [score for score in group if score]
    first = there[0]
    return Row(
        first.table,
        first.name,
        first.unit,
        first.better,
        values=[score.value if score else None for score in group],
        low=[score.low if score else None for score in group],
        high=[score.high if score else None for score in group],
        floor={name: value for score in reversed(there) for name, value in score.floor.items()},
        ceiling={name: value for score in reversed(there) for name, value in score.ceiling.items()},
        protocol={key: value for score in reversed(there) for key, value in _protocol(score).items()},
    )


def _protocol(score: Score) -> dict[str, Any]:
    """How it was measured, without of which model."""
    counts = {"images": score.images, "real images": score.reals}
    return {
        key: value for key, value in (dict(score.protocol) | counts).items() if key != "model" and value is not None
    }


def _alike(group: _Scores, score: Score) -> bool:
    """Whether nothing that is known of how they were measured tells them apart."""
    return all(
        (one.table, one.name, one.unit, one.better) == (score.table, score.name, score.unit, score.better)
        and _agree(_protocol(one), _protocol(score))
        for one in group
        if one
    )


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in one.keys() & other.keys())


def _differently(rows: Sequence[tuple[Row, _Scores]], names: Sequence[str]) -> list[str]:
    """Warnings: rows of one measure apart because of their protocols, and baselines that should be equal in a row."""
    told: dict[str, None] = {}
    for row, scores in rows:
        others = [other for other, _ in rows if other is not row and (other.table, other.name) == (row.table, row.name)]
        for key in row.protocol:
            ways = {_short(other.protocol[key]) for other in (row, *others) if key in other.protocol}
            if len(ways) > 1:
                told[f"{row.table}: measured differently, so not in one row: {key} is {' or '.join(sorted(ways))}"] = (
                    None
                )
        for name in row.floor:
            known = {
                run: score.floor[name]
                for run, score in zip(names, scores, strict=True)
                if score and name in score.floor
            }
            if not _equal([value for value in known.values() if value is not None]):
                who = ", ".join(f"{value:.4g} in {run}" for run, value in known.items() if value is not None)
                told[f"{row.table}, {row.name}: measured of other images: {name} reaches {who}"] = None
    return list(told)


def _equal(values: Sequence[float]) -> bool:
    """But for rounding on another machine."""
    return all(math.isclose(value, values[0], rel_tol=0.01, abs_tol=1e-6) for value in values)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _outdated(name: str, state: State) -> list[str]:
    if state.scored is None or state.scored.endswith(f"after step {state.checkpoint}"):
        return []
    return [f"{name}: {EVALUATION} is of {state.scored}, the newest checkpoint of step {state.checkpoint}"]


def _missing(run: RunFiles, state: State) -> list[str]:
    go_on = f"`translate train {Path(run.name) / 'recipe.yaml'} --out {run.name} --resume`"
    lines = []
    if state.checkpoint is None:
        return [f"{run.name}: no checkpoint yet; {go_on} trains it"]
    if state.validated is not None and not run.summary:
        lines.append(f"{run.name}: no baselines of the validation, as the run has not ended; {go_on} ends it")
    if not run.evaluated:
        lines.append(f"{run.name}: no scores; `translate evaluate {run.name}` makes them")
    return lines
