"""The runs of a sweep, and what they came to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError, nearest
from translate.evaluation.table import aligned, number
from translate.recipe import Recipe
from translate.reporting.tracking import read_metrics
from translate.runs.many import Planned
from translate.runs.sweep_file import Metric, Point, overrides
from translate.training.checkpoint import folder_name, pointed
from translate.training.checkpoint_json import Facts, read_facts


def planned_points(points: Sequence[Point], out: Path, recipe_of: Callable[[list[str]], Recipe]) -> list[Planned]:
    """A run for each point, in OUT/1, OUT/2, ... `recipe_of` reads the recipe with a point's KEY=VALUE.

    Raises ConfigurationError for a point that is no recipe, before anything is trained.
    """
    return [Planned(out / str(place), recipe_of(overrides(point))) for place, point in enumerate(points, 1)]


def ranked(points: Sequence[Point], runs: Sequence[Path | None], metric: Metric | None) -> list[str]:
    """A table of the runs that are done, by their point: the best by the metric first. Raises ConfigurationError if no
    run knows the metric."""
    rows = [(run, point, _measured(run)) for run, point in zip(runs, points, strict=True) if run is not None]
    if metric is not None:
        known = dict.fromkeys(key for _, _, found in rows for key in found)
        if rows and metric.name not in known:
            raise ConfigurationError(f"metric: no run has '{metric.name}'{nearest(metric.name, known)}")
        sign = -1 if metric.goal == "maximize" else 1
        rows.sort(key=lambda row: _last_if_absent(row[2].get(metric.name), sign))
    varied = [key for key in points[0] if len({repr(point[key]) for point in points}) > 1]
    columns = [["", *(str(run) for run, _, _ in rows)]]
    columns += [[key, *(_text(point[key]) for _, point, _ in rows)] for key in varied]
    if metric is not None:
        columns.append([metric.name, *(number(found.get(metric.name)) for _, _, found in rows)])
    columns.append(["step", *(number(found.get("step")) for _, _, found in rows)])
    return aligned(columns)


def _last_if_absent(value: float | None, sign: int) -> tuple[bool, float]:
    """Orders values with the best first; what is absent or no number comes last."""
    return (True, 0.0) if value is None or value != value else (False, sign * value)


def _measured(run: Path) -> dict[str, float]:
    """The last value of every metric of a run, and of its best step: `best/step`, `best/l1`."""
    found: dict[str, float] = {}
    for row in read_metrics(run / "metrics.jsonl"):
        found |= {key: value for key, value in row.items() if key != "time"}
    facts: Any = read_facts(
        run / "checkpoints" / folder_name(pointed(run / "checkpoints", "latest") or 0) / "checkpoint.json", Facts
    )
    best = {"step": facts.get("best"), **(facts.get("best_measured") or {})}
    return found | {f"best/{key}": value for key, value in best.items() if value is not None}


def _text(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)
