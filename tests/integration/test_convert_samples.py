"""`translate convert --with NAME=DIR`: samples of several images from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from label_files import classes, photo
from PIL import Image
from sample_files import CLEAN, MASK, PHOTO, photos_and_masks, pixels, run_of_samples, spec_of
from ways_out import SAYS_NO_WAY, User, command_in, options_in, taken, tried, ways_of

import translate
from translate.data.domain import Domain
from translate.inference.provenance import MARK

SAYS_NO_WAY |= {
    ("inference/partners", "--with {}={}: no such file or folder"): "names what was given",
    ("inference/partners", "--with {}={}: is INPUT; name each folder once"): "names what was given",
}
WITH = "--with=mask=masks"


@pytest.fixture
def run(user: User) -> str:
    photos_and_masks(user.folder)
    return run_of_samples(user.folder / "run").name


def convert(*more: object, source: str = "photos", out: str = "out") -> list[object]:
    return ["convert", "run", source, out, "--device", "cpu", "--precision", "float32", *more]


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".jpg"}


def test_a_folder_is_converted_with_its_masks_as_in_python(user: User, run: str) -> None:
    user.gets(*convert(WITH, "--format", "png", "--manifest", "rows.jsonl"))
    loaded = translate.load(user.folder / run, device="cpu", precision="float32")
    for name in ("one", "two"):
        files = {"photo": f"photos/{name}.jpg", "mask": f"masks/{name}.png"}
        wanted = loaded.convert({layer: pixels(user.folder / file) for layer, file in files.items()})
        assert np.array_equal(pixels(user.folder / "out" / f"{name}.png"), wanted) and wanted.std() > 5
        assert not np.array_equal(
            loaded.convert({"photo": pixels(user.folder / files["photo"]), "mask": wanted[..., 0] * 0}), wanted
        )
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert [row["with"] for row in rows] == [{"mask": "masks/one.png"}, {"mask": "masks/two.png"}]


def test_a_folder_is_not_continued_with_other_masks(user: User, run: str) -> None:
    user.gets(*convert(WITH))
    before = outputs(user.folder / "out")
    assert "0 converted, 2 skipped" in user.gets(*convert("--with", f"mask={user.folder}/photos/../masks"))
    photos_and_masks(user.folder / "new", ["two", "one"])
    other = f"mask={user.folder / 'new' / 'masks'}"
    text = user.refused(*convert("--with", other))
    assert f"with mask={(user.folder / 'masks').resolve()}" in text and f"with {other}" in text
    assert outputs(user.folder / "out") == before
    user.gets(*convert("--with", other, "--overwrite"))
    assert outputs(user.folder / "out") != before
    user.refused(*convert(WITH))
    mark = json.loads((user.folder / "out" / MARK).read_text())
    assert mark["beside"] == [other]


def test_shards_and_a_second_call_continue(user: User, run: str) -> None:
    names = [f"{number}" for number in range(7)]
    photos_and_masks(user.folder, names)
    for part in (1, 2):
        user.gets(*convert(WITH, "--shard", f"{part}/2", out="parts"))
    user.gets(*convert(WITH))
    assert outputs(user.folder / "parts") == outputs(user.folder / "out") and len(outputs(user.folder / "out")) == 9
    (user.folder / "out" / "3.jpg").unlink()
    (user.folder / "masks" / "3.png").rename(user.folder / "three.png")
    text = user.refused(*convert(WITH), code=3)
    assert "0 converted, 8 skipped, 1 failed" in text and "failed: photos/3.jpg: there is no mask of its name" in text
    (user.folder / "three.png").rename(user.folder / "masks" / "3.png")
    assert "1 converted, 8 skipped" in user.gets(*convert(WITH))
    assert outputs(user.folder / "parts") == outputs(user.folder / "out")


def test_input_may_hold_any_layer(user: User, run: str) -> None:
    user.gets(*convert(WITH, "--format", "png"))
    user.gets(*convert("--with=photo=photos", source="masks", out="same"))
    for name in ("one.png", "two.png"):
        assert np.array_equal(pixels(user.folder / "out" / name), pixels(user.folder / "same" / name))
    with Image.open("masks/one.png") as image:
        image.resize((32, 32), Image.Resampling.NEAREST).save("masks/one.png")
    for source, beside, size in (("masks", "--with=photo=photos", 32), ("photos", WITH, 16)):
        user.gets(*convert(beside, "--overwrite", source=source, out=f"like-{source}"))
        assert pixels(next((user.folder / f"like-{source}").glob("one.*"))).shape == (size, size, 3)
    (user.folder / "scenes" / "mask").mkdir(parents=True)
    (user.folder / "masks").rename(user.folder / "scenes" / "mask" / "test")
    text = user.refused(*convert(source="scenes/mask/test", out="new"))
    assert "INPUT is mask, and photo is missing: `translate convert run scenes/mask/test new" in text
    assert text.strip().endswith("--with=photo=scenes/photo/test`")


def test_no_output_takes_the_place_of_any_input(user: User, run: str) -> None:
    for out in ("masks", "masks/deeper", "photos"):
        assert "is the input folder or lies inside it" in user.refused(*convert(WITH, out=out))
    (user.folder / "out").mkdir()
    photos_and_masks(user.folder, ["sub/three"])
    os.symlink("../masks/sub", user.folder / "out" / "sub")
    text = user.refused(*convert(WITH))
    assert "out/sub: holds images of the input, perhaps by another name" in text
    (user.folder / "out" / "sub").unlink()
    os.link(user.folder / "masks" / "one.png", user.folder / "out" / "one.jpg")
    text = user.refused(*convert(WITH, "--overwrite"))
    assert "out/one.jpg: the output is one of the inputs, perhaps by another name" in text
    text = user.refused(*convert("--with", "mask=masks/one.png", source="photos/one.jpg", out="masks/one.png"))
    assert "the output is the input" in text
    text = user.refused(*convert(WITH, source="photos/one.jpg", out="masks/one.png"))
    assert "the output is the input" in text
    for option in ("--compare", "--gallery"):
        place = "masks/sheets" if option == "--compare" else "masks/all.html"
        assert "lies in masks, among its images" in user.refused(*convert(WITH, option, place, out="new"))
    os.link(user.folder / "masks" / "one.png", user.folder / "rows.jsonl")
    single = convert("--with=mask=masks/one.png", source="photos/one.jpg", out="new.png")
    for command in (convert(WITH, out="new"), single):
        text = user.refused(*command, "--manifest", "rows.jsonl")
        assert "--manifest rows.jsonl: is one of the inputs" in text and not list(user.folder.glob("new*"))


def test_wide_samples_are_not_taken_for_pairs_side_by_side(user: User, run: str) -> None:
    for name in ("photos/one.jpg", "masks/one.png"):
        with Image.open(name) as image:
            image.resize((32, 16), Image.Resampling.NEAREST).save(name)
    assert "twice as wide as high" not in user.gets(*convert(WITH))


def test_a_single_file_has_a_single_partner_or_one_in_a_folder(user: User, run: str) -> None:
    (user.folder / "masks" / "two.png").rename(user.folder / "any name.png")
    user.gets(*convert("--with", "mask=any name.png", source="photos/two.jpg", out="a.png"))
    user.gets(*convert(WITH, source="photos/one.jpg", out="b.png"))
    assert not np.array_equal(pixels(user.folder / "a.png"), pixels(user.folder / "b.png"))
    text = user.refused(*convert(WITH, source="photos/two.jpg", out="c.png"), code=3)
    assert "photos/two.jpg: there is no mask of its name" in text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--with=mask"], "mask: expected NAME=DIR, e.g. mask=masks/"),
        (["--with==masks"], "=masks: expected NAME=DIR"),
        ([WITH, "--with=mask=photos"], "mask twice; give each layer once"),
        (["--with=mask=nowhere"], "--with mask=nowhere: no such file or folder"),
        (["--with=mask=masks/one.png"], "a file, where INPUT is a folder; name a folder"),
        (["--with=mask=empty"], "empty: no images found"),
        ([WITH, "--with=photo=new/photos"], "--with photo: INPUT holds one of the images itself; leave that out"),
        ([WITH, "--with=photo=photos/../photos"], "--with photo=photos/../photos: is INPUT; name each folder once"),
        ([WITH, "--with=masque=masks"], "--with masque: no layer of this model; did you mean 'mask'?"),
    ],
)
def test_what_cannot_be_is_refused_by_name(user: User, run: str, more: list[str], told: str) -> None:
    (user.folder / "empty").mkdir()
    photos_and_masks(user.folder / "new")
    assert told in " ".join(user.refused(*convert(*more)).split())
    assert not (user.folder / "out").exists()


def test_ambiguous_names_are_refused_with_both(user: User, run: str) -> None:
    Image.new("L", (16, 16)).save(user.folder / "masks" / "two.tif")
    text = user.refused(*convert(WITH))
    assert "masks/two.png and masks/two.tif: either could be of photos/two.jpg; rename one" in " ".join(text.split())
    user.gets(*convert(WITH, source="photos/one.jpg", out="one.png"))
    user.refused(*convert(WITH, source="photos/two.jpg", out="two.png"))
    (user.folder / "masks" / "two.tif").rename(user.folder / "masks" / "other.tif")
    Image.new("RGB", (16, 16)).save(user.folder / "photos" / "one.png")
    text = user.refused(*convert(WITH))
    assert "photos/one.jpg and photos/one.png: the same but for the suffix; rename one" in " ".join(text.split())


@tried(
    ("inference/partners", "--with {}: INPUT holds one of the images itself; leave that out"),
    ("inference/partners", "--with {}: no layer of this model{}"),
)
def layers_that_are_missing(user: User) -> None:
    photos_and_masks(user.folder)
    run_of_samples(user.folder / "run")
    (user.folder / "masks").rename(user.folder / "mask")
    text = user.refused(*convert())
    assert (
        "samples of 2 images, photo (8-bit RGB) + mask (label maps of 3 classes); INPUT is photo, and mask is" in text
    )
    user.gets(*command_in(text, "convert"))
    photos_and_masks(user.folder / "new")
    text = user.refused(*convert("--with=mask=mask", "--with=photo=new/photos"))
    assert options_in(taken(text, "(--with) photo: .* leave that out"), "convert") == ["--with"]
    name = taken(user.refused(*convert("--with=mass=mask")), r"did you mean '(\w+)'\?")
    user.gets(*convert(f"--with={name}=mask"))


@tried(
    ("inference/partners", "--with {}: this model takes single images; leave it out"),
    ("inference/partners", "--with {}={}: a file, where INPUT is a folder; name a folder"),
    ("runs/convert", "--with is for images, not for {}; leave it out"),
)
def partners_that_nobody_wants(user: User) -> None:
    run = user.run("pix2pix")
    photos_and_masks(user.folder)
    command = ["convert", run, "photos", "out", "--device", "cpu"]
    taken(user.refused(*command, WITH), "--with mask: this model takes single images; leave it out")
    user.gets(*command)
    run_of_samples(user.folder / "run")
    taken(user.refused(*convert("--with=mask=masks/one.png", out="new")), "; name a folder")
    user.gets(*convert("--with=mask=masks", out="new"))
    (user.folder / "clip.mp4").write_bytes(b"no video")
    taken(user.refused(*command[:2], "clip.mp4", "out.mp4", WITH), "--with is for images, not for a video; leave it")


def test_a_run_of_samples_is_measured_as_its_files_are_converted(user: User) -> None:
    for split, count in (("train", 4), ("test", 2)):
        for number in range(count):
            found = classes(number + 10 * (split == "test"), size=12)
            large = found.repeat(2, 0).repeat(2, 1)
            images = {"photo": photo(large, number), "mask": found, "clean": photo(large, number + 50)}
            for place, image in images.items():
                path = user.folder / "scenes" / place / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    recipe = user.recipe("pix2pix", {"input": ["photo", "mask"], "target": ["clean"]}, steps=1)
    user.gets(*user.train(recipe, "--out", "run", data="scenes"))
    text = user.refused(*convert(source="scenes/photo/test"))
    user.gets(*command_in(text, "convert"), "--precision", "float32", "--device", "cpu")
    user.gets("evaluate", "run", "--device", "cpu")
    rows = json.loads((user.folder / "run" / "evaluation-latest.json").read_text())
    measured = {row["name"]: row for row in rows if row["key"] == "l1"}["to clean, as converted"]
    folders = [user.folder / "out", user.folder / "scenes" / "photo" / "test"]
    apart = [
        np.mean([_l1(folder, user.folder / "scenes" / "clean" / "test", name) for name in "01"]) for folder in folders
    ]
    assert measured["value"] == pytest.approx(apart[0], abs=1e-5)
    assert measured["floor"]["untouched input"] == pytest.approx(apart[1], abs=1e-5)


def _l1(folder: Path, truth: Path, name: str) -> float:
    one, other = (pixels(of / f"{name}.png").astype(float) for of in (folder, truth))
    return float(np.abs(one - other).mean()) / 255


@tried(("inference/formats/hub", " --with {}"))
def the_card_of_a_hub_folder(user: User) -> None:
    photos_and_masks(user.folder)
    user.gets("export", run_of_samples(user.folder / "run"), "hub")
    (user.folder / "masks").rename("mask")
    card = Path("hub", "README.md").read_text()
    user.gets(*taken(card, "translate (convert .*)").replace("FOLDER", "hub").split())
    code = taken(card, r"```python\n([^`]*)```").replace("FOLDER", "hub")
    found = {"image": np.zeros((16, 16), np.uint8)}
    exec(code, found)
    assert found["output"].shape == (16, 16, 3)


def test_a_video_is_refused_by_name(user: User, run: str) -> None:
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    clip(user.folder / "clip.mp4")
    text = user.refused(*convert(source="clip.mp4", out="out.mp4"))
    assert "clip.mp4: the model takes photo (8-bit RGB) + mask (label maps of 3 classes)" in text
    assert not (user.folder / "out.mp4").exists()


def test_a_model_that_gives_samples_says_so(user: User) -> None:
    photos_and_masks(user.folder)
    images = spec_of((CLEAN,))
    run_of_samples(
        user.folder / "run",
        images.__class__(6, 16, images.domains, each=(CLEAN, Domain.stacked("both", [PHOTO, MASK]))),
    )
    text = user.refused(*convert())
    assert "translates to samples of 2 images, photo (8-bit RGB) + mask (" in text and not Path("out").exists()


def test_exported_files_carry_the_layers(user: User, run: str) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")
    user.gets(*convert(WITH, "--format", "png"))
    wanted = {path.name: pixels(path).astype(int) for path in (user.folder / "out").glob("*.png")}
    user.gets("export", run, "model.onnx")
    user.gets("export", run, "hub")
    user.gets("export", run, "model.pt2")
    for model, apart in (("model.onnx", 1), ("hub", 0)):
        out = f"by-{model}/"
        text = user.refused("convert", model, "photos", out, "--format", "png")
        assert "mask is missing: `translate convert" in text
        user.gets("convert", model, "photos", out, "--format", "png", "--precision", "float32", WITH)
        found = {path.name: pixels(path).astype(int) for path in (user.folder / out).glob("*.png")}
        assert found.keys() == wanted.keys() == {"one.png", "two.png"}
        assert all(np.abs(found[name] - wanted[name]).max() <= apart for name in wanted), model


def test_the_port_is_told_what_its_planes_are(user: User, run: str) -> None:
    text = " ".join(user.gets("export", run, "weights", "--format", "port").split())
    assert "the 6 planes of input are, in this order, photo (8-bit RGB) + mask (label maps of 3 classes)" in text


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
