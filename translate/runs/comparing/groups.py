"""Runs that differ in their seed or fold alone, as one column: mean, standard deviation and number of each measure."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any

from translate.evaluation.table import Score
from translate.runs.comparing.rows import Row, Scores, in_rows
from translate.runs.comparing.run_files import RunFiles

REPEATED = ("training.seed", "data.fold")
"""Settings in which runs of a group differ."""


@dataclass(frozen=True)
class Column:
    """A run, or a group of several, by a name that no other column has."""

    name: str
    runs: tuple[RunFiles, ...]

    @property
    def ended(self) -> list[RunFiles]:
        """The runs that count: of a group, those that came to their end."""
        return [run for run in self.runs if len(self.runs) == 1 or run.state().ended]


@dataclass(frozen=True)
class Mean(Score):
    """The mean of `runs` scores, and their standard deviation (of a sample: n - 1); None of a single one."""

    sd: float | None = None
    runs: int = 1


@dataclass(frozen=True)
class MeanRow(Row):
    """A row whose values are means where a column is a group."""

    sd: list[float | None]
    runs: list[int]
    """How many runs each value is the mean of; 0 where there is none."""


def columns_of(files: Sequence[RunFiles]) -> list[Column]:
    """The runs, those that differ in seed or fold alone together; in the order of the first of each."""
    alike: dict[str, list[RunFiles]] = {}
    for run in files:
        alike.setdefault(
            repr(sorted((key, run.settings[key]) for key in run.settings if key not in REPEATED)), []
        ).append(run)
    found: list[Column] = []
    for runs in alike.values():
        repeats = {tuple(run.settings.get(key) for key in REPEATED) for run in runs}
        together = [runs] if len(repeats) == len(runs) else [[run] for run in runs]  # the same twice is no repetition
        found += [Column(_name([run.name for run in some]), tuple(some)) for some in together]
    names = [column.name for column in found]
    unlike = [replace(one, name=f"{one.runs[0].name} ...") if names.count(one.name) > 1 else one for one in found]
    return sorted(unlike, key=lambda column: files.index(column.runs[0]))


def mean_rows(columns: Sequence[Column], scores: Callable[[RunFiles], Sequence[Score]]) -> list[tuple[MeanRow, Scores]]:
    """The scores of every column, those of one name and protocol in a row."""
    rows = in_rows([_means(column, scores) for column in columns])
    return [
        (
            MeanRow(**vars(row), sd=[getattr(one, "sd", None) for one in found], runs=[_runs(one) for one in found]),
            found,
        )
        for row, found in rows
    ]


def _runs(score: Score | None) -> int:
    return 0 if score is None else getattr(score, "runs", 1)


def _means(column: Column, scores: Callable[[RunFiles], Sequence[Score]]) -> Sequence[Score]:
    each: Sequence[Sequence[Score]] = [scores(run) for run in column.ended]
    if len(column.runs) == 1:
        return each[0]
    if any(run.settings.get("data.fold") for run in column.runs):
        each = _of_any_fold(each)
    return [_mean([one for one in found if one]) for _, found in in_rows(each)]


def _mean(found: Sequence[Score]) -> Mean:
    values = [one.value for one in found if one.value is not None]
    names = dict.fromkeys(name for one in found for name in one.floor)
    floors = {name: _average(one.floor.get(name) for one in found) for name in names}
    facts = {**asdict(found[0]), "floor": floors, "low": None, "high": None, "warning": ""}
    mean = _average(values)
    sd = (
        math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
        if mean is not None and len(values) > 1
        else None
    )
    return Mean(**{**facts, "value": mean}, sd=sd, runs=len(values))


def _average(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _of_any_fold(scores: Sequence[Sequence[Score]]) -> list[list[Score]]:
    """The scores with what is the same in all folds of their protocols: other images are measured in each."""
    protocols: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in (score for found in scores for score in found):
        protocols.setdefault((one.table, one.name), []).append(one.protocol)

    def of_all(one: Score) -> Score:
        alike = protocols[one.table, one.name]
        kept = {key: value for key, value in one.protocol.items() if all(other.get(key) == value for other in alike)}
        return replace(one, protocol=kept, images=None, reals=None)

    return [[of_all(one) for one in found] for found in scores]


def _name(names: Sequence[str]) -> str:
    """What the names of a group have in common: `runs/mine` of runs/mine-seed0 and runs/mine-seed1."""
    if len(names) == 1:
        return names[0]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    common = re.sub(r"[-_.]?((seed|fold)\d*)?$", "", "".join(letters[0] for letters in same))
    return common if os.path.basename(common) else f"{names[0]} ..."
