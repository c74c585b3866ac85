"""Runs from instance maps to pictures: trained, measured, converted, shown, resumed and exported as what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import tiny
import torch
import yaml
from click.testing import CliRunner
from instance_files import nuclei, things
from label_files import palette_image
from PIL import Image

import translate
from translate.cli import main
from translate.data.batch import Paired
from translate.data.domain import Domain
from translate.data.planes import coloured, planes
from translate.errors import ConfigurationError
from translate.inference.sheets import thumbnail
from translate.models import MODELS
from translate.models.base import Translator
from translate.recipe.reading import load_recipe
from translate.runs.evaluate import evaluate
from translate.runs.export import export
from translate.runs.loading import build_model, load_model
from translate.training.checkpoint import load_checkpoint

MAPS = Domain("instances", 2, dtype="uint16", kind="instances")


def command(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def train(root: Path, name: str, *overrides: str) -> tuple[int, str]:
    here = ("--data", root / "set", "--out", root / name, "--device", "cpu", "--wandb", "disabled")
    return command("train", root / "recipe.yaml", *here, *overrides)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, and a run from instance maps, by the command line."""
    root = tmp_path_factory.mktemp("instances")
    nuclei(root / "set", train=5)
    recipe = {"model": tiny.TINY["pix2pix"], "data": tiny.TINY_DATA, "training": tiny.TINY_TRAINING}
    (root / "recipe.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
    code, said = train(root, "run")
    assert code == 0 and "instances: instance maps (data.domains.instances.kind=image or labels" in said, said
    return root


def test_a_run_keeps_what_its_instance_maps_are_and_is_measured(root: Path) -> None:
    facts = load_checkpoint(root / "run" / "checkpoints", "latest").facts
    assert Domain.of(facts["each"][0]) == MAPS
    scores = {score.key: score for score in evaluate(root / "run", device="cpu", quiet=True)}
    assert {"l1", "ssim"} <= set(scores) and set(scores["l1"].floor) == {"best colour map"}, "no untouched input"
    assert "instances" in (root / "run" / "report.html").read_text()
    code, said = command("data", "check", root / "set")
    assert code == 0 and "instances: instance maps (" in said, said


def test_files_arrays_and_pictures_become_the_same(root: Path, tmp_path: Path) -> None:
    found = things(50, 30)
    (tmp_path / "in").mkdir()
    Image.fromarray(found).save(tmp_path / "in" / "16.png")
    Image.fromarray(found.astype(np.uint8)).save(tmp_path / "in" / "8.png")
    tifffile.imwrite(tmp_path / "in" / "32.tif", found.astype(np.int32) * 70_000)
    Image.fromarray(np.zeros((96, 96, 3), np.uint8) + np.arange(3, dtype=np.uint8)).save(tmp_path / "in" / "bad.png")
    converter = translate.load(root / "run", device="cpu", precision="float32")
    wanted = converter.convert(found)
    assert wanted.shape == (96, 96, 3) and wanted.dtype == np.uint8
    for same in (found.astype(np.uint8), found.astype(np.int64) * 70_000, found.astype(float)):
        np.testing.assert_array_equal(converter.convert(same), wanted)
    in_colours = palette_image(found.astype(np.uint8), [(7, 255 - n, 9) for n in range(256)])
    for image in (Image.fromarray(found), in_colours):
        np.testing.assert_array_equal(np.asarray(converter.convert(image)), wanted)
    with pytest.raises(ValueError, match="the array: holds fractions"):
        converter.convert(found / 2)
    with pytest.raises(ValueError, match="expected instance maps, got uint16"):
        converter.convert(np.dstack([found] * 3))
    options = ("--device", "cpu", "--precision", "float32", "--compare", tmp_path / "sheets")
    code, said = command("convert", root / "run", tmp_path / "in", tmp_path / "out", *options)
    assert code == 3 and "bad.png: holds colours" in said, said
    for name in ("16.png", "8.png", "32.tif"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), wanted)
    colours = {tuple(colour) for colour in np.asarray(thumbnail(tmp_path / "in" / "16.png", 96, MAPS)).reshape(-1, 3)}
    sheet = np.asarray(Image.open(tmp_path / "sheets" / "sheet-00001.png").convert("RGB"))
    seen = {tuple(colour) for colour in sheet.reshape(-1, 3)}
    assert len(colours) == 31 and colours <= seen
    tiled = ("--device", "cpu", "--precision", "float32", "--tile", "16", "--overwrite")
    command("convert", root / "run", tmp_path / "in", tmp_path / "out", *tiled)
    apart = np.asarray(Image.open(tmp_path / "out" / "16.png")).astype(int) - wanted
    assert np.abs(apart).max() <= 1


