"""The advice of messages about files of models, ours and others', and about exports, followed. See `ways_out.py`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_ways_out_converting import convert
from ways_out import User, command_in, options_in, parsed, settings_in, taken, tried, ways_of

from translate.inference.formats.port import options
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.recipe import load_recipe
from translate.runs.export import export


@pytest.fixture(scope="session")
def onnx_file(trained_once, tmp_path_factory) -> Path:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(trained_once("pix2pix") / "run-pix2pix", path)
    return path


@tried(
    ("inference/options", "--dropout {}"),
    ("runs/convert", "--checkpoint {}: {} has no checkpoints to choose from; leave it out"),
)
def options_of_other_models(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    for option in (["--eval"], ["--dropout", "off"]):
        assert taken(user.refused(*convert(run, *option)), "(--[a-z]+).* is for another .* leave it out") == option[0]
        text = user.refused("export", run, "hub", "--format", "hub", *option)
        assert taken(text, "(--[a-z]+).* is for another .* leave it out") == option[0]
    user.gets("export", run, "hub", "--format", "hub")
    checkpoint = next(Path(run, "checkpoints").glob("step-*"))
    text = user.refused(*convert(checkpoint, "--checkpoint", "best"))
    options_in(taken(text, "(--checkpoint) .* leave it out"), "convert")
    user.gets(*convert(run))
    user.gets(*convert(checkpoint))


@tried(
    ("runs/export", "a generator's file; --format {} needs a run's folder"),
)
def a_file_for_a_run(user: User) -> None:
    run = user.run("cyclegan")
    user.photos()
    user.gets("export", run, "port", "--format", "port", "--to", "B")
    file = next(Path("port").rglob("*.pth")) if Path("port").is_dir() else Path("port")
    assert taken(user.refused(*convert(file, "--cycle-error")), "give a run")
    user.gets(*convert(run, "--to", "B", "--cycle-error", "--overwrite"))
    assert taken(user.refused("export", file, "hub", "--format", "hub"), "needs a run's folder")
    user.gets("export", run, "hub", "--format", "hub")


@tried(("runs/initial_weights", "files of single networks; leave out training.init_networks, or give a run"))
def files_where_networks_are_chosen(user: User) -> None:
    run = user.run("cyclegan")
    user.gets("export", run, "port", "--format", "port")
    chosen = "training.init_networks.generator_a=generator_b"
    command = user.train("cyclegan.yaml", "--dry-run")
    text = user.refused(*command, "training.init_from=port", chosen)
    assert taken(text, "leave out (training.init_networks), or give a run") in chosen
    user.gets(*command, "training.init_from=port")
    user.gets(*command, f"training.init_from={run}", chosen)


@tried(("inference/network", "its generator attends to the whole image at once; give --tile off, and --size 256 if"))
def a_generator_that_attends_to_the_whole_image(user: User) -> None:
    vit = ["kind=vit-unet", "widths=[4]", "width=4", "heads=1", "blocks=1", "hidden=4", "embedding=4"]
    user.data()
    command = user.train(user.recipe("cyclegan"), "--out", "run", "training.steps=1")
    user.gets(*command, *(f"model.generator.{option}" for option in vit))
    user.photos()
    text = user.refused(*convert("run", "--to", "B", "--tile", "8"))
    ways = taken(text, "give (--tile off)"), taken(text, "and (--size [0-9]+)")
    user.gets(*convert("run", "--to", "B", *(word for way in ways for word in way.split()), "--overwrite"))


@tried(
    ("inference/formats/exported", "an exported file runs on the processor; give the run for a GPU"),
    ("inference/formats/exported", "--backend torch converts with the run itself"),
    ("inference/formats/exported", "not an ONNX file that `translate export` wrote"),
)
def an_exported_file_where_the_run_is_needed(user: User, onnx_file: Path) -> None:
    import onnx

    run = user.run("pix2pix")
    user.photos()
    text = user.refused(*["convert", onnx_file, "photos", "out", "--device", "cuda"])
    assert "give the run for a GPU" in text
    assert "with the run itself" in user.refused(*convert(onnx_file, "--backend", "torch"))
    user.gets(*convert(run, "--backend", "torch"))
    tiled = user.refused(*convert(onnx_file, "--tile", "16", "--overwrite"))
    assert "give the run" in tiled
    user.gets(*convert(run, "--tile", "16", "--overwrite"))
    graph = onnx.load(str(onnx_file))
    del graph.metadata_props[:]
    onnx.save(graph, "other.onnx")
    text = user.refused(*convert("other.onnx", "--overwrite"))
    assert command_in(text) == ["export"]
    user.gets(*convert(onnx_file, "--overwrite"))


@tried(
    ("inference/formats/exported", "the model was exported with --bytes and takes 8-bit images only; export it without")
)
def deep_images_for_a_model_of_bytes(user: User, onnx_file: Path) -> None:
    run = user.run("pix2pix")
    Path("photos").mkdir()
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save("photos/deep.png")
    user.gets("export", run, "bytes.onnx", "--bytes")
    text = user.refused(*convert("bytes.onnx"), code=3)
    assert options_in(taken(text, "exported with .* export it without"), "export") == ["--bytes"]
    user.gets(*convert(onnx_file, "--overwrite"))


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
    text = user.refused(*convert("weights.pth"))
    words = command_in(text, "export")
    user.gets(*(run if word == "RUN" else word for word in words))
    for model in (run, checkpoint, words[-1]):
        user.gets(*convert(model, "--overwrite"))


@tried(("networks/signatures", "it is not read here; `translate train unit` trains such a model"))
def an_auto_encoder_of_units_release(user: User) -> None:
    torch.save({key: torch.zeros(1, 1, 1, 1) for key in ("enc.model.0.weight", "dec.model.0.weight")}, "gen.pt")
    user.photos()
    words = command_in(user.refused(*convert("gen.pt")))
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
    perceptual, encoder = re.findall(r"model\.\w+", user.refused(*convert("vgg.pth")))
    assert settings_in(perceptual, "unit") and settings_in(encoder, "direct")
    torch.save({"Mixed_5b.branch1x1.conv.weight": torch.zeros(1)}, "inception.pth")
    text = user.refused(*convert("inception.pth"))
    assert options_in(taken(text, "`translate evaluate` takes .*"), command_in(text)[0]) == ["--weights-dir"]


@tried(
    ("training/checkpoint", "not a pointer to a checkpoint; --resume writes it again, or name a step (saved steps: {})")
)
def a_pointer_to_nothing(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    Path(run, "checkpoints", "latest").write_text("x")
    text = user.refused(*convert(run))
    user.gets(*convert(run, "--checkpoint", taken(text, r"saved steps: .*?(\d+)\)")))
    user.gets("train", f"{run}/recipe.yaml", "--out", run, taken(text, "(--resume) writes it again"), "--device", "cpu")
    user.gets(*convert(run))


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
    text = user.refused(*convert("hub"))
    user.gets(*command_in(text), run, "ours", "--format", "hub")
    user.gets(*convert("ours"))


@tried(
    ("inference/options", "make one with `translate export {} model.onnx`"),
    ("inference/formats/exported", "bf16 needs --backend openvino"),
)
def a_backend_without_its_file(user: User, onnx_file: Path) -> None:
    run = Path(user.run("pix2pix")).rename("my run")
    user.photos()
    backend = ["--backend", "onnxruntime"]
    user.gets(*command_in(user.refused(*convert(run, *backend))))
    user.gets(*convert("model.onnx", *backend))
    text = user.refused(*convert("model.onnx", *backend, "--precision", "bf16"))
    options_in(taken(text, "needs (--backend openvino)"), "convert")
    pytest.importorskip("openvino", reason="needs the extra [openvino]")
    words = taken(text, "needs (--backend openvino)").split()
    user.gets(*convert("model.onnx", *words, "--precision", "bf16", "--overwrite"))


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
