"""report.html: a run on one page, built only from the files in the run folder."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict
from typing_extensions import TypedDict

from translate.errors import ConfigurationError
from translate.reporting.charts import chart, curves_by_chart
from translate.reporting.evaluated import evaluated
from translate.reporting.keys import best_in_words, caption, current_summary_key, rescheduled_in_words, validated
from translate.reporting.page import cell, duration, is_number, rendered, unreached
from translate.reporting.pictures import Sample, samples, steps_in
from translate.reporting.tracking.metrics import read_metrics
from translate.utils.atomic_files import write_atomic
from translate.utils.stored import UnreadableError, lines_of, parse_json, read_bytes, read_json, read_text

_ABOUT = {"value", "unit", "better", "decimals", "measure", "protocol", "precision"}
_MOST_DECIMALS = 12
RELOAD = 30
"""Seconds after which the page of a run that trains is loaded again."""
Summary = Mapping[str, Mapping[str, Any]]


def write_report(run_folder: Path, live: bool = False) -> Path:
    """Writes `report.html` into the run folder atomically and returns its path. `live`: of a run that still trains; the
    page reloads itself until it is written once more.

    Reads those that exist of recipe.yaml, metrics.jsonl, samples/step-00000100.png, ..., summary.json (see
    `write_summary`), evaluation-latest.json, doctor.jsonl and the facts of the newest checkpoint. The page has no
    scripts, asks no network, and takes about ten megabytes at most. Raises ConfigurationError if the folder has neither
    recipe.yaml nor metrics.jsonl, TranslateError if one of the others cannot be read; the page names samples that
    cannot be read.
    """
    recipe = run_folder / "recipe.yaml"
    metrics = run_folder / "metrics.jsonl"
    if not recipe.exists() and not metrics.exists():
        raise ConfigurationError(
            f"{run_folder}: no recipe.yaml and no metrics.jsonl; give the folder of a training run"
        )
    text = read_bytes(recipe).decode(errors="replace") if recipe.exists() else ""
    rows = read_metrics(metrics) if metrics.exists() else []
    summary = read_summary(run_folder / "summary.json")
    shown = samples(run_folder / "samples")
    html = rendered(
        "report.html.j2",
        title=run_folder.absolute().name,
        facts=[*_recipe_facts(text), *_row_facts(rows), *_saved_facts(run_folder / "checkpoints"), *_state(live)],
        reload=RELOAD if live else None,
        findings=_findings(run_folder / "doctor.jsonl"),
        measures={_title(key, str(entry.get("unit") or "")): _measured(entry) for key, entry in summary.items()},
        baselines=list(dict.fromkeys(name for entry in summary.values() for name in baselines(entry))),
        notes=_notes(summary),
        evaluated=evaluated(run_folder),
        samples=shown,
        left_out=_left_out(shown, run_folder / "samples"),
        charts=[chart(title, curves) for title, curves in curves_by_chart(rows)] if rows else [],
        recipe=text,
        footer="Made by translate from the files in the run folder.",
    )
    report = run_folder / "report.html"
    write_atomic(report, html)
    return report


def _left_out(shown: Sequence[Sample], folder: Path) -> str:
    """Says how many grids the page does not show."""
    others = len(steps_in(folder)) - len(shown)
    return f"{others:,} more in {folder.name}/, of the steps between." if others > 0 else ""


def _state(live: bool) -> list[tuple[str, str]]:
    return [("state", f"trains; this page reloads every {RELOAD} s")] if live else []


def read_summary(path: Path) -> dict[str, dict[str, Any]]:
    """What summary.json holds, see `write_report`, with the keys of today; nothing where there is none. Raises
    UnreadableError."""
    if not path.exists():
        return {}
    summary: dict[str, dict[str, Any]] = read_json(path, dict[str, dict[str, float | str | None]])
    return {current_summary_key(key): entry for key, entry in summary.items()}


def baselines(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside the value in an entry of summary.json: the same measure without a model, by name."""
    return {key: value for key, value in entry.items() if key not in _ABOUT}


