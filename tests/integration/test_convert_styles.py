"""Styles from the command line: of a seed, of a reference image, several of each picture; and no others' business."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import write_images
from ways_out import SAYS_NO_WAY, User, taken, tried, ways_of

import translate

SAYS_NO_WAY |= {
    ("inference/styles", "--style {}: no such file; {}"): "says what was expected",
    ("inference/styles", "--style {}: {}"): "says what was expected",
    ("models/stargan_v2", "model.name {}"): "begins a message of models/styles",
    ("models/styles", "learns from one set of classes: leave data.also out"): "looked at in test_stargan_v2",
    ("data/synthetic/shapes", "set data.shapes.palettes=0"): "looked at in test_palettes",
    ("data/synthetic/shapes", "set data.shapes.pairs=0"): "looked at in test_palettes",
}


@tried(
    ("models/images", "this model knows no styles: a picture has one translation; leave --style out"),
    ("runs/convert", "--styles and --style: one style, or several; leave one of them out"),
    ("runs/convert", "--styles is for images, not for {}; leave it out"),
    ("runs/export", "--style is for graphs, which hold one; --format {} keeps all: leave it out"),
    ("models/stargan_v2", "so knows no way back; leave --cycle-error out"),
)
def styles_where_there_are_none(user: User) -> None:
    none, styled = user.run("pix2pix"), user.run("stargan-v2")
    user.photos()
    for option in ("--style", "seed:7"), ("--styles", "2"):
        text = user.refused("convert", none, "photos", "out", *option)
        assert taken(text, "this model knows no styles: .* leave (--style) out")
    user.gets("convert", none, "photos", "out")
    convert = ("convert", styled, "photos", "flowers", "--to", "b")
    both = user.refused(*convert, "--styles", "2", "--style", "seed:7")
    assert taken(both, "(--styles) and --style: one style, or several; leave one of them out")
    assert taken(user.refused(*convert, "--cycle-error"), "so knows no way back; leave (--cycle-error) out")
    user.gets(*convert, "--styles", "2", "--overwrite")
    hub = ("export", styled, "hub", "--format", "hub")
    assert taken(user.refused(*hub, "--style", "seed:7"), "(--style) is for graphs, which hold one; .*: leave it out")
    user.gets(*hub)
    (user.folder / "clip.mp4").write_bytes(b"no clip, but named as one")
    clip = user.refused("convert", styled, "clip.mp4", "out.mp4", "--to", "b", "--styles", "2")
    assert taken(clip, "(--styles) is for images, not for .*; leave it out")


@pytest.mark.parametrize("way_out", ways_of(__name__))
def test_the_way_out_works(way_out, user: User) -> None:
    way_out(user)


@pytest.fixture
def run(trained_once, tmp_path):
    """A trained run beside photos/ with two pictures and a reference image."""
    shutil.copytree(trained_once("stargan-v2"), tmp_path, dirs_exist_ok=True)
    (tmp_path / "run-stargan-v2").rename(tmp_path / "run")
    write_images(tmp_path / "photos", ["one.png", "two.png"])
    write_images(tmp_path, ["reference.png"], size=40, seed=7)
    return tmp_path / "run"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_style_is_that_of_a_seed_or_of_a_reference(run, run_cli, tmp_path):
    for out, *style in (
        ("plain",),
        ("zero", "--style", "seed:0"),
        ("seven", "--style", "seed:7"),
        ("reference", "--style", "reference.png"),
    ):
        result = run_cli("convert", "run", "photos", out, "--to", "b", "-q", *style)
        assert result.exit_code == 0, result.output
        assert names(tmp_path / out) == ["one.png", "two.png"]
    found = {out: pixels(tmp_path / out / "one.png") for out in ("plain", "zero", "seven", "reference")}
    assert np.array_equal(found["plain"], found["zero"]), "the model's own choice is seed:0"
    assert not np.array_equal(found["plain"], found["seven"])
    assert not np.array_equal(found["plain"], found["reference"])

    converter = translate.load(run)
    image = Image.open(tmp_path / "photos" / "one.png")
    for style in (tmp_path / "reference.png", Image.open(tmp_path / "reference.png"), pixels_of_reference(tmp_path)):
        assert np.array_equal(np.asarray(converter.convert(image, to="b", style=style)), found["reference"])
    assert np.array_equal(np.asarray(converter.convert(image, to="b", style=7)), found["seven"])


def pixels_of_reference(tmp_path: Path) -> np.ndarray:
    return np.asarray(Image.open(tmp_path / "reference.png"))


def test_several_styles_are_several_outputs_a_picture(run, run_cli, tmp_path):
    options = ("--to", "b", "--manifest", "rows.jsonl", "--gallery", "page.html", "-q")
    result = run_cli("convert", "run", "photos", "out", "--styles", "3", *options)
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == [f"{name}-{number}.png" for name in ("one", "two") for number in (1, 2, 3)]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {(Path(row["output"]).name, row["style"]) for row in rows} == {
        (f"{name}-{number}.png", f"seed:{number}") for name in ("one", "two") for number in (1, 2, 3)
    }
    one = run_cli("convert", "run", "photos", "second", "--style", "seed:2", "--to", "b", "-q")
    assert one.exit_code == 0
    assert np.array_equal(pixels(tmp_path / "second" / "one.png"), pixels(tmp_path / "out" / "one-2.png"))
    assert all(f"style {number}" in (tmp_path / "page.html").read_text() for number in (1, 2, 3))

    again = run_cli("convert", "run", "photos", "out", "--styles", "3", "--to", "b", "-q")
    assert again.exit_code == 0 and "0 converted, 6 skipped" in again.output
    single = run_cli("convert", "run", "photos/one.png", "alone.png", "--styles", "2", "--to", "b", "-q")
    assert single.exit_code == 0 and (tmp_path / "alone-1.png").exists() and (tmp_path / "alone-2.png").exists()


def test_a_folder_holds_one_style_or_one_number_of_them(run, run_cli, tmp_path):
    assert run_cli("convert", "run", "photos", "out", "--to", "b", "--style", "seed:7", "-q").exit_code == 0
    for other in (["--style", "seed:8"], ["--styles", "2"], ["--style", "reference.png"], []):
        result = run_cli("convert", "run", "photos", "out", "--to", "b", "-q", *other)
        assert result.exit_code == 2 and "with --style seed:7" in result.output, result.output


@pytest.mark.parametrize(
    ("style", "says"),
    [
        ("seed:x", "expected seed:N"),
        ("seed:", "expected seed:N"),
        ("absent.jpg", "no such file"),
    ],
)
def test_what_is_no_style_is_said_before_anything_is_written(run, run_cli, tmp_path, style, says):
    result = run_cli("convert", "run", "photos", "out", "--to", "b", "--style", style)
    assert result.exit_code == 2 and says in result.output and not (tmp_path / "out").exists()


def test_an_exported_graph_holds_one_style(run, run_cli, tmp_path):
    result = run_cli("export", "run", "seven.pt2", "--to", "b", "--style", "seed:7")
    assert result.exit_code == 0, result.output
    images = torch.rand(3, 3, 16, 24) * 2 - 1
    made = torch.export.load(tmp_path / "seven.pt2").module()(images)
    converter = translate.load(run, device="cpu", precision="float32")
    converter.size = "native"
    assert torch.allclose(made, converter.convert(images, to="b", style="seed:7"), atol=1e-5)
    assert not torch.allclose(made, converter.convert(images, to="b", style="seed:8"), atol=1e-3)
    refused = run_cli("export", "run", "folder", "--format", "hub", "--style", "seed:7")
    assert refused.exit_code == 2 and "--style is for graphs" in refused.output


@pytest.mark.slow
def test_a_run_is_evaluated_by_latent_and_by_reference(run, run_cli, tmp_path):
    result = run_cli("evaluate", "run", "-q", "--json", "scores.json")
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "scores.json").read_text())
    rows = {f"{a} to {b}, {way}" for a in "abc" for b in "abc" if a != b for way in ("latent", "reference")}
    assert {one["name"] for one in scores} == rows and {one["key"] for one in scores} == {
        "domain_accuracy",
        "style_spread",
    }
    assert all(one["value"] > 0 for one in scores if one["key"] == "style_spread")
