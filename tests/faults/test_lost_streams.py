"""Standard streams that are closed, full or gone, and other failures beside a run: what was learnt is not lost."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from child import Ended, Workplace, hashes, steps
from click.testing import Result
from tiny import unpaired_folder

import translate.runs.train
import translate.training.records
import translate.training.saving
from translate.data.loader import Loader
from translate.reporting.tracking import MetricsLog
from translate.training.diagnostics import Diagnostics
from translate.training.loop import Pace
from translate.training.trainer import Trainer
from translate.utils.progress import Progress

linux = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")


def closing(*numbers: int) -> list[str]:
    """For `under`: a command that starts without these streams."""
    return ["sh", "-c", f'exec "$@" {" ".join(f"{number}>&-" for number in numbers)}', "sh"]


def unread() -> int:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@linux
def test_lines_that_cannot_be_written_end_nothing(place: Workplace, undisturbed: Path) -> None:
    recipe = place.recipe("pix2pix")
    with open("/dev/full", "w") as full, os.fdopen(unread(), "w") as pipe:
        for name, stream in (("full", full), ("pipe", pipe)):
            ended = place.train(recipe, name, stderr=stream)
            assert (ended.code, ended.out) == (0, f"{name}\n"), ended
            assert hashes(place.folder / name) == hashes(undisturbed)
            assert (place.folder / name / "summary.json").is_file() and (place.folder / name / "report.html").is_file()


@linux
def test_a_result_that_cannot_be_written_is_an_error_and_one_that_nobody_reads_is_none(place: Workplace) -> None:
    for path, code in (("/dev/full", 1), (None, 141)):
        with os.fdopen(unread(), "w") if path is None else open(path, "w") as stream:
            ended = place.run("data", stdout=stream)
        assert ended.code == code, ended
        assert ended.err == ("error: [Errno 28] No space left on device\n" if path else "")


@linux
def test_scores_are_kept_that_could_not_be_printed(place: Workplace, trained: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = place.run("evaluate", trained, "--json", "scores.json", "--device", "cpu", stdout=full)
    assert ended.code == 1 and "No space left" in ended.err, ended.err
    assert (place.folder / "scores.json").stat().st_size > 1000


def commands(place: Workplace) -> dict[str, tuple[object, ...]]:
    return {
        "data": ("data", "check", "--help"),
        "train": ("train", "pix2pix.yaml", "--out", "new", "--device", "cpu", "--set", "training.steps=2"),
        "convert": ("convert", "run", place.photos(), "out", "--device", "cpu"),
        "evaluate": ("evaluate", "run", "--json", "scores.json", "--device", "cpu"),
    }


def without(place: Workplace, command: str, *numbers: int) -> Ended:
    """Runs a command without these streams, and looks at what it wrote."""
    arguments = commands(place)[command]
    ended = place.run(*arguments, under=closing(*numbers))
    assert ended.code == 0, (numbers, ended)
    assert "Traceback" not in ended.err
    if command == "convert":
        assert sorted(path.name for path in (place.folder / "out").glob("*.png")) == ["one.png", "two.png"]
    if command == "train":
        assert steps(place.folder / "new")[-1] == 2
    return ended


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
@pytest.mark.parametrize("command", ["data", "train", "convert", "evaluate"])
def test_without_any_standard_stream_a_command_does_its_work(place: Workplace, trained: Path, command: str) -> None:
    without(place, command, 0, 1, 2)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("command", ["data", "train", "convert", "evaluate"])
def test_without_one_standard_stream_a_command_does_its_work(place, trained, command, number) -> None:
    """pytest -m slow tests/faults/test_lost_streams.py"""
    ended = without(place, command, number)
    assert number == 1 or ended.out, "the others are as they were"


def test_what_is_printed_never_goes_into_a_file_that_took_the_streams_number(place: Workplace) -> None:
    hook = """
        import os, sys
        import translate.recipe

        def write(name):
            with open("mine.txt", "w") as file:
                print("a warning", file=sys.stderr)
                for number in (1, 2):
                    os.write(number, b"a library's line")

        translate.recipe.load_recipe = write
    """
    place.run("recipes", "any", hook=hook, under=closing(1, 2))
    assert (place.folder / "mine.txt").read_text() == ""


def failing(original: Callable[..., Any], error: Exception, call: int) -> Callable[..., Any]:
    """The function, but it fails when it is called for the `call`-th time."""
    calls = itertools.count(1)

    def fails(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise error
        return original(*args, **kwargs)

    return fails


@pytest.fixture
def train(run_cli, tiny_recipe, tmp_path: Path) -> Callable[..., Result]:
    data, recipe = unpaired_folder(tmp_path / "data"), tiny_recipe("cyclegan")

    def run(*more: str, code: int) -> Result:
        ended = run_cli("train", recipe, "--data", data, "--device", "cpu", "--out", *more)
        assert ended.exit_code == code and "Traceback" not in ended.output, ended.output
        return ended

    return run


FULL = OSError(errno.ENOSPC, "No space left on device")
BETWEEN_STEPS = {
    "a fault of this program": (Pace, "step", RuntimeError("a fault"), 2),
    "a sample that cannot be written": (translate.training.records, "save_grid", FULL, 2),
    "a fault in the diagnostics": (Diagnostics, "follow", ValueError("a fault"), 1),
    "a batch that cannot be made": (Loader, "batch", MemoryError(), 4),
}


@pytest.mark.parametrize("where", BETWEEN_STEPS)
def test_a_run_that_fails_between_two_steps_is_saved_and_goes_on_as_if_nothing_was(train, tmp_path, where, monkeypatch):
    train("other", code=0)
    owner, name, error, call = BETWEEN_STEPS[where]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(getattr(owner, name), error, call))
        ended = train("run", code=1)
    run = tmp_path / "run"
    assert f"stopped after step {steps(run)[-1]}; saved, continue with --resume" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("error: ") and (run / "report.html").is_file()
    train("run", "--resume", code=0)
    assert hashes(run) == hashes(tmp_path / "other")


@pytest.mark.parametrize("where", [(Trainer, "_take", 14), (translate.training.saving, "save_checkpoint", 2)])
def test_a_run_that_fails_within_a_step_or_a_checkpoint_keeps_the_last_one(train, tmp_path, where, monkeypatch) -> None:
    owner, name, call = where
    monkeypatch.setattr(owner, name, failing(getattr(owner, name), RuntimeError("a fault"), call))
    ended = train("run", "training.steps=20", code=1)
    last = steps(tmp_path / "run")[-1]
    assert f"the failed step cannot be saved; the last checkpoint is run/checkpoints/step-{last:08d}" in ended.stderr
    assert "stopped after step" not in ended.stderr and not list((tmp_path / "run" / "checkpoints").glob(".*"))


def test_a_failure_that_leaves_no_room_to_save_comes_up_itself(train, monkeypatch) -> None:
    monkeypatch.setattr(
        translate.training.saving, "save_checkpoint", failing(translate.training.saving.save_checkpoint, FULL, 1)
    )
    monkeypatch.setattr(MetricsLog, "log", failing(MetricsLog.log, OSError(errno.EIO, "Input/output error"), 1))
    ended = train("run", code=1)
    assert "stopped after step 2, which could not be saved ([Errno 28] No space left on device)" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "error: [Errno 5] Input/output error"


def test_a_run_that_diverges_is_not_saved_again(train, tmp_path, monkeypatch) -> None:
    ended = train("run", "training.lr=1e30", "training.skip_limit=1", "training.steps=20", code=1)
    assert "stopped after step" in ended.stderr and "saved, continue" not in ended.stderr


def test_any_failure_of_the_report_hides_nothing(train, monkeypatch) -> None:
    monkeypatch.setattr(
        translate.runs.train, "write_report", failing(translate.runs.train.write_report, ValueError("a fault"), 1)
    )
    assert "report.html: could not be written (a fault)" in train("run", code=0).stderr


@pytest.mark.skipif(os.name != "posix", reason="terminals of this kind are for POSIX")
def test_a_terminal_gone_under_a_bar_ends_nothing() -> None:
    """Rich draws in a thread of its own."""
    leader, follower = os.openpty()
    terminal = os.fdopen(follower, "w")
    before = sys.stdout, sys.stderr
    with Progress(3, unit="step", label="training", stream=terminal) as progress:
        os.close(leader)
        for _ in range(3):
            progress.advance(measured=["loss"])
        print("a line beside it", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == before
    with suppress(OSError):  # what is still to be written
        terminal.close()


def test_an_error_that_nobody_foresaw_is_one_line_and_all_of_it_on_demand(run_cli, monkeypatch) -> None:
    monkeypatch.setattr("translate.recipe.recipe_names", failing(list, KeyError("a fault"), 1))
    ended = run_cli("recipes")
    assert (ended.exit_code, ended.stderr.count("\n"), ended.stdout) == (1, 1, "")
    assert ended.stderr.startswith("error: KeyError: 'a fault' (in ") and "TRANSLATE_DEBUG=1" in ended.stderr
    monkeypatch.setenv("TRANSLATE_DEBUG", "1")
    monkeypatch.setattr("translate.recipe.recipe_names", failing(list, KeyError("a fault"), 1))
    ended = run_cli("recipes")
    assert ended.exit_code == 1 and ended.stderr.startswith("Traceback") and "recipes" in ended.stderr
    monkeypatch.setattr("translate.recipe.recipe_names", failing(list, KeyboardInterrupt(), 1))
    assert run_cli("recipes").exit_code == 130
