"""Runs that learn from a few pairs among unpaired images: trained, resumed, measured, and refused with a way on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from label_files import scenes
from safetensors.torch import load_file
from tiny import put
from ways_out import User, settings_in, taken, tried, ways_of

from translate.data.folds import folded
from translate.data.layouts.folders import open_folder
from translate.evaluation.classifier import ClassifierSettings
from translate.evaluation.validation import Direction
from translate.runs.evaluations import scores_of
from translate.runs.evaluator import Evaluator
from translate.runs.image_sets.opening import open_data
from translate.runs.image_sets.pairs_among import PairsAmong
from translate.runs.loading import load_model
from translate.training.runtime import Runtime

SOME = "data.pairs=some"
CPU = Runtime(torch.device("cpu"))


def some_pairs(root: Path, size: int = 24) -> Path:
    """Six and eight images to train on, two of them pairs; four and three to test, two of them pairs."""
    for split, count in (("train", 6), ("test", 4)):
        put(root, *(f"{split}A/{name}.png" for name in ("p", "q", *range(count - 2))), width=size, height=size)
    for split, count in (("train", 8), ("test", 3)):
        put(root, *(f"{split}B/{name}.png" for name in ("p", "q", *range(10, 8 + count))), width=size, height=size)
    return root


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    (path,) = sorted((run / "checkpoints").glob("*4/model.safetensors"))
    return load_file(path)


@pytest.mark.parametrize("model", ["cyclegan", "unit"])
def test_a_run_says_its_pairs_learns_from_them_and_resumes_to_the_bit(run_cli, tiny_recipe, tmp_path, model):
    command = ["train", tiny_recipe(model), "--data", some_pairs(tmp_path / "set"), "--device", "cpu"]
    command += [SOME, "training.schedule=constant", "data.pair_share=0.4"]
    whole = run_cli(*command, "--out", "whole")
    assert whole.exit_code == 0, whole.output
    assert "train: 6 A, 8 B, among them 2 pairs of the same names" in whole.output
    assert "test: 4 A, 3 B, among them 2 pairs of the same names" in whole.output
    lines = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()]
    assert {"paired/a", "paired/b"} <= {key.partition("/")[2] for line in lines for key in line}
    assert any("validation/to_A/l1" in line for line in lines)
    assert run_cli(*command, "--out", "run", "training.steps=2").exit_code == 0
    assert run_cli(*command, "--out", "run", "--resume").exit_code == 0
    mine, theirs = weights_of(tmp_path / "run"), weights_of(tmp_path / "whole")
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_test_pairs_are_measured_beside_their_truths_and_all_others_as_without(run_cli, tiny_recipe, tmp_path):
    few = ["data.flip=false", "training.steps=1"]
    command = ["train", tiny_recipe("cyclegan"), "--data", some_pairs(tmp_path / "set"), "--device", "cpu", *few]
    assert run_cli(*command, "--out", "run", SOME).exit_code == 0
    loaded = load_model(tmp_path / "run")
    images = open_data(loaded.recipe.data, loaded.recipe.method.batch_type, lambda line: None, loaded.images.kinds)
    assert isinstance(images, PairsAmong)
    first, second = images.validations(loaded.model.eval(), 100, CPU)
    assert isinstance(first, Direction) and len(first.inputs) == len(second.truths) == 2
    both = [[one.path.stem for one in side] for side in images.side_by_side()]
    assert both == [["p", "q"], ["p", "q"]]
    assert [len(side) for side in images.folder.splits["test"]] == [4, 3]
    quick = ClassifierSettings(steps=1, batch_size=4)
    scores = scores_of(Evaluator(loaded, images, CPU, quick, None, lambda line: None, True))
    assert {"l1", "domain_accuracy"} <= {score.key for score in scores}
    without = loaded.recipe.data.model_copy(update={"set": str(tiny.unpaired_folder(tmp_path / "without"))})
    others = open_data(without, loaded.recipe.method.batch_type, lambda line: None, loaded.images.kinds)
    assert not any(isinstance(one, Direction) for one in others.validations(loaded.model, 100, CPU))


def test_all_pairs_train_a_method_that_needs_none(run_cli, tiny_recipe, tmp_path):
    command = ["train", tiny_recipe("cyclegan"), "--data", tiny.paired_folder(tmp_path / "set"), "--device", "cpu"]
    told = run_cli(*command, "data.pairs=all", "--out", "run")
    assert told.exit_code == 0 and "train: 6 pairs of A and B" in told.output
    lines = (tmp_path / "run/metrics.jsonl").read_text()
    assert "paired/a" in lines and "validation/to_A/l1" in lines
    assert "train cyclegan" in run_cli("data", "check", tmp_path / "set", "data.pairs=all").output


def test_shapes_has_some_pairs_if_asked(run_cli, tiny_recipe, tmp_path):
    few = ["data.size=32", "data.load_size=32", "data.shapes={train: 5, test: 2, pairs: 3}", "training.steps=1"]
    told = run_cli("train", tiny_recipe("cyclegan"), "--data", "shapes", "--device", "cpu", SOME, *few, "--out", "run")
    assert "train: 5 flat, 5 outlined, among them 3 pairs of the same names" in told.output, told.output


def test_pairs_are_in_one_fold(tmp_path):
    put(tmp_path, *(f"trainA/{name}.png" for name in (*"pqrs", *range(4))))
    put(tmp_path, *(f"trainB/{name}.png" for name in (*"pqrs", *range(10, 14))))
    whole = open_folder(tmp_path, wanted="unpaired", some_pairs=True)
    parts = [folded(whole, f"{number}/2", 0) for number in (1, 2)]
    assert [(len(part.known("train")), len(part.known("test"))) for part in parts] == [(2, 2), (2, 2)]


def test_what_cannot_be_combined_is_refused_by_name(run_cli, tiny_recipe, tmp_path):
    def refused(model: str, *settings: str) -> str:
        result = run_cli("train", tiny_recipe(model), "--data", tmp_path / "set", "--device", "cpu", SOME, *settings)
        assert result.exit_code == 2, result.output
        return result.output

    scenes(tmp_path / "set", train=3)
    (tmp_path / "set/maps/train/0.png").unlink()
    assert "data.pairs: no effect here" in refused("pix2pix")
    assert "data.pairs: no effect here" in refused("stargan")
    assert "label maps" in refused("cyclegan", "data.layout=auto")
    assert "data.derive" in refused("cyclegan", "data.derive={grey: {}}")
    assert "data.input" in refused("cyclegan", "data.input=[a]", "data.target=[b]")


def test_pairs_of_unlike_sizes_are_named_before_the_first_step(run_cli, tiny_recipe, tmp_path):
    folder = some_pairs(tmp_path / "set")
    put(folder, "trainB/p.png", width=30, height=24)
    command = ["train", tiny_recipe("cyclegan"), "--data", folder, "--device", "cpu", SOME, "data.resize=none"]
    told = run_cli(*command, "--out", "run")
    assert told.exit_code == 2 and "trainB/p.png: the images of this pair differ in proportions" in told.output
    assert run_cli(*command, "--out", "run", "--skip-bad").exit_code == 0
    checked = run_cli("data", "check", folder, SOME)
    assert checked.exit_code == 3 and "train pairs whose two images differ in proportions" in checked.output


TRAIN = ("--dry-run",)


@tried(
    ("data/checks/some_pairs", "or leave data.pairs out"),
    ("runs/image_sets/pairs_among", "set data.pairs=some, or leave it out"),
)
def no_pairs_in_a_set(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), *TRAIN, data=user.data())
    (key,) = set(settings_in(user.refused(*command, SOME), "cyclegan"))
    assert key == "data.pairs"
    user.gets(*command)
    text = user.refused(*command, "model.paired_weight=5")
    some_pairs(user.folder / "set")
    user.gets(*user.train("cyclegan.yaml", *TRAIN, taken(text, r"set (data\.pairs=some)"), data="set"))


@tried(
    ("data/checks/some_pairs", "set data.pairs=all, or train with pix2pix, a method for pairs"),
    ("data/layouts/some_pairs", "data.pairs=some, and each file holds a pair, side by side: set data.pairs=all"),
)
def a_set_of_pairs_alone(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), *TRAIN, data=user.data("paired"))
    text = user.refused(*command, SOME)
    user.gets(*command, taken(text, r"set (data\.pairs=all)"))
    user.gets(*user.train(user.recipe(taken(text, r"train with (\w+)")), *TRAIN, data="paired"))
    put(user.folder / "beside", "train/1.png", "train/2.png", width=48, height=24)
    beside = user.train("cyclegan.yaml", *TRAIN, data="beside")
    user.gets(*beside, taken(user.refused(*beside, SOME), r"set (data\.pairs=all)"))


@tried(("data/layouts/some_pairs", "rename those that are none, or leave data.pairs out"))
def names_that_are_equal_by_chance(user: User) -> None:
    some_pairs(user.folder / "set")
    put(user.folder / "set", "trainB/p.png", "trainB/q.png", width=24, height=60)
    command = user.train(user.recipe("cyclegan"), *TRAIN, data="set")
    assert "leave data.pairs out" in user.gets(*command, SOME)
    assert "data.pairs" not in user.gets(*command)


@tried(("runs/image_sets/pairs_among", "data.pairs: this method learns nothing from known pairs: train with {}"))
def a_method_without_use_for_pairs(user: User) -> None:
    some_pairs(user.folder / "set")
    command = user.train(user.recipe("direct"), *TRAIN, data="set")
    text = user.refused(*command, SOME)
    user.gets(*command)
    for name in taken(text, "train with (.*), or leave it out").split(" or "):
        user.gets(*user.train(user.recipe(name), *TRAIN, SOME, data="set"))


@tried(("data/checks/some_pairs", "take another data.fold, repair the images, or leave data.pairs out"))
def no_pair_left(user: User) -> None:
    some_pairs(user.folder / "set")
    for split in ("train", "test"):
        for domain in "AB":
            (user.folder / "set" / f"{split}{domain}" / "q.png").unlink()
    command = user.train(user.recipe("cyclegan"), *TRAIN, SOME, data="set")
    text = user.refused(*command, "data.fold=1/2")
    user.gets(*command, f"{taken(text, r'take another (data.fold)')}=2/2")
    assert settings_in(text, "cyclegan")[-1] == "data.pairs"


@tried(
    ("data/settings", "pair_share is the share of some pairs among others: set data.pairs=some, too"),
    ("data/settings", "pairs: {} says which images are pairs: leave data.layout out"),
)
def settings_of_pairs_that_contradict(user: User) -> None:
    some_pairs(user.folder / "set")
    command = user.train(user.recipe("cyclegan"), *TRAIN, data="set")
    text = user.refused(*command, "data.pair_share=0.3")
    user.gets(*command, "data.pair_share=0.3", taken(text, r"set (data\.pairs=some), too"))
    assert settings_in(user.refused(*command, SOME, "data.layout=unpaired"), "cyclegan")[-1] == "data.layout"


@tried(
    ("runs/image_sets/opening", "data.shapes.pairs: no effect without data.pairs=some; leave it out, or set that"),
    ("runs/image_sets/opening", "data.pairs=some: the scenes of shapes differ: set data.shapes.pairs=16"),
)
def pairs_of_shapes_that_nobody_knows(user: User) -> None:
    small = ["data.size=32", "data.load_size=32", "data.shapes={train: 5, test: 2, pairs: 3}"]
    command = user.train(user.recipe("cyclegan"), *TRAIN, *small, data="shapes")
    user.gets(*command, taken(user.refused(*command), r"without (data\.pairs=some)"))
    more = user.train("cyclegan.yaml", *TRAIN, *small[:2], "data.shapes.train=20", "data.shapes.test=2", data="shapes")
    user.gets(*more, SOME, taken(user.refused(*more, SOME), r"set (data\.shapes\.pairs=16)"))


@tried(("runs/image_sets/opening", "data.pairs=some: for images; volumes are pairs or not: set data.pairs=all"))
def volumes_of_which_some_are_pairs(user: User) -> None:
    pytest.importorskip("nibabel")
    from support.volume_files import write_heads

    write_heads(user.folder / "set", 3)
    command = user.train(user.recipe("cyclegan"), *TRAIN, "model.identity=0", data="set")
    user.gets(*command, taken(user.refused(*command, SOME), r"set (data\.pairs=all)"))


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
