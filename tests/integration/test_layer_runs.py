"""Runs on samples of several images: trained, shown, measured, resumed, and refused where a method takes one image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from layer_files import NAMED, samples
from PIL import Image
from ways_out import User, taken, tried, ways_of

from translate.data.domain import Domain
from translate.errors import ConfigurationError, TranslateError
from translate.models import MODELS
from translate.recipe.reading import load_recipe
from translate.runs.loading import build_model, load_model
from translate.training.checkpoint import load_checkpoint
from translate.training.checkpoint_json import Facts, read_facts

ONE_IMAGE = """
from typing import Literal
from translate.models import MODELS
from translate.models.pix2pix import Pix2Pix, Pix2PixConfig

class OneConfig(Pix2PixConfig):
    name: Literal["one-image"] = "one-image"

class OneImage(Pix2Pix):
    Config = OneConfig
    takes_layers = False

MODELS["one-image"] = OneImage
"""


def test_a_run_learns_from_all_images_of_a_sample(user: User) -> None:
    root = samples(user.folder / "scenes")
    command = user.train(user.recipe("pix2pix"), *NAMED, data="scenes")
    said = user.gets(*command, "--out", "run")
    assert "samples of photo and mask to clean" in said and "mask: label maps of 3 classes" in said
    assert "train: 4 pairs of input and clean" in said
    run = user.folder / "run"
    loaded = load_model(run)
    assert [layer.name for layer in loaded.images.domain(0).layers] == ["photo", "mask"]
    assert loaded.images.domain(0).layers[1] == Domain("mask", 3, dtype="uint8", kind="labels")
    assert loaded.model.generator.state_dict() and loaded.images.domains == ("input", "clean")
    facts = load_checkpoint(run / "checkpoints", "latest").facts
    assert set(facts["images"]) == {"photo", "mask", "clean"}
    with Image.open(run / "samples" / "step-00000004.png") as grid:
        pixels = np.asarray(grid.convert("RGB")).reshape(-1, 3)
    assert (pixels == (128, 0, 0)).all(1).any() and (pixels == (0, 128, 0)).all(1).any(), "classes in their colours"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("validation/to_clean/l1" in row for row in rows)
    assert not any("untouched" in key for row in rows for key in row)
    scores = user.gets("evaluate", "run", "--device", "cpu")
    assert "to clean" in scores and "best colour map" in scores

    halves = user.gets(*command, "training.steps=2", "--out", "parts", "training.schedule=constant")
    assert halves
    user.gets(*command, "--out", "whole", "training.schedule=constant")
    user.gets(*command, "--out", "parts", "training.schedule=constant", "--resume")
    whole, parts = (
        load_checkpoint(user.folder / name / "checkpoints", "latest").weights() for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys() and all((whole[key] == parts[key]).all() for key in whole)

    (root / "mask" / "train" / "3.png").unlink()
    assert "have changed since the run began: photo: 4 then, 3 now" in user.gets(
        "train",
        user.folder / "parts" / "recipe.yaml",
        "--out",
        "parts",
        "--resume",
        "training.steps=6",
        "--device",
        "cpu",
    )


def test_a_sample_with_a_bad_file_is_left_out_and_listed(user: User) -> None:
    root = samples(user.folder / "scenes", "sides")
    (root / "train" / "input" / "mask" / "1.png").write_bytes(b"no image")
    command = user.train(user.recipe("pix2pix", steps=1), "--out", "run", data="scenes")
    assert "train/input/mask/1.png: not an image" in user.refused(*command)
    user.gets(*command, "--skip-bad")
    assert (user.folder / "run" / "skipped.txt").read_text().startswith("scenes/train/input/mask/1.png")
    assert load_checkpoint(user.folder / "run" / "checkpoints", "latest").facts["images"]["photo"]["count"] == 3


def test_a_resumed_run_refuses_other_layers(user: User) -> None:
    root = samples(user.folder / "scenes", "sides")
    command = user.train(user.recipe("pix2pix", steps=1), "--out", "run", data="scenes")
    user.gets(*command)
    for split in ("train", "test"):
        (root / split / "input" / "mask").rename(root / split / "input" / "map")
    again = user.train("run/recipe.yaml", "--out", "run", "--resume", "training.steps=2", data=None)
    assert "a sample of input was mask, photo, and is now map, photo: put the folders back" in user.refused(*again)


@tried(
    ("models/images", "train with pix2pix, or name one of them: data.input=[{}]"),
    ("data/layouts/several", "train a run for each: 'data.input=[{}]' 'data.target=[{}]'"),
)
def one_image_for_a_method_that_takes_no_more(user: User) -> None:
    samples(user.folder / "scenes")
    (user.folder / "one.py").write_text(ONE_IMAGE)
    recipe = user.recipe("pix2pix", steps=1)
    (user.folder / "one.yaml").write_text(
        (user.folder / recipe).read_text().replace("name: pix2pix", "name: one-image")
    )
    try:
        command = user.train("one.yaml", "--plugin", "one.py", data="scenes")
        text = user.refused(*command, *NAMED)
        assert "takes one image a sample, and input has 2 (photo, mask)" in text
        user.gets(*command, taken(text, r"(data\.input=\[photo\])"), NAMED[1])
        other = taken(text, r"train with (\w+)")
        user.gets(*user.train(f"{other}.yaml", *NAMED, "--out", "other", data="scenes"))
    finally:
        MODELS.pop("one-image", None)
    several = user.refused(
        *user.train(recipe, NAMED[0].replace(", mask", ""), "data.target=[clean, mask]", data="scenes")
    )
    advice = [taken(several, rf"'(data\.{key}=\[\w+\])'") for key in ("input", "target")]
    user.gets(*user.train(recipe, *advice, "--out", "single", data="scenes"))


@tried(("runs/image_sets/opening", "data.domains.{}: there are the images {}; name one of them"))
def a_domain_by_the_name_of_a_layer(user: User) -> None:
    samples(user.folder / "scenes")
    command = user.train(user.recipe("pix2pix", steps=1), *NAMED, data="scenes")
    text = user.refused(*command, "data.domains.input.channels=1")
    name = taken(text, r"images (\w+), .*; name one of them")
    user.gets(*command, f"data.domains.{name}.channels=1")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_method_takes_several_images_a_sample_or_refuses_them_before_it_is_built(name: str) -> None:
    kind = MODELS[name]
    spec = tiny.SPECS.get(kind.batch_type, tiny.SPEC)
    several = Domain.stacked("a", [Domain("photo", 1), Domain("depth", 2)])
    images = replace(spec, each=(several, *map(Domain, spec.domains[1:])))
    chosen = kind.Config.model_validate_json(json.dumps(tiny.tiny_settings(name)))
    recipe = load_recipe("pix2pix").model_copy(update={"model": chosen})
    if kind.takes_layers:
        assert build_model(recipe, images).generate(tiny.random_batch(tiny.tiny_model(name)))
        return
    with pytest.raises(ConfigurationError, match=r"takes one image a sample, and a has 2 \(photo, depth\): train with"):
        build_model(recipe, images)


def test_facts_of_layers_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    facts = {
        "step": 1,
        "each": [{"name": "a", "channels": 4, "span": [0, 1], "dtype": "uint8", "unit": "", "layers": [{}]}],
    }
    (tmp_path / "checkpoint.json").write_text(json.dumps(facts))
    with pytest.raises(TranslateError, match=r"checkpoint\.json: .*layers"):
        read_facts(tmp_path / "checkpoint.json", Facts)
