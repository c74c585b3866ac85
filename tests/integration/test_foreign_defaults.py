"""What a foreign generator's file does not hold: each default is the published one, is told, and can be chosen."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import write_images
from torch import Tensor, nn

import translate
from translate.errors import ConfigurationError
from translate.networks.foreign import from_port, port_state
from translate.networks.foreign_file import read_network
from translate.networks.patchgan import PatchDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
OPTIONS = """----------------- Options ---------------
                crop_size: 128                           \t[default: 256]
                    model: cycle_gan
                     netG: {kind}                      \t[default: resnet_9blocks]
               no_dropout: {no_dropout}
----------------- End -------------------
"""


def _saved(path, network):
    torch.manual_seed(0)
    for weight in network.parameters():
        nn.init.normal_(weight, 0, 0.3)
    torch.save(port_state(network), path)
    return path


def _unet(path, normalisation):
    return _saved(path, UNetGenerator(3, 3, filters=2, levels=6, normalisation=normalisation))


def _drops(path, **options):
    """Whether conversion throws dice: the network drops features where its dropout has a probability."""
    converter = translate.load(path, device="cpu", precision="float32", **options)
    on = [layer.p for layer in converter.model.network.modules() if isinstance(layer, nn.Dropout)]
    return bool(on) and all(on) and converter.model.network.train().training and not converter.model.evaluated


@pytest.mark.parametrize(
    ("name", "normalisation", "drops"),
    [
        ("latest_net_G_A.pth", "instance", False),
        ("latest_net_G_B.pth", "batch", False),
        ("latest_net_G.pth", "batch", True),
        ("latest_net_G.pth", "instance", False),
        ("mine.pth", "batch", True),
        ("mine.pth", "instance", False),
    ],
)
def test_a_unet_drops_as_the_port_would_have_trained_it_and_the_other_can_be_chosen(
    tmp_path, name, normalisation, drops
):
    path = _unet(tmp_path / name, normalisation)
    assert _drops(path) is drops
    assert _drops(path, dropout="on") and not _drops(path, dropout="off") and not _drops(path, evaluated=True)


@pytest.mark.parametrize("file", ["train_opt.txt", "opt.txt", "test_opt.txt"])
def test_the_ports_file_of_options_beside_the_weights_is_believed_first(tmp_path, file):
    path = _unet(tmp_path / "latest_net_G_A.pth", "instance")
    (tmp_path / file).write_text(OPTIONS.format(kind="unet_256", no_dropout="False"))
    assert _drops(path)
    (tmp_path / file).write_text(OPTIONS.format(kind="unet_256", no_dropout="True"))
    assert not _drops(path)
    # Options of another network, and those beside another project's file, say nothing.
    (tmp_path / file).write_text(OPTIONS.format(kind="resnet_9blocks", no_dropout="False"))
    assert not _drops(path)
    (tmp_path / file).write_text(OPTIONS.format(kind="unet_256", no_dropout="True"))
    assert _drops(_unet(tmp_path / "other.pth", "batch"))


def test_a_huge_file_of_options_is_read_no_further_than_the_port_writes(tmp_path):
    path = _unet(tmp_path / "latest_net_G_A.pth", "instance")
    (tmp_path / "train_opt.txt").write_text("x" * 70_000 + "\nnetG: unet_256\nno_dropout: False\n")
    assert not _drops(path)


def test_the_banner_says_which_default_was_taken_and_how_to_choose_the_other(run_cli, tmp_path):
    path = _unet(tmp_path / "latest_net_G_A.pth", "batch")
    (tmp_path / "train_opt.txt").write_text(OPTIONS.format(kind="unet_256", no_dropout="True"))
    write_images(tmp_path / "photos", ["a.png"])
    told = run_cli("convert", path, "photos", "out").stderr
    assert "a U-Net generator of 6 levels; dropout is off: no_dropout is True in the file of options" in told
    assert "(--dropout on for the other)" in told and "trained at 128 pixels (train_opt.txt)" in told
    assert "batch norm by each image's own statistics" in told and "(--eval for" in told
    mixed = run_cli("convert", path, "photos", "out", "--dropout", "on")
    assert mixed.exit_code == 2 and "without dropout" in mixed.stderr
    assert run_cli("convert", path, "photos", "out2", "--dropout", "on").exit_code == 0
    first, second = (np.asarray((tmp_path / out / "a.png").read_bytes()) for out in ("out", "out2"))
    assert first != second


@pytest.mark.slow
def test_an_exported_graph_says_the_same(run_cli, tmp_path):
    pytest.importorskip("onnx")
    path = _unet(tmp_path / "latest_net_G_A.pth", "instance")
    done = run_cli("export", path, "g.onnx")
    assert done.exit_code == 0 and "dropout is off: it is named as a CycleGAN's" in done.stderr


@pytest.mark.parametrize(
    ("network", "words", "reason"),
    [
        (ResnetGenerator(3, 3, filters=4, blocks=1), ["--dropout", "on"], "has no dropout"),
        (UNetGenerator(3, 3, filters=2, levels=6), ["--dropout", "on", "--eval"], "leave one of them out"),
    ],
)
def test_dropout_that_cannot_be_is_refused(run_cli, tmp_path, network, words, reason):
    path = _saved(tmp_path / "g.pth", network)
    write_images(tmp_path / "photos", ["a.png"])
    refused = run_cli("convert", path, "photos", "out", *words)
    assert refused.exit_code == 2 and reason in refused.stderr


def test_a_resnets_dropout_is_in_its_keys_and_can_be_turned_off(tmp_path):
    path = _saved(tmp_path / "latest_net_G.pth", ResnetGenerator(3, 3, filters=4, blocks=1, dropout=True))
    assert _drops(path) and not _drops(path, dropout="off")
    assert not _drops(_saved(tmp_path / "latest_net_G.pth", ResnetGenerator(3, 3, filters=4, blocks=1)))


@pytest.mark.parametrize("name", ["latest_net_G_A.pth", "latest_net_G.pth", "weights.pth"])
def test_the_published_cyclegan_unet_converts_as_published(tmp_path, name):
    if not GOLDEN.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    (tmp_path / name).write_bytes((GOLDEN / "unet_128_instance.pth").read_bytes())
    converter = translate.load(tmp_path / name, device="cpu", precision="float32")
    golden = np.load(GOLDEN / "unet_128_instance.npz")
    output = converter.convert(torch.from_numpy(golden["input"]))
    assert (output - torch.from_numpy(golden["output_batch_statistics"])).abs().max() < 1e-5


def test_cuts_generator_converts_as_published(tmp_path):
    if not GOLDEN.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    golden = np.load(GOLDEN / "second" / "cut_generator_9blocks.npz")
    path, expected = GOLDEN / "second" / "cut_generator_9blocks.pth", torch.from_numpy(golden["output_eval"])
    images = torch.from_numpy(golden["input"])
    with torch.no_grad():
        assert (read_network(path).eval()(images) - expected).abs().max() < 1e-5
    # In another order of sums.
    output = translate.load(path, device="cpu", precision="float32").convert(images)
    assert (output - expected).abs().max() < 1e-4


def test_cuts_antialiased_keys_are_read():
    network = ResnetGenerator(3, 3, filters=4, blocks=6, upsampling="blur")
    state = port_state(network) | {"model.7.filt": torch.zeros(8, 1, 3, 3), "model.18.filt": torch.zeros(16, 1, 4, 4)}
    assert {"model.8.weight", "model.12.conv_block.1.weight", "model.19.weight", "model.27.weight"} <= state.keys()
    assert repr(from_port(state)) == repr(network)


@pytest.mark.parametrize("layers", [1, 3])
def test_cuts_antialiased_discriminator_is_read(layers):
    network = PatchDiscriminator(3, filters=4, layers=layers, downsampling="blur")
    own = port_state(network)
    filters = {f"model.{2 + 4 * number}.filt": torch.zeros(4 * 2**number, 1, 3, 3) for number in range(layers)}
    assert not own.keys() & filters.keys()
    read = from_port(own | filters)
    assert repr(read) == repr(network)
    assert all(torch.equal(value, own[key]) for key, value in port_state(read).items())


def _port_without_norms() -> nn.Module:
    """The port's ResNet of --norm none: its convolutions between have no biases."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            conv = [[nn.ReflectionPad2d(1), nn.Conv2d(16, 16, 3, bias=False), nn.Identity()] for _ in range(2)]
            self.conv_block = nn.Sequential(*conv[0], nn.ReLU(), *conv[1])

        def forward(self, features: Tensor) -> Tensor:
            return features + self.conv_block(features)

    down = [
        layer
        for wide in (8, 16)
        for layer in (nn.Conv2d(wide // 2, wide, 3, 2, 1, bias=False), nn.Identity(), nn.ReLU())
    ]
    up = [
        layer
        for wide in (16, 8)
        for layer in (
            nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, output_padding=1, bias=False),
            nn.Identity(),
            nn.ReLU(),
        )
    ]
    first = [nn.ReflectionPad2d(3), nn.Conv2d(3, 4, 7, bias=False), nn.Identity(), nn.ReLU()]
    last = [nn.ReflectionPad2d(3), nn.Conv2d(4, 3, 7), nn.Tanh()]
    module = nn.Module()
    module.model = nn.Sequential(*first, *down, Block(), *up, *last)
    return module


def test_a_generator_without_norms_has_no_biases_in_the_port(tmp_path):
    torch.manual_seed(0)
    theirs = _port_without_norms()
    torch.save(theirs.state_dict(), tmp_path / "latest_net_G_A.pth")
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    output = translate.load(tmp_path / "latest_net_G_A.pth", device="cpu", precision="float32").convert(images)
    assert (output - theirs.model(images)).abs().max() < 1e-6
    state = theirs.state_dict()
    del state["model.18.bias"]  # the last convolution has one in any case
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match=r"model\.18\.bias is missing"):
        read_network(tmp_path / "cut.pth")


@pytest.mark.parametrize(("channels", "told"), [((1, 2), "colours grey images"), ((3, 5), "from 3 to 5 channels")])
def test_what_paints_no_image_is_refused(tmp_path, channels, told):
    path = _saved(tmp_path / "latest_net_G.pth", ResnetGenerator(*channels, filters=4, blocks=1))
    with pytest.raises(ConfigurationError, match=told):
        translate.load(path)


def test_stargans_labels_are_numbers_and_the_order_of_the_released_ones_is_told(tmp_path):
    path = _saved(tmp_path / "200000-G.ckpt", StarGANGenerator(3, 5, filters=4, blocks=1))
    taken = translate.load(path, device="cpu").model.remarks
    assert "Black_Hair, Blond_Hair, Brown_Hair, Male, Young" in taken and "not named by --to are off" in taken
    path = _saved(tmp_path / "1-G.ckpt", StarGANGenerator(3, 2, filters=4, blocks=1))
    other = translate.load(path, device="cpu").model.remarks
    assert "Black_Hair" not in other
