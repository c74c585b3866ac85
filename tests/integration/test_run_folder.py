"""A run's folder is one process's alone, from before its images are checked to the end."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from filelock import Timeout
from tiny import paired_folder, unpaired_folder

import translate.runs.folder
import translate.runs.setup
from translate.recipe import load_recipe
from translate.runs.folder import LOCK, choose_folder, claimed, locked
from translate.utils.atomic_files import NO_LOCKS


@pytest.fixture
def recipe(run_cli, tiny_recipe):
    return load_recipe(tiny_recipe("cyclegan"), ["data.set=unp"])


def test_two_runs_at_once_take_two_default_names(recipe, monkeypatch):
    with claimed(None, recipe, False) as first:
        # The second had looked before the first made its folder.
        looks = iter([first])
        look = translate.runs.folder.choose_folder
        monkeypatch.setattr(translate.runs.folder, "choose_folder", lambda *words: next(looks, None) or look(*words))
        with claimed(None, recipe, False) as second:
            assert [str(first), str(second)] == ["runs/tiny-cyclegan-unp", "runs/tiny-cyclegan-unp-2"]


def test_without_a_name_the_run_that_goes_on_is_that_of_the_highest_number(recipe, tmp_path):
    """A run in between may have been deleted; the freed name is a new run's."""
    assert choose_folder(None, recipe, True) == Path("runs/tiny-cyclegan-unp")
    for name in ("tiny-cyclegan-unp", "tiny-cyclegan-unp-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert choose_folder(None, recipe, True) == Path("runs/tiny-cyclegan-unp-3")
    assert choose_folder(None, recipe, False) == Path("runs/tiny-cyclegan-unp-2")


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_another_process_trains_into_is_refused(run_cli, tiny_recipe, tmp_path, resume):
    data = unpaired_folder(tmp_path / "unp")
    command = ["train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "--device", "cpu"]
    if resume:
        assert run_cli(*command, "--set", "training.steps=2").exit_code == 0
        command.append("--resume")
    holding = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    (tmp_path / "run").mkdir(exist_ok=True)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", holding, tmp_path / "run" / LOCK], **pipes) as other:
        other.stdout.readline()
        refused = run_cli(*command)
        other.communicate(b"\n")
    assert refused.exit_code == 2 and "another process is training into this folder" in refused.stderr
    assert run_cli(*command).exit_code == 0


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_was_killed_before_its_recipe_was_there_is_begun(recipe, tmp_path, resume):
    (tmp_path / "run").mkdir()
    for name in (LOCK, ".translate-01234567-0123456789abcdef.part"):
        (tmp_path / "run" / name).touch()
    with claimed("run", recipe, resume) as folder:
        assert [path.name for path in folder.iterdir()] == [LOCK]


def test_a_killed_process_holds_nothing(tmp_path):
    code = """
import os, pathlib, sys
from translate.runs.folder import locked
with locked(pathlib.Path(sys.argv[1])):
    os._exit(9)
"""
    assert warm.run([sys.executable, "-c", code, tmp_path / LOCK]).returncode == 9
    with locked(tmp_path / LOCK), pytest.raises(Timeout), locked(tmp_path / LOCK):
        pass
    with locked(tmp_path / LOCK):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has locks everywhere")
@pytest.mark.parametrize("number", sorted(NO_LOCKS))
def test_where_a_file_system_has_no_locks_nothing_is_locked_and_other_errors_come_up(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path / LOCK), locked(tmp_path / LOCK):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    number = errno.EIO
    with pytest.raises(OSError, match="no locks here"), locked(tmp_path / LOCK):
        pass


def test_a_refused_run_leaves_no_folder_that_it_made(run_cli, tiny_recipe, tmp_path):
    data = paired_folder(tmp_path / "pairs")
    (tmp_path / "mine").mkdir()
    for out in ("deep/er/run", "mine"):
        assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", out).exit_code == 2
    assert not (tmp_path / "deep").exists()
    assert (tmp_path / "mine").is_dir() and not list((tmp_path / "mine").iterdir())


def test_a_folder_that_cannot_be_written_is_found_before_the_images_are_looked_through(
    run_cli, tiny_recipe, tmp_path, monkeypatch
):
    data = unpaired_folder(tmp_path / "unp")
    monkeypatch.setattr(translate.runs.setup, "open_data", lambda *words: pytest.fail("the data was looked at first"))
    refused = run_cli(
        "train", tiny_recipe("cyclegan"), "--data", data, "--out", data / "trainA" / "Atrain0.png" / "run"
    )
    assert refused.exit_code == 2 and "cannot be written" in refused.stderr
