"""Runs on one folder of photos, whose inputs are derived: trained, checked, measured, converted, refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from kornia.color import rgb_to_lab
from PIL import Image
from torch import from_numpy
from ways_out import User, taken, tried, ways_of

import translate
from translate.errors import ConfigurationError
from translate.runs.loading import load_model

GREY, HOLES = "data.derive.grey={}", "data.derive.holes={}"


def photos(folder: Path, count: int = 8, side: int = 20, deep: bool = False) -> Path:
    """Smooth photos in colours, of `side` pixels and more."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    for number in range(count):
        coarse = rng.random((4, 4, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, (side + 4, side), interpolation=cv2.INTER_LINEAR)
        pixels = (smooth * 65535).astype(np.uint16) if deep else (smooth * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


def lightness(path: Path) -> np.ndarray:
    values = np.asarray(Image.open(path).convert("RGB")) / 255
    return rgb_to_lab(from_numpy(values).permute(2, 0, 1)[None])[0, 0].numpy()


def test_one_folder_of_photos_teaches_colours(user: User) -> None:
    photos(user.folder / "album")
    assert "ready to train on" in user.gets("data", "check", "album", GREY)
    said = user.gets(*user.train(user.recipe("pix2pix"), GREY, "--out", "run", data="album"))
    assert "grey is made of colour: grey (data.derive)" in said and "test: 1 colour (held out" in said
    loaded = load_model(user.folder / "run")
    assert loaded.images.domains == ("grey", "colour")
    assert [domain.channels for domain in loaded.images.each] == [1, 3]
    rows = [json.loads(line) for line in (user.folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any("validation/to_colour/l1" in row for row in rows)
    scores = user.gets("evaluate", "run", "--device", "cpu")
    assert "floor: grey as RGB" in scores and "to colour, as converted" in scores
    known = (user.folder / "run" / "evaluation-latest.json").read_text()
    user.gets("evaluate", "run", "--device", "cpu")
    assert (user.folder / "run" / "evaluation-latest.json").read_text() == known, (
        "inputs that are measured are the same for all time"
    )

    said = user.gets("convert", "run", "album", "coloured", "--keep-lightness", "--precision", "float32")
    assert said.count("colour pictures are made grey first, as in training") == 1
    user.gets("convert", "run", "album", "plain", "--precision", "float32")
    differ = 0.0
    for number in range(8):
        grey = user.folder / "grey.png"
        Image.open(user.folder / "album" / f"{number}.png").convert("L").save(grey)
        kept, plain = (lightness(user.folder / of / f"{number}.png") for of in ("coloured", "plain"))
        assert np.abs(kept - lightness(grey)).max() < 0.5
        differ = max(differ, float(np.abs(plain - lightness(grey)).max()))
    assert differ > 5, "without the option it is the model's"

    converter = translate.load(user.folder / "run", device="cpu", precision="float32")
    photo = np.asarray(Image.open(user.folder / "album" / "0.png"))
    tensor = from_numpy(photo.copy()).permute(2, 0, 1).float() / 127.5 - 1
    for kept, files in ((False, "plain"), (True, "coloured")):
        converter.keep_lightness = kept
        written = np.asarray(Image.open(user.folder / files / "0.png")).astype(int)
        assert (converter.convert(photo) == written).all()
        levels = (converter.convert(tensor) + 1).permute(1, 2, 0).numpy() * 127.5
        assert np.abs(levels - written).max() <= 3, "of tensors, grey is not rounded to levels"
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")
    assert "note: inputs are grey, made of colours by rec601" in user.gets("export", "run", "grey.onnx")
    user.gets("convert", "grey.onnx", "album", "exported", "--keep-lightness")
    both = (np.asarray(Image.open(user.folder / of / "0.png")).astype(int) for of in ("exported", "coloured"))
    assert np.abs(np.subtract(*both)).max() <= 1


@pytest.mark.parametrize("deep", [False, True])
def test_pixels_around_a_hole_stay_to_the_bit(user: User, deep: bool) -> None:
    album, masks = photos(user.folder / "album", deep=deep), user.folder / "masks"
    masks.mkdir()
    for number in range(8):
        mask = np.zeros((20, 24), np.uint8)
        mask[5:11, 6 : 12 + number] = 255
        cv2.imwrite(str(masks / f"{number}.png"), mask)
    said = user.gets(*user.train(user.recipe("pix2pix"), HOLES, "--out", "run", data="album"))
    assert "holed is made of whole: holes (data.derive)" in said
    assert "floor: OpenCV inpaint (Telea)" in user.gets("evaluate", "run", "--device", "cpu")
    user.gets("convert", "run", "album", "filled", "--with", "mask=masks")
    for number in range(8):
        before, after = (cv2.imread(str(at / f"{number}.png"), -1) for at in (album, user.folder / "filled"))
        mask = cv2.imread(str(masks / f"{number}.png"), 0) > 0
        assert after.dtype == before.dtype == (np.uint16 if deep else np.uint8)
        assert (after[~mask] == before[~mask]).all() and (after[mask] != before[mask]).any()
    if deep:
        converter = translate.load(user.folder / "run", device="cpu", precision="float32")
        planes = from_numpy(np.dstack([before[..., ::-1] / 32767.5 - 1, mask * 2.0 - 1])).permute(2, 0, 1).float()
        for size in ("auto", 16):  # and back
            converter.size = size
            filled = converter.convert(planes)
            assert (filled[:, ~mask] == planes[:3, ~mask]).all() and (filled[:, mask] != planes[:3, mask]).any()
        with pytest.raises(ValueError, match=r"white, and 257 is its brightest value, of 65535: make"):
            converter.convert({"photo": np.zeros((9, 9, 3), np.uint8), "mask": np.ones((9, 9), np.uint8)})
    if not deep:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs the extra [export]")
        said = user.gets("export", "run", "holes.onnx")
        assert "note: inputs have mid-grey in their holes; around these the network changes pixels, too" in said
        user.gets("convert", "holes.onnx", "album", "exported", "--with", "mask=masks")
        both = (cv2.imread(str(user.folder / of / "7.png")).astype(int) for of in ("exported", "filled"))
        assert np.abs(np.subtract(*both)).max() <= 3 and (cv2.imread("exported/7.png")[~mask] == before[~mask]).all()
    if not deep:  # whatever stood in the hole
        other = photos(user.folder / "other", 1)
        pixels, mask = cv2.imread(str(other / "0.png")), cv2.imread(str(masks / "0.png"), 0) > 0
        pixels[mask] = 0
        cv2.imwrite(str(other / "0.png"), pixels)
        user.gets("convert", "run", "other/0.png", "one.png", "--with", "mask=masks/0.png")
        filled = cv2.imread(str(user.folder / "filled" / "0.png"))
        assert (cv2.imread(str(user.folder / "one.png")) == filled).all()
        Image.fromarray(pixels).save(other / "0.jpg")
        (other / "0.png").unlink()
        assert "written as PNG" in user.gets("convert", "run", "other", "lossless", "--with", "mask=masks")
        assert (user.folder / "lossless" / "0.png").is_file()
        cv2.imwrite(str(masks / "0.png"), mask.astype(np.uint8))
        text = user.refused("convert", "run", "other", "none", "--with", "mask=masks", code=3)
        assert "the hole of its mask is white, and 1 is its brightest value" in text


def test_noise_is_measured_beside_what_opencv_makes_of_it(user: User) -> None:
    photos(user.folder / "album")
    user.gets(*user.train(user.recipe("pix2pix"), "data.derive.noise.sigma=[5,50]", "--out", "run", data="album"))
    scores = user.gets("evaluate", "run", "--device", "cpu")
    assert "floor: OpenCV fastNlMeans" in scores and "floor: untouched input" in scores


def test_photos_may_be_split_in_folders(user: User) -> None:
    photos(user.folder / "album" if (user.folder / "album").mkdir() else user.folder / "album" / "train")
    photos(user.folder / "album" / "test", 2)
    said = user.gets(*user.train(user.recipe("pix2pix", steps=1), GREY, "--domains", "bw,rgb", data="album"))
    assert "train: 8 rgb" in said and "test: 2 rgb" in said and "bw is made of rgb" in said


@tried(
    ("runs/image_sets/derived", "train with pix2pix, or leave data.derive out"),
    ("runs/image_sets/derived", "data.domains: data.derive makes inputs of targets: two different names, not {}"),
    ("runs/image_sets/derived", "set data.domains.{}"),
    ("runs/image_sets/derived", "{} is made of {}: {} (data.derive)"),
    ("data/derived/settings", "data.derive: inputs are made of photos, and {} holds {}"),
    ("data/derived/settings", "data.derive.{}: {}"),
    ("inference/derived", "(data.derive.grey.by: {})"),
    ("inference/derived", "not trained to colour grey pictures (data.derive.grey)"),
    ("inference/derived", "--keep-lightness: {} was {}; leave it out"),
    ("inference/derived", "--keep-size no: --keep-lightness compares pixel by pixel; leave one of them out"),
)
def what_is_not_derived(user: User) -> None:
    photos(user.folder / "album")
    unpaired = user.refused(*user.train(user.recipe("cyclegan", steps=1), GREY, data="album"))
    recipe = user.recipe(taken(unpaired, r"data\.derive: makes pairs.*train with (\w+)"), steps=1)
    command = user.train(recipe, GREY, data="album")
    user.refused(*command, "--domains", "same,same")
    text = user.refused(*command, "data.domains.grey.channels=1")
    user.gets(*command, f"{taken(text, r'set (data.domains.colour)')}.channels=3", "--out", "run")
    assert "data.layout: no effect here, as data.derive makes the inputs" in user.refused(
        *command, "data.layout=unpaired"
    )
    user.gets(*user.train(recipe, "data.derive.noise.sigma=9", "--out", "noisy", data="album"))
    refused = user.refused("convert", "noisy", "album", "out", "--keep-lightness")
    assert "--keep-lightness: noisy was not trained to colour grey pictures (data.derive.grey); leave it out" in refused
    with pytest.raises(ConfigurationError, match="not trained to colour grey pictures"):
        translate.load(user.folder / "noisy", device="cpu").keep_lightness = True
    text = user.refused("convert", "run", "album", "out", "--keep-lightness", "--keep-size", "no")
    user.gets("convert", "run", "album", "out", taken(text, "(--keep-lightness)"))


@tried(
    ("data/layouts/photos", "if they are inputs and targets, set data.derive=null"),
    ("runs/image_sets/opening", "leave it out, or set data.derive=null for inputs of your own"),
)
def pairs_of_ones_own(user: User) -> None:
    """Two folders of the same names are photos for a recipe that makes its inputs, which says what they may be."""
    photos(user.folder / "both" if (user.folder / "both").mkdir() else user.folder / "both" / "dull")
    photos(user.folder / "both" / "vivid")
    recipe = user.recipe("pix2pix", steps=1)
    command = user.train(recipe, GREY, data="both")
    noted = taken(
        user.gets(*command, "--out", "run"), r"note: dull/ and vivid/ hold images of the same names: .* set (.*)"
    )
    own = ("data.input=[dull]", "data.target=[vivid]")
    refused = taken(user.refused(*command, *own), r"leave it out, or set (\S+) for inputs of your own")
    assert noted == refused == "data.derive=null"
    user.gets(*user.train(recipe, GREY, noted, *own, "--out", "pairs", data="both"))
    assert load_model(user.folder / "pairs").images.domains == ("dull", "vivid")


def test_an_album_in_folders_is_no_pairs(user: User) -> None:
    photos(user.folder / "album" if (user.folder / "album").mkdir() else user.folder / "album" / "june")
    photos(user.folder / "album" / "july", count=9)
    assert "same names" not in user.refused("data", "check", "album", GREY, code=3), "for copies, in this test"


@tried(
    ("runs/image_sets/derived", "set model.generator.scale={}, too"),
    ("runs/image_sets/derived", "set data.derive.lowres.enlarged=true, or train the recipe super-resolution"),
    ("runs/image_sets/derived", "set data.derive.lowres.factor={}, or a model.generator that keeps the size"),
    ("data/derived/settings", "set data.size={}"),
)
def sizes_that_no_generator_makes(user: User) -> None:
    photos(user.folder / "album", side=40)
    recipe = user.recipe("pix2pix", steps=1)
    small = user.refused(*user.train(recipe, "data.derive.lowres.factor=4", data="album"))
    advice = taken(small, r"set (data\.derive\.lowres\.enlarged=true)")
    user.gets(*user.train(recipe, "data.derive.lowres.factor=4", advice, data="album"))
    enlarging = ("model.generator.kind=srresnet", "model.generator.filters=4", "model.generator.blocks=1")
    large = user.refused(*user.train(recipe, *enlarging, GREY, data="album"))
    factor = taken(large, r"set (data\.derive\.lowres\.factor=\d)")
    user.gets(
        *user.train(
            recipe,
            *enlarging,
            factor,
            data="album",
        )
    )
    double = (*enlarging, "data.derive.lowres.factor=2")
    fewer = taken(user.refused(*user.train(recipe, *double, data="album")), r"set (model\.generator\.scale=2), too")
    user.gets(*user.train(recipe, *double, fewer, data="album"))
    odd = user.refused(*user.train(recipe, *enlarging, "data.derive.lowres.factor=3", data="album"))
    assert "does not divide by data.derive.lowres.factor=3: set data.size=" in odd


@tried(("data/derived/holes", "data.derive.holes.masks: {}: no images in it"))
def a_folder_without_masks(user: User) -> None:
    photos(user.folder / "album")
    (user.folder / "empty").mkdir()
    command = user.train(user.recipe("pix2pix", steps=1), data="album")
    assert "no images in it" in user.refused(*command, "data.derive.holes.masks=empty")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_ways_out(user: User, trial: object) -> None:
    trial(user)  # type: ignore[operator]
