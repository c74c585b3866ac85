"""What a resumed run may be given, and what it tells of what is not as it was."""

import pytest
from tiny import labelled_folder, unpaired_folder, write_images

from translate.checkpoint import load_checkpoint


@pytest.fixture
def begun(run_cli, tiny_recipe, tmp_path):
    """A tiny run of two steps on d/unp; the command that goes on with it."""
    unpaired_folder(tmp_path / "d" / "unp")
    recipe = tiny_recipe("cyclegan")
    ended = run_cli("train", recipe, "--data", "d/unp", "--out", "run", "--device", "cpu", "--set", "training.steps=2")
    assert ended.exit_code == 0, ended.output
    return lambda *more: run_cli("train", recipe, "--out", "run", "--device", "cpu", "--resume", *more)


@pytest.mark.parametrize("spelt", ["d/unp", "d/unp/", "absolute", "moved"])
def test_the_same_images_are_known_again_however_their_place_is_spelt(begun, tmp_path, spelt):
    place = {"absolute": tmp_path / "d" / "unp", "moved": tmp_path / "e" / "other"}.get(spelt, spelt)
    if spelt == "moved":
        (tmp_path / "e").mkdir()
        (tmp_path / "d" / "unp").rename(place)
    resumed = begun("--data", place)
    assert resumed.exit_code == 0, resumed.stderr
    assert "warning" not in resumed.stderr
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 4


def test_images_that_came_are_counted_and_the_run_goes_on_with_them(begun, tmp_path):
    write_images(tmp_path / "d" / "unp" / "trainA", ["more1.png", "more2.png"])
    resumed = begun("--data", "d/unp")
    assert resumed.exit_code == 0
    assert "warning: not the training images that the run was begun with: A: 6 then, 8 now" in resumed.stderr
    again = begun("--data", "d/unp", "--set", "training.steps=6")
    assert again.exit_code == 0 and "warning" not in again.stderr, "it knows the eight now"


def test_other_names_are_told_where_the_number_is_the_same(begun, tmp_path):
    folder = tmp_path / "d" / "unp" / "trainB"
    (folder / "Btrain0.png").rename(folder / "renamed.png")
    assert "B: 6 then, 6 others now" in begun("--data", "d/unp").stderr


def test_images_that_came_are_looked_through_before_the_first_step(begun, tmp_path):
    (tmp_path / "d" / "unp" / "trainA" / "broken.png").write_bytes(b"not an image")
    refused = begun("--data", "d/unp")
    assert refused.exit_code == 2 and "broken.png" in refused.stderr
    assert begun("--data", "d/unp", "--skip-bad").exit_code == 0


def test_a_moved_run_leaves_out_what_it_was_begun_without(run_cli, tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "lab")
    (data / "train" / "b" / "broken.png").write_bytes(b"not an image")
    command = ["train", tiny_recipe("stargan"), "--out", "run", "--device", "cpu", "--skip-bad"]
    assert run_cli(*command, "--data", data, "--set", "training.steps=2").exit_code == 0
    data.rename(tmp_path / "elsewhere")
    resumed = run_cli(*command, "--data", "elsewhere", "--resume")
    assert resumed.exit_code == 0 and "not the training images" not in resumed.stderr
    assert list(load_checkpoint(tmp_path / "run" / "checkpoints").facts["skipped"]) == ["elsewhere/train/b/broken.png"]


def test_a_checkpoint_that_knows_no_images_resumes_where_they_were(begun, tmp_path, monkeypatch):
    monkeypatch.setattr("translate.run.checkpoint_to_resume", _without_images)
    refused = begun("--data", "d/unp/")
    assert refused.exit_code == 2 and "data.set" in refused.stderr
    resumed = begun("--data", "d/unp")
    assert resumed.exit_code == 0 and "warning" not in resumed.stderr


def _without_images(folder):
    checkpoint = load_checkpoint(folder / "checkpoints")
    del checkpoint.facts["images"]
    return checkpoint, []


def test_the_refusal_names_a_command_that_works(begun, run_cli, tmp_path):
    refused = begun("--data", "d/unp", "--set", "training.lr=0.5")
    assert refused.exit_code == 2 and "training.lr: 0.0002 then, 0.5 now" in refused.stderr
    command = refused.stderr.partition("`translate ")[2].partition("`")[0].split()
    assert command == ["train", "run/recipe.yaml", "--out", "run", "--resume"]
    done = run_cli(*command, "--device", "cpu", "--set", "training.steps=3")
    assert done.exit_code == 0 and load_checkpoint(tmp_path / "run" / "checkpoints").step == 3
