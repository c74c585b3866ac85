"""Training that begins with the weights of another run."""

import json
import shutil

import pytest
import torch
from tiny import labelled_folder, unpaired_folder

from translate.checkpoint import load_checkpoint
from translate.recipe import load_recipe

STILL = ["--device", "cpu", "--set", "training.lr=1e-12", "--set", "training.steps=1"]


@pytest.fixture
def taught(run_cli, tiny_recipe, tmp_path):
    """A run of two steps that kept averaged weights, in the folder `first`."""
    data = unpaired_folder(tmp_path / "d" / "horse2zebra")
    words = ["--data", data, "--out", "first", "--device", "cpu", "training.steps=2", "training.ema=0.9"]
    assert run_cli("train", tiny_recipe("cyclegan"), *words).exit_code == 0
    return load_checkpoint(tmp_path / "first" / "checkpoints").weights()


def test_a_run_begins_with_the_weights_that_another_converts_by(run_cli, tiny_recipe, tmp_path, taught):
    other = unpaired_folder(tmp_path / "d" / "apple2orange")
    command = ["train", tiny_recipe("cyclegan"), "--data", other, "--out", "second", *STILL]
    tuned = run_cli(*command, "training.init_from=first", "training.seed=7")
    assert tuned.exit_code == 0 and "first: its weights after step 2" in tuned.stderr
    begun = load_checkpoint(tmp_path / "second" / "checkpoints").weights()
    assert begun.keys() == taught.keys()
    torch.testing.assert_close(begun, taught, rtol=0, atol=1e-6)
    assert load_recipe("second/recipe.yaml").training.init_from == "first"


def test_a_resumed_run_does_not_begin_again_with_them(run_cli, tiny_recipe, tmp_path, taught):
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", "--device", "cpu"]
    command += ["training.init_from=first/checkpoints/step-00000002", "training.steps=2"]
    assert run_cli(*command).exit_code == 0
    shutil.rmtree(tmp_path / "first")
    resumed = run_cli(*command, "--resume", "--set", "training.steps=4")
    assert resumed.exit_code == 0 and "its weights after" not in resumed.stderr


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_weights_of_other_networks_are_refused_and_nothing_is_written(run_cli, tiny_recipe, tmp_path, taught, words):
    labelled_folder(tmp_path / "d" / "flowers")
    command = ["train", tiny_recipe("stargan"), "--data", "d/flowers", "--device", "cpu", *words]
    for origin, says in (("first", "it lacks generator.stem"), ("nowhere", "no such run")):
        refused = run_cli(*command, "--out", "second", f"training.init_from={origin}")
        assert refused.exit_code == 2, refused.output
        assert f"training.init_from {origin}: " in refused.stderr and says in refused.stderr
        assert not (tmp_path / "second").exists()


def test_an_exported_folder_knows_the_first_run_by_its_name_alone(run_cli, tiny_recipe, tmp_path, taught):
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", *STILL]
    assert run_cli(*command, f"training.init_from={tmp_path / 'first'}").exit_code == 0
    assert run_cli("export", "second", "released").exit_code == 0
    config = (tmp_path / "released" / "config.json").read_text()
    assert json.loads(config)["recipe"]["training"]["init_from"] == "first" and str(tmp_path) not in config
