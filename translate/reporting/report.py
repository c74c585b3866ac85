"""report.html: a run on one page, built only from the files in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from translate.errors import ConfigurationError
from translate.reporting.page import baselines, page
from translate.reporting.pictures import samples
from translate.reporting.tracking.metrics import read_metrics
from translate.utils.atomic_files import write_atomic
from translate.utils.stored import lines_of, parse_json, read_bytes, read_json

__all__ = ["baselines", "read_summary", "write_report"]


def write_report(run_folder: Path) -> Path:
    """Writes `report.html` into the run folder atomically and returns its path.

    Reads those that exist of recipe.yaml, metrics.jsonl, samples/step-00000100.png, ..., summary.json and doctor.jsonl;
    summary.json is `{"psnr": {"value": 21.3, "untouched input": 18.2}, ...}`: the value, baselines by name, and
    optionally a `protocol` in words and the `precision` that the model ran in.
    The page is self-contained: no scripts, no network access, about ten megabytes at most.
    Raises ConfigurationError if the folder has neither recipe.yaml nor metrics.jsonl, TranslateError if metrics.jsonl,
    summary.json or doctor.jsonl cannot be read; the page names samples that cannot be read.
    """
    recipe = run_folder / "recipe.yaml"
    metrics = run_folder / "metrics.jsonl"
    if not recipe.exists() and not metrics.exists():
        raise ConfigurationError(
            f"{run_folder}: no recipe.yaml and no metrics.jsonl; give the folder of a training run"
        )
    html = page(
        name=run_folder.absolute().name,
        recipe=read_bytes(recipe).decode(errors="replace") if recipe.exists() else "",
        rows=read_metrics(metrics) if metrics.exists() else [],
        summary=read_summary(run_folder / "summary.json"),
        samples=samples(run_folder / "samples"),
        findings=_findings(run_folder / "doctor.jsonl"),
    )
    report = run_folder / "report.html"
    write_atomic(report, html)
    return report


class _Finding(TypedDict):
    """A line of doctor.jsonl."""

    kind: str
    step: int
    measure: str
    value: float | None
    remedy: str


def _findings(path: Path) -> list[dict[str, Any]]:
    """The doctor's findings, one JSON object per line of the file."""
    if not path.exists():
        return []
    return [parse_json(line, _Finding, f"{path}, line {number}") for number, line in lines_of(path)]


def read_summary(path: Path) -> dict[str, dict[str, Any]]:
    """What summary.json holds, see `write_report`; nothing where there is none. Raises UnreadableError."""
    if not path.exists():
        return {}
    summary: dict[str, dict[str, Any]] = read_json(path, dict[str, dict[str, float | str | None]])
    return summary
