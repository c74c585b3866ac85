"""The advice of messages about converting, exporting, sampling and evaluating, followed. See `ways_out.py`."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny import put, write_images
from ways_out import User, command_in, options_in, parsed, settings_in, taken, tried, ways_of

import translate
from translate.evaluation.spaces import Missing, inception_space
from translate.inference.fitting import Fitting
from translate.inference.formats.port import options
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.store import MemoryStore
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.recipe import load_recipe
from translate.runs.export import export
from translate.training.runtime import Runtime

EXTRA = "pip would need a network"


def _convert(run: object, *more: object) -> list[object]:
    return ["convert", run, "photos", "out", "--device", "cpu", *more]


@pytest.fixture(scope="session")
def onnx_file(trained_once, tmp_path_factory) -> Path:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(trained_once("pix2pix") / "run-pix2pix", path)
    return path


@tried(("runs/convert", "--shard and --format are for images, not for a video; leave them out"))
def parts_of_a_video(user: User) -> None:
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    clip(user.folder / "clip.mp4")
    command = ["convert", user.run("pix2pix"), "clip.mp4", "out.mp4", "--device", "cpu"]
    text = user.refused(*command, "--shard", "1/2")
    assert options_in(taken(text, ".* leave them out"), "convert") == ["--shard", "--format"]
    user.gets(*command)


@tried(
    ("inference/options", "--dropout {}"),
    ("runs/convert", "--checkpoint {}: {} has no checkpoints to choose from; leave it out"),
)
def options_of_other_models(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    for option in (["--eval"], ["--dropout", "off"]):
        assert taken(user.refused(*_convert(run, *option)), "(--[a-z]+).* is for another .* leave it out") == option[0]
        text = user.refused("export", run, "hub", "--format", "hub", *option)
        assert taken(text, "(--[a-z]+).* is for another .* leave it out") == option[0]
    user.gets("export", run, "hub", "--format", "hub")
    checkpoint = next(Path(run, "checkpoints").glob("step-*"))
    text = user.refused(*_convert(checkpoint, "--checkpoint", "best"))
    options_in(taken(text, "(--checkpoint) .* leave it out"), "convert")
    user.gets(*_convert(run))
    user.gets(*_convert(checkpoint))


@tried(("runs/convert", "bf16: {}; --precision float32 is exact, and slower"))
def pixels_that_bf16_rounds(user: User) -> None:
    run = user.run("pix2pix")
    user.photos("one.png")
    text = user.gets(*_convert(run, "--precision", "bf16"))
    exact = shlex.split(taken(text, "; (--precision float32) is exact"))
    assert "bf16" not in user.gets(*_convert(run, "--overwrite", *exact))


@tried(("cli/converting", "--overwrite converts them again"), ("inference/cycle_error", "use --overwrite"))
def files_that_were_converted_before(user: User) -> None:
    run = user.run("cyclegan")
    user.photos("one.png")
    to = ("--to", "B")
    user.gets(*_convert(run, *to))
    text = user.gets(*_convert(run, *to))
    write_images(Path("photos"), ["one.png"], size=20)
    text += user.refused(*_convert(run, *to, "--cycle-error"), code=3)
    again = {taken(text, "(--overwrite) converts them again"), taken(text, "another size than its input; use (.*)")}
    user.gets(*_convert(run, *to, "--cycle-error", *again))
    assert Image.open("out/one.png").size == (20, 20)


@tried(
    ("inference/provenance", "Give another folder, or --overwrite to convert all again"),
    ("inference/provenance", "not one that `translate convert` wrote; remove it, or add --overwrite"),
)
def a_folder_of_other_translations(user: User) -> None:
    run = user.run("cyclegan")
    user.photos()
    user.gets(*_convert(run, "--to", "A"))
    text = user.refused(*_convert(run, "--to", "B"))
    user.gets(*_convert(run, "--to", "B", taken(text, "or (--overwrite) to convert")))
    Path("out", ".translate.json").write_text("{")
    text = user.refused(*_convert(run, "--to", "B"))
    user.gets(*_convert(run, "--to", "B", taken(text, "or add (--overwrite)")))
    Path("out", ".translate.json").write_text("{")
    Path(taken(text, r"(\S+\.translate\.json): ")).unlink()
    user.gets(*_convert(run, "--to", "B"))


@tried(("runs/convert", "is twice as wide as high: files are converted whole"))
def pairs_given_to_convert(user: User) -> None:
    run = user.run("pix2pix")
    put(Path("photos"), "pair.png", width=32, height=16)
    text = user.gets(*_convert(run))
    user.gets(*command_in(text, "evaluate"), run, "--device", "cpu")


@tried(
    ("inference/extras", "shows the whole folder; give it without --shard when all is converted"),
)
def outputs_beside_the_images(user: User) -> None:
    run = user.run("pix2pix")
    user.photos("one.png", "two.png")
    Path("folder").mkdir()
    text = user.refused(*_convert(run, "--manifest", "folder"))
    option = taken(text, "(--manifest) .* expected the name of a file")
    user.gets(*_convert(run, option, "file.jsonl"))
    for extra in (("--compare", "sheets"), ("--gallery", "page.html")):
        text = user.refused(*_convert(run, "--shard", "1/2", *extra))
        assert taken(text, "give it without (--shard)") and options_in(text, "convert") == [extra[0], "--shard"]
        user.gets(*_convert(run, *extra))


@tried(
    ("inference/requests", "--to is needed"),
    ("inference/requests", "this model converts to {}{}"),
    ("models/base", "an image goes to one domain at a time"),
    ("models/base", "is no attribute; name the domain to go to instead"),
)
def domains_to_convert_to(user: User) -> None:
    run = user.run("cyclegan")
    user.photos()
    named = taken(user.refused(*_convert(run)), r"(--to) is needed: .* converts to \w+")
    for wrong in (["c"], ["A", "--to", "B"], ["-A"]):
        text = user.refused(*_convert(run, named, *wrong))
        domain = re.search(r"converts to (\w+)|: (\w+) is no attribute", text)
        user.gets(*_convert(run, named, next(filter(None, domain.groups())) if domain else wrong[0], "--overwrite"))


@tried(("inference/converter", "open a file with PIL.Image.open, or convert a folder with `translate convert`"))
def a_file_name_for_an_image(user: User) -> None:
    converter = translate.load(user.run("pix2pix"), device="cpu")
    user.photos("one.png")
    with pytest.raises(TypeError) as refused:
        converter.convert("photos/one.png")
    text = str(refused.value)
    assert taken(text, r"PIL\.Image\.open") and converter.convert(Image.open("photos/one.png")).size == (24, 24)
    user.gets(*command_in(text), "run-pix2pix", "photos", "out", "--device", "cpu")


@tried(
    ("runs/export", "a generator's file; --format {} needs a run's folder"),
)
def a_file_for_a_run(user: User) -> None:
    run = user.run("cyclegan")
    user.photos()
    user.gets("export", run, "port", "--format", "port", "--to", "B")
    file = next(Path("port").rglob("*.pth")) if Path("port").is_dir() else Path("port")
    assert taken(user.refused(*_convert(file, "--cycle-error")), "give a run")
    user.gets(*_convert(run, "--to", "B", "--cycle-error", "--overwrite"))
    assert taken(user.refused("export", file, "hub", "--format", "hub"), "needs a run's folder")
    user.gets("export", run, "hub", "--format", "hub")


@tried(
    ("inference/formats/exported", "an exported file runs on the processor; give the run for a GPU"),
    ("inference/formats/exported", "--backend torch converts with the run itself"),
    ("inference/formats/exported", "not an ONNX file that `translate export` wrote"),
    ("inference/fitting", "an exported file takes whole images only; give the run"),
)
def an_exported_file_where_the_run_is_needed(user: User, onnx_file: Path) -> None:
    import onnx

    run = user.run("pix2pix")
    user.photos()
    text = user.refused(*["convert", onnx_file, "photos", "out", "--device", "cuda"])
    assert "give the run for a GPU" in text
    assert "with the run itself" in user.refused(*_convert(onnx_file, "--backend", "torch"))
    user.gets(*_convert(run, "--backend", "torch"))
    tiled = user.refused(*_convert(onnx_file, "--tile", "16", "--overwrite"))
    assert "give the run" in tiled
    user.gets(*_convert(run, "--tile", "16", "--overwrite"))
    graph = onnx.load(str(onnx_file))
    del graph.metadata_props[:]
    onnx.save(graph, "other.onnx")
    text = user.refused(*_convert("other.onnx", "--overwrite"))
    assert command_in(text) == ["export"]
    user.gets(*_convert(onnx_file, "--overwrite"))


@tried(
    ("inference/formats/exported", "the model was exported with --bytes and takes 8-bit images only; export it without")
)
def deep_images_for_a_model_of_bytes(user: User, onnx_file: Path) -> None:
    run = user.run("pix2pix")
    Path("photos").mkdir()
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save("photos/deep.png")
    user.gets("export", run, "bytes.onnx", "--bytes")
    text = user.refused(*_convert("bytes.onnx"), code=3)
    assert options_in(taken(text, "exported with .* export it without"), "export") == ["--bytes"]
    user.gets(*_convert(onnx_file, "--overwrite"))


@tried(
    ("inference/cycle_error", "move it away, or add --overwrite"),
    ("inference/manifest", "--manifest {}: cannot be written; name another file"),
)
def files_in_the_place_of_extra_outputs(user: User) -> None:
    command = _convert(user.run("cyclegan"), "--to", "B")
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
    text = user.refused(*_convert(run), code=3)
    user.refused(*_convert(run, taken(text, "(--manifest) FILE names"), "rows.jsonl"), code=3)
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
    text = user.refused(*_convert(run), code=3)
    user.gets(*_convert(run, *taken(text, "or convert with (--tile 16)").split()))
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    clip(user.folder / "clip.mp4")
    command = ["convert", run, "clip.mp4", "out.mp4", "--device", "cpu"]
    text = user.refused(*command, code=1)
    user.gets(*command, *taken(text, r"or convert\s+with (--tile 16)").split())


@tried(
    ("inference/foreign", " (--dropout {} for the other)"),
    ("inference/foreign", "--eval turns it off; leave one of them out"),
    ("inference/foreign", "batch norm by each image's own statistics, as in their test script (--eval for the run"),
    ("inference/foreign", "those not named by --to are off"),
)
def what_another_projects_file_does_not_say(user: User) -> None:
    user.photos()
    unet = UNetGenerator(3, 3, filters=2, levels=6, normalisation="batch")
    torch.save(port_state(unet), "latest_net_G_A.pth")
    command = ["convert", "latest_net_G_A.pth", "photos", "--device", "cpu"]
    told = user.gets(*command, "out")
    other, running = taken(told, r"\((--dropout \w+) for the other\)"), taken(told, r"\((--eval) for the running")
    assert "for the other" not in user.gets(*command, "other", *other.split())
    assert "own statistics" not in user.gets(*command, "running", running)
    both = taken(user.refused(*command, "both", "--dropout", "on", "--eval"), "(--dropout on: --eval) .* one of them")
    for one in both.split(": "):
        user.gets(*command, f"by {one}", *one.split())
    torch.save(port_state(StarGANGenerator(3, 2, filters=4, blocks=1)), "200000-G.ckpt")
    command = ["convert", "200000-G.ckpt", "photos", "named", "--device", "cpu"]
    user.gets(*command, taken(user.gets(*command, "--to", "1"), "not named by (--to) are off"), "0", "--overwrite")


@tried(
    ("networks/signatures", "the weights of a run of `translate train`, without its recipe"),
    ("networks/signatures", "of one of its checkpoints, or what `translate export RUN FOLDER` wrote"),
)
def the_weights_of_a_run_alone(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    checkpoint = next(Path(run, "checkpoints").glob("step-*"))
    state = load_file(checkpoint / "model.safetensors")
    torch.save(state, "weights.pth")
    text = user.refused(*_convert("weights.pth"))
    words = command_in(text, "export")
    user.gets(*(run if word == "RUN" else word for word in words))
    for model in (run, checkpoint, words[-1]):
        user.gets(*_convert(model, "--overwrite"))


@tried(("networks/signatures", "it is not read here; `translate train unit` trains such a model"))
def an_auto_encoder_of_units_release(user: User) -> None:
    torch.save({key: torch.zeros(1, 1, 1, 1) for key in ("enc.model.0.weight", "dec.model.0.weight")}, "gen.pt")
    user.photos()
    words = command_in(user.refused(*_convert("gen.pt")))
    assert load_recipe(words[1]).name == "unit"
    user.recipe("unit", name=words[1])
    user.gets(*words[:1], f"{words[1]}.yaml", "--data", user.data(), "--dry-run", "--device", "cpu")


@parsed(
    "VGG's weights are large, and neither theirs nor Inception's are here",
    ("networks/signatures", "UNIT takes it as model.perceptual_weights, `direct` as model.encoder_weights"),
    ("networks/signatures", "`translate evaluate` takes its folder as --weights-dir"),
)
def a_classifier_for_a_generator(user: User) -> None:
    user.photos()
    torch.save({"features.0.weight": torch.zeros(1), "features.28.weight": torch.zeros(1)}, "vgg.pth")
    perceptual, encoder = re.findall(r"model\.\w+", user.refused(*_convert("vgg.pth")))
    assert settings_in(perceptual, "unit") and settings_in(encoder, "direct")
    torch.save({"Mixed_5b.branch1x1.conv.weight": torch.zeros(1)}, "inception.pth")
    text = user.refused(*_convert("inception.pth"))
    assert options_in(taken(text, "`translate evaluate` takes .*"), command_in(text)[0]) == ["--weights-dir"]


@tried(
    ("training/checkpoint", "not a pointer to a checkpoint; --resume writes it again, or name a step (saved steps: {})")
)
def a_pointer_to_nothing(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    Path(run, "checkpoints", "latest").write_text("x")
    text = user.refused(*_convert(run))
    user.gets(*_convert(run, "--checkpoint", taken(text, r"saved steps: .*?(\d+)\)")))
    user.gets("train", f"{run}/recipe.yaml", "--out", run, taken(text, "(--resume) writes it again"), "--device", "cpu")
    user.gets(*_convert(run))


@tried(("inference/reasons", "numbers that are not finite; convert with --precision float32, or with another"))
def numbers_that_are_not_finite(user: User) -> None:
    run, forward = user.run("pix2pix"), UNetGenerator.forward
    user.photos()

    def overflowing(self: UNetGenerator, images: torch.Tensor) -> torch.Tensor:
        """In bf16 only."""
        return forward(self, images) * (float("inf") if torch.is_autocast_enabled("cpu") else 1)

    user.monkeypatch.setattr(UNetGenerator, "forward", overflowing)
    text = user.refused(*_convert(run, "--precision", "bf16"), code=3)
    user.gets(*_convert(run, *taken(text, "convert with (--precision float32)").split()))


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
    user.gets(*_convert(user.run("pix2pix"), *taken(str(refused.value), "convert with (--tile off)").split()))


@tried(("data/io/gate", "scale it down, or convert with --max-pixels"))
def an_image_of_many_pixels(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    text = user.refused(*_convert(run, "--max-pixels", "100"), code=3)
    user.gets(*_convert(run, taken(text, "or convert with (--max-pixels)"), "100000", "--overwrite"))


@tried(("runs/evaluate", "name another file by --json"))
def scores_that_cannot_be_written(user: User) -> None:
    run = user.run("pix2pix")
    user.monkeypatch.setattr(
        "translate.runs.evaluate.os.access", lambda path, mode: mode != os.W_OK or Path(path).name != run
    )
    text = user.refused("evaluate", run, "--device", "cpu")
    user.gets("evaluate", run, "--device", "cpu", taken(text, "another file by (--json)"), "scores.json")


@tried(
    ("inference/formats/__init__", "give --format, or use a suffix that implies it"),
    ("inference/formats/graphs", "differs from PyTorch by {} on {}, more than --tolerance"),
    ("inference/formats/source", "give another name, or --overwrite"),
)
def an_export_that_is_refused(user: User) -> None:
    run = user.run("pix2pix")
    text = user.refused("export", run, "model.bin")
    user.gets("export", run, "model.bin", taken(text, "give (--format)"), "torch-export")
    command = ["export", run, f"model{taken(text, r'([.]pt2) .torch-export')}"]
    Path("model.pt2").write_text("mine")
    command.append(taken(user.refused(*command), "or (--overwrite)"))
    user.monkeypatch.setattr("translate.inference.formats.graphs.largest_difference", lambda *words: 0.5)
    text = user.refused(*command, code=1)
    assert Path("model.pt2").read_text() == "mine"
    user.gets(*command, taken(text, "more than (--tolerance)"), "1")


@tried(
    ("inference/formats/hub", "pip install image-translate\ntranslate convert FOLDER"),
    ("inference/formats/hub", " --to {}"),
)
def the_card_of_a_hub_folder(user: User) -> None:
    user.photos()
    user.gets(
        *user.train(user.recipe("cyclegan", steps=1), "--out", "run", "--domains", "the a,b's herd", data=user.data())
    )
    user.gets("export", "run", "hub", "--format", "hub")
    card = Path("hub", "README.md").read_text()
    words = shlex.split(taken(card, r"\ntranslate (convert FOLDER .*)\n").replace("FOLDER", "hub"))
    user.gets(*words, "--device", "cpu")
    code = taken(card, r"(?s)```python\n(.*?)```").replace('"FOLDER"', '"hub"')
    exec(code, {"image": Image.open("photos/one.png")})


@tried(("inference/formats/hub", "not one that `translate export` wrote"))
def another_librarys_folder(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    Path("hub").mkdir()
    Path("hub", "config.json").write_text("{}")
    text = user.refused(*_convert("hub"))
    user.gets(*command_in(text), run, "ours", "--format", "hub")
    user.gets(*_convert("ours"))


@tried(
    ("inference/options", "make one with `translate export {} model.onnx`"),
    ("inference/formats/exported", "bf16 needs --backend openvino"),
)
def a_backend_without_its_file(user: User, onnx_file: Path) -> None:
    run = Path(user.run("pix2pix")).rename("my run")
    user.photos()
    backend = ["--backend", "onnxruntime"]
    user.gets(*command_in(user.refused(*_convert(run, *backend))))
    user.gets(*_convert("model.onnx", *backend))
    text = user.refused(*_convert("model.onnx", *backend, "--precision", "bf16"))
    options_in(taken(text, "needs (--backend openvino)"), "convert")
    pytest.importorskip("openvino", reason="needs the extra [openvino]")
    words = taken(text, "needs (--backend openvino)").split()
    user.gets(*_convert("model.onnx", *words, "--precision", "bf16", "--overwrite"))


@tried(
    ("runs/loading", "generates images from noise; use `translate sample`"),
    ("runs/loading", "converts images; use `translate convert`"),
)
def the_wrong_command_for_a_model(user: User) -> None:
    gan, pix2pix = user.run("gan"), user.run("pix2pix")
    user.photos()
    user.gets(*command_in(user.refused(*_convert(gan))), gan, "drawn", "--count", "2", "--device", "cpu")
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
    ("inference/video", 'pip install "image-translate[video]"'),
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


@parsed(
    "they are options of the others' scripts; test_export_weights.py holds them against theirs",
    ("inference/formats/port", "--netG {} --ngf"),
    ("inference/formats/port", "--g_conv_dim {} --g_repeat_num"),
    ("inference/formats/port", "--model test{} {} --load_size {} --crop_size {}{}"),
    ("inference/formats/port", " --model_suffix {}"),
    ("inference/formats/port", " --input_nc {} --output_nc {}"),
    ("inference/formats/port", "--mode test --test_iters {} --image_size {} {}"),
)
def options_of_the_others_scripts(user: User) -> None:
    assert (
        options(ResnetGenerator(3, 3, filters=4, blocks=9))
        == "--netG resnet_9blocks --ngf 4 --norm instance --no_dropout"
    )


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User, request: pytest.FixtureRequest) -> None:
    wanted = trial.__code__.co_varnames[1 : trial.__code__.co_argcount]
    trial(user, *map(request.getfixturevalue, wanted))
