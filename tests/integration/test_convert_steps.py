"""Translating in as many steps as are asked for: from the command line, in Python, in bands of rows, and in graphs."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import write_images
from ways_out import SAYS_NO_WAY

import translate

SAYS_NO_WAY |= {
    (
        "models/bridge",
        "a graph holds the network once for each of the {} steps, and {} are the most: export it with --steps {} or "
        "fewer, or --format hub, which holds the model itself",
    ): "looked at in test_bridges",
    (
        "models/bridge",
        "torch.export makes no graph for batches of any length of this network's attention: export it with --format "
        "hub, which holds the model itself, or train with model.generator.attention: 0",
    ): "looked at in test_bridges",
}


@pytest.fixture
def run(trained_once, tmp_path):
    shutil.copytree(trained_once("bridge") / "run-bridge", tmp_path / "run")
    write_images(tmp_path / "photos", ["one.png"])
    return tmp_path / "run"


def test_steps_are_asked_for_kept_apart_and_written_down(run, run_cli, tmp_path):
    def converted(out, *more):
        result = run_cli("convert", "run", "photos", out, "--precision", "float32", "-q", *more)
        assert result.exit_code == 0, result.output
        return np.asarray(Image.open(tmp_path / out / "one.png")).astype(int)

    one = converted("one", "--steps", "1", "--manifest", "rows.jsonl")
    assert json.loads((tmp_path / "rows.jsonl").read_text())["steps"] == 1
    two, plain = converted("two", "--steps", "2"), converted("plain")
    assert np.array_equal(two, plain) and not np.array_equal(one, two), "the recipe's are 2"
    refused = run_cli("convert", "run", "photos", "one", "--steps", "3")
    assert refused.exit_code == 2 and "with --steps 1" in refused.output

    converter, image = translate.load(run, precision="float32"), Image.open(tmp_path / "photos" / "one.png")
    assert np.array_equal(np.asarray(converter.convert(image, steps=1)), one)
    converter.draw(1)
    assert np.array_equal(np.asarray(converter.convert(image, steps=1)), one), "a single step draws nothing"
    assert not np.array_equal(np.asarray(converter.convert(image, steps=2)), two)


def test_bands_of_rows_give_the_same(run, run_cli, tmp_path):
    for out, *tile in (("whole",), ("bands", "--tile", "8")):
        result = run_cli("convert", "run", "photos", out, "--precision", "float32", "-q", *tile)
        assert result.exit_code == 0, result.output
    whole, bands = (np.asarray(Image.open(tmp_path / out / "one.png")).astype(int) for out in ("whole", "bands"))
    assert np.abs(whole - bands).max() <= 1


def test_an_exported_graph_takes_its_steps(run, run_cli, tmp_path):
    result = run_cli("export", "run", "one.pt2", "--steps", "1")
    assert result.exit_code == 0, result.output
    images = torch.rand(3, 3, 16, 24) * 2 - 1
    made = torch.export.load(tmp_path / "one.pt2").module()(images)
    converter = translate.load(run, device="cpu", precision="float32")
    converter.size = "native"
    torch.testing.assert_close(made, converter.convert(images, steps=1), atol=1e-5, rtol=0)
