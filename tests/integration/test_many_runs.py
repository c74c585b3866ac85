"""Seeds and folds by one command: a run each, what fails or is interrupted loses no other, and a table of means."""

import json
import re
from pathlib import Path

import pytest
from tiny import labelled_folder, paired_folder

import translate
from translate.errors import TranslateError
from translate.runs import many
from translate.runs.many import seeds_in
from translate.training.checkpoint import load_checkpoint
from translate.training.loop import TrainingRun
from translate.utils.signals import Interrupted
from translate.utils.yaml_reader import read_yaml


@pytest.fixture
def words(tiny_recipe, tmp_path):
    data = paired_folder(tmp_path / "pairs")
    return ["train", tiny_recipe("pix2pix"), "--data", data, "--device", "cpu", "-q"]


def _recipe(run: Path) -> dict:
    return read_yaml((run / "recipe.yaml").read_text(), "recipe")[0]


def _steps(*runs: str) -> list[int]:
    return [load_checkpoint(Path(run) / "checkpoints").facts["step"] for run in runs]


def _l1(run: str) -> float:
    (row,) = [row for row in translate.compare([run]).validation if row.key == "l1"]
    return row.values[0]


def test_every_seed_has_a_run_of_its_own_and_the_table_says_mean_deviation_and_number(run_cli, words):
    result = run_cli(*words, "--seeds", "3,5")
    assert result.exit_code == 0, result.output
    runs = ["runs/tiny-pix2pix-pairs-seed3", "runs/tiny-pix2pix-pairs-seed5"]
    assert [_recipe(Path(run))["training"]["seed"] for run in runs] == [3, 5]
    a, b = map(_l1, runs)
    assert a != b
    mean, deviation = (a + b) / 2, abs(a - b) / 2**0.5
    assert f"{mean:.4f} ± {deviation:.4f} (2)" in result.stdout


def test_a_run_of_one_seed_is_the_run_that_its_settings_make_alone(run_cli, words):
    assert run_cli(*words, "--seeds", "1..1", "--out", "many").exit_code == 0
    assert run_cli(*words, "training.seed=1", "--out", "alone").exit_code == 0
    many, alone = (load_checkpoint(Path(run) / "checkpoints") for run in ("many-seed1", "alone"))
    assert all((many.weights()[key] == value).all() for key, value in alone.weights().items())


@pytest.fixture
def failing(monkeypatch):
    """Lets the run of one seed fail, as often as the test says, with what it says."""

    def fail(seed, error, times=1):
        go, left = TrainingRun.go, [times]

        def instead(run):
            if run.records.folder.name.endswith(f"seed{seed}") and left[0]:
                left[0] -= 1
                raise error
            return go(run)

        monkeypatch.setattr(TrainingRun, "go", instead)

    return fail


@pytest.mark.parametrize("error", [TranslateError("no room"), RuntimeError("CUDA error"), OSError("gone")])
def test_a_run_that_fails_loses_no_other_and_the_same_command_goes_on(run_cli, words, failing, monkeypatch, error):
    failing(1, error)
    result = run_cli(*words, "--seeds", "0..2", "--out", "run")
    assert result.exit_code == 3
    named = "RuntimeError: " * isinstance(error, RuntimeError)
    assert f"error: run-seed1: {named}{error}\n" in result.output
    assert "1 of 3 runs failed: run-seed1" in result.output and _steps("run-seed0", "run-seed2") == [4, 4]
    assert " (2)" in result.stdout, "the others have their table"
    trained = []
    train = many.train
    monkeypatch.setattr(many, "train", lambda recipe, **more: trained.append(more["out"].name) or train(recipe, **more))
    again = run_cli(*words, "--seeds", "0..2", "--out", "run")
    assert again.exit_code == 0 and trained == ["run-seed1"] and " (3)" in again.stdout


def test_an_interrupted_run_is_saved_and_the_same_command_goes_on_there(run_cli, words, failing):
    failing(1, Interrupted(2, "after step 2; saved"))
    result = run_cli(*words, "--seeds", "0..2", "--out", "run")
    assert result.exit_code == 130 and "run-seed1, run 2 of 3, was interrupted" in result.output
    assert not Path("run-seed2").exists() and _steps("run-seed0") == [4]
    assert run_cli(*words, "--seeds", "0..2", "--out", "run").exit_code == 0
    assert _steps("run-seed0", "run-seed1", "run-seed2") == [4, 4, 4]


def test_where_all_fail_the_first_says_why(run_cli, words, failing):
    failing(1, TranslateError("no room"), times=9)
    result = run_cli(*words, "--seeds", "1", "--out", "run")
    assert result.exit_code == 1 and "no room" in result.output and not result.stdout
    mistaken = run_cli(*words, "--seeds", "0,1", "model.generator.kind=bunet", "--out", "another")
    assert mistaken.exit_code == 2 and not list(Path().glob("another*"))


