"""The page of a run while it trains: written with every grid of samples, reloads itself, and costs no run its life."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from translate.cli import main
from translate.evaluation.table import Score
from translate.reporting.report import RELOAD
from translate.runs import folder
from translate.runs.evaluate import write_scores
from translate.training import records

SHORT = ["training.steps=6", "training.sample_every=2", "training.log_every=1", "training.checkpoint_every=6"]


def train(out: Path) -> str:
    done = CliRunner().invoke(
        main, ["train", "gan-ring", "--data", "ring", "--out", str(out), "--wandb=disabled", *SHORT]
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_it_is_written_with_every_grid_and_reloads_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, write = [], records.write_report

    def noting(run: Path, live: bool = False) -> Path:
        path = write(run, live=live)
        pages.append(path.read_text())
        return path

    monkeypatch.setattr(records, "write_report", noting)
    train(tmp_path / "run")
    grids = [len(re.findall(r"<figcaption>step", page)) for page in pages]
    assert grids == list(range(1, len(grids) + 1)) and len(grids) >= 3
    assert all(f'http-equiv="refresh" content="{RELOAD}"' in page and "this page reloads" in page for page in pages)
    last = (tmp_path / "run" / "report.html").read_text()
    assert "refresh" not in last and "this page reloads" not in last


def test_a_page_that_cannot_be_written_warns_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(run: Path, live: bool = False) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "write_report", full)
    said = train(tmp_path / "run") + capfd.readouterr().err
    assert said.count("not written while this run trains") == 1
    assert (tmp_path / "run" / "checkpoints" / "step-00000006").is_dir()


def test_the_command_writes_it_at_any_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run)
    (run / "report.html").unlink()
    done = CliRunner().invoke(main, ["report", str(run)])
    assert (done.exit_code, done.stdout.strip()) == (0, str(run / "report.html"))
    assert "refresh" not in (run / "report.html").read_text()
    with folder.locked(run / folder.LOCK):  # as while it trains
        assert folder.trains(run)
        assert CliRunner().invoke(main, ["report", str(run)]).exit_code == 0
    assert "refresh" in (run / "report.html").read_text() and not folder.trains(run)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 2 and not (tmp_path / "report.html").exists()


def test_scores_stand_on_the_page_once_they_are_measured(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run)
    assert "label accuracy" not in (run / "report.html").read_text()
    write_scores([Score("label accuracy", "to b", 91.5)], run)
    assert "91.5" in (run / "report.html").read_text()
    write_scores([Score("label accuracy", "to b", 12.25)], run, file=tmp_path / "elsewhere.json")
    assert "12.25" not in (run / "report.html").read_text(), "these are not the run's own"
