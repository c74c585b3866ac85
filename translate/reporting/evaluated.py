"""What `translate evaluate` measured of a run, as the page of the run shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from translate.reporting.page import cell, unreached
from translate.utils.stored import read_json

FILE = "evaluation-latest.json"


class ScoreFacts(TypedDict):
    """See `evaluation.table.Score`."""

    table: str
    name: str
    value: float | None
    unit: NotRequired[str]
    better: NotRequired[str]
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    floor: NotRequired[dict[str, float | None]]
    ceiling: NotRequired[dict[str, float | None]]
    protocol: NotRequired[dict[str, str | int | float]]
    note: NotRequired[str]
    warning: NotRequired[str]


@dataclass
class Table:
    """Scores of one measure and protocol; every row has a cell for each of `columns`."""

    title: str
    columns: list[str]
    protocol: list[str]
    rows: list[tuple[str, list[str], list[str]]] = field(default_factory=list)
    """Names, cells, and the floors that the model does not reach, which need no model."""
    notes: list[str] = field(default_factory=list)


def evaluated(run: Path) -> list[Table]:
    """The tables of the run's scores; none where it was not evaluated. Raises UnreadableError."""
    if not (run / FILE).exists():
        return []
    scores: list[ScoreFacts] = read_json(run / FILE, list[ScoreFacts])
    tables: dict[str, Table] = {}
    for score in scores:
        beside = _beside(score)
        of = repr((score["table"], score.get("unit"), list(beside), sorted(score.get("protocol", {}).items())))
        columns = ["model", "95 % interval", *beside]
        protocol = [f"{key}: {value}" for key, value in score.get("protocol", {}).items()]
        table = tables.setdefault(of, Table(_title(score), columns, protocol))
        cells = [cell(score["value"]), _interval(score), *map(cell, beside.values())]
        worse = unreached(score["value"], score.get("better"), score.get("floor", {}))
        table.rows.append((score["name"], cells, worse))
        said = (score.get("warning"), f"{score['name']}: {score['note']}" if score.get("note") else None)
        table.notes += [text for text in said if text and text not in table.notes]
    return list(tables.values())


def _beside(score: ScoreFacts) -> Mapping[str, Any]:
    floors = {f"floor: {name}": value for name, value in score.get("floor", {}).items()}
    return floors | {f"ceiling: {name}": value for name, value in score.get("ceiling", {}).items()}


def _title(score: ScoreFacts) -> str:
    unit, better = score.get("unit"), score.get("better", "neither")
    return f"{score['table']}{f', {unit}' if unit else ''}{f' ({better} is better)' if better != 'neither' else ''}"


def _interval(score: ScoreFacts) -> str:
    low, high = score.get("low"), score.get("high")
    return "" if low is None or high is None else f"{cell(low)} to {cell(high)}"
