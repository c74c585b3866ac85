"""Generators that other projects trained, converted with from their own files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import write_images

import translate
from translate.errors import ConfigurationError
from translate.models.base import Request
from translate.networks.foreign import port_state
from translate.networks.patchgan import PatchDiscriminator
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


def _saved(tmp_path, network, name="latest_net_G.pth"):
    torch.manual_seed(0)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, 0, 0.3)
    torch.save(port_state(network), tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", ["resnet_9blocks_instance", "unet_128_batch_dropout", "stargan_generator_5domains"])
@pytest.mark.parametrize("evaluated", [True, False])
def test_published_weights_convert_as_published(name, evaluated):
    if not GOLDEN.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}
    if not evaluated and "dropout" in name:
        pytest.skip("with dropout on the published output is one of many")
    converter = translate.load(GOLDEN / f"{name}.pth", device="cpu", precision="float32", evaluated=evaluated)
    expected = golden["output_eval" if evaluated else "output_batch_statistics"]
    if "labels" in golden or name.startswith("stargan"):
        labels = next(value for key, value in golden.items() if key != "input" and not key.startswith("output"))
        request = [Request(frozenset(row.nonzero().flatten().tolist())) for row in labels]
    else:
        request = [Request.to(1)] * len(expected)
    for image, change, wanted in zip(golden["input"], request, expected, strict=True):
        assert (converter.convert_floats(image[None], change) - wanted).abs().max() < 1e-5


def test_a_generator_of_the_port_converts_a_folder(run_cli, tmp_path):
    path = _saved(tmp_path, ResnetGenerator(3, 3, filters=4, blocks=2))
    write_images(tmp_path / "photos", ["a.png", "b.jpg"])
    result = run_cli("convert", path, tmp_path / "photos", "out", "-q")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out" / "a.png") as output:
        assert output.size == (24, 24)


def test_dropout_stays_on_as_in_the_ports_test_script_and_is_the_same_each_time(tmp_path):
    path = _saved(tmp_path, UNetGenerator(3, 3, filters=4, levels=5))
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    on, off = (translate.load(path, device="cpu", precision="float32", evaluated=e) for e in (False, True))
    first = on.convert(images)
    assert torch.equal(first, on.convert(images)) and not torch.equal(first, off.convert(images))
    torch.testing.assert_close(on.convert(images[1:]), first[1:], rtol=0, atol=0)


def test_stargans_labels_are_set_by_number(tmp_path):
    path = _saved(tmp_path, StarGANGenerator(3, 2, filters=4, blocks=1))
    converter = translate.load(path, device="cpu", precision="float32")
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    assert converter.targets == ["0", "1"]
    one, both = converter.convert(images, to="0"), converter.convert(images, to=["0", "1"])
    assert not torch.equal(one, both)


def test_what_is_no_generator_is_refused_by_name(run_cli, tmp_path):
    write_images(tmp_path / "photos", ["a.png"])
    discriminator = _saved(tmp_path, PatchDiscriminator(3, filters=4), "latest_net_D.pth")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("not weights")
    for path, told in (
        (discriminator, "a discriminator; give the generator's file"),
        (tmp_path / "other.pth", "neither a run of ours nor"),
        (tmp_path / "text.pth", "not a file of weights"),
    ):
        result = run_cli("convert", path, tmp_path / "photos", "out")
        assert result.exit_code == 2 and told in result.output and path.name in result.output
        with pytest.raises(ConfigurationError):
            translate.load(path)
