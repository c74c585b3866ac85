"""Compares runs, using only what their folders hold: nothing is trained, converted or measured."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError, command, folded
from translate.runs.comparing.groups import Column, MeanRow, columns_of, mean_rows
from translate.runs.comparing.rows import Row, in_rows, warnings
from translate.runs.comparing.run_files import EVALUATION, RunFiles, State, read_run
from translate.utils.outputs import beginning


@dataclass(frozen=True)
class Means:
    """Runs of which some differ in seed or fold alone: `columns` are their groups, and single runs, by name."""

    columns: dict[str, list[str]]
    validation: list[MeanRow]
    evaluation: list[MeanRow]


@dataclass(frozen=True)
class Comparison:
    """Runs by name, in the order given. `settings`: keys that differ, with the value in each run that has it."""

    states: dict[str, State]
    settings: dict[str, dict[str, Any]]
    validation: list[Row]
    evaluation: list[Row]
    warnings: list[str]
    missing: list[str]
    """What a run lacks, and the command that produces it."""
    means: Means | None = None
    """None where no runs are a group."""

    def as_json(self) -> dict[str, Any]:
        """The comparison as dicts, lists and plain values; without `means` where there are none."""
        values = asdict(self)
        return values if self.means else {key: value for key, value in values.items() if key != "means"}


def compare(runs: Iterable[str | Path]) -> Comparison:
    """Compares the runs in these folders; their methods may differ, and they need not have ended.

    Raises ConfigurationError for a folder that holds no run or is given twice, TranslateError for a damaged file.
    """
    folders = [Path(run) for run in runs]
    if twice := [folder for number, folder in enumerate(folders) if folder in folders[:number]]:
        raise ConfigurationError(f"{twice[0]}: is given twice")
    files = [read_run(folder) for folder in folders]
    states = {run.name: run.state() for run in files}
    validation, evaluation = in_rows([run.validated() for run in files]), in_rows([run.evaluated for run in files])
    names, columns = list(states), columns_of(files)
    if len(columns) < len(files):
        return _grouped(files, columns, states, [row for row, _ in validation], [row for row, _ in evaluation])
    found = [line for rows in (validation, evaluation) for line in warnings(rows, names)]
    return Comparison(
        states,
        _different(files),
        [row for row, _ in validation],
        [row for row, _ in evaluation],
        [*found, *(line for name, state in states.items() for line in _outdated(name, state))],
        [line for run in files for line in _missing(run, states[run.name])],
    )


def _grouped(
    files: Sequence[RunFiles],
    columns: Sequence[Column],
    states: dict[str, State],
    validation: list[Row],
    evaluation: list[Row],
) -> Comparison:
    """The comparison of columns; only they are held against one another, for the runs of a group differ by chance."""
    rows = [mean_rows(columns, RunFiles.validated), mean_rows(columns, lambda run: run.evaluated)]
    own = [f"{run.name}: {one.warning}" for run in files for one in run.evaluated if one.warning]
    found = [line for part in rows for line in warnings(part, [column.name for column in columns])]

    def missing(run: RunFiles) -> list[str]:
        behind = all(run not in column.ended for column in columns)
        outside = [f"{run.name}: has not come to its end, and is left out of the mean of its group"] * behind
        return [*outside, *_missing(run, states[run.name])]

    outdated = _of_groups(columns, lambda run: _outdated(run.name, states[run.name]))
    return Comparison(
        states,
        _different(files),
        validation,
        evaluation,
        [*dict.fromkeys([*own, *found, *outdated])],
        _of_groups(columns, missing),
        Means(
            {column.name: [run.name for run in column.runs] for column in columns},
            *([row for row, _ in part] for part in rows),
        ),
    )


def _of_groups(columns: Sequence[Column], lines: Callable[[RunFiles], list[str]]) -> list[str]:
    """What there is to say of the runs of each column; the same of several once, with all their names."""
    found = []
    for column in columns:
        said: dict[str, list[str]] = {}
        for run in column.runs:
            for line in lines(run):
                said.setdefault(line.replace(run.name, "{}"), []).append(run.name)
        for line, (first, *others) in said.items():
            found.append(line.replace("{}", first) + (f"; likewise {folded(others)}" if others else ""))
    return found


def is_comparison(path: Path) -> bool:
    """Whether the file holds a comparison as JSON, so that it may be replaced."""
    return re.match(rb'\{\s*"states":', beginning(path, 256)) is not None


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


def _outdated(name: str, state: State) -> list[str]:
    if state.scored is None or state.scored.endswith(f"after step {state.checkpoint}"):
        return []
    return [f"{name}: {EVALUATION} scores {state.scored}, the newest checkpoint is of step {state.checkpoint}"]


def _missing(run: RunFiles, state: State) -> list[str]:
    go_on = command("train", Path(run.name) / "recipe.yaml", "--out", run.name, "--resume")
    lines = []
    if state.checkpoint is None:
        return [f"{run.name}: no checkpoint yet; {go_on} goes on"]
    if state.validated is not None and not run.summary:
        lines.append(f"{run.name}: no baselines of the validation until the run ends; {go_on} goes on")
    if not run.evaluated:
        lines.append(f"{run.name}: no scores; {command('evaluate', run.name)} makes them")
    return lines
