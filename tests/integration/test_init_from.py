"""Training that begins with the weights of another run."""

import json
import shutil

import pytest
import torch
from tiny import labelled_folder, paired_folder, unpaired_folder

from translate.networks.foreign import port_state
from translate.networks.patchgan import PatchDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.recipe import load_recipe
from translate.training.checkpoint import load_checkpoint

STILL = ["--device", "cpu", "--set", "training.lr=1e-12", "--set", "training.steps=1"]


@pytest.fixture
def taught(run_cli, tiny_recipe, tmp_path):
    """A run of two steps that kept averaged weights, in the folder `first`."""
    data = unpaired_folder(tmp_path / "d" / "horse2zebra")
    words = ["--data", data, "--out", "first", "--device", "cpu", "training.steps=2", "training.ema=0.9"]
    assert run_cli("train", tiny_recipe("cyclegan"), *words).exit_code == 0
    return load_checkpoint(tmp_path / "first" / "checkpoints").weights()


def test_a_run_begins_with_the_weights_that_another_converts_by(run_cli, tiny_recipe, tmp_path, taught):
    other = unpaired_folder(tmp_path / "d" / "apple2orange")
    command = ["train", tiny_recipe("cyclegan"), "--data", other, "--out", "second", *STILL]
    tuned = run_cli(*command, "training.init_from=first", "training.seed=7")
    assert tuned.exit_code == 0 and "first: its weights after step 2" in tuned.stderr
    begun = load_checkpoint(tmp_path / "second" / "checkpoints").weights()
    assert begun.keys() == taught.keys()
    torch.testing.assert_close(begun, taught, rtol=0, atol=1e-6)
    assert load_recipe("second/recipe.yaml").training.init_from == "first"


def test_a_resumed_run_does_not_begin_again_with_them(run_cli, tiny_recipe, tmp_path, taught):
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", "--device", "cpu"]
    command += ["training.init_from=first/checkpoints/step-00000002", "training.steps=2"]
    assert run_cli(*command).exit_code == 0
    shutil.rmtree(tmp_path / "first")
    resumed = run_cli(*command, "--resume", "--set", "training.steps=4")
    assert resumed.exit_code == 0 and "its weights after" not in resumed.stderr


def test_networks_begin_with_those_that_are_named_and_the_others_with_random_weights(
    run_cli, tiny_recipe, tmp_path, taught
):
    """As cyclegan-vit's two generators do with the one that was pretrained."""
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", *STILL]
    words = ["training.init_from=first", "training.init_networks={generator_a: generator_b, generator_b: generator_b}"]
    tuned = run_cli(*command, *words, "training.seed=7")
    assert tuned.exit_code == 0 and "(discriminator_a and discriminator_b from random weights)" in tuned.stderr
    begun = _begun(tmp_path / "second")
    for key in [key.partition(".")[2] for key in taught if key.startswith("generator_b.")]:
        for name in ("generator_a", "generator_b"):
            torch.testing.assert_close(begun[f"{name}.{key}"], taught[f"generator_b.{key}"], rtol=0, atol=1e-6)
    judges = "discriminator_a.head.weight"
    assert not torch.allclose(begun[judges], taught[judges])


