"""Scores of several runs in rows: one measure, measured in one way, per row."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translate.evaluation.metrics import Better
from translate.evaluation.table import Score

_FORMER_WORDS = {
    "what judges it in float32": "measures in float32",
    ": l1 where black is 0 and white 1, psnr in dB, ssim as Wang et al. 2004 have it;": ";",
}
FOLDS = "cross-validation"
"""Of a protocol: among which folds. Scores of folds share no row with those of test images."""
Scores = list[Score | None]
"""One for each run, in their order."""


@dataclass(frozen=True)
class Row:
    """One measure of the runs that were measured in the same way (`protocol`): a value, or None, for each, in order.

    `floor` is what is reached without a model, `ceiling` what real images reach, by name.
    """

    table: str
    name: str
    unit: str
    better: Better
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    floor: dict[str, float | None]
    ceiling: dict[str, float | None]
    protocol: dict[str, Any]
    key: str
    """Of the measure."""

    @property
    def best(self) -> float | None:
        """The best value; None with fewer than two values, or if neither direction is better."""
        values = [value for value in self.values if value is not None and not math.isnan(value)]
        if len(values) < 2 or self.better == "neither":
            return None
        return max(values) if self.better == "higher" else min(values)


def in_rows(scores: Sequence[Sequence[Score]]) -> list[tuple[Row, Scores]]:
    """The scores of every run, those of one name and protocol in a row."""
    groups: list[Scores] = []
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


def _row(group: Scores) -> Row:
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
        key=first.key,
    )


def _protocol(score: Score) -> dict[str, Any]:
    """How it was measured, apart from which model was."""
    counts = {"images": score.images, "real images": score.reals}
    return {
        key: value for key, value in (dict(score.protocol) | counts).items() if key != "model" and value is not None
    }


def _alike(group: Scores, score: Score) -> bool:
    """Whether the score is of the group's measure, and no known part of their protocols differs."""
    return all(
        one.protocol.get(FOLDS) == score.protocol.get(FOLDS)
        and (one.key or one.table, one.name, one.unit, one.better)
        == (score.key or score.table, score.name, score.unit, score.better)
        and _agree(_protocol(one), _protocol(score))
        for one in group
        if one
    )


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(_in_todays_words(one[key]) == _in_todays_words(other[key]) for key in one.keys() & other.keys())


def _in_todays_words(value: object) -> object:
    """Protocols are compared as they would be written now, so that an earlier version's share rows with today's."""
    for then, now in _FORMER_WORDS.items():
        value = value.replace(then, now) if isinstance(value, str) else value
    return value


def warnings(rows: Sequence[tuple[Row, Scores]], names: Sequence[str]) -> list[str]:
    """Those of the scores; a measure in several rows because protocols differ; baselines that differ within a row."""
    both = [pair for _, scores in rows for pair in zip(names, scores, strict=True)]
    found = [f"{run}: {score.warning}" for run, score in both if score and score.warning]
    found += [line for row, _ in rows for line in _protocols(row, [other for other, _ in rows])]
    found += [line for row, scores in rows for line in _baselines(row, scores, names)]
    return list(dict.fromkeys(found))


def _protocols(row: Row, rows: Sequence[Row]) -> Iterator[str]:
    alike = [other for other in rows if (other.table, other.name) == (row.table, row.name)]
    for key in row.protocol:
        ways = sorted({_short(other.protocol[key]) for other in alike if key in other.protocol})
        if len(ways) > 1:
            yield f"{row.table}: measured in different ways, so in different rows: {key} is {' or '.join(ways)}"


def _baselines(row: Row, scores: Scores, names: Sequence[str]) -> Iterator[str]:
    for name in row.floor:
        floors = [(run, score.floor.get(name)) for run, score in zip(names, scores, strict=True) if score]
        known = {run: value for run, value in floors if value is not None}
        if not _equal(list(known.values())):
            who = ", ".join(f"{value:.4g} in {run}" for run, value in known.items())
            yield f"{row.table}, {row.name}: measured on different images: {name} is {who}"


def _equal(values: Sequence[float]) -> bool:
    """Up to rounding, which differs between machines."""
    return all(math.isclose(value, values[0], rel_tol=0.01, abs_tol=1e-6) for value in values)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
