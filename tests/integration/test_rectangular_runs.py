"""Runs on rectangles: trained, validated, converted, exported, evaluated, resumed; what is refused, with a way on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tiny import write_images
from ways_out import User, parsed, taken, tried, ways_of

from translate.evaluation.classifier import ClassifierSettings
from translate.inference.formats.port import script
from translate.networks.resnet import ResnetGenerator
from translate.runs.evaluate import evaluate
from translate.runs.loading import load_model

RECTANGLES = ("data.size=[48, 80]", "data.load_size=null")


def wide_images(root, *folders: str):
    """Four pictures of 96 x 160 pixels in each folder: as the crop is, but twice as large."""
    for folder in folders:
        write_images(root / folder, [f"{number}.png" for number in range(4)], size=160, seed=len(folder))
        for path in (root / folder).iterdir():
            Image.open(path).resize((160, 96)).save(path)
    return root


@pytest.mark.parametrize("model", ["pix2pix", "cyclegan"])
def test_a_run_on_rectangles_goes_all_the_way(run_cli, tiny_recipe, tmp_path, model):
    def gets(*words):
        result = run_cli(*words)
        assert result.exit_code == 0, result.output
        return result.output

    data = wide_images(tmp_path / "data", "trainA", "trainB", "testA", "testB")
    if model == "cyclegan":
        (data / "dataset.yaml").write_text("layout: unpaired\ntest_paired: true\n")
    gets("train", tiny_recipe(model), "--data", data, "--out", "run", "--device", "cpu", *RECTANGLES)
    loaded = load_model(tmp_path / "run")
    facts = json.loads((loaded.checkpoint.folder / "checkpoint.json").read_text())
    assert facts["size"] == facts["recipe"]["data"]["size"] == [48, 80] and loaded.images.crop == (48, 80)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = {key: value for row in rows for key, value in row.items() if key.endswith("/l1")}
    assert measured and all(0 < value < 1 for value in measured.values())
    grid = Image.open(tmp_path / "run" / "samples" / "step-00000004.png")
    assert grid.height == pytest.approx(4 * (48 + 6) + 26, abs=3) and grid.width > 2 * 80

    (tmp_path / "in").mkdir()
    whole = Image.open(data / "testA" / "0.png")
    for name, picture in {"large": whole, "small": whole.resize((80, 48))}.items():
        picture.save(tmp_path / "in" / f"{name}.png")
    to = ["--to", loaded.images.domains[1]] if model == "cyclegan" else []
    said = gets("convert", "run", "in", "out", "--device", "cpu", "--precision", "float32", *to)
    assert "160 x 96 pixels, where training took files of 160 x 96 pixels at 80 x 48: translated at 80 x 48" in said
    assert [Image.open(tmp_path / "out" / f"{name}.png").size for name in ("large", "small")] == [(160, 96), (80, 48)]
    ruler = ClassifierSettings(size=32, steps=2, batch_size=4)
    table = {score.name for score in evaluate(tmp_path / "run", classifier=ruler, device="cpu", quiet=True)}
    assert any("as converted" in name for name in table), table

    if model == "pix2pix":
        gets("export", "run", "model.onnx")
        gets("convert", "model.onnx", "in", "out-onnx", "--size", "native")
        ours, theirs = (np.array(Image.open(tmp_path / out / "small.png")).astype(int) for out in ("out", "out-onnx"))
        assert np.abs(ours - theirs).max() <= 1
    resumed = gets("train", "run/recipe.yaml", "--out", "run", "--resume", "--device", "cpu", "training.steps=6")
    assert "step-00000006" in {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}, resumed


def rectangles_are_asked(user: User, model: str, kind: str, *settings: str) -> tuple[list[object], str]:
    command = user.train(user.recipe(model), "--dry-run", data=user.data(kind))
    return command, user.refused(*command, "data.size=[16, 32]", "data.load_size=null", *settings)


@tried(("models/images", "takes squares, and data.size is {}: set data.size to one number, such as {}"))
def a_sampler_of_rectangles(user: User) -> None:
    command, text = rectangles_are_asked(user, "gan", "labelled")
    assert "gan takes squares, and data.size is [16, 32]" in text
    user.gets(*command, "data.size=" + taken(text, r"such as (\d+)"), "data.load_size=null")


@tried(("runs/image_sets/opening", "shapes: scenes are square, and data.size is {}: set data.size to one number"))
def rendered_rectangles(user: User) -> None:
    few = ("data.shapes.train=2", "data.shapes.test=2", "data.load_size=null")
    command = user.train(user.recipe("cyclegan"), "--dry-run", *few, data="shapes")
    text = user.refused(*command, "data.size=[32, 64]")
    user.gets(*command, taken(text, r"set (data\.size) to one number") + "=32")


def test_a_load_size_of_one_number_is_not_for_rectangles_and_the_usual_one_is(user: User):
    command = user.train(user.recipe("cyclegan"), "--dry-run", data=user.data())
    text = user.refused(*command, "data.size=[16, 32]")
    assert "load_size 18 is one number, and size [16, 32] is two, height and width" in text
    for way in ("null", taken(text, r"which is (\[\d+, \d+\])")):
        user.gets(*command, "data.size=[16, 32]", f"data.load_size={way}")


@parsed(
    "an option of the others' script, which base_dataset.py of the PyTorch port has",
    ("inference/formats/port", "--model test{} {} --preprocess none{}, {}"),
)
def rectangles_for_the_others_script(user: User) -> None:
    hint = script("latest_net_G.pth", ResnetGenerator(3, 3, filters=4, blocks=9), (48, 80), evaluated=True)
    assert "--preprocess none, on pictures resized to 80 x 48 beforehand" in hint and "crop_size" not in hint


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