def test_planes_are_converted_as_tensors(root: Path) -> None:
    found = things(51, 30)[:16, :16].copy()
    converter = translate.load(root / "run", device="cpu", precision="float32")
    given = planes(torch.from_numpy(found)[None, None], MAPS)[0]
    made = converter.convert(given).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.rint((made + 1) * 127.5).astype(np.uint8), converter.convert(found))


def test_grids_show_boundaries_white_on_black(root: Path) -> None:
    grid = np.asarray(Image.open(next((root / "run" / "samples").glob("*.png"))).convert("RGB")).reshape(-1, 3)
    assert (grid == 0).all(1).any() and (grid == 255).all(1).any()
    model, found = load_model(root / "run").model, torch.from_numpy(things(53, 30)[None, None, :32, :32].copy())
    batch = Paired(planes(found, MAPS), torch.zeros(1, 3, 32, 32))
    assert torch.equal(model.show(batch)["input"], coloured(batch.input, MAPS))


def test_a_resumed_run_is_the_same_to_the_bit(root: Path) -> None:
    assert train(root, "parts", "training.steps=2")[0] == 0
    code, said = train(root, "parts", "--resume", "training.steps=4")
    assert code == 0, said
    assert train(root, "whole")[0] == 0
    first, second = (load_checkpoint(root / name / "checkpoints", "latest") for name in ("whole", "run"))
    assert all(torch.equal(value, second.weights()[key]) for key, value in first.weights().items())
    parts = load_checkpoint(root / "parts" / "checkpoints", "latest")
    assert parts.facts["step"] == 4 and Domain.of(parts.facts["each"][0]) == MAPS


def test_exported_graphs_take_instance_maps(root: Path, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")
    export(root / "run", tmp_path / "graph.onnx")
    export(root / "run", tmp_path / "bytes.onnx", as_bytes=True)
    graph, found = translate.load(tmp_path / "graph.onnx"), things(52, 30)
    assert graph.images.to_translate(graph.request(None)).kind == "instances"
    made = graph.convert(found)
    assert made.shape == (96, 96, 3)
    (tmp_path / "in").mkdir()
    Image.fromarray(found).save(tmp_path / "in" / "map.png")
    for name in ("graph", "bytes"):  # of planes, which bytes hold, too
        code, said = command("convert", tmp_path / f"{name}.onnx", tmp_path / "in", tmp_path / name)
        assert code == 0, said
        apart = np.asarray(Image.open(tmp_path / name / "map.png")).astype(int) - made
        assert np.abs(apart).max() <= (name == "bytes")


def test_as_the_target_they_are_refused_before_the_first_step(root: Path) -> None:
    code, said = train(root, "back", "data.direction=BtoA")
    assert code == 2 and "instances holds instance maps, which can be the input only" in said, said
    assert not (root / "back" / "checkpoints").exists()


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if not kind.takes_labels])
def test_methods_of_images_refuse_instance_maps_by_name(name: str) -> None:
    kind = MODELS[name]
    spec = tiny.SPECS.get(kind.batch_type, tiny.SPEC)
    if not issubclass(kind, Translator):
        return
    recipe = load_recipe("cyclegan")
    recipe = recipe.model_copy(update={"model": kind.Config.model_validate_json(json.dumps(tiny.tiny_settings(name)))})
    images = replace(spec, each=tuple(replace(MAPS, name=each) for each in spec.domains))
    with pytest.raises(ConfigurationError, match=r"takes images, and a holds instance maps: train with pix2pix"):
        build_model(recipe, images)


def test_videos_hold_none(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra [video]")
    from test_video import clip

    clip(tmp_path / "clip.mp4", audio=False)
    code, said = command("convert", root / "run", tmp_path / "clip.mp4", tmp_path / "out.mp4")
    assert code == 2 and "takes instance maps, and videos hold none" in said
