"""Weights for others: a hub's folder that loads anywhere, and the PyTorch port's own files."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import yaml
from safetensors.torch import load_file

import translate
from translate.errors import ConfigurationError
from translate.inference.formats import port
from translate.inference.formats.port import generators, options, published_state, script
from translate.networks import ResnetGenerator, UNetGenerator
from translate.networks.foreign import from_port
from translate.networks.foreign_file import read_state
from translate.networks.stargan import StarGANGenerator
from translate.recipe import parse_recipe

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
GENERATORS = [
    "resnet_9blocks_instance",
    "resnet_6blocks_batch",
    "resnet_6blocks_instance_dropout_legacy",
    "resnet_6blocks_instance_1to3_channels",
    "unet_128_batch_dropout",
    "unet_128_instance",
    "unet_256_batch_dropout",
    "stargan_generator_5domains",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A tiny run of each method that is needed here."""
    from tiny import TINY_DATA, TINY_TRAINING

    root = tmp_path_factory.mktemp("runs")
    folders = {
        "cyclegan": tiny.unpaired_folder(root / "my" / "unpaired"),
        "pix2pix": tiny.paired_folder(root / "paired"),
        "stargan": tiny.labelled_folder(root / "labelled"),
    }
    for name, data in folders.items():
        training = TINY_TRAINING | {"ema": 0.5}
        values = {"name": f"tiny-{name}", "model": tiny.TINY[name], "data": TINY_DATA, "training": training}
        recipe = parse_recipe(json.loads(json.dumps(values)), name)
        translate.train(recipe, data, out=root / name, tracking="disabled", device="cpu", quiet=True)
    return root


def _converted(path, to):
    images = torch.rand(2, 3, 21, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return translate.load(path, device="cpu", precision="float32").convert(images, to=to)


@pytest.mark.parametrize(("name", "to"), [("cyclegan", "A"), ("stargan", "c")])
def test_a_hubs_folder_converts_as_its_run(name, to, runs, run_cli, tmp_path):
    result = run_cli("export", runs / name, "released")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "released").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert torch.equal(_converted(tmp_path / "released", to), _converted(runs / name, to))
    tiny.write_images(tmp_path / "photos", ["a.png"])
    result = run_cli("convert", "released", "photos", "out", "--to", to, "-q")
    assert result.exit_code == 0 and (tmp_path / "out" / "a.png").is_file()


def test_a_hubs_folder_holds_no_training_images_and_no_path_of_this_machine(runs, run_cli, tmp_path):
    run_cli("export", runs / "cyclegan", "released")
    names = load_file(tmp_path / "released" / "model.safetensors")
    assert names and not any("pool" in name for name in names)
    config = (tmp_path / "released" / "config.json").read_text()
    assert json.loads(config)["recipe"]["data"]["set"] == "unpaired"
    assert str(runs) not in config + (tmp_path / "released" / "README.md").read_text()


