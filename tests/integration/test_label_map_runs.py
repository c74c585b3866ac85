"""Runs from label maps to photos and back: trained, measured, converted, resumed and exported as what they are."""

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
from label_files import COLOURS, classes, palette_image, photo, scenes
from PIL import Image

import translate
from translate.cli import main
from translate.data.domain import Domain
from translate.data.label_maps import palette
from translate.errors import ConfigurationError, TranslateError
from translate.evaluation.classifier import ClassifierSettings
from translate.models import MODELS
from translate.recipe.reading import load_recipe
from translate.runs.evaluate import evaluate
from translate.runs.export import export
from translate.runs.loading import build_model
from translate.training.checkpoint import load_checkpoint

LABELS = Domain("maps", 3, dtype="uint8", kind="labels")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, and a run in each direction."""
    root = tmp_path_factory.mktemp("labels")
    scenes(root / "set", train=6)
    recipe = {"model": tiny.TINY["pix2pix"], "data": tiny.TINY_DATA, "training": tiny.TINY_TRAINING | {"steps": 6}}
    (root / "recipe.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
    train(root, "photos")
    train(root, "maps", "data.direction=BtoA")
    return root


def train(root: Path, name: str, *overrides: str, **options: object) -> Path:
    return translate.train(
        root / "recipe.yaml",
        root / "set",
        out=root / name,
        overrides=overrides,
        tracking="disabled",
        device="cpu",
        quiet=True,
        **options,  # type: ignore[arg-type]
    )


def measures(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_checkpoint_says_what_its_label_maps_are(root: Path) -> None:
    facts = load_checkpoint(root / "photos" / "checkpoints", "latest").facts
    assert Domain.of(facts["each"][0]) == LABELS
    for name, (inputs, outputs) in {"photos": (3, 3), "maps": (3, 3)}.items():
        images = translate.load(root / name, device="cpu").images
        assert (images.domain(0).channels, images.domain(1).channels) == (inputs, outputs)
    assert translate.load(root / "maps", device="cpu").images.domain(1) == LABELS


def test_photos_from_labels_are_the_same_by_file_array_and_picture(root: Path, tmp_path: Path) -> None:
    found = classes(50, size=21)
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(found).save(folder / "grey.png")
    palette_image(found).save(folder / "palette.png")
    bad = found.copy()
    bad[:2, :2] = 7
    Image.fromarray(bad).save(folder / "bad.png")
    converter = translate.load(root / "photos", device="cpu", precision="float32")
    wanted = converter.convert(found)
    assert wanted.shape == (21, 21, 3) and wanted.dtype == np.uint8
    np.testing.assert_array_equal(converter.convert(found.astype(np.int64)), wanted)
    np.testing.assert_array_equal(np.asarray(converter.convert(palette_image(found))), wanted)
    one_hot = torch.from_numpy(np.eye(3, dtype=np.float32)[found]).permute(2, 0, 1) * 2 - 1
    assert converter.convert(one_hot).shape == (3, 21, 21)
    mask = found > 0
    np.testing.assert_array_equal(converter.convert(mask), converter.convert(mask.astype(np.uint8)))
    planes = one_hot > 0
    assert torch.equal(converter.convert(planes), converter.convert(planes.to(torch.uint8) * 255))
    assert converter.convert(planes).dtype == torch.uint8
    with pytest.raises(ValueError, match="value 7 in 4 pixels, where maps has the classes 0 to 2: give those pixels"):
        converter.convert(bad)
    with pytest.raises(ValueError, match="expected label maps of 3 classes"):
        converter.convert(photo(found))
    code, said = convert(root / "photos", folder, tmp_path / "out", "--precision", "float32")
    assert code == 3 and "bad.png: value 7 in 4 pixels" in said and "0 to 2: give those pixels such a number" in said
    bad[:2, :2] = 2
    Image.fromarray(bad).save(folder / "bad.png")
    assert convert(root / "photos", folder, tmp_path / "out")[0] == 0, "what it advises to do"
    for name in ("grey.png", "palette.png"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), wanted)
    for options in (("--tile", "16", "--overwrite"), ("--depth", "same", "--overwrite")):
        convert(root / "photos", folder, tmp_path / "out", "--precision", "float32", *options)
        apart = np.asarray(Image.open(tmp_path / "out" / "grey.png")).astype(int) - wanted
        assert np.abs(apart).max() <= 1, options


def convert(run: Path, folder: Path, out: Path, *options: str) -> tuple[int, str]:
    from click.testing import CliRunner

    from translate.cli import main

    result = CliRunner().invoke(main, ["convert", str(run), str(folder), str(out), "--device", "cpu", *options])
    return result.exit_code, result.output


def test_labels_from_photos_are_numbers_of_classes_in_a_palette(root: Path, tmp_path: Path) -> None:
    shot = photo(classes(51, size=20))
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "b.png", "c.tif"):
        Image.fromarray(shot).save(folder / name)
    sheets = tmp_path / "sheets"
    code, said = convert(root / "maps", folder, tmp_path / "out", "--precision", "float32", "--compare", str(sheets))
    assert code == 0, said
    assert sorted(path.name for path in (tmp_path / "out").glob("[a-z]*")) == ["a.png", "b.png", "c.png"]
    with Image.open(tmp_path / "out" / "b.png") as image:
        assert image.mode == "P" and np.array(image).max() < 3
        assert bytes(image.getpalette()[:9]) == palette(LABELS)[:3].tobytes()
        written = np.array(image)
    converter = translate.load(root / "maps", device="cpu", precision="float32")
    found = converter.convert(shot)
    assert found.shape == (20, 20, 1) and found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], written)
    picture = converter.convert(Image.fromarray(shot))
    assert picture.mode == "P" and np.array_equal(np.array(picture), written)
    logits = converter.convert(torch.from_numpy(shot).permute(2, 0, 1).float() / 127.5 - 1)
    # Floats are resized without rounding, and back.
    assert (logits.argmax(0).numpy() == written).mean() > 0.98
    for depth in ("8", "16", "float", "same"):
        convert(root / "maps", folder, tmp_path / f"out{depth}", "--precision", "float32", "--depth", depth)
        np.testing.assert_array_equal(np.array(Image.open(tmp_path / f"out{depth}" / "b.png")), written)
    convert(root / "maps", folder, tmp_path / "bands", "--precision", "float32", "--tile", "16")
    assert (np.array(Image.open(tmp_path / "bands" / "b.png")) == written).mean() > 0.99
    code, said = convert(root / "maps", folder / "a.jpg", tmp_path / "one.jpg")
    assert code == 2 and f"which go into PNG and TIFF only: name it {tmp_path / 'one.png'}" in said
    assert convert(root / "maps", folder / "a.jpg", tmp_path / "one.png")[0] == 0
    for format in ("jpeg", "webp"):
        code, said = convert(root / "maps", folder, tmp_path / "none", "--format", format)
        assert code == 2 and f"--format {format}: translations are label maps of 3 classes, which go into PNG" in said
        assert "give --format png, or leave it out" in said and not (tmp_path / "none").exists()
    for format in ("png", "tiff"):
        assert convert(root / "maps", folder, tmp_path / format, "--format", format)[0] == 0
    code, said = convert(root / "maps", folder / "a.jpg", tmp_path / "one.tif", "--precision", "float32")
    assert code == 0 and np.array(Image.open(tmp_path / "one.tif")).max() < 3


def test_label_maps_are_measured_as_such_and_the_best_agrees_most(root: Path) -> None:
    rows = [row for row in measures(root / "maps") if "validation/to_maps/mean_iou" in row]
    assert rows and all(0 <= row["validation/to_maps/pixel_accuracy"] <= 1 for row in rows)
    assert not any("to_maps/l1" in key or "to_maps/psnr" in key for row in rows for key in row)
    facts = load_checkpoint(root / "maps" / "checkpoints", "latest").facts
    assert facts["best_l1"] == pytest.approx(1 - max(row["validation/to_maps/mean_iou"] for row in rows))
    assert any("validation/to_photos/l1" in row for row in measures(root / "photos"))
    scores = {score.key: score for score in evaluate(root / "maps", device="cpu", quiet=True)}
    assert set(scores) == {"mean_iou", "pixel_accuracy"}
    found = scores["mean_iou"]
    assert found.value == pytest.approx(rows[-1]["validation/to_maps/mean_iou"], abs=1e-6)
    assert found.low is not None and found.low <= found.value <= found.high
    assert found.floor["best colour map"] > found.value and "untouched input" not in found.floor
    assert (root / "maps" / "report.html").is_file() and "mean IoU" in (root / "maps" / "report.html").read_text()


def test_photos_are_judged_by_a_segmenter_of_real_ones_which_is_kept(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path))
    said: list[str] = []
    again = [
        evaluate(root / "photos", device="cpu", classifier=ClassifierSettings(steps=60), log=said.append, quiet=True)
        for _ in range(2)
    ]
    first, second = ({score.key: score for score in scores} for scores in again)
    found = first["segmented/mean_iou"]
    assert found.ceiling["real images"] > 0.8 and 0 <= found.value < found.ceiling["real images"]
    assert found.low <= found.value <= found.high and set(found.floor) == {"best colour map"}
    assert second["segmented/mean_iou"] == found and "segmented/pixel_accuracy" in first
    assert sum("training a segmenter on 6 real images" in line for line in said) == 1
    (file,) = tmp_path.rglob("segmenters/set-*.safetensors")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(TranslateError, match=r"damaged segmenter .*; delete the file to have it trained again"):
        evaluate(root / "photos", device="cpu", classifier=ClassifierSettings(steps=60), quiet=True)


def test_grids_show_classes_in_their_colours(root: Path) -> None:
    table = {tuple(colour) for colour in palette(LABELS)[:3].tolist()}
    grid = np.asarray(Image.open(next((root / "photos" / "samples").glob("*.png"))).convert("RGB"))
    seen = {tuple(colour) for colour in grid.reshape(-1, 3).tolist()}
    assert table <= seen


def test_a_resumed_run_knows_its_classes_without_looking(root: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root, tmp_path / "copy")
    copy = tmp_path / "copy"
    for path in (copy / "set" / "maps").rglob("*.png"):  # as few as a look would find fewer in
        Image.fromarray(np.minimum(np.asarray(Image.open(path)), 1)).save(path)
    train(copy, "photos", "training.steps=8", resume=True)
    facts = load_checkpoint(copy / "photos" / "checkpoints", "latest").facts
    assert facts["step"] == 8 and Domain.of(facts["each"][0]) == LABELS


@pytest.mark.parametrize("name", ["photos", "maps"])
def test_exported_graphs_take_and_give_label_maps(root: Path, tmp_path: Path, name: str) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")
    path = tmp_path / "graph.onnx"
    export(root / name, path)
    given = classes(52) if name == "photos" else photo(classes(52))
    found = translate.load(path).convert(given)
    assert found.shape == ((16, 16, 3) if name == "photos" else (16, 16, 1))
    assert found.dtype == np.uint8 and (name == "photos" or found.max() < 3)


def test_labels_are_learnt_from_photos(root: Path) -> None:
    quick = ("training.steps=60", "training.lr=2e-3", "training.batch_size=6", "data.load_size=16")
    run = train(root, "learnt", "data.direction=BtoA", *quick)
    assert measures(run)[-1]["validation/to_maps/mean_iou"] > 0.6


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if not kind.takes_labels])
def test_methods_of_images_refuse_label_maps_by_name_and_say_what_takes_them(name: str, place: int) -> None:
    kind = MODELS[name]
    spec = tiny.SPECS.get(kind.batch_type, tiny.SPEC)
    recipe = load_recipe("cyclegan")
    recipe = recipe.model_copy(update={"model": kind.Config.model_validate_json(json.dumps(tiny.tiny_settings(name)))})
    each, wrong = list(map(Domain, spec.domains)), spec.domains[place]
    each[place] = replace(LABELS, name=wrong)
    says = (
        rf"takes images, and {wrong} holds label maps of 3 classes: .* pix2pix, .*data\.domains\.{wrong}\.kind: image"
    )
    with pytest.raises(ConfigurationError, match=says):
        build_model(recipe, replace(spec, each=tuple(each)))


def test_colours_of_facades_like_sets_become_classes(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 1)):
        (tmp_path / "set" / split).mkdir(parents=True)
        for number in range(count):
            found = classes(number, 4, 32)
            both = np.hstack([photo(found), np.array(COLOURS, np.uint8)[found]])
            Image.fromarray(both).save(tmp_path / "set" / split / f"{number}.jpg", quality=95, subsampling=0)
    recipe = {"model": tiny.TINY["pix2pix"], "data": tiny.TINY_DATA, "training": tiny.TINY_TRAINING | {"steps": 2}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
    run = train(tmp_path, "run", f"data.domains.B.colours={json.dumps(COLOURS)}", "data.direction=BtoA")
    converter = translate.load(run, device="cpu")
    assert converter.images.domain(0).colours == COLOURS and converter.images.domain(0).classes == 4
    assert converter.convert(np.array(COLOURS, np.uint8)[classes(9, 4)]).shape == (16, 16, 3)


def test_videos_show_label_maps_and_hold_none(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra [video]")
    from test_video import clip, frames

    clip(tmp_path / "clip.mp4", audio=False)
    code, said = convert(root / "photos", tmp_path / "clip.mp4", tmp_path / "photos.mp4")
    assert code == 2 and "takes label maps of 3 classes, and videos hold none" in said
    assert not (tmp_path / "photos.mp4").exists()
    code, said = convert(root / "maps", tmp_path / "clip.mp4", tmp_path / "maps.mp4")
    assert code == 0, said
    shown = np.stack([pixels for _, pixels in frames(tmp_path / "maps.mp4")]).reshape(-1, 1, 3).astype(int)
    near = np.abs(shown - palette(LABELS)[:3].astype(int)).max(2).min(1) < 40
    assert near.mean() > 0.5 and shown.max() > 80, "in the colours of classes, as far as compression keeps them"


def test_a_photo_of_a_label_map_lies_where_the_map_lies(root: Path, tmp_path: Path) -> None:
    numbers, lies = classes(3, 3, 16), (33550, "d", 3, (0.5, 0.5, 0.0), False)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in" / "a.tif", numbers, extratags=[lies], resolution=(300, 300), photometric="minisblack"
    )
    tie = Image.Exif()
    tie[0x0112], tie[0x0131] = 1, "a scanner"
    Image.fromarray(numbers).save(tmp_path / "in" / "b.png", exif=tie)
    done = CliRunner().invoke(main, ["convert", str(root / "photos"), str(tmp_path / "in"), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        assert file.pages[0].shape == (16, 16, 3) and file.pages[0].tags[33550].value == (0.5, 0.5, 0.0)
        assert file.pages[0].tags["XResolution"].value == (300, 1)
    assert Image.open(tmp_path / "out" / "b.png").getexif()[0x0131] == "a scanner"
