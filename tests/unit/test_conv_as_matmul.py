"""Convolutions over small maps as matrix products: the numbers are the convolutions'."""

import pytest
import torch
from torch import Tensor, nn

from translate.networks import conv_as_matmul as products
from translate.networks.blocks import BatchNorm2d
from translate.networks.conv_as_matmul import MOST_PLACES, Conv2d, ConvTranspose2d, set_conv_as_matmul
from translate.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from translate.networks.stargan import StarGANDiscriminator
from translate.networks.unet import UNetGenerator
from translate.training.runtime import Runtime

CPU = torch.device("cpu")
FORMATS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}

# Of layers (3 channels to 5): kernel, stride, padding, and of transposed ones output padding.
SHAPES = [(4, 2, 1, 0), (3, 1, 1, 0), (5, 2, 0, 0), (3, 2, 1, 1), (1, 1, 0, 0)]


def layers(transposed: bool, shape: tuple, bias: bool) -> tuple[nn.Module, nn.Module]:
    """Torch's own layer in float64, and ours with the same weights, which may go as a product."""
    kernel, stride, padding, more = shape
    options = {"stride": stride, "padding": padding, "bias": bias}
    if transposed:
        options["output_padding"] = more
    theirs = (nn.ConvTranspose2d if transposed else nn.Conv2d)(3, 5, kernel, **options).double()
    ours = (ConvTranspose2d if transposed else Conv2d)(3, 5, kernel, **options).double()
    ours.load_state_dict(theirs.state_dict())
    set_conv_as_matmul(ours, True)
    return theirs, ours


@pytest.fixture
def no_convolution(monkeypatch):
    """Within the test our layers have nothing but products."""

    def refuse(*inputs: Tensor) -> Tensor:
        raise AssertionError("went as a convolution")

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", refuse)
    monkeypatch.setattr(torch.nn.functional, "conv_transpose2d", refuse)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("transposed", [False, True], ids=["convolution", "transposed"])
def test_values_and_both_gradients_are_the_convolutions(transposed, shape, bias, batch, format, monkeypatch):
    theirs, ours = layers(transposed, shape, bias)
    height, width = (3, 5) if transposed else (9, 8)
    images = torch.randn(batch, 3, height, width, dtype=torch.float64)
    results = []
    for layer in (theirs, ours):
        layer.to(memory_format=FORMATS[format])
        given = images.contiguous(memory_format=FORMATS[format]).requires_grad_()
        made = layer(given)
        results.append([made, *torch.autograd.grad((made.sin() * made).sum(), [given, *layer.parameters()])])
        monkeypatch.setattr(products, "MOST_PLACES", 10**6)
    for exact, found in zip(*results, strict=True):
        assert found.shape == exact.shape
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("no_convolution")
@pytest.mark.parametrize("transposed", [False, True])
def test_a_small_map_goes_as_a_product_and_a_large_one_does_not(transposed):
    _, ours = layers(transposed, (4, 2, 1, 0), bias=True)
    per_image = 16 if transposed else 4  # a 4x4 map, or the 2x2 one made of it
    images = torch.randn(MOST_PLACES // per_image, 3, 4, 4, dtype=torch.float64)
    ours(images)
    with pytest.raises(AssertionError, match="went as a convolution"):
        ours(torch.cat([images, images[:1]]))
    set_conv_as_matmul(ours, False)
    with pytest.raises(AssertionError, match="went as a convolution"):
        ours(images)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("transposed", [False, True], ids=["convolution", "transposed"])
def test_between_batch_norms_gradients_are_the_convolutions(transposed, shape, batch, format):
    """torch's batch norm on a CPU gives wrong gradients, silently, where strides leave the memory format open."""
    torch.manual_seed(0)
    theirs, ours = layers(transposed, shape, bias=True)
    height, width = (3, 2) if transposed else (7, 8)
    images = torch.randn(batch, 3, height, width, dtype=torch.float64)
    results = []
    for layer in (theirs, ours):
        network, given = nn.Sequential(BatchNorm2d(3), layer, BatchNorm2d(5)).double(), images.clone()
        if layer is ours:
            network.to(torch.float32, memory_format=FORMATS[format])
            given = given.to(torch.float32, memory_format=FORMATS[format])
        given.requires_grad_()
        made = network(given).contiguous()  # its gradient comes back in another format than channels last
        results.append([made, *torch.autograd.grad((made.sin() * made).sum(), [given, *network.parameters()])])
    for exact, found in zip(*results, strict=True):
        assert (found - exact).norm() < 1e-4 * exact.norm() + 1e-3


def test_a_penaltys_second_gradient_is_the_convolutions():
    found = []
    for on in (False, True):
        torch.manual_seed(0)
        critic = nn.Sequential(Conv2d(3, 4, 4, stride=2, padding=1), nn.Softplus(), Conv2d(4, 1, 2)).double()
        set_conv_as_matmul(critic, on)
        images = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), list(critic.parameters())[:2]))
    for exact, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, exact)


NETWORKS = {
    "U-Net": (lambda: UNetGenerator(3, 3, filters=4, levels=5, dropout=0.0), (1, 3, 64, 64)),
    "StarGAN's discriminator": (lambda: StarGANDiscriminator(3, 2, size=32, filters=4, layers=4), (2, 3, 32, 32)),
    "DCGAN's generator": (lambda: DCGANGenerator(7, 3, size=16, filters=4), (2, 7)),
    "DCGAN's discriminator": (lambda: DCGANDiscriminator(3, size=16, filters=4), (2, 3, 16, 16)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_engine_lets_the_networks_use_them(name, monkeypatch):
    build, shape = NETWORKS[name]
    network, images = build().double(), torch.randn(*shape, dtype=torch.float64)
    convolutions, went = Runtime(CPU, conv_as_matmul=False), []
    monkeypatch.setattr(products, "_rows", lambda weight: went.append(weight) or weight.permute(0, 2, 3, 1).flatten(1))
    convolutions.adopt(network)
    exact = network(images)
    assert not went
    Runtime(CPU, channels_last=True, conv_as_matmul=True).adopt(network)
    torch.testing.assert_close(network(images), exact)
    assert went


def test_weights_that_lie_channels_last_are_not_copied():
    layer = Conv2d(8, 16, 4).to(memory_format=torch.channels_last)
    assert products._rows(layer.weight).data_ptr() == layer.weight.data_ptr()