def test_an_enhanced_generator_begins_with_the_run_of_the_first_stage(run_cli, tiny_recipe, tmp_path):
    """Its layers at half the size, which stay as they are while fixed, and the coarser scales of the discriminator."""
    command = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "pairs"), "--device", "cpu"]
    command += ["training.steps=1", "model.generator.kind=resnet", "model.generator.blocks=1"]
    command += ["model.generator.downsamplings=1", "model.discriminator.scales=1"]
    assert run_cli(*command, "model.generator.filters=4", "--out", "first").exit_code == 0
    command += ["model.generator.kind=enhanced", "model.generator.filters=2", "model.generator.fixed=true"]
    command += ["--out", "second", "model.discriminator.scales=1"]
    assert "training.init_from, or set model.generator.fixed=false" in run_cli(*command).stderr
    second = run_cli(*command, "training.init_from=first")
    assert second.exit_code == 0 and "(layers of generator from random weights)" in second.stderr, second.output
    taught, begun = (_begun(tmp_path / name) for name in ("first", "second"))
    taken = [key for key in taught if key.startswith("generator.") and not key.startswith("generator.head.")]
    assert len(taken) > 8 and all(torch.equal(begun[key], taught[key]) for key in taken)


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_weights_of_other_networks_are_refused_and_nothing_is_written(run_cli, tiny_recipe, tmp_path, taught, words):
    labelled_folder(tmp_path / "d" / "flowers")
    command = ["train", tiny_recipe("stargan"), "--data", "d/flowers", "--device", "cpu", *words]
    for origin, says in (("first", "it lacks generator.stem"), ("nowhere", "no such run")):
        refused = run_cli(*command, "--out", "second", f"training.init_from={origin}")
        assert refused.exit_code == 2, refused.output
        assert f"training.init_from {origin}: " in refused.stderr and says in refused.stderr
        assert not (tmp_path / "second").exists()


def test_an_exported_folder_knows_the_first_run_by_its_name_alone(run_cli, tiny_recipe, tmp_path, taught):
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", *STILL]
    assert run_cli(*command, f"training.init_from={tmp_path / 'first'}").exit_code == 0
    assert run_cli("export", "second", "released").exit_code == 0
    config = (tmp_path / "released" / "config.json").read_text()
    assert json.loads(config)["recipe"]["training"]["init_from"] == "first" and str(tmp_path) not in config


def _begun(folder):
    return load_checkpoint(folder / "checkpoints").weights()


@pytest.mark.parametrize("which", ["folder", "single"])
def test_a_run_begins_with_generators_in_the_ports_files(run_cli, tiny_recipe, tmp_path, taught, which):
    assert run_cli("export", "first", "weights", "--format", "port").exit_code == 0
    origin = {"folder": "weights", "single": "weights/latest_net_G_A.pth"}[which]
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", *STILL]
    tuned = run_cli(*command, f"training.init_from={origin}", "training.seed=7")
    assert tuned.exit_code == 0, tuned.output
    begun, given = (
        _begun(tmp_path / "second"),
        ("generator_a", "generator_b") if which == "folder" else ("generator_b",),
    )
    for key, value in taught.items():
        same = torch.allclose(begun[key], value, rtol=0, atol=1e-6)
        assert same or not key.startswith(given), key
    # Their G_A makes the second domain; the other networks start from random weights, and that is said.
    assert (
        "G_A of latest_net_G_A.pth" in tuned.stderr
        and "D_A and D_B" in tuned.stderr
        and "random weights" in tuned.stderr
    )
    assert ("G_B of latest_net_G_B.pth" in tuned.stderr) == (which == "folder")
    assert which == "folder" or not torch.allclose(begun["generator_a.head.weight"], taught["generator_a.head.weight"])


def test_the_ports_discriminators_begin_too(run_cli, tiny_recipe, tmp_path, taught):
    (tmp_path / "port").mkdir()
    network = PatchDiscriminator(3, filters=4, layers=1)
    torch.save(port_state(network), tmp_path / "port" / "latest_net_D_A.pth")
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", *STILL]
    assert run_cli(*command, "training.init_from=port").exit_code == 0
    begun = _begun(tmp_path / "second")  # their D_A judges what G_A paints, the second domain
    torch.testing.assert_close(begun["discriminator_b.head.weight"], network.head.weight.detach(), rtol=0, atol=1e-6)


def test_stargans_file_begins_a_run(run_cli, tiny_recipe, tmp_path):
    labelled_folder(tmp_path / "flowers")
    network = StarGANGenerator(3, 3, filters=4, blocks=1, downsamplings=1)
    torch.save(port_state(network), tmp_path / "200-G.ckpt")
    command = ["train", tiny_recipe("stargan"), "--data", "flowers", "--out", "second", *STILL]
    assert run_cli(*command, "training.init_from=200-G.ckpt").exit_code == 0
    begun = _begun(tmp_path / "second")
    torch.testing.assert_close(begun["generator.head.weight"], network.head.weight.detach(), rtol=0, atol=1e-6)


