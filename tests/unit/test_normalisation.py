"""Instance and batch norm against float64 formulas: values and gradients, in every memory format."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from translate.networks import initialise
from translate.networks.blocks import BatchNorm2d, InstanceNorm2d, normalisation

NCHW, NHWC = torch.contiguous_format, torch.channels_last
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCE = {
    torch.float32: 1e-6,
    torch.bfloat16: 2e-3,
}  # relative; rounding the exact result costs 3e-8, 1.7e-3


def formula(features: Tensor, dims: tuple[int, ...], weight: Tensor, bias: Tensor) -> Tensor:
    centred = features - features.mean(dims, keepdim=True)
    variance = centred.square().mean(dims, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * weight[:, None, None] + bias[:, None, None]


def relative_error(ours: Tensor, exact: Tensor) -> float:
    return ((ours.double() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("gradient_format", [NCHW, NHWC], ids=["gradient_nchw", "gradient_nhwc"])
@pytest.mark.parametrize("input_format", [NCHW, NHWC], ids=["input_nchw", "input_nhwc"])
@pytest.mark.parametrize("kind", ["instance", "affine_instance", "batch"])
def test_values_and_gradients_are_the_formulas(
    kind: str,
    input_format: torch.memory_format,
    gradient_format: torch.memory_format,
    batch: int,
    dtype: torch.dtype,
    device: str,
) -> None:
    torch.manual_seed(0)
    layer = normalisation(kind, 8).to(device)
    initialise(layer, gain=0.3)
    # Means of several standard deviations: statistics kept in bfloat16 would be far off.
    features = (torch.randn(batch, 8, 16, 12) * 2 + torch.linspace(-5, 5, 8)[:, None, None]).to(device, dtype)
    features = features.contiguous(memory_format=input_format).requires_grad_()
    gradient = torch.randn(batch, 8, 16, 12).to(device, dtype).contiguous(memory_format=gradient_format)
    learnt = list(layer.parameters())

    output = layer(features)
    gradients = torch.autograd.grad(output, [features, *learnt], gradient)

    exact_features = features.detach().double().requires_grad_()
    exact_learnt = [weight.detach().double().requires_grad_() for weight in learnt]
    weight, bias = exact_learnt or [torch.ones(8).to(exact_features), torch.zeros(8).to(exact_features)]
    exact = formula(exact_features, (0, 2, 3) if kind == "batch" else (2, 3), weight, bias)
    exact_gradients = torch.autograd.grad(exact, [exact_features, *exact_learnt], gradient.double())

    assert output.dtype == dtype
    assert output.is_contiguous(memory_format=input_format)
    assert relative_error(output, exact) < TOLERANCE[dtype]
    for ours, theirs in zip(gradients, exact_gradients, strict=True):
        # Where the formats differ, torch rounds the gradient in between once more.
        assert relative_error(ours, theirs) < 2 * TOLERANCE[dtype]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_is_torchs_own_in_training_and_evaluation(affine: bool, batch: int) -> None:
    torch.manual_seed(0)
    ours, theirs = InstanceNorm2d(4, affine=affine), nn.InstanceNorm2d(4, affine=affine)
    images = torch.randn(batch, 4, 5, 7)
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(images), theirs.train(training)(images))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", ["instance", "affine_instance"])
def test_instance_norm_of_one_pixel_is_the_bias(kind: str, batch: int) -> None:
    layer = normalisation(kind, 4)
    for name, parameter in layer.named_parameters():
        nn.init.constant_(parameter, 3.0 if name == "bias" else 2.0)
    pixels = torch.randn(batch, 4, 1, 1, requires_grad=True)
    output = layer(pixels)
    expected = torch.full_like(output, 3.0 if kind == "affine_instance" else 0.0)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-3)  # 1 / sqrt(eps) multiplies the rounding
    output.sum().backward()
    torch.testing.assert_close(pixels.grad, torch.zeros_like(pixels), rtol=0, atol=1e-3)


def test_accelerators_take_instance_norm_of_one_pixel_too() -> None:
    # The meta device takes the way of accelerators.
    assert InstanceNorm2d(4).to("meta")(torch.empty(2, 4, 1, 1, device="meta")).shape == (2, 4, 1, 1)


def test_batch_norm_of_one_value_is_the_bias_and_leaves_the_statistics() -> None:
    layer = BatchNorm2d(4)
    nn.init.constant_(layer.bias, 3.0)
    output = layer(torch.randn(1, 4, 1, 1))
    torch.testing.assert_close(output, torch.full_like(output, 3.0), rtol=0, atol=1e-3)
    assert torch.equal(layer.running_var, torch.ones(4))
    assert torch.equal(layer.running_mean, torch.zeros(4))


def test_batch_norm_gathers_running_statistics_and_evaluates_with_them() -> None:
    layer = BatchNorm2d(3)
    features = torch.randn(2, 3, 8, 8) + 5
    layer(features)
    torch.testing.assert_close(layer.running_mean, 0.1 * features.mean((0, 2, 3)))
    one = torch.randn(1, 3, 1, 1)
    expected = (one - layer.running_mean[:, None, None]) / (layer.running_var[:, None, None] + 1e-5).sqrt()
    torch.testing.assert_close(layer.eval()(one), expected)


@pytest.mark.parametrize("batch", [1, 2])
def test_instance_norm_can_be_differentiated_twice(batch: int) -> None:
    """As a gradient penalty on a normalised discriminator needs."""
    torch.manual_seed(0)
    layer = InstanceNorm2d(2, affine=True).double()
    features = torch.randn(batch, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    function: Callable[[Tensor], Tensor] = layer
    assert torch.autograd.gradcheck(function, features)
    assert torch.autograd.gradgradcheck(function, features)


def test_normalisation_none_is_the_identity() -> None:
    features = torch.randn(1, 3, 2, 2)
    assert normalisation("none", 3)(features) is features


def test_no_activation_is_in_place() -> None:
    """Behind a normalisation it would cost autograd a copy of the view: a quarter of a step's memory traffic."""
    from tiny import tiny_model

    from translate.models import MODELS

    for name in MODELS:
        for path, module in tiny_model(name).named_modules():
            assert not getattr(module, "inplace", False), f"{name}: {path}"
