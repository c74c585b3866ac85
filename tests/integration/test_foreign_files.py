"""Others' files of weights: each is named for what it is, with what can be done."""

import shlex
from pathlib import Path

import pytest
import torch
from tiny import write_images
from torch import nn

import translate
from translate.errors import ConfigurationError, TranslateError
from translate.networks.foreign import port_state
from translate.networks.foreign_file import read_network
from translate.networks.patchgan import PatchDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.signatures import SIGNATURES, signed

SECOND = Path(__file__).parents[3] / "shared" / "golden" / "second"
NAMED = {
    "cut_discriminator": "a discriminator; give the generator's file",
    "patchnce_per_image": "CUT's projection of features",
    "munit_autoencoder": "MUNIT's auto-encoder",
    "oasis_discriminator": "OASIS's discriminator",
    "oasis_generator": "OASIS's generator",
    "pix2pixhd_discriminator": "pix2pixHD's discriminators",
    "pix2pixhd_enhancer": "pix2pixHD's generator with a local enhancer",
    "spade_discriminator": "SPADE's discriminators",
    "spade_generator_square": "SPADE's generator",
    "starganv2_discriminator": "StarGAN v2's discriminator",
    "starganv2_generator": "StarGAN v2's generator",
    "starganv2_generator_highpass": "StarGAN v2's generator",
    "starganv2_mapping": "StarGAN v2's mapping network",
    "starganv2_style_encoder": "StarGAN v2's style encoder",
    "uvcgan2_discriminator_bn": "UVCGAN's discriminator",
    "uvcgan2_discriminator_stdev": "UVCGAN's discriminator",
    "uvcgan2_generator": "UVCGAN's generator",
}
# Keys as those projects write them, with the number of dimensions of each.
KEYS = {
    "an optimizer's state": {"state": 1, "param_groups": 1},
    "the weights of a run of `translate train`, without its recipe": {"generator_a.stem.conv.weight": 4},
    "CUT's projection of features (netF)": {"mlp_0.0.weight": 2, "mlp_0.2.weight": 2},
    "a generator of CUT that is antialiased on the way up only (--no_antialias)": {
        "model.1.weight": 4,
        "model.7.weight": 4,
        "model.10.conv_block.1.weight": 4,
        "model.19.filt": 4,
    },
    "a generator of CUT that is antialiased on the way down only (--no_antialias_up)": {
        "model.1.weight": 4,
        "model.7.filt": 4,
        "model.11.filt": 4,
        "model.12.conv_block.1.weight": 4,
    },
    "a ResNet generator of the PyTorch port whose blocks are padded with zeros": {
        "model.1.weight": 4,
        "model.10.conv_block.0.weight": 4,
    },
    "a StyleGAN2 network (as CUT's --netG stylegan2)": {"convs.0.conv.modulation.weight": 2},
    "MUNIT's auto-encoder of one domain": {
        "enc_style.model.0.conv.weight": 4,
        "enc_content.model.0.conv.weight": 4,
        "dec.model.0.model.0.model.0.conv.weight": 4,
    },
    "UNIT's auto-encoder of one domain": {"enc.model.0.conv.weight": 4, "dec.model.0.model.0.model.0.conv.weight": 4},
    "the discriminators of MUNIT or UNIT": {"cnns.0.0.conv.weight": 4},
    "StarGAN v2's generator": {"from_rgb.weight": 4, "encode.0.conv1.weight": 4, "decode.0.conv1.weight": 4},
    "StarGAN v2's mapping network": {"shared.0.weight": 2, "unshared.0.0.weight": 2},
    "StarGAN v2's style encoder": {"shared.0.weight": 4, "unshared.0.weight": 2},
    "StarGAN v2's discriminator": {"main.0.weight": 4, "main.1.conv1.weight": 4},
    "pix2pixHD's generator with a local enhancer": {"model1_1.1.weight": 4, "model.10.conv_block.1.weight": 4},
    "pix2pixHD's discriminators": {"scale0_layer0.0.weight": 4},
    "SPADE's generator": {"head_0.norm_0.mlp_shared.0.weight": 4, "up_0.conv_0.bias": 1},
    "SPADE's discriminators": {"discriminator_0.model0.0.weight": 4},
    "SPADE's image encoder": {"fc_mu.weight": 2, "fc_var.weight": 2},
    "OASIS's generator": {"body.0.conv_0.bias": 1, "body.0.norm_s.mlp_beta.bias": 1},
    "OASIS's discriminator": {"body_up.0.conv1.2.bias": 1, "layer_up_last.weight": 4},
    "UVCGAN's generator": {"net.modnet.conv.downsample.weight": 4},
    "UVCGAN's discriminator": {"_body.model.0.bias": 1, "_head.net.0.bias": 1},
    "torchvision's VGG, a classifier": {"features.0.weight": 4, "features.28.weight": 4},
    "torchvision's ResNet, a classifier": {"bn1.weight": 1, "layer1.0.conv1.weight": 4},
    "Inception, a classifier": {"Mixed_5b.branch1x1.conv.weight": 4},
    "a diffusion model": {"model.diffusion_model.input_blocks.0.0.weight": 4},
}


def _state(keys):
    return {key: torch.zeros((1,) * dims) for key, dims in keys.items()}


def _resnet():
    return port_state(ResnetGenerator(3, 3, filters=4, blocks=1))


def test_every_signature_has_its_keys_here():
    assert [one.what for one in SIGNATURES] == list(KEYS)