def _title(key: str, unit: str) -> str:
    """What is validated, and its measure, whose unit is said beside it: "to photo, l1"."""
    return ", ".join(caption(part, unit) for part in validated(key) if part)


def _measured(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of summary.json as the page shows it."""
    digits: Any = entry.get("decimals")
    decimals = int(digits) if is_number(digits) and 0 <= digits <= _MOST_DECIMALS else None
    better = f"{entry['better']} is better" if "better" in entry else None
    return {
        "value": cell(entry.get("value"), decimals),
        "baselines": {name: cell(value, decimals) for name, value in baselines(entry).items()},
        "worse": unreached(entry.get("value"), entry.get("better"), baselines(entry)),
        "about": ", ".join(str(part) for part in (entry.get("unit"), better) if part),
    }


def _notes(summary: Summary) -> list[str]:
    """How it was measured; nothing where the run is from before that was recorded."""
    measures = {validated(key)[1]: entry["measure"] for key, entry in summary.items() if "measure" in entry}
    words = "; ".join(f"{caption(name)} {measure}" for name, measure in measures.items())
    how = [
        f"After the last step, of {entry['protocol']}"
        + (f"; the model in {entry['precision']}." if "precision" in entry else ".")
        for entry in summary.values()
        if "protocol" in entry
    ]
    return [*dict.fromkeys(how), *([f"Measures: {words}."] if words else [])]


def _recipe_facts(recipe: str) -> list[tuple[str, str]]:
    """The scalar settings at the top level of the recipe, and nested ones that distinguish runs of one recipe."""
    try:
        settings = yaml.safe_load(recipe)
    except (yaml.YAMLError, RecursionError):
        return []
    if not isinstance(settings, dict):
        return []
    distinguishing = [
        ("method", "model", "name"),
        ("data", "data", "set"),
        ("image size", "data", "size"),
        ("seed", "training", "seed"),
    ]
    sections = [(label, settings.get(section), key) for label, section, key in distinguishing]
    nested = [(label, section.get(key)) for label, section, key in sections if isinstance(section, dict)]
    given = [*settings.items(), *nested]
    plain = [(str(key), str(value)) for key, value in given if isinstance(value, str | int | float)]
    return [(key.replace("_", " "), value) for key, value in plain if len(value) <= 80][:8]


def _row_facts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    if not rows:
        return []
    facts = [("last step", f"{rows[-1]['step']:,}")]
    times = [row["time"] for row in rows if is_number(row.get("time"))]
    if times:
        facts.append(("first row", f"{datetime.fromtimestamp(times[0], UTC):%Y-%m-%d %H:%M} UTC"))
        facts.append(("first to last row", duration(times[-1] - times[0])))
    return facts


class _Saved(TypedDict, total=False):
    """What the page says of a checkpoint."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]
    best: int | None
    best_measured: dict[str, float | None]
    stopped_early: bool
    rescheduled: list[dict[str, Any]]


def _saved_facts(checkpoints: Path) -> list[tuple[str, str]]:
    """What the newest checkpoint knows of the best one, and of how the run went; nothing where it cannot be read."""
    try:
        newest = read_text(checkpoints / "latest", 100).strip()
        saved: _Saved = read_json(checkpoints / newest / "checkpoint.json", _Saved)
    except (OSError, UnreadableError):
        return []
    early = "early" if saved.get("stopped_early") else ""
    changes = rescheduled_in_words(saved.get("rescheduled", []))
    facts = {"best step": best_in_words(saved), "stopped": early, "schedule changed": changes}
    return [(name, words) for name, words in facts.items() if words]


class _Finding(TypedDict):
    """A line of doctor.jsonl."""

    kind: str
    step: int
    measure: str
    value: float | None
    remedy: str


def _findings(path: Path) -> list[dict[str, Any]]:
    """What diagnostics found, one JSON object per line of the file."""
    if not path.exists():
        return []
    return [parse_json(line, _Finding, f"{path}, line {number}") for number, line in lines_of(path)]
