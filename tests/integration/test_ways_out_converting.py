"""The advice of messages about converting, sampling and evaluating, followed. See `ways_out.py`."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import put, write_images
from ways_out import User, command_in, options_in, parsed, taken, tried, ways_of

import translate
from translate.evaluation.spaces import Missing, inception_space
from translate.inference.fitting import Fitting
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.store import MemoryStore
from translate.networks.unet import UNetGenerator
from translate.training.runtime import Runtime

EXTRA = "pip would need a network"


def convert(run: object, *more: object) -> list[object]:
    return ["convert", run, "photos", "out", "--device", "cpu", *more]


@tried(("inference/media", "--shard and --format are for images, not for {}; leave them out"))
def parts_of_a_video(user: User) -> None:
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    clip(user.folder / "clip.mp4")
    command = ["convert", user.run("pix2pix"), "clip.mp4", "out.mp4", "--device", "cpu"]
    text = user.refused(*command, "--shard", "1/2")
    assert options_in(taken(text, ".* leave them out"), "convert") == ["--shard", "--format"]
    user.gets(*command)


@tried(("inference/media", "--steady is for a video, which {} is not; leave it out"))
def pictures_that_do_not_flicker(user: User) -> None:
    user.photos()
    command = convert(user.run("pix2pix"))
    assert options_in(taken(user.refused(*command, "--steady"), "(--steady) is for .* out"), "convert") == ["--steady"]
    user.gets(*command)


@tried(("runs/convert", "bf16: {}; --precision float32 is exact, and slower"))
def pixels_that_bf16_rounds(user: User) -> None:
    run = user.run("pix2pix")
    user.photos("one.png")
    text = user.gets(*convert(run, "--precision", "bf16"))
    exact = shlex.split(taken(text, "; (--precision float32) is exact"))
    assert "bf16" not in user.gets(*convert(run, "--overwrite", *exact))


@tried(("cli/converting", "--overwrite converts them again"), ("inference/cycle_error", "use --overwrite"))
def files_that_were_converted_before(user: User) -> None:
    run = user.run("cyclegan")
    user.photos("one.png")
    to = ("--to", "B")
    user.gets(*convert(run, *to))
    text = user.gets(*convert(run, *to))
    size = Image.open("out/one.png").size
    write_images(Path("out"), ["one.png"], size=20)
    text += user.refused(*convert(run, *to, "--cycle-error"), code=3)
    again = {taken(text, "(--overwrite) converts them again"), taken(text, "another size than its input; use (.*)")}
    user.gets(*convert(run, *to, "--cycle-error", *again))
    assert Image.open("out/one.png").size == size != (20, 20)


@tried(
    ("inference/provenance", "Give another folder, or --overwrite to convert all again"),
    ("inference/provenance", "not one that `translate convert` wrote; remove it, or add --overwrite"),
)
def a_folder_of_other_translations(user: User) -> None:
    run = user.run("cyclegan")
    user.photos()
    user.gets(*convert(run, "--to", "A"))
    text = user.refused(*convert(run, "--to", "B"))
    user.gets(*convert(run, "--to", "B", taken(text, "or (--overwrite) to convert")))
    Path("out", ".translate.json").write_text("{")
    text = user.refused(*convert(run, "--to", "B"))
    user.gets(*convert(run, "--to", "B", taken(text, "or add (--overwrite)")))
    Path("out", ".translate.json").write_text("{")
    Path(taken(text, r"(\S+\.translate\.json): ")).unlink()
    user.gets(*convert(run, "--to", "B"))


@tried(("runs/convert", "is twice as wide as high: files are converted whole"))
def pairs_given_to_convert(user: User) -> None:
    run = user.run("pix2pix")
    put(Path("photos"), "pair.png", width=32, height=16)
    text = user.gets(*convert(run))
    user.gets(*command_in(text, "evaluate"), run, "--device", "cpu")


@tried(
    ("inference/extras", "shows the whole folder; give it without --shard when all is converted"),
)
def outputs_beside_the_images(user: User) -> None:
    run = user.run("pix2pix")
    user.photos("one.png", "two.png")
    Path("folder").mkdir()
    text = user.refused(*convert(run, "--manifest", "folder"))
    option = taken(text, "(--manifest) .* expected the name of a file")
    user.gets(*convert(run, option, "file.jsonl"))
    for extra in (("--compare", "sheets"), ("--gallery", "page.html")):
        text = user.refused(*convert(run, "--shard", "1/2", *extra))
        assert taken(text, "give it without (--shard)") and options_in(text, "convert") == [extra[0], "--shard"]
        user.gets(*convert(run, *extra))


@tried(
    ("inference/requests", "--to is needed"),
    ("inference/requests", "this model converts to {}{}"),
    ("models/base", "an image goes to one domain at a time"),
    ("models/base", "is no attribute; name the domain to go to instead"),
)
def domains_to_convert_to(user: User) -> None:
    run = user.run("cyclegan")
    user.photos()
    named = taken(user.refused(*convert(run)), r"(--to) is needed: .* converts to \w+")
    for wrong in (["c"], ["A", "--to", "B"], ["-A"]):
        text = user.refused(*convert(run, named, *wrong))
        domain = re.search(r"converts to (\w+)|: (\w+) is no attribute", text)
        user.gets(*convert(run, named, next(filter(None, domain.groups())) if domain else wrong[0], "--overwrite"))


@tried(("inference/forms", "open a file with PIL.Image.open, or convert a folder with `translate convert`"))
def a_file_name_for_an_image(user: User) -> None:
    converter = translate.load(user.run("pix2pix"), device="cpu")
    user.photos("one.png")
    with pytest.raises(TypeError) as refused:
        converter.convert("photos/one.png")
    text = str(refused.value)
    assert taken(text, r"PIL\.Image\.open") and converter.convert(Image.open("photos/one.png")).size == (24, 24)
    user.gets(*command_in(text), "run-pix2pix", "photos", "out", "--device", "cpu")


@tried(
    ("inference/cycle_error", "move it away, or add --overwrite"),
    ("inference/manifest", "--manifest {}: cannot be written; name another file"),
)
def files_in_the_place_of_extra_outputs(user: User) -> None:
    command = convert(user.run("cyclegan"), "--to", "B")
    user.photos("one.png")
    put(Path("out"), "one.png.cycle-error.png", width=40)
    text = user.refused(*command, "--cycle-error", code=3)
    user.gets(*command, "--cycle-error", taken(text, "move it away, or add (--overwrite)"))
    put(Path("out"), "one.png.cycle-error.png", width=40)
    Path("out/one.png.cycle-error.png").rename("mine.png")
    user.gets(*command, "--cycle-error")
    Path("page.html").write_text("mine")
    text = user.refused(*command, "--gallery", "page.html")
    user.gets(*command, "--gallery", "page.html", taken(text, "move it away, or add (--overwrite)"))
    Path("rows.jsonl").touch()
    access = os.access
    user.monkeypatch.setattr(
        "translate.inference.manifest.os.access",
        lambda path, mode, **more: (mode, path) != (os.W_OK, Path("rows.jsonl")) and access(path, mode, **more),
    )
    option = taken(user.refused(*command, "--manifest", "rows.jsonl"), "(--manifest) .* name another file")
    user.gets(*command, option, "others.jsonl")


@tried(("cli/converting", "--manifest FILE names every file that failed"))
def many_files_that_fail(user: User) -> None:
    run, names = user.run("pix2pix"), {f"photos/{number}.png" for number in range(20)}
    Path("photos").mkdir()
    for name in names:
        Path(name).touch()
    text = user.refused(*convert(run), code=3)
    user.refused(*convert(run, taken(text, "(--manifest) FILE names"), "rows.jsonl"), code=3)
    rows = [json.loads(row) for row in Path("rows.jsonl").read_text().splitlines()]
    assert {row["source"] for row in rows if row["status"] == "failed"} == names


@tried(
    ("inference/folder", "too large for the memory that is free; close other programs, or convert with --tile 16"),
    ("inference/video", "its frames are too large for the memory that is free; close other programs, or convert with"),
)
def images_too_large_for_the_memory(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    bands = Fitting.bands

    def scarce(self: Fitting, height: int, width: int) -> object:
        """Memory suffices for tiles only."""
        if self.tile != 16:
            raise MemoryError
        return bands(self, height, width)

    user.monkeypatch.setattr(Fitting, "bands", scarce)
    text = user.refused(*convert(run), code=3)
    user.gets(*convert(run, *taken(text, "or convert with (--tile 16)").split()))
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    clip(user.folder / "clip.mp4")
    command = ["convert", run, "clip.mp4", "out.mp4", "--device", "cpu"]
    text = user.refused(*command, code=1)
    user.gets(*command, *taken(text, r"or convert\s+with (--tile 16)").split())


@tried(("inference/reasons", "numbers that are not finite; convert with --precision float32, or with another"))
def numbers_that_are_not_finite(user: User) -> None:
    run, forward = user.run("pix2pix"), UNetGenerator.forward
    user.photos()

    def overflowing(self: UNetGenerator, images: torch.Tensor) -> torch.Tensor:
        """In bf16 only."""
        return forward(self, images) * (float("inf") if torch.is_autocast_enabled("cpu") else 1)

    user.monkeypatch.setattr(UNetGenerator, "forward", overflowing)
    text = user.refused(*convert(run, "--precision", "bf16"), code=3)
    user.gets(*convert(run, *taken(text, "convert with (--precision float32)").split()))


@tried(("inference/jobs", "is named as another format; leave one of them out"))
def two_formats(user: User) -> None:
    command = ["convert", user.run("pix2pix"), Path(user.photos()) / "one.png", "--device", "cpu"]
    text = user.refused(*command, "one.png", "--format", "jpeg")
    user.gets(*command, taken(text, r"(one\.png) is named as another"))
    user.gets(*command, "out", *taken(text, r"(--format \w+):").split())


@tried(("inference/tiling/rowmap", "convert with --tile off"))
def a_network_that_cannot_be_tiled(user: User) -> None:
    with pytest.raises(NotImplementedError) as refused:
        bands = Bands(1, torch.device("cpu"), torch.contiguous_format, MemoryStore, rules={})
        RowMap(torch.ones(1, 1, 2, 2), lambda top, bottom: torch.ones(1, 1, bottom - top, 2), bands).cumsum(2)
    user.photos()
    user.gets(*convert(user.run("pix2pix"), *taken(str(refused.value), "convert with (--tile off)").split()))


@tried(("data/io/gate", "scale it down, or convert with --max-pixels"))
def an_image_of_many_pixels(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    text = user.refused(*convert(run, "--max-pixels", "100"), code=3)
    user.gets(*convert(run, taken(text, "or convert with (--max-pixels)"), "100000", "--overwrite"))


@tried(("runs/evaluate", "name another file by --json"))
def scores_that_cannot_be_written(user: User) -> None:
    run = user.run("pix2pix")
    user.monkeypatch.setattr(
        "translate.runs.evaluate.os.access", lambda path, mode: mode != os.W_OK or Path(path).name != run
    )
    text = user.refused("evaluate", run, "--device", "cpu")
    user.gets("evaluate", run, "--device", "cpu", taken(text, "another file by (--json)"), "scores.json")


@tried(
    ("runs/loading", "generates images from noise; use `translate sample`"),
    ("runs/loading", "converts images; use `translate convert`"),
)
def the_wrong_command_for_a_model(user: User) -> None:
    gan, pix2pix = user.run("gan"), user.run("pix2pix")
    user.photos()
    user.gets(*command_in(user.refused(*convert(gan))), gan, "drawn", "--count", "2", "--device", "cpu")
    text = user.refused("sample", pix2pix, "drawn", "--device", "cpu")
    user.gets(*command_in(text), pix2pix, "photos", "out", "--device", "cpu")


@tried(
    ("inference/sampling", "give another folder, or --overwrite"),
    ("inference/sampling", "--label {}: {}{}"),
    ("inference/sampling", "this model knows no classes"),
)
def samples_that_are_there_already(user: User) -> None:
    run = user.run("cgan")
    command = ["sample", run, "out", "--count", "2", "--device", "cpu"]
    user.gets(*command)
    text = user.refused(*command)
    user.gets(*command, taken(text, "or (--overwrite)"))
    text = user.refused(*command, "--label", "bb")
    user.gets(*command, "--overwrite", "--label", taken(text, r"knows (\w)"))
    gan = ["sample", user.run("gan"), "drawn", "--count", "2", "--device", "cpu"]
    user.refused(*gan, taken(user.refused(*gan, "--label", "a"), "--label"), "a")
    user.gets(*gan)


@parsed(
    EXTRA,
    ("inference/formats/exported", "pip install 'image-translate[{}]'"),
    ("training/checkpoint_json", "upgrade with `pip install -U image-translate`"),
    ("data/clips/video_file", 'pip install "image-translate[video]"'),
    ("evaluation/spaces", "pip install 'image-translate[metrics]'"),
)
def packages_to_install(user: User) -> None:
    import tomllib

    project = tomllib.loads((Path(translate.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert {"export", "openvino", "video", "metrics"} <= project["optional-dependencies"].keys()


@parsed(
    "Inception's weights are not here",
    ("evaluation/spaces", "name its folder by --weights-dir or {}"),
)
def a_folder_of_weights(user: User) -> None:
    missing = inception_space(None, Runtime(torch.device("cpu")))
    assert isinstance(missing, Missing)
    option, name = options_in(missing.reason, "evaluate")[0], taken(missing.reason, r"or (\w+)$")
    assert option == "--weights-dir"
    user.monkeypatch.setenv(name, "weights")
    found = inception_space(None, Runtime(torch.device("cpu")))
    assert isinstance(found, Missing) and "file weights/" in found.reason


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User, request: pytest.FixtureRequest) -> None:
    wanted = trial.__code__.co_varnames[1 : trial.__code__.co_argcount]
    trial(user, *map(request.getfixturevalue, wanted))
