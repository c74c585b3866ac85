"""The scale of training: found by looking at the files, kept with the run, and what pictures become at it."""

import json
from dataclasses import asdict

import pytest
from tiny import put

from translate.data.batch import Paired, Unpaired
from translate.data.scale import Scale
from translate.errors import TranslateError
from translate.recipe import load_recipe
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import image_spec, load_model
from translate.runs.train import train
from translate.training.checkpoint_json import Facts, read_facts


def opened(folder, kind=Unpaired, recipe="cyclegan", **settings):
    given = [f"data.{key}={value}" for key, value in ({"set": folder, "size": 16} | settings).items()]
    return open_data(load_recipe(recipe, given).data, kind, lambda line: None)


@pytest.fixture
def folder(tmp_path):
    """Files of unlike sizes in A, all of one size in B; those for testing are larger, which makes no difference."""
    for number, (width, height) in enumerate([(20, 30), (40, 32), (44, 60)]):
        put(tmp_path, f"trainA/{number}.png", width=width, height=height)
        put(tmp_path, f"trainB/{number}.png", width=64, height=32)
    put(tmp_path, "testA/0.png", "testA/1.png", "testA/2.png", "testA/3.png", width=99, height=99)
    return put(tmp_path, "testB/0.png", width=99, height=99)


def test_the_scale_of_each_domain_is_the_median_of_its_training_files(folder):
    assert [kind.scale for kind in opened(folder).kinds] == [Scale(32, 40, 16), Scale(32, 64, 16)]
    way = {"resize": "short_side", "interpolation": "bilinear"}
    assert opened(folder, load_size=64, **way).kind(1).scale == Scale(32, 64, 64, "short_side", "bilinear")
    assert opened(folder, resize="none").kind(1).scale == Scale(32, 64, 32, "none")


def test_a_load_size_that_only_varies_the_crop_is_the_size_itself(folder):
    assert opened(folder, load_size=18).kind(0).scale.side == 16, "18 / 16 is near"
    assert opened(folder, load_size=20).kind(0).scale.side == 20


def test_halves_of_a_pair_are_as_wide_as_one_of_them(tmp_path):
    put(tmp_path, "train/0.png", "train/1.png", width=64, height=32)
    found = opened(tmp_path, Paired, "pix2pix").kinds
    assert [kind.scale for kind in found] == [Scale(32, 32, 16)] * 2


def test_an_image_in_memory_has_a_scale_and_a_file_that_cannot_be_read_has_none(folder):
    (folder / "trainA" / "0.png").write_bytes(b"nothing")
    assert opened(folder).kind(0).scale == Scale(32, 40, 16), "the lower of two medians"


def test_a_run_keeps_its_scale_and_one_of_an_earlier_version_has_none(folder, tiny_recipe, tmp_path):
    run = train(tiny_recipe("cyclegan"), folder, out=tmp_path / "run", quiet=True, tracking="disabled")
    loaded = load_model(run)
    assert loaded.images.domain(0).scale == Scale(32, 40, 16)
    path = loaded.checkpoint.folder / "checkpoint.json"
    facts = read_facts(path, Facts)
    assert facts["each"][1]["scale"] == asdict(Scale(32, 64, 16))
    of_old = [{key: value for key, value in kind.items() if key != "scale"} for kind in facts["each"]]
    path.write_text(json.dumps(facts | {"each": of_old}))
    old = read_facts(path, Facts)
    assert image_spec(loaded.recipe, old).domain(0).scale is None
    path.write_text(json.dumps(facts | {"each": [facts["each"][0] | {"scale": {"side": "large"}}]}))
    with pytest.raises(TranslateError, match="scale"):
        read_facts(path, Facts)


@pytest.mark.parametrize(
    ("scale", "sizes"),
    [
        (Scale(256, 256, 64), {(256, 256): (64, 64), (256, 128): (128, 64), (70, 60): (75, 64)}),
        (Scale(512, 1024, 64), {(512, 1024): (64, 64), (512, 512): (128, 64)}),  # stretched, as its files were
        (Scale(512, 1024, 64, "centre"), {(512, 1024): (64, 128)}),
        (Scale(512, 1024, 64, "short_side"), {(1024, 512): (128, 64)}),
        (Scale(512, 1024, 512, "none"), {(99, 2000): (99, 2000)}),
        (Scale(256, 256, 4), {(1, 1000): (4, 4000), (1000, 3): (1333, 4)}),
    ],
)
def test_a_picture_becomes_what_training_would_have_made_of_it(scale, sizes):
    for size, wanted in sizes.items():
        assert scale.size_of(*size) == wanted


def test_a_picture_near_the_trained_scale_is_left_as_it_is():
    scale = Scale(256, 256, 100)
    assert scale.near(100, 100) and scale.near(114, 200) and scale.near(90, 90)
    assert not scale.near(116, 200) and not scale.near(70, 70)
    assert scale.apart(50, 50) == scale.apart(200, 200) == 2