@pytest.mark.parametrize("what", KEYS)
def test_a_kind_of_file_is_named_by_its_keys(what, tmp_path):
    assert signed(_state(KEYS[what])).what == what
    torch.save({f"module.{key}": value for key, value in _state(KEYS[what]).items()}, tmp_path / "net.pth")
    with pytest.raises(ConfigurationError) as refused:
        translate.load(tmp_path / "net.pth")
    assert str(refused.value).startswith(f"{tmp_path / 'net.pth'}: {what}; ") and "is missing" not in str(refused.value)


@pytest.mark.parametrize("name", NAMED)
def test_published_files_are_named(name, tmp_path):
    if not SECOND.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    with pytest.raises(ConfigurationError) as refused:
        translate.load(SECOND / f"{name}.pth")
    assert NAMED[name] in str(refused.value) and "is missing" not in str(refused.value)


def test_no_network_that_is_read_has_a_foreign_signature():
    for state in (
        _resnet(),
        port_state(ResnetGenerator(3, 3, filters=4, blocks=1, upsampling="blur")),
        port_state(PatchDiscriminator(3, filters=4)),
        port_state(PatchDiscriminator(3, filters=4, downsampling="blur")),
    ):
        assert signed(state) is None


CONTAINERS = {
    "munit": (
        lambda: {
            "a": _state(KEYS["MUNIT's auto-encoder of one domain"]),
            "b": _state(KEYS["MUNIT's auto-encoder of one domain"]),
        },
        ["several parts", "a: MUNIT's auto-encoder", "b: MUNIT's", "none of them is read here"],
    ),
    "starganv2": (
        lambda: {
            "generator": _state(KEYS["StarGAN v2's generator"]),
            "mapping_network": _state(KEYS["StarGAN v2's mapping network"]),
        },
        ["generator: StarGAN v2's generator", "mapping_network: StarGAN v2's mapping network"],
    ),
    "lightning": (
        lambda: {
            "pytorch-lightning_version": "2.0.0",
            "epoch": 3,
            "state_dict": {f"gen_A.{key}": value for key, value in _resnet().items()},
            "optimizer_states": [],
        },
        ["a checkpoint of PyTorch Lightning", "state_dict.gen_A: a ResNet generator of 1 blocks", "take one out"],
    ),
    "training": (
        lambda: {"epoch": 3, "G": _resnet(), "optimizer": {"state": {}, "param_groups": []}},
        ["G: a ResNet generator of 1 blocks", "optimizer: an optimizer's state", "take one out"],
    ),
    "module": (
        lambda: (
            {f"netG.{key}": value for key, value in _resnet().items()}
            | {f"netD.{key}": value for key, value in port_state(PatchDiscriminator(3, filters=4)).items()}
        ),
        ["netG: a ResNet generator", "netD: a discriminator", "take one out"],
    ),
    "optimizers": (
        lambda: {"gen": {"state": {}, "param_groups": []}, "dis": {"state": {}, "param_groups": []}},
        ["gen: an optimizer's state", "none of them is read here"],
    ),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_file_of_several_parts_lists_them_and_how_to_take_one_out_works(name, tmp_path, monkeypatch):
    make, told = CONTAINERS[name]
    path = tmp_path / "it's all.ckpt"
    torch.save(make(), path)
    with pytest.raises(ConfigurationError) as refused:
        translate.load(path)
    for words in told:
        assert words in str(refused.value)
    if "take one out" in told:
        program, option, code = shlex.split(str(refused.value).split("take one out: ", 1)[1])
        assert (program, option) == ("python3", "-c")
        monkeypatch.chdir(tmp_path)
        exec(code, {})  # as a shell would, without the seconds that a new process takes to import torch
        (out,) = set(tmp_path.iterdir()) - {path}
        assert isinstance(read_network(out), ResnetGenerator)


class Whole(nn.Module):
    """Stands for another project's network, pickled as a whole."""


def test_a_whole_module_is_not_loaded_and_the_way_on_is_told(tmp_path):
    torch.save(Whole(), tmp_path / "model.pth")
    with pytest.raises(TranslateError, match=r"Whole.*not loaded.*torch\.save\(module\.state_dict\(\)"):
        translate.load(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x10\0\0\0\0\0\0\0{}              ", "a safetensors file"),
        (b"nothing known", "damaged, or something else"),
    ],
)
def test_a_file_of_no_weights_is_named(tmp_path, contents, told):
    (tmp_path / "net.pth").write_bytes(contents)
    with pytest.raises(ConfigurationError, match=told):
        translate.load(tmp_path / "net.pth")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_torchscript_archive_is_named(tmp_path):
    torch.jit.save(torch.jit.trace(nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 4, 4)), tmp_path / "net.pt")
    with pytest.raises(ConfigurationError, match="a TorchScript archive"):
        translate.load(tmp_path / "net.pt")


def test_the_command_line_says_the_same(run_cli, tmp_path):
    torch.save(_state(KEYS["SPADE's generator"]), tmp_path / "latest_net_G.pth")
    write_images(tmp_path / "photos", ["a.png"])
    for command in (["convert", "latest_net_G.pth", "photos", "out"], ["export", "latest_net_G.pth", "g.onnx"]):
        refused = run_cli(*command)
        assert refused.exit_code == 2 and "latest_net_G.pth: SPADE's generator; it is not read" in refused.stderr
