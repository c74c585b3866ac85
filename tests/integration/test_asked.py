"""A run that trains does what is asked of it through a file in its folder: it saves, or it saves and stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from translate.cli import main
from translate.training import asked
from translate.training.asked import FILE, Asked, ask
from translate.training.checkpoint import saved_steps
from translate.training.trainer import Trainer

COMMAND = ["train", "gan-ring", "--data", "ring", "--wandb=disabled", "--device=cpu", "training.checkpoint_every=1000"]


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks the run after a number of steps; every look counts."""
    monkeypatch.setattr(asked, "SECONDS", 0.0)
    step = Trainer.step

    def at(run: Path, number: int, wish: Any) -> None:
        def stepped(self: Trainer, *args: Any, **kwargs: Any) -> Any:
            done = step(self, *args, **kwargs)
            if self.steps == number:
                ask(run, wish)
            return done

        monkeypatch.setattr(Trainer, "step", stepped)

    return at


def test_asked_to_save_it_saves_and_goes_on(tmp_path: Path, asking: Any) -> None:
    run = tmp_path / "run"
    asking(run, 3, "save")
    done = CliRunner().invoke(main, [*COMMAND, "--out", str(run), "training.steps=6"])
    assert done.exit_code == 0 and "asked to save: after step 3; saved" in done.output
    assert saved_steps(run / "checkpoints") == [3, 6] and not (run / FILE).exists()


def test_asked_to_stop_it_saves_stops_and_can_be_continued(tmp_path: Path, asking: Any) -> None:
    run = tmp_path / "run"
    asking(run, 3, "stop")
    done = CliRunner().invoke(main, [*COMMAND, "--out", str(run), "training.steps=6"])
    assert done.exit_code == 143 and "stopped (asked to stop) after step 3; saved" in done.output
    assert "SIGTERM" not in done.output
    assert saved_steps(run / "checkpoints") == [3]
    again = CliRunner().invoke(main, [*COMMAND, "--out", str(run), "--resume", "training.steps=6"])
    assert again.exit_code == 0 and saved_steps(run / "checkpoints")[-1] == 6


def test_what_was_asked_before_a_run_began_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "SECONDS", 0.0)
    ask(tmp_path, "stop")
    assert Asked(tmp_path).wish() is None and not (tmp_path / FILE).exists()


def test_it_is_looked_for_once_a_second(tmp_path: Path) -> None:
    now = [0.0]
    looks = Asked(tmp_path, lambda: now[0])
    ask(tmp_path, "save")
    assert looks.wish() is None
    now[0] = 1.5
    assert looks.wish() == "save" and looks.wish() is None


@pytest.mark.parametrize("content", [b"delete everything\n", b"", b"\xff\xfe", b"stop" * 1000])
def test_a_file_that_says_something_else_asks_nothing(tmp_path: Path, content: bytes) -> None:
    looks = Asked(tmp_path, iter([0.0, 5.0, 5.0]).__next__)
    (tmp_path / FILE).write_bytes(content)
    assert looks.wish() is None
