"""What a user adds without an edit of the package: a measure (a function, an entry), a tracker (a class, a line)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import paired_folder
from torch import Tensor

from translate.evaluation.metrics import MEASURES, Measure
from translate.reporting.tracking import TRACKERS, TrackedRun, Tracker


def worst(images: Tensor, truths: Tensor) -> Tensor:
    return (images - truths).abs().max() / 2


def test_a_measure_added_from_outside_is_everywhere(run_cli, tiny_recipe, tmp_path, monkeypatch):
    entry = Measure("worst error, levels", worst, "levels", "lower", "of any pixel", decimals=3, perfect=0.0)
    monkeypatch.setitem(MEASURES, "worst", entry)
    data = paired_folder(tmp_path / "pairs")
    for run in ("one", "two"):
        trained = run_cli("train", tiny_recipe("pix2pix"), "--data", data, "--out", run, "--device", "cpu", "-q")
        assert trained.exit_code == 0, trained.output
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())["validation/to_B/worst"]
    assert summary["value"] > 0 and summary["untouched input"] > 0
    assert (summary["unit"], summary["better"], summary["measure"]) == ("levels", "lower", "of any pixel")
    rows = [json.loads(line) for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    assert [row for row in rows if "validation/to_B/worst" in row][-1]["validation/to_B/worst"] == summary["value"]

    page = (tmp_path / "one" / "report.html").read_text()
    assert "<th>to B, worst <small>levels, lower is better</small></th>" in page and "worst of any pixel" in page
    assert f"<b>{summary['value']:.3f}</b>" in page

    evaluated = run_cli("evaluate", "one", "--device", "cpu", "-q")
    assert "worst error, levels (lower is better)" in evaluated.stdout, evaluated.output
    scores = json.loads((tmp_path / "one" / "evaluation-latest.json").read_text())
    (score,) = [score for score in scores if (score["table"], score["name"]) == ("worst error, levels", "to B")]
    assert score["low"] <= score["value"] <= score["high"] and score["ceiling"] == {"the truth itself": 0.0}

    compared = run_cli("compare", "one", "two", "--json", "both.json").output
    assert "validation: worst, levels (lower is better)" in compared and f"{summary['value']:.3f}" in compared
    # Where the file with the measure is not loaded, a run's own summary says what it is.
    monkeypatch.delitem(MEASURES, "worst")
    assert "validation: worst, levels (lower is better)" in run_cli("compare", "one", "two").output


class ToFile(Tracker):
    """Writes what it is told into a file of the run's folder, until it breaks at the step that its mode names."""

    title = "the file tracker"

    def __init__(self, run: TrackedRun, mode: str) -> None:
        self.path, self.breaks_at = run.folder / "tracked.jsonl", mode
        self._write(opened=run.name, config=run.config["name"], id=run.id)

    @classmethod
    def resolve(cls, mode: str) -> str | None:
        return mode

    def log(self, step: int, values: Any) -> None:
        if str(step) == self.breaks_at:
            raise OSError(28, "No space left on device")
        self._write(step=step, **values)

    def finish(self, exit_code: int = 0) -> None:
        self._write(exit_code=exit_code)

    def _write(self, **values: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(values) + "\n")


@pytest.fixture
def tracked(run_cli, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(TRACKERS, "file", ToFile)
    data = paired_folder(tmp_path / "pairs")

    def train(*words: str) -> tuple[list[dict[str, Any]], str]:
        command = ("train", tiny_recipe("pix2pix"), "--data", data, "--out", "run", "--device", "cpu", "-q", *words)
        trained = run_cli(*command)
        assert trained.exit_code == 0 and Path("run", "report.html").is_file(), trained.output
        return [json.loads(line) for line in Path("run", "tracked.jsonl").read_text().splitlines()], trained.stderr

    return train


def test_a_tracker_added_from_outside_is_opened_by_the_command_line(tracked):
    (opened, *told, finished), said = tracked("--tracker", "file")
    assert opened == {"opened": "run", "config": "tiny-pix2pix", "id": Path("run", "run_id").read_text().strip()}
    assert finished == {"exit_code": 0} and "warning" not in said
    rows = [json.loads(line) for line in Path("run", "metrics.jsonl").read_text().splitlines()]
    logged = [{name: value for name, value in row.items() if name != "time"} for row in rows]
    assert [row for row in told if "data/waiting_share" not in row] == logged


def test_a_tracker_that_fails_ends_with_one_warning_and_nothing_else(tracked):
    (_, *told), said = tracked("--tracker", "file:4")
    assert told and {row["step"] for row in told} == {2}, "it was told nothing more, not even the end"
    assert said.count("warning") == 1
    assert "the file tracker stopped tracking: [Errno 28] No space left on device. Training goes on" in said


def test_an_unknown_tracker_and_an_unknown_mode_are_refused_before_a_run_begins(run_cli, tiny_recipe, tmp_path):
    for words, says in (
        ("nope", "no tracker 'nope'; expected auto, online, offline, disabled, wandb"),
        ("wandb:of", "Weights & Biases has no mode 'of'; expected auto, online, offline, disabled"),
    ):
        refused = run_cli("train", tiny_recipe("pix2pix"), "--data", "shapes", "--out", "run", "--tracker", words)
        assert refused.exit_code == 2 and says in refused.stderr and not (tmp_path / "run").exists()