def test_runs_that_are_done_are_trained_again_with_more_steps_but_not_with_other_settings(run_cli, words):
    assert run_cli(*words, "--seeds", "0,1", "--out", "run").exit_code == 0
    assert run_cli(*words, "--seeds", "0,1", "--out", "run", "training.steps=6").exit_code == 0
    assert _steps("run-seed0", "run-seed1") == [6, 6]
    refused = run_cli(*words, "--seeds", "0,1", "--out", "run", "training.lr=1")
    assert refused.exit_code == 2 and "training.lr" in refused.output


def test_a_setting_that_seeds_or_folds_give_is_not_given_twice(run_cli, words):
    for option, value, setting in (("--seeds", "0,1", "training.seed=3"), ("--folds", "2", "data.fold=1/2")):
        result = run_cli(*words, option, value, setting)
        assert result.exit_code == 2 and f"{option} gives each run its {setting.partition('=')[0]}" in result.output


def test_folds_are_trained_on_other_pairs_than_they_are_measured_on(run_cli, words, tmp_path):
    result = run_cli(*words, "--folds", "2", "--out", "run")
    assert result.exit_code == 0, result.output
    runs = ["run-fold1of2", "run-fold2of2"]
    assert [_recipe(Path(run))["data"]["fold"] for run in runs] == ["1/2", "2/2"]
    trained = [load_checkpoint(Path(run) / "checkpoints").facts["images"] for run in runs]
    assert trained[0] != trained[1]
    assert " (2)" in result.stdout and re.search(r"runs +2\n", result.stdout)
    for run in runs:
        assert run_cli("evaluate", run, "--device", "cpu", "-q").exit_code == 0
        scores = json.loads(Path(run, "evaluation-latest.json").read_text())
        assert {score["protocol"]["split"] for score in scores} == {f"fold {run[-4]} of 2"}
    both = translate.compare(runs).means
    assert all(row.runs == [2] for row in (*both.validation, *both.evaluation))
    assert {row.protocol["cross-validation"] for row in both.evaluation} == {"2 folds, data.fold_seed 0"}


def test_seeds_and_folds_together_are_one_group(run_cli, words):
    result = run_cli(*words, "--seeds", "0,1", "--folds", "2", "--out", "run", "training.steps=2")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path().glob("run-*")) == [
        f"run-seed{seed}-fold{fold}of2" for seed in (0, 1) for fold in (1, 2)
    ]
    assert " (4)" in result.stdout


def test_a_folder_is_checked_as_a_fold_is_trained(run_cli, tmp_path, tiny_recipe):
    data = paired_folder(tmp_path / "pairs")
    for more in ((), ("--recipe", tiny_recipe("pix2pix"))):
        result = run_cli("data", "check", data, "data.fold=1/2", *more)
        assert "fold 1 of 2: trained on " in result.stdout, result.output


def test_a_sampler_is_evaluated_on_the_images_that_it_was_not_trained_on(run_cli, tmp_path, tiny_recipe, monkeypatch):
    """It is trained without labels, which deal other folds than they would."""
    from translate.recipe import load_recipe
    from translate.runs.image_sets.opening import open_data

    data = labelled_folder(tmp_path / "labelled")
    recipe = load_recipe(tiny_recipe("gan"), [f"data.set={data}", "data.fold=2/3"])
    images = open_data(recipe.data, recipe.method.batch_type, lambda line: None)
    labelled = images.with_labels()
    for split in ("train", "test"):
        paths = [{one.path for one in of.splits[split].sources} for of in (images.folder, labelled)]
        assert paths[0] == paths[1] and paths[0]
    assert labelled.groups


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0..4", (0, 1, 2, 3, 4)), ("7", (7,)), ("0,3,7", (0, 3, 7)), ("1..2, 9", (1, 2, 9)), (None, ())],
)
def test_seeds_are_read(text, seeds):
    assert seeds_in(text) == seeds


@pytest.mark.parametrize("text", ["", "4..0", "0..", "..4", "a", "-1", "0..9999", "0,0", "1,0..2", "0...2", "²"])
def test_what_are_no_seeds_is_refused(run_cli, text):
    with pytest.raises(ValueError, match="expected"):
        seeds_in(text)
    assert run_cli("train", "pix2pix", "--seeds", text).exit_code == 2


def test_runs_of_one_command_are_a_group_of_weights_and_biases(words, run_cli, monkeypatch):
    import os

    seen = []
    monkeypatch.setattr(many, "train", lambda recipe, **more: seen.append(os.environ.get("WANDB_RUN_GROUP")))
    run_cli(*words, "--seeds", "0,1")
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine")
    run_cli(*words, "--seeds", "0,1")
    assert seen == ["tiny-pix2pix-pairs"] * 2 + ["mine"] * 2
    monkeypatch.delenv("WANDB_RUN_GROUP")
    run_cli(*words, "--seeds", "0,1")
    assert "WANDB_RUN_GROUP" not in os.environ
