"""Published weights, read through the key map, give the published networks' outputs.

The golden files lie beside the checkout in ../shared/golden (its README says how they were made): `NAME.pth`
is a state dict in the PyTorch port's own format, `NAME.npz` holds input and outputs of the port's network.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from translate.networks.foreign import from_port, port_state
from translate.networks.foreign_file import read_state

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
STARGAN = {"stargan_generator_5domains": 16_700, "stargan_discriminator_5domains": 4_204}
PARAMETERS = {
    "resnet_9blocks_instance": 45_859,
    "resnet_6blocks_batch": 32_171,
    "resnet_6blocks_instance_dropout_legacy": 31_939,
    "resnet_6blocks_instance_1to3_channels": None,
    "unet_128_batch_dropout": 164_395,
    "unet_128_instance": 164_187,
    "unet_256_batch_dropout": 213_675,
    "patchgan_70_instance": 11_517,
    "patchgan_70_batch_6_channels": 11_765,
    "patchgan_4layers_instance": 27_933,
    "pixelgan_instance": 65,
}

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")


either_format = pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"]
)


def test_every_published_file_is_tested() -> None:
    assert {path.stem for path in GOLDEN.glob("*.pth")} == {*PARAMETERS, *STARGAN}


@either_format
@pytest.mark.parametrize("name", PARAMETERS)
def test_published_weights_give_the_published_outputs(name: str, memory_format: torch.memory_format) -> None:
    network = from_port(read_state(GOLDEN / f"{name}.pth")).to(memory_format=memory_format)
    golden = _arrays(name)
    images = golden["input"].contiguous(memory_format=memory_format)

    with torch.no_grad():
        assert _largest_difference(network.eval()(images), golden["output_eval"]) < 1e-5
        with_batch_statistics = _train_without_dropout(network)(images)
    assert _largest_difference(with_batch_statistics, golden["output_batch_statistics"]) < 1e-5


@either_format
def test_stargans_generator_gives_the_published_outputs(memory_format: torch.memory_format) -> None:
    state = read_state(GOLDEN / "stargan_generator_5domains.pth")
    golden = _arrays("stargan_generator_5domains")
    images, labels = golden["input"].contiguous(memory_format=memory_format), golden["labels"]
    ours = from_port(state).to(memory_format=memory_format)
    tracked = from_port(state, running_statistics=True).to(memory_format=memory_format)

    with torch.no_grad():
        for network in (ours.eval(), ours.train(), tracked.train()):
            assert _largest_difference(network(images, labels), golden["output_batch_statistics"]) < 1e-5
        # The published layers normalise by running statistics in eval mode; those of the file, not of the line above.
        tracked = from_port(state, running_statistics=True).to(memory_format=memory_format).eval()
        assert _largest_difference(tracked(images, labels), golden["output_eval"]) < 1e-5
    assert port_state(tracked).keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in port_state(tracked).items())


@either_format
def test_stargans_discriminator_gives_the_published_outputs(memory_format: torch.memory_format) -> None:
    state = read_state(GOLDEN / "stargan_discriminator_5domains.pth")
    golden = _arrays("stargan_discriminator_5domains")
    network = from_port(state).to(memory_format=memory_format)
    images = golden["input"].contiguous(memory_format=memory_format)

    with torch.no_grad():
        scores, classes = network(images)
        assert _largest_difference(scores, golden["score"]) < 1e-5
        assert _largest_difference(classes, golden["classes"]) < 1e-5
        assert torch.equal(network.score(images), scores)
    assert port_state(network).keys() == state.keys()


@pytest.mark.parametrize(("name", "published"), [item for item in (PARAMETERS | STARGAN).items() if item[1]])
def test_parameters_are_as_many_as_published(name: str, published: int) -> None:
    network = from_port(read_state(GOLDEN / f"{name}.pth"))
    assert sum(weight.numel() for weight in network.parameters()) == published


def _arrays(name: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}


def _largest_difference(output: Tensor, expected: Tensor) -> float:
    assert output.shape == expected.shape
    return (output - expected).abs().max().item()


def _train_without_dropout(network: nn.Module) -> nn.Module:
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return network