def test_the_card_has_the_head_that_hubs_read_and_leaves_the_licence_open(runs, run_cli, tmp_path):
    result = run_cli("export", runs / "cyclegan", "released", "--checkpoint", "2")
    assert "leaves the licence to you" in result.output
    _, head, text = (tmp_path / "released" / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    assert card.pop("license") is None
    assert card == {
        "library_name": "translate",
        "pipeline_tag": "image-to-image",
        "tags": ["cyclegan", "image-to-image"],
    }
    assert "# tiny-cyclegan" in text and "to B or A" in text and "2 steps" in text and "--to B" in text


def test_a_hubs_folder_that_exists_damaged_or_anothers_is_told(runs, run_cli, tmp_path):
    run_cli("export", runs / "pix2pix", "released")
    folder = tmp_path / "released"
    (folder / "notes.txt").write_text("mine")
    again = run_cli("export", runs / "pix2pix", "released")
    assert again.exit_code == 2 and "exists" in again.output
    assert run_cli("export", runs / "pix2pix", "released", "--overwrite").exit_code == 0
    assert (folder / "notes.txt").read_text() == "mine"
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    damaged = run_cli("convert", "released", runs / "paired", "out")
    assert damaged.exit_code == 1 and "model.safetensors: damaged" in damaged.output
    (folder / "config.json").write_text('{"library_name": "another"}')
    other = run_cli("convert", "released", runs / "paired", "out")
    assert other.exit_code == 2 and "config.json: not one that" in other.output


def test_cyclegans_generators_go_to_the_port_and_back(runs, run_cli, tmp_path):
    result = run_cli("export", runs / "cyclegan", "weights", "--format", "port")
    assert result.exit_code == 0, result.output
    # Their G_A paints domain B, from A.
    for file, to in (("latest_net_G_A.pth", "B"), ("latest_net_G_B.pth", "A")):
        back = _converted(tmp_path / "weights" / file, "output")
        torch.testing.assert_close(back, _converted(runs / "cyclegan", to), rtol=0, atol=1e-6)
    assert run_cli("export", runs / "cyclegan", "b.pth", "--to", "B").exit_code == 0
    single, both = read_state(tmp_path / "b.pth"), read_state(tmp_path / "weights" / "latest_net_G_A.pth")
    assert single.keys() == both.keys() and all(torch.equal(single[key], both[key]) for key in both)
    unsaid = run_cli("export", runs / "cyclegan", "c.pth")
    assert unsaid.exit_code == 2 and "--to is needed" in unsaid.output


def test_pix2pix_and_stargan_go_back_under_their_releases_names(runs, run_cli, tmp_path):
    assert run_cli("export", runs / "pix2pix", "weights", "--format", "port").exit_code == 0
    back = _converted(tmp_path / "weights" / "latest_net_G.pth", None)
    torch.testing.assert_close(back, _converted(runs / "pix2pix", None), rtol=0, atol=1e-6)
    assert run_cli("export", runs / "stargan", "weights", "--format", "port").exit_code == 0
    back = _converted(tmp_path / "weights" / "4-G.ckpt", "1")
    torch.testing.assert_close(back, _converted(runs / "stargan", "b"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_published_file_comes_out_as_it_went_in(name):
    if not GOLDEN.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    state = read_state(GOLDEN / f"{name}.pth")
    written = published_state(from_port(state))
    assert written.keys() == state.keys()
    # Ours keep none of the statistics that StarGAN's layers have and never use.
    mine = [key for key in state if "stargan" not in name or not key.endswith(("_mean", "_var", "_tracked"))]
    assert mine and all(torch.equal(written[key], state[key]) for key in mine)
    assert all(written[key].shape == state[key].shape for key in state)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (ResnetGenerator(3, 3, filters=4, blocks=9), "--netG resnet_9blocks --ngf 4 --norm instance --no_dropout"),
        (
            ResnetGenerator(3, 3, filters=8, blocks=6, normalisation="batch", dropout=True),
            "--netG resnet_6blocks --ngf 8 --norm batch",
        ),
        (UNetGenerator(3, 3, filters=4, levels=8), "--netG unet_256 --ngf 4 --norm batch"),
        (StarGANGenerator(3, 5, filters=4, blocks=6), "--g_conv_dim 4 --g_repeat_num 6 --c_dim 5"),
        (ResnetGenerator(3, 3, filters=4, blocks=3), "no option of theirs names this network; their classes build it"),
        (
            ResnetGenerator(3, 3, filters=4, blocks=9, normalisation="affine_instance"),
            "no option of theirs names this network",
        ),
    ],
)
def test_their_scripts_options_are_told(network, told):
    assert options(network).startswith(told)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (ResnetGenerator(3, 3, filters=4, blocks=1, residual=True), "learns the change"),
        (StarGANGenerator(3, 2, filters=4, blocks=1, residual=True), "learns the change"),
        (ResnetGenerator(3, 3, filters=4, blocks=1, upsampling="resize"), "--format port"),
        (ResnetGenerator(3, 3, filters=4, blocks=1, upsampling="blur"), "--format port"),
        (ResnetGenerator(3, 3, filters=4, blocks=1, padding="zeros"), "padding_mode=reflect"),
        (UNetGenerator(3, 3, filters=4, levels=6, dropout_placement="paper"), "Dropout"),
        (UNetGenerator(3, 3, filters=4, levels=6, dropout=0.3), r"Dropout\(p=0.3.* where theirs has .*Dropout\(p=0.5"),
    ],
)
def test_a_generator_that_theirs_would_not_repeat_is_refused_with_the_reason(network, reason):
    with pytest.raises(ConfigurationError, match=reason):
        published_state(network)


