"""Runs whose translations are larger than their inputs: trained, resumed, converted, measured, exported, served."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from serving import Client, running, saved
from test_video import clip
from ways_out import User, settings_in, taken, tried, ways_of

import translate
from translate.reporting.grids import pictures_in
from translate.runs.loading import load_model
from translate.training.checkpoint import load_checkpoint

SMALL = (
    "model.generator.filters=8",
    "model.generator.blocks=1",
    "data.size=32",
    "data.workers=0",
    "training.epochs=null",
    "training.batch_size=2",
    "training.lr=1e-3",
    "training.log_every=2",
    "training.sample_every=4",
    "training.validate_every=4",
    "training.checkpoint_every=2",
    "training.precision=float32",
)
SIDES = ("data.derive=null", "data.input=[low]", "data.target=[high]")


def scene(number: int, height: int = 48, width: int = 40) -> Image.Image:
    """Discs and stripes, smooth enough that fewer pixels keep something of them."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin((rows * (3 + number) + columns * (5 + channel)) / 23) for channel in range(3)]
    disc = np.hypot(rows - height / 2, columns - 10 - 3 * number) < 9
    return Image.fromarray(np.uint8(127.5 + 90 * np.stack(waves, -1) * np.where(disc, -1, 1)[..., None]))


def reduced(image: Image.Image, scale: int = 4) -> Image.Image:
    return image.resize((image.width // scale, image.height // scale), Image.Resampling.BICUBIC)


def photos(root: Path, scale: int = 4) -> Path:
    """low/ and high/, each with train/ and test/."""
    for split, numbers in (("train", range(6)), ("test", range(6, 8))):
        for number in numbers:
            for side, image in (("high", scene(number)), ("low", reduced(scene(number), scale))):
                (root / side / split).mkdir(parents=True, exist_ok=True)
                image.save(root / side / split / f"{number}.png")
    return root


def train(recipe: str, out: str, *more: str, steps: int = 4, data: str = "photos") -> list[str]:
    return ["train", recipe, "--data", data, "--out", out, "--device", "cpu", *SMALL, f"training.steps={steps}", *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run beside its photos."""
    from click.testing import CliRunner

    from translate.cli import main

    root = tmp_path_factory.mktemp("super-resolution")
    photos(root / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        result = CliRunner().invoke(main, train("super-resolution", "run", *SIDES))
        assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def here(user: User, folder: Path) -> User:
    shutil.copytree(folder, user.folder, dirs_exist_ok=True)
    return user


def test_a_run_measures_itself_beside_the_bicubic_enlargement(folder: Path) -> None:
    summary = json.loads((folder / "run" / "summary.json").read_text())
    for key in ("l1", "psnr", "ssim"):
        row = summary[f"validation/to_high/{key}"]
        assert row["value"] != row["bicubic"] and "untouched input" not in row
    assert "2 test images of 32 x 32 pixels, their middles" in row["protocol"]
    columns = pictures_in(folder / "run" / "samples" / "step-00000004.png")
    assert list(columns) == ["input", "bicubic", "output", "target"]
    assert {picture.size for column in columns.values() for picture in column} == {(32, 32)}
    model = load_model(folder / "run").model
    assert model.scale == 4 and [kind.reduced for kind in load_model(folder / "run").images.kinds] == [4, 1]
    assert not any("discriminator" in name for name, _ in model.named_parameters())


def test_the_floor_is_what_pillow_makes_of_the_test_images(folder: Path, here: User) -> None:
    """PSNR of whole files as converted, against a computation from the files alone."""
    text = here.gets("evaluate", "run", "--device", "cpu")
    assert "to high, as converted" in text and "as `translate convert` does, at their own size" in text
    scores = json.loads((here.folder / "run" / "evaluation-latest.json").read_text())
    (row,) = [one for one in scores if one["key"] == "psnr" and one["name"] == "to high, as converted"]
    found = []
    for path in sorted((folder / "photos" / "low" / "test").iterdir()):
        small, true = Image.open(path), np.asarray(Image.open(folder / "photos" / "high" / "test" / path.name))
        floats = [np.asarray(small, np.float32)[..., channel] for channel in range(3)]
        size = (small.width * 4, small.height * 4)
        planes = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in floats]
        error = np.stack(planes, -1).clip(0, 255).astype(np.float64) - true
        found.append(10 * np.log10(255**2 / (error**2).mean()))
    assert row["floor"]["bicubic"] == pytest.approx(np.mean(found), abs=1e-3)
    assert row["images"] == 2 and row["value"] > 10


def test_a_folder_of_photos_is_enough(user: User) -> None:
    """As the recipe says, with another factor, and measured beside the same floor."""
    photos(user.folder / "pairs")
    shutil.move(user.folder / "pairs" / "high", user.folder / "photos")
    said = user.gets(*train("super-resolution", "run", "data.derive.lowres.factor=2", "model.generator.scale=2"))
    assert "6 high" in said or "made of" in said
    summary = json.loads((user.folder / "run" / "summary.json").read_text())
    (key,) = [key for key in summary if key.endswith("/psnr")]
    assert summary[key]["bicubic"] > 10
    loaded = load_model(user.folder / "run")
    assert loaded.model.scale == 2 and [kind.reduced for kind in loaded.images.kinds] == [2, 1]
    assert "as converted" in user.gets("evaluate", "run", "--device", "cpu")
    scene(0, 9, 11).save("small.png")
    user.gets("convert", "run", "small.png", "large.png", "--device", "cpu")
    assert Image.open("large.png").size == (22, 18)


@pytest.mark.parametrize("sides", [SIDES, ()], ids=["pairs", "photos"])
def test_resumed_it_is_the_same_to_the_bit(here: User, sides: tuple[str, ...]) -> None:
    if not sides:
        shutil.rmtree(here.folder / "photos" / "low")
    more = (*sides, "training.schedule=constant")
    here.gets(*train("super-resolution", "whole", *more))
    here.gets(*train("super-resolution", "parts", *more, steps=2))
    here.gets(*train("super-resolution", "parts", *more), "--resume")
    whole, parts = (
        load_checkpoint(here.folder / name / "checkpoints", "latest").weights() for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys() and all(torch.equal(whole[key], parts[key]) for key in whole)


def test_it_goes_on_with_a_discriminator_that_the_run_before_lacks(here: User) -> None:
    said = here.gets(
        *train("super-resolution-gan", "gan", *SIDES, "model.discriminator.layers=1", "training.init_from=run")
    )
    assert "its weights after step 4 (discriminator from random weights) are what this run begins with" in said
    weights = load_checkpoint(here.folder / "gan" / "checkpoints", "latest").weights()
    assert any(name.startswith("discriminator.") for name in weights)
    rows = (here.folder / "gan" / "metrics.jsonl").read_text()
    assert "discriminator/adversarial" in rows and "generator/adversarial" in rows


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_a_folder_of_any_sizes_becomes_four_times_as_large_in_bands_too(here: User) -> None:
    Path("in").mkdir()
    for name, size in {"a": (9, 14), "b": (33, 20), "c": (1, 1)}.items():
        scene(1, *reversed(size)).save(f"in/{name}.png")
    clear = scene(2, 12, 10).convert("RGBA")
    clear.putalpha(Image.fromarray(np.uint8(np.arange(120).reshape(12, 10))))
    clear.save("in/clear.png")
    here.gets("convert", "run", "in", "out", "--device", "cpu", "--compare", "sheets", "--gallery", "page.html")
    for path in sorted(Path("in").iterdir()):
        before, after = Image.open(path), Image.open(Path("out") / path.name)
        assert after.size == (before.width * 4, before.height * 4) and after.mode == before.mode
    here.gets("convert", "run", "in", "bands", "--device", "cpu", "--tile", "3", "--precision", "float32")
    here.gets("convert", "run", "in", "whole", "--device", "cpu", "--tile", "off", "--precision", "float32")
    for path in Path("whole").glob("*.png"):
        assert np.abs(pixels(path) - pixels(Path("bands") / path.name)).max() <= 1
    sheet = pictures_in(Path("sheets/sheet-00001.png"))
    assert [picture.size for picture in sheet["input"]] == [picture.size for picture in sheet["output"]]
    page = Path("page.html").read_text()
    assert "33 × 20" in page and "132 × 80" in page


def test_size_and_keep_size_say_what_they_mean(here: User) -> None:
    """auto takes a picture as it is, however far from the training crops; others resize it first."""
    Path("in").mkdir()
    scene(3, 60, 100).save("in/x.png")
    sizes = {}
    for name, words in {
        "auto": [],
        "native": ["--size", "native"],
        "small": ["--size", "30"],
        "left": ["--size", "30", "--keep-size", "no"],
        "trained": ["--size", "trained", "--keep-size", "no"],
    }.items():
        said = here.gets("convert", "run", "in", name, "--device", "cpu", *words)
        assert "where training took" not in said
        sizes[name] = Image.open(Path(name) / "x.png").size
    assert sizes["auto"] == sizes["native"] == sizes["small"] == (400, 240)
    assert sizes["left"] == (200, 120) and sizes["trained"] == (400, 240), "it was trained on pixels as they are"
    assert np.array_equal(pixels(Path("auto/x.png")), pixels(Path("native/x.png")))
    assert not np.array_equal(pixels(Path("auto/x.png")), pixels(Path("small/x.png")))


def test_python_gives_tensors_arrays_and_pictures_of_that_size(folder: Path) -> None:
    converter = translate.load(folder / "run", device="cpu", precision="float32")
    picture = scene(5, 11, 13)
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    assert converter.convert(picture).size == (52, 44)
    assert converter.convert(array).shape == (44, 52, 3) and converter.convert(tensor[None]).shape == (1, 3, 44, 52)
    floats = converter.convert(tensor.float() / 127.5 - 1)
    assert floats.shape == (3, 44, 52)
    assert np.abs(converter.convert(array).astype(int) - ((floats + 1) * 127.5).permute(1, 2, 0).numpy()).max() < 0.51
    converter.size = 22
    assert converter.convert(tensor.float() / 127.5 - 1).shape == (3, 44, 52)
    converter.keep_size = False
    assert converter.convert(array).shape == (88, 104, 3)


@pytest.mark.parametrize("name", ["x.onnx", "x.pt2", "hub/"])
def test_exports_enlarge_as_the_run_does(here: User, name: str) -> None:
    if name == "x.onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs the extra [export]")
    said = here.gets("export", "run", name)
    if name == "x.pt2":
        assert "differs from PyTorch by" in said or "difference" in said
        images = torch.zeros(2, 3, 5, 7)
        assert torch.export.load("x.pt2").module()(images).shape == (2, 3, 20, 28)
        return
    Path("in").mkdir()
    scene(4, 21, 15).save("in/x.png")
    here.gets("convert", "run", "in", "ours", "--device", "cpu", "--precision", "float32")
    here.gets("convert", name, "in", "theirs", "--device", "cpu", "--precision", "float32")
    assert Image.open("theirs/x.png").size == (60, 84)
    assert np.abs(pixels(Path("ours/x.png")) - pixels(Path("theirs/x.png"))).max() <= 1
    if name == "hub/":
        assert "to high, 4 times as high and wide." in Path("hub/README.md").read_text()


def test_a_video_has_larger_frames(here: User) -> None:
    av = pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    clip(Path("clip.mp4"))
    here.gets("convert", "run", "clip.mp4", "out.mp4", "--device", "cpu")
    with av.open("clip.mp4") as before, av.open("out.mp4") as after:
        frames = [list(file.decode(video=0)) for file in (before, after)]
        assert [(frame.width, frame.height) for frame in frames[1][:1]] == [(192, 128)]
        assert [frame.pts * frame.time_base for frame in frames[0]] == [
            frame.pts * frame.time_base for frame in frames[1]
        ]


@pytest.fixture
def client(folder: Path):
    with running([folder / "run"], max_pixels=40_000) as server:
        yield Client(server.link)


def test_the_server_answers_with_larger_pictures_and_refuses_too_large_ones(client: Client) -> None:
    answer = client.convert(saved(scene(2, 20, 30), "PNG"))
    assert answer.status == 200 and Image.open(BytesIO(answer.body)).size == (120, 80)
    assert "4 times as high and wide" in answer.headers["Translate-Notes"]
    refused = client.convert(saved(scene(2, 60, 60), "PNG"))
    assert refused.status == 413 and "its translation has 240 x 240 pixels, more than 40,000" in refused.error


def test_unpaired_images_learn_to_become_larger_and_are_measured(here: User) -> None:
    more = ("model.discriminator.layers=1", "model.discriminator.filters=4", "data.resize=none", "data.load_size=null")
    generator = "model.generator={kind: srresnet, scale: 4, filters: 4, blocks: 1}"
    words = [word for word in train("direct", "run-direct", generator, *more) if "generator." not in word]
    (here.folder / "photos" / "dataset.yaml").write_text("layout: unpaired\n")
    here.gets(*words, "data.domains=[low,high]", "model.pool=2")
    summary = json.loads((here.folder / "run-direct" / "summary.json").read_text())
    assert summary["validation/to_high/patch_distance"]["bicubic"] > 0
    Path("in").mkdir()
    scene(3, 20, 24).save("in/x.png")
    here.gets("convert", "run-direct", "in", "out", "--device", "cpu")
    assert Image.open("out/x.png").size == (96, 80)


# Bad input, with a way out that works.


@tried(("runs/image_sets/larger_targets", "data.input=[{}] data.target=[{}]"))
def sides_the_wrong_way_round(user: User) -> None:
    photos(user.folder / "photos")
    for more in (("data.derive=null",), ("data.derive=null", "data.input=[high]", "data.target=[low]")):
        command = train("super-resolution", f"run{len(more)}", *more)
        text = user.refused(*command)
        assert "the input high has 40 x 48 pixels and the target low has 10 x 12" in text
        swapped = taken(text, r"as inputs: set (.*)").split()
        assert settings_in(" ".join(swapped), "super-resolution")
        user.gets(*train("super-resolution", f"run{len(more)}", "data.derive=null", *swapped, steps=1))


@tried(("runs/image_sets/larger_targets", "set model.generator.scale={}"))
def pairs_of_another_factor(user: User) -> None:
    """What a check says is what training says."""
    photos(user.folder / "photos", scale=2)
    command = train("super-resolution", "run", *SIDES, steps=1)
    check = ["data", "check", "photos", "--recipe", "super-resolution", *SIDES]
    for text in (user.refused(*command), user.refused(*check, "data.size=32")):
        assert "targets are 2 times as high and wide as their inputs, and the generator makes its images 4" in text
    factor = taken(text, r"set (model\.generator\.scale=2)")
    assert "ready to train on" in user.gets(*check, "data.size=32", factor)
    user.gets(*command, factor)


def test_a_check_names_pairs_and_photos_that_training_refuses(user: User) -> None:
    photos(user.folder / "photos")
    scene(3, 49, 43).save("photos/high/train/3.png")
    check = ["data", "check", "photos", "--recipe", "super-resolution"]
    text = user.refused(*check, *SIDES, "data.size=32", code=3)
    assert "problem: photos/high/train/3.png: 43 x 49 pixels, where 4 times its input is 40 x 48: crop it so" in text
    text = user.refused(*check, *SIDES, "data.size=44", code=3)
    assert "10 x 12 pixels are too few for a crop of 11: set a smaller data.size" in text
    text = user.refused("data", "check", "photos/high", "--recipe", "super-resolution", "data.size=44", code=3)
    assert "problem: 40 x 48 pixels are too few for a crop of 44" in text, "of photos alone, too"
    said = user.gets("data", "check", "photos/low", "--recipe", "super-resolution", "data.size=8")
    assert "ready to train on" in said


@tried(("data/decoding", "times its input is {}: crop it so, or set data.resize: square"))
def targets_of_odd_sizes(user: User) -> None:
    photos(user.folder / "photos")
    path = user.folder / "photos" / "high" / "train" / "3.png"
    scene(3, 49, 43).save(path)
    text = user.refused(*train("super-resolution", "run", *SIDES))
    assert "high/train/3.png: 43 x 49 pixels, where 4 times its input" in text and "Traceback" not in text
    (key,) = settings_in(taken(text, r"or set (data\.resize): square"), "super-resolution")
    user.gets(*train("super-resolution", "run", *SIDES, f"{key}=square", "data.load_size=null", steps=1))
    width, height = map(int, taken(text, r"its input is (\d+ x \d+): crop it so").split(" x "))
    Image.open(path).crop((0, 0, width, height)).save(path)
    user.gets(*train("super-resolution", "again", *SIDES, steps=1))


@tried(("runs/loading", "compares both: train with pix2pix or direct, or set model.generator.kind to resnet or unet"))
def a_method_that_compares_inputs_and_outputs(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), "model.generator={kind: srresnet}", data=user.data())
    text = user.refused(*command)
    for kind in taken(text, r"set model\.generator\.kind to (\w+ or \w+)").split(" or "):
        generator = f"model.generator={{kind: {kind}, filters: 4}}"
        user.gets(*user.train("cyclegan.yaml", generator, "--out", f"run-{kind}"))


@tried(("runs/loading", "take a smaller model.generator.scale"))
def a_size_that_the_factor_does_not_divide(user: User) -> None:
    photos(user.folder / "photos")
    command = train("super-resolution", "run", *SIDES, "data.size=30", "data.resize=square", steps=1)
    text = user.refused(*command)
    key = taken(text, r"set data\.size to 28 or 32, or take a smaller (model\.generator\.scale)")
    user.gets(*command, f"{key}=2")


@tried(("inference/cycle_error", "--cycle-error: translations of this model are {} times as high and wide"))
def a_cycle_of_what_has_no_way_back(user: User) -> None:
    photos(user.folder / "photos")
    user.gets(*train("super-resolution", "run", *SIDES, steps=1))
    command = ["convert", "run", "photos/low/test", "out", "--device", "cpu"]
    assert "it has no way back; leave it out" in user.refused(*command, "--cycle-error")
    user.gets(*command)


@tried(("inference/formats/port", "export it as .onnx, .pt2 or for a hub"))
def a_generator_that_the_port_lacks(user: User) -> None:
    photos(user.folder / "photos")
    user.gets(*train("super-resolution", "run", *SIDES, steps=1))
    text = user.refused("export", "run", "out", "--format", "port")
    assert "those projects have no SRResnetGenerator" in text
    suffix = taken(text, r"(\.pt2) or for a hub")
    user.gets("export", "run", f"x{suffix}")


@tried(("data/crops", "data.augment: the images of a pair differ in size, and are not augmented alike; leave it out"))
def augmentation_of_unlike_sizes(user: User) -> None:
    photos(user.folder / "photos")
    command = train("super-resolution", "run", *SIDES, steps=1)
    assert "leave it out" in user.refused(*command, "data.augment=[{name: Rotate}]")
    user.gets(*command)


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_way_out_of_a_mistake_works(trial, user: User) -> None:
    trial(user)
