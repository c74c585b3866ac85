"""Published weights, read through the key map, give the published networks' outputs.

The golden files lie beside the checkout in ../shared/golden (its README says how they were made): `NAME.pth`
is a state dict in the PyTorch port's own format, `NAME.npz` holds input and outputs of the port's network.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from translate.networks.foreign import from_port, read_state

GOLDEN = Path(__file__).parents[2] / "shared" / "golden"
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


def test_every_published_file_of_the_port_is_tested() -> None:
    found = {path.stem for path in GOLDEN.glob("*.pth") if not path.stem.startswith("stargan")}
    assert found == set(PARAMETERS)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_published_weights_give_the_published_outputs(name: str, memory_format: torch.memory_format) -> None:
    network = from_port(read_state(GOLDEN / f"{name}.pth")).to(memory_format=memory_format)
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}
    images = golden["input"].contiguous(memory_format=memory_format)

    assert _largest_difference(network.eval(), images, golden["output_eval"]) < 1e-5
    assert _largest_difference(_train_without_dropout(network), images, golden["output_batch_statistics"]) < 1e-5


@pytest.mark.parametrize("name", [name for name, count in PARAMETERS.items() if count])
def test_parameters_are_as_many_as_published(name: str) -> None:
    network = from_port(read_state(GOLDEN / f"{name}.pth"))
    assert sum(weight.numel() for weight in network.parameters()) == PARAMETERS[name]


@torch.no_grad()
def _largest_difference(network: nn.Module, images: Tensor, expected: Tensor) -> float:
    output = network(images)
    assert output.shape == expected.shape
    return (output - expected).abs().max().item()


def _train_without_dropout(network: nn.Module) -> nn.Module:
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return network
