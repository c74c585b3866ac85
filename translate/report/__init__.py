"""A run on one page: report.html, made of the files in the run folder and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError, TranslateError
from translate.report.page import page
from translate.report.pictures import samples
from translate.tracking.metrics import read_metrics

__all__ = ["write_report"]


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into the run folder, whole or not at all, and return its path.

    Reads recipe.yaml, metrics.jsonl, samples/step-00000100.png and summary.json, each where it is there;
    summary.json is `{"psnr": {"value": 21.3, "untouched input": 18.2}, ...}`: the value, and any baselines by name.
    The page is self-contained: no scripts, nothing from the network, some ten megabytes at most.
    Raises ConfigurationError where the folder holds neither of the first two, TranslateError where
    metrics.jsonl or summary.json cannot be read; a sample that cannot be read is named on the page.
    """
    recipe = run_folder / "recipe.yaml"
    metrics = run_folder / "metrics.jsonl"
    if not recipe.exists() and not metrics.exists():
        raise ConfigurationError(
            f"{run_folder}: no recipe.yaml and no metrics.jsonl; give the folder of a training run"
        )
    html = page(
        name=run_folder.absolute().name,
        recipe=recipe.read_text("utf-8", errors="replace") if recipe.exists() else "",
        rows=read_metrics(metrics) if metrics.exists() else [],
        summary=_summary(run_folder / "summary.json"),
        samples=samples(run_folder / "samples"),
    )
    report = run_folder / "report.html"
    temporary = report.with_name(f".{report.name}.tmp-{os.getpid()}")
    try:
        temporary.write_text(html, "utf-8")
        os.replace(temporary, report)
    finally:
        temporary.unlink(missing_ok=True)
    return report


def _summary(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_bytes())
    except ValueError as error:
        raise TranslateError(f"{path}: not JSON ({error})") from error
    if not isinstance(summary, dict) or not all(isinstance(entry, dict) for entry in summary.values()):
        raise TranslateError(f'{path}: expected {{"name": {{"value": 1.0, "baseline": 2.0}}, ...}}')
    return summary
