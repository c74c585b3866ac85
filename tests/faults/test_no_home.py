"""A user without a home folder, as in many containers, and homes that nobody has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from child import Workplace
from tiny import unpaired_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere homes are found in other ways")

HOMELESS = """
    import os, pwd
    for name in ("HOME", "XDG_CACHE_HOME", "TRANSLATE_HOME", "TRANSLATE_DATA"):
        os.environ.pop(name, None)

    def unknown(*of):
        raise KeyError("no such user")

    pwd.getpwuid = pwd.getpwnam = unknown
"""


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(of: object) -> None:
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME", "TRANSLATE_HOME", "TRANSLATE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_way_out_is_named_and_works(run_cli, tiny_recipe, tmp_path, monkeypatch) -> None:
    shapes = ("train", tiny_recipe("cyclegan"), "--data", "shapes", "--device", "cpu", "--dry-run")
    for words in (("data",), ("data", "fetch", "horse2zebra"), ("train", "cyclegan", "--data", "horse2zebra"), shapes):
        ended = run_cli(*words)
        assert ended.exit_code == 2, ended.output
        assert "\nerror: this user has no home folder" in "\n" + ended.stderr and "set TRANSLATE_HOME" in ended.stderr
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "place"))
    assert run_cli("data").exit_code == 0


@pytest.mark.usefixtures("homeless")
def test_without_a_home_a_folder_of_images_is_enough(run_cli, tiny_recipe, tmp_path, monkeypatch) -> None:
    data = unpaired_folder(tmp_path / "places" / "horse2zebra")
    train = ("train", tiny_recipe("cyclegan"), "--device", "cpu", "training.steps=1", "--data")
    assert run_cli(*train, data, "--out", "one").exit_code == 0
    monkeypatch.setenv("TRANSLATE_DATA", str(tmp_path / "places"))
    assert run_cli(*train, "horse2zebra", "--out", "two").exit_code == 0
    assert run_cli("data").exit_code == 0


def test_a_home_that_nobody_has_is_told(run_cli, tiny_recipe, tmp_path, monkeypatch) -> None:
    nobodys = "~nobody-of-this-name/set"
    train = ("train", tiny_recipe("cyclegan"), "--device", "cpu", "training.steps=1", "--data")
    said = f"error: {nobodys}: no home folder is known for '~nobody-of-this-name'; write the path in full\n"
    for words in ((*train, nobodys), ("data", "check", nobodys)):
        ended = run_cli(*words)
        assert (ended.exit_code, ended.stderr) == (2, said)
    for name in ("TRANSLATE_HOME", "TRANSLATE_DATA"):
        with monkeypatch.context() as patch:
            patch.setenv(name, nobodys)
            ended = run_cli("data")
            assert (ended.exit_code, ended.stderr) == (2, said), name
    unpaired_folder(tmp_path / nobodys)
    assert run_cli(*train, nobodys).exit_code == 0, "a folder may have such a name"
    for name in ("NETRC", "WANDB_CONFIG_DIR"):
        with monkeypatch.context() as patch:
            patch.setenv(name, nobodys)
            ended = run_cli(*train, nobodys, "--out", name)
            assert ended.exit_code == 0, ended.output


def test_without_a_home_weights_and_biases_stop_nothing(place: Workplace, tmp_path: Path) -> None:
    unpaired_folder(tmp_path / "data")
    recipe = place.recipe("cyclegan", {"steps": 1})
    quiet = {"WANDB_ERROR_REPORTING": "false", "WANDB_DISABLE_GIT": "true"}
    ended = place.train(recipe, "run", "--data", "data", "--wandb", "offline", hook=HOMELESS, env=quiet)
    assert ended.code == 0 and "Traceback" not in ended.err, ended.err
