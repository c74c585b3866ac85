"""The port's state dicts: what network they are, what goes in, and what is refused."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from translate.networks import (
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
    ResnetGenerator,
    UNetGenerator,
)
from translate.networks.foreign import from_port, load_port_state, port_state, recognise
from translate.networks.foreign_file import read_state

NETWORKS = {
    "resnet": lambda: ResnetGenerator(1, 2, filters=4, blocks=6),
    "resnet_dropout": lambda: ResnetGenerator(3, 3, filters=4, blocks=3, dropout=True, normalisation="batch"),
    "resnet_three_downsamplings": lambda: ResnetGenerator(3, 3, filters=4, blocks=2, downsamplings=3),
    "resnet_affine": lambda: ResnetGenerator(3, 3, filters=4, blocks=2, normalisation="affine_instance"),
    "unet": lambda: UNetGenerator(1, 2, filters=4, levels=7),
    "unet_instance": lambda: UNetGenerator(3, 3, filters=4, levels=5, normalisation="instance"),
    "patchgan_one_layer": lambda: PatchDiscriminator(6, filters=4, layers=1, normalisation="batch"),
    "patchgan_five_layers": lambda: PatchDiscriminator(3, filters=4, layers=5),
    "pixelgan": lambda: PixelDiscriminator(3, filters=4, normalisation="batch"),
}


def random_state(network: nn.Module) -> dict[str, Tensor]:
    """The port's state dict of a network with other weights."""
    return {key: torch.rand_like(value.float()).to(value.dtype) for key, value in port_state(network).items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_dict_says_which_network_it_is(name: str) -> None:
    network = NETWORKS[name]().eval()
    state = random_state(network)
    read = from_port(state).eval()
    assert type(read) is type(network)
    assert repr(read) == repr(network)
    load_port_state(network, state)
    images = torch.randn(1, _channels_in(network), 128, 128)
    assert torch.equal(read(images), network(images))
    assert port_state(read).keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in port_state(read).items())


def test_a_unets_dropout_is_the_callers_word() -> None:
    state = port_state(UNetGenerator(3, 3, filters=2, levels=7))
    assert [layer.p for layer in recognise(state).modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert not any(isinstance(layer, nn.Dropout) for layer in recognise(state, dropout=0.0).modules())


def test_wrappers_and_old_instance_statistics_are_dropped() -> None:
    network = ResnetGenerator(3, 3, filters=4, blocks=2)
    state = {f"module.{key}": value for key, value in random_state(network).items()}
    state["module.model.2.running_mean"] = torch.zeros(4)
    state["module.model.2.running_var"] = torch.ones(4)
    state["module.model.10.conv_block.6.num_batches_tracked"] = torch.tensor(0)
    read = from_port(state)
    assert torch.equal(read.stem.conv.weight, state["module.model.1.weight"])


def test_files_older_than_the_batch_counter_load() -> None:
    state = random_state(PatchDiscriminator(3, filters=4, normalisation="batch"))
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert torch.equal(from_port(old).layers[1].norm.running_var, state["model.3.running_var"])


def test_every_key_that_does_not_fit_is_named() -> None:
    network = PatchDiscriminator(3, filters=4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = random_state(network)
    del state["model.2.bias"]
    state["model.5.weight"] = torch.zeros(1, 2, 3, 4)
    state["model.99.weight"] = torch.zeros(1)
    state["model.8.running_mean"] = torch.zeros(1)  # of a convolution, which has none
    with pytest.raises(ValueError) as refused:
        load_port_state(network, state)
    for expected in (
        "do not fit a PatchDiscriminator",
        "model.2.bias is missing",
        "model.5.weight is (1, 2, 3, 4), expected (16, 8, 4, 4)",
        "model.99.weight is left over",
        "model.8.running_mean is left over",
    ):
        assert expected in str(refused.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("state", [{}, {"main.0.weight": torch.zeros(4, 3, 4, 4)}, {"model.0.weight": torch.zeros(3)}])
def test_other_projects_are_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="not a network of the PyTorch port"):
        recognise(state)


def test_networks_that_the_port_cannot_build_are_refused() -> None:
    with pytest.raises(ValueError, match="no MultiscaleDiscriminator"):
        port_state(MultiscaleDiscriminator(lambda: PixelDiscriminator(3), 2))
    with pytest.raises(ValueError, match=r"no counterpart of layers\.0\.conv\.parametrizations"):
        port_state(PatchDiscriminator(3, filters=4, spectral=True))


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_files_of_either_format_are_read(tmp_path: Path, zip_format: bool) -> None:
    state = random_state(PixelDiscriminator(3, filters=4))
    torch.save(state, tmp_path / "latest_net_D.pth", _use_new_zipfile_serialization=zip_format)
    read = read_state(tmp_path / "latest_net_D.pth")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


class Intruder:
    """Unpickles by making a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"model.0.weight": Intruder(tmp_path / "intruded")}, tmp_path / "bad.pth")
    with pytest.raises(Exception, match="mkdir"):
        read_state(tmp_path / "bad.pth")
    assert not (tmp_path / "intruded").exists()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: expected a bare state dict"):
        read_state(tmp_path / "other.pth")


def _channels_in(network: nn.Module) -> int:
    return next(module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d))