FILES = {
    "resnet": lambda: ResnetGenerator(3, 3, filters=8, blocks=2, normalisation="batch"),
    "cut": lambda: ResnetGenerator(3, 3, filters=4, blocks=2, upsampling="blur"),
    "unet": lambda: UNetGenerator(3, 3, filters=4, levels=3, normalisation="instance"),
    "no norm": lambda: ResnetGenerator(3, 3, filters=4, blocks=1, normalisation="none"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_does_not_fit_says_with_which_settings_it_would(run_cli, tiny_recipe, tmp_path, name):
    data, network = unpaired_folder(tmp_path / "d" / "horse2zebra"), FILES[name]()
    state = port_state(network)
    if name == "no norm":  # theirs has no biases but the last
        state = {key: value for key, value in state.items() if not key.endswith("bias") or key.startswith("model.18")}
    if name == "cut":
        state |= {"model.7.filt": torch.zeros(8, 1, 3, 3), "model.15.filt": torch.zeros(16, 1, 4, 4)}
    torch.save(state, tmp_path / "latest_net_G_A.pth")
    command = ["train", tiny_recipe("cyclegan"), "--data", data, "--out", "second", *STILL]
    command.append("training.init_from=latest_net_G_A.pth")
    refused = run_cli(*command)
    assert refused.exit_code == 2 and "is not the network of this recipe; it would fit with " in refused.stderr
    assert "checking images" not in refused.stderr  # said before every image is checked
    words = refused.stderr.split("it would fit with ")[1].split()
    assert run_cli(*command, *words).exit_code == 0
    begun = _begun(tmp_path / "second")["generator_b.head.weight"]
    torch.testing.assert_close(begun, network.head.weight.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ("d", "holds images but is not a run; `translate data check d`"),
        ("mine.pth", "does not say which generator it is; name it latest_net_G_A.pth or latest_net_G_B.pth"),
        ("g.onnx", "give the folder of the run that it was exported from"),
        ("empty", "an empty folder, not a run"),
        ("first/checkpoints", "holds checkpoints but is not a run; give first"),
        ("first/recipe.yaml", "the recipe of the run first; give that folder"),
    ],
)
def test_what_no_run_can_begin_with_is_named(run_cli, tiny_recipe, tmp_path, taught, origin, told):
    (tmp_path / "empty").mkdir()
    (tmp_path / "g.onnx").write_bytes(b"\x08")
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), tmp_path / "mine.pth")
    command = ["train", tiny_recipe("cyclegan"), "--data", "d/horse2zebra", "--out", "second", *STILL]
    refused = run_cli(*command, f"training.init_from={origin}")
    assert refused.exit_code == 2 and f"training.init_from {origin}: " in refused.stderr and told in refused.stderr


def test_a_method_that_the_port_lacks_cannot_begin_with_its_files(run_cli, tiny_recipe, tmp_path):
    data = unpaired_folder(tmp_path / "d" / "horse2zebra")
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), tmp_path / "latest_net_G.pth")
    command = ["train", tiny_recipe("unit"), "--data", data, "--out", "second", *STILL]
    refused = run_cli(*command, "training.init_from=latest_net_G.pth")
    assert refused.exit_code == 2 and "there is no UNIT in the PyTorch port" in refused.stderr


def test_bad_settings_and_missing_weights_are_told_before_every_image_is_tried(run_cli, tiny_recipe, tmp_path):
    data = unpaired_folder(tmp_path / "d" / "horse2zebra")
    for recipe, word, told in (
        ("cyclegan", "training.network_lr={nothing: 1}", "no network 'nothing'"),
        ("unit", "model.perceptual=1", "model.perceptual_weights: no weights at vgg16"),
        ("direct", "model.content=encoder", "model.encoder_weights: no weights at vgg16"),
        ("cyclegan", "training.init_from=nowhere", "training.init_from nowhere: no such run"),
    ):
        refused = run_cli("train", tiny_recipe(recipe), "--data", data, "--out", "second", *STILL, word)
        assert refused.exit_code == 2 and told in refused.stderr, refused.output
        assert "checking images" not in refused.stderr and not (tmp_path / "second").exists()