def test_a_method_that_the_port_lacks_is_refused():
    with pytest.raises(ConfigurationError, match="no UNIT in the PyTorch port"):
        generators(tiny.tiny_model("unit"), 1)


@pytest.mark.parametrize(
    ("name", "network", "evaluated", "told"),
    [
        (
            "latest_net_G_A.pth",
            ResnetGenerator(3, 3, filters=4, blocks=9),
            True,
            "--model test --model_suffix _A --netG resnet_9blocks",
        ),
        ("latest_net_G.pth", UNetGenerator(3, 3, filters=4, levels=7), True, "--load_size 128 --crop_size 128 --eval"),
        (
            "latest_net_G.pth",
            UNetGenerator(3, 3, filters=4, levels=7),
            False,
            "--norm batch --load_size 128 --crop_size 128",
        ),
        (
            "latest_net_G.pth",
            ResnetGenerator(1, 1, filters=4, blocks=9),
            True,
            "--no_dropout --input_nc 1 --output_nc 1",
        ),
        (
            "200-G.ckpt",
            StarGANGenerator(3, 5, filters=4, blocks=6),
            True,
            "--mode test --test_iters 200 --image_size 128 --g_conv_dim",
        ),
        ("latest_net_G.pth", ResnetGenerator(3, 3, filters=4, blocks=3), True, "no option of theirs"),
    ],
)
def test_how_their_script_takes_the_file_is_told_whole(name, network, evaluated, told):
    hint = script(name, network, 128, evaluated)
    assert told in hint
    # Instance norms without dropout do the same in either mode.
    assert ("--eval" in hint) == (evaluated and isinstance(network, UNetGenerator))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_run_that_converts_in_evaluation_mode_needs_their_eval_and_ours(runs, run_cli, tmp_path, mode):
    values = {
        "name": "tiny",
        "model": tiny.TINY["pix2pix"] | {"convert_mode": mode},
        "data": tiny.TINY_DATA,
        "training": tiny.TINY_TRAINING,
    }
    recipe = parse_recipe(json.loads(json.dumps(values)), "tiny")
    translate.train(recipe, runs / "paired", out=tmp_path / "run", tracking="disabled", device="cpu", quiet=True)
    done = run_cli("export", "run", "weights", "--format", "port")
    file = tmp_path / "weights" / "latest_net_G.pth"
    assert (
        done.exit_code == 0 and (port.script(file.name, from_port(read_state(file)), 16, mode == "eval")) in done.stderr
    )
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    back = translate.load(file, device="cpu", precision="float32", evaluated=mode == "eval").convert(images)
    ours = translate.load(tmp_path / "run", device="cpu", precision="float32").convert(images)
    torch.testing.assert_close(back, ours, rtol=0, atol=1e-6)


def test_the_order_of_stargans_labels_is_told(runs, run_cli):
    done = run_cli("export", runs / "stargan", "weights", "--format", "port")
    assert "the order of its labels is a, b, c" in done.stderr


@pytest.mark.parametrize("name", GENERATORS)
def test_what_is_written_for_the_port_runs_in_the_published_structure(name, tmp_path):
    """The structure is that of the published file: the same keys and shapes, which its loader insists on; and what was
    written gives the published outputs."""
    if not GOLDEN.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    published, golden = read_state(GOLDEN / f"{name}.pth"), np.load(GOLDEN / f"{name}.npz")
    network = from_port(published)
    port.write_port(tmp_path / "latest_net_G.pth", published_state(network))
    written = read_state(tmp_path / "latest_net_G.pth")
    assert {key: value.shape for key, value in written.items()} == {key: v.shape for key, v in published.items()}
    inputs = [torch.from_numpy(golden[key]) for key in ("input", "labels") if key in golden]
    expected = "output_batch_statistics" if "stargan" in name else "output_eval"
    with torch.no_grad():
        output = from_port(written).eval()(*inputs)
    assert (output - torch.from_numpy(golden[expected])).abs().max() < 1e-5
