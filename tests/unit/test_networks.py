"""Published sizes, shapes, receptive fields and initial weights; every option trains, in every format."""

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.networks import (
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PixelDiscriminator,
    ResnetGenerator,
    UNetGenerator,
    initialise,
    patch_discriminator,
)
from translate.networks.blocks import BlurPool2d, InstanceNorm2d, PaddedConv2d, Padding, continued, upsampling_conv

NORMALISATIONS = ["instance", "affine_instance", "batch", "none"]
UPSAMPLINGS = ["transposed", "resize", "pixel_shuffle", "blur"]


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def on_meta(make: type[nn.Module], *arguments: object, **options: object) -> nn.Module:
    with torch.device("meta"):
        return make(*arguments, **options)


@pytest.mark.parametrize(
    ("network", "published"),
    [
        (lambda: on_meta(ResnetGenerator, 3, 3), 11_378_179),
        (lambda: on_meta(UNetGenerator, 3, 3), 54_413_955),
        (lambda: on_meta(PatchDiscriminator, 6, normalisation="batch"), 2_768_705),
        (lambda: on_meta(PatchDiscriminator, 3), 2_764_737),
        (lambda: on_meta(ResnetGenerator, 3, 3, upsampling="blur"), 11_378_179),
        (lambda: on_meta(PatchDiscriminator, 3, downsampling="blur"), 2_764_737),
        (lambda: on_meta(PixelDiscriminator, 3, filters=4), 65),
        (lambda: on_meta(PixelDiscriminator, 3, filters=4, normalisation="batch"), 72),
    ],
    ids=[
        "resnet_9blocks",
        "unet_256",
        "patchgan_pix2pix",
        "patchgan_cyclegan",
        "cut_generator",
        "cut_discriminator",
        "pixelgan",
        "pixelgan_batch",
    ],
)
def test_parameters_are_as_many_as_published(network, published: int) -> None:
    assert parameters(network()) == published


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("kind", NORMALISATIONS)
@pytest.mark.parametrize(
    "make",
    [
        lambda kind, upsampling: ResnetGenerator(
            1, 3, filters=4, blocks=2, normalisation=kind, upsampling=upsampling, dropout=True
        ),
        lambda kind, upsampling: UNetGenerator(1, 3, filters=4, levels=4, normalisation=kind, upsampling=upsampling),
    ],
    ids=["resnet", "unet"],
)
def test_generators_keep_the_size_and_train_every_weight(make, kind: str, upsampling: str) -> None:
    torch.manual_seed(0)
    network = make(kind, upsampling)
    initialise(network, gain=0.1)
    images = torch.randn(2, 1, 2 * network.stride, 3 * network.stride)
    output = network(images)
    assert output.shape == (2, 3, 2 * network.stride, 3 * network.stride)
    assert output.abs().max() <= 1
    output.square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        # A bias before instance norm has no effect.
        assert name.endswith("bias") or weight.grad.abs().max() > 0, name


def test_resnet_is_the_published_sequence() -> None:
    """Against plain torch, layer by layer."""
    torch.manual_seed(0)
    network = ResnetGenerator(3, 2, filters=4, blocks=1, downsamplings=1)
    images = torch.randn(1, 3, 16, 16)

    def reflected(features: Tensor, conv: nn.Conv2d, margin: int) -> Tensor:
        return F.conv2d(F.pad(features, (margin,) * 4, mode="reflect"), conv.weight, conv.bias)

    down, block, up = network.down[0].conv, network.body[0], network.up[0].conv
    x = F.instance_norm(reflected(images, network.stem.conv, 3)).relu()
    x = F.instance_norm(F.conv2d(x, down.weight, down.bias, stride=2, padding=1)).relu()
    inner = F.instance_norm(reflected(x, block.conv1, 1)).relu()
    x = x + F.instance_norm(reflected(inner, block.conv2, 1))
    x = F.conv_transpose2d(x, up.weight, up.bias, stride=2, padding=1, output_padding=1)
    expected = torch.tanh(reflected(F.instance_norm(x).relu(), network.head, 3))
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_resnet_dropout_stands_in_every_block() -> None:
    network = ResnetGenerator(3, 3, filters=4, blocks=5, dropout=True)
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    assert [layer.p for layer in dropouts] == [0.5] * 5
    images = torch.randn(1, 3, 16, 16)
    assert not torch.equal(network(images), network(images))
    assert torch.equal(network.eval()(images), network(images))


@pytest.mark.parametrize("downsamplings", [0, 1, 3])
def test_a_resnet_of_other_depth(downsamplings: int) -> None:
    network = ResnetGenerator(3, 3, filters=4, blocks=1, downsamplings=downsamplings)
    assert network.stride == 2**downsamplings
    assert network(torch.randn(1, 3, 32, 32)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zeros"])
def test_paddings_differ_at_the_edge_only(padding: str) -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(3, 3, filters=4, blocks=1, downsamplings=1, normalisation="none", padding=padding)
    reference = ResnetGenerator(3, 3, filters=4, blocks=1, downsamplings=1, normalisation="none")
    reference.load_state_dict(network.state_dict())
    images = torch.randn(1, 3, 64, 64)
    difference = (network(images) - reference(images)).abs()
    assert difference[..., 24:40, 24:40].max() == 0
    assert (difference.max() == 0) == (padding == "reflect")


@pytest.mark.parametrize(("levels", "size"), [(2, 4), (3, 8), (5, 32), (7, 128)])
def test_unet_takes_images_as_small_as_its_stride(levels: int, size: int) -> None:
    network = UNetGenerator(3, 3, filters=2, levels=levels)
    assert network.stride == size
    assert network(torch.randn(1, 3, size, size)).shape == (1, 3, size, size)


def test_unet_says_which_sizes_it_takes() -> None:
    with pytest.raises(ValueError, match="multiples of 16, not 40x48"):
        UNetGenerator(3, 3, filters=2, levels=4)(torch.randn(1, 3, 40, 48))
    with pytest.raises(ValueError, match=r"levels\n.*greater than or equal to 2"):
        UNetGenerator(3, 3, filters=2, levels=1)


@pytest.mark.parametrize(
    ("levels", "placement", "expected"),
    [
        (8, "port", {1, 2, 3}),
        (7, "port", {1, 2}),
        (5, "port", set()),
        (8, "paper", {0, 1, 2}),
        (4, "paper", {0, 1, 2}),
    ],
)
def test_unet_dropout_stands_where_published(levels: int, placement: str, expected: set[int]) -> None:
    network = on_meta(UNetGenerator, 3, 3, filters=2, levels=levels, dropout=0.3, dropout_placement=placement)
    dropouts = {step: layer for step, up in enumerate(network.up) for layer in up if isinstance(layer, nn.Dropout)}
    assert set(dropouts) == expected
    assert all(layer.p == 0.3 for layer in dropouts.values())
    without = on_meta(UNetGenerator, 3, 3, filters=2, levels=8, dropout=0.0)
    assert not any(isinstance(layer, nn.Dropout) for layer in without.modules())


def test_unet_normalises_neither_the_first_nor_the_innermost_convolution() -> None:
    network = UNetGenerator(3, 3, filters=2, levels=5)
    normalised = [isinstance(down.norm, nn.BatchNorm2d) for down in network.down]
    assert normalised == [False, True, True, True, False]


def test_unet_decoder_joins_the_encoders_features_of_its_size() -> None:
    """Against the equations of the paper, level by level."""
    torch.manual_seed(0)
    network = UNetGenerator(3, 2, filters=4, levels=3, normalisation="none", dropout=0.0)
    images = torch.randn(1, 3, 16, 16)
    e1 = network.down[0].conv(images)
    e2 = network.down[1].conv(F.leaky_relu(e1, 0.2))
    e3 = network.down[2].conv(F.leaky_relu(e2, 0.2))
    d1 = torch.cat([e2, network.up[0].conv(F.relu(e3))], 1)
    d2 = torch.cat([e1, network.up[1].conv(F.relu(d1))], 1)
    torch.testing.assert_close(network(images), torch.tanh(network.head(F.relu(d2))))


@pytest.mark.parametrize(
    ("layers", "field", "downsampling"),
    [
        *((layers, field, "strided") for layers, field in ((0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286))),
        *((layers, field, "blur") for layers, field in ((1, 18), (2, 40), (3, 84))),
    ],
)
def test_a_logit_sees_the_published_receptive_field(layers: int, field: int, downsampling: str) -> None:
    options = {"filters": 1, "layers": layers, "normalisation": "none", "downsampling": downsampling}
    network = patch_discriminator(1, **options).double()
    for weight in network.parameters():
        nn.init.constant_(weight, 0.1)  # positive weights and images: no gradient cancels
    images = torch.rand(1, 1, field + 2**layers * 12, field + 2**layers * 12).double().requires_grad_()
    logits = network(images)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows, columns = torch.nonzero(images.grad[0, 0], as_tuple=True)
    assert network.receptive_field == field
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (field, field)
    assert rows.min() > 0 and rows.max() < images.shape[2] - 1, "the field must not be cut by the image"


def test_patch_discriminator_is_the_published_sequence() -> None:
    """Against plain torch, layer by layer."""
    torch.manual_seed(0)
    network = PatchDiscriminator(3, filters=4, layers=2)
    first, second, third = (stage.conv for stage in network.layers)
    images = torch.randn(1, 3, 32, 32)
    x = F.leaky_relu(F.conv2d(images, first.weight, first.bias, stride=2, padding=1), 0.2)
    x = F.leaky_relu(F.instance_norm(F.conv2d(x, second.weight, second.bias, stride=2, padding=1)), 0.2)
    x = F.leaky_relu(F.instance_norm(F.conv2d(x, third.weight, third.bias, padding=1)), 0.2)
    expected = F.conv2d(x, network.head.weight, network.head.bias, padding=1)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_a_blurred_patch_discriminator_convolves_activates_and_then_halves() -> None:
    """CUT's, against plain torch: [1, 2, 1] / 4 along rows and columns of a reflected map, every second place."""
    torch.manual_seed(0)
    network = PatchDiscriminator(3, filters=4, layers=2, downsampling="blur")
    first, second, third = (stage.conv for stage in network.layers)
    images, taps = torch.randn(1, 3, 32, 32), torch.tensor([1.0, 2.0, 1.0]) / 4

    def halved(x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (1, 1, 1, 1), "reflect").unfold(2, 3, 2).unfold(3, 3, 2)
        return torch.einsum("nchwij,i,j->nchw", x, taps, taps)

    x = halved(F.leaky_relu(F.conv2d(images, first.weight, first.bias, padding=1), 0.2))
    x = halved(F.leaky_relu(F.instance_norm(F.conv2d(x, second.weight, second.bias, padding=1)), 0.2))
    x = F.leaky_relu(F.instance_norm(F.conv2d(x, third.weight, third.bias, padding=1)), 0.2)
    expected = F.conv2d(x, network.head.weight, network.head.bias, padding=1)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_patch_discriminator_gives_the_published_map_and_widths() -> None:
    network = on_meta(PatchDiscriminator, 6, layers=5)
    assert network(torch.empty(1, 6, 256, 256, device="meta")).shape == (1, 1, 6, 6)
    assert on_meta(PatchDiscriminator, 6)(torch.empty(1, 6, 256, 256, device="meta")).shape == (1, 1, 30, 30)
    assert [stage.conv.out_channels for stage in network.layers] == [64, 128, 256, 512, 512, 512]
    with pytest.raises(ValueError, match="at least 1 strided layer"):
        PatchDiscriminator(3, layers=0)


def test_multiscale_discriminator_scores_every_scale() -> None:
    network = MultiscaleDiscriminator(lambda: PixelDiscriminator(3, filters=4, normalisation="none"), scales=3)
    images = torch.randn(2, 3, 32, 32)
    scores = network(images)
    assert [score.shape for score in scores] == [(2, 1, 32, 32), (2, 1, 16, 16), (2, 1, 8, 8)]
    # The corner's window holds four pixels, and no padding counts.
    half = torch.zeros(2, 3, 1, 1) + images[:, :, :2, :2].mean((2, 3), keepdim=True)
    torch.testing.assert_close(scores[1][:, :, :1, :1], network.scales[1](half))
    with pytest.raises(ValueError, match="at least 1 scale"):
        MultiscaleDiscriminator(lambda: PixelDiscriminator(3), scales=0)


@pytest.mark.parametrize("layers", [0, 2])
def test_spectral_norm_bounds_every_convolution_by_one(layers: int) -> None:
    torch.manual_seed(0)
    network = patch_discriminator(3, filters=4, layers=layers, normalisation="none", spectral=True)
    initialise(network, gain=5.0)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == layers + 2 + (layers == 0)
    for convolution in convolutions:
        assert 3 < convolution.parametrizations.weight.original.std() < 7
        largest = torch.linalg.matrix_norm(convolution.eval().weight.flatten(1), 2).item()
        assert largest == pytest.approx(1, abs=0.02)
    network(torch.randn(1, 3, 32, 32)).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize("kind", UPSAMPLINGS)
@pytest.mark.parametrize("kernel", [3, 4])
def test_upsampling_doubles_the_size(kind: str, kernel: int) -> None:
    assert upsampling_conv(kind, 3, 5, True, kernel)(torch.randn(2, 3, 4, 7)).shape == (2, 5, 8, 14)


@torch.no_grad()
def upsampled(kind: str, features: Tensor) -> Tensor:
    """By a layer whose convolution does nothing."""
    layer = upsampling_conv(kind, 1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight[:, 0, 1, 1] = torch.arange(1.0, len(layer.weight) + 1)
    return layer(features)


def test_resize_upsampling_repeats_pixels() -> None:
    features = torch.randn(1, 1, 5, 6)
    assert torch.equal(upsampled("resize", features), features.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_pixel_shuffle_upsampling_spreads_four_channels() -> None:
    features = torch.randn(1, 1, 5, 6)
    block = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(upsampled("pixel_shuffle", features)[0, 0], torch.kron(features[0, 0], block))


def test_blur_upsampling_is_cuts_filter() -> None:
    """Zeros between the pixels of the replicated image, then [1, 3, 3, 1] / 4 along each axis."""
    features = torch.randn(1, 1, 5, 6)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
    spread = F.conv_transpose2d(padded, torch.outer(taps, taps)[None, None], stride=2)
    torch.testing.assert_close(upsampled("blur", features), spread[..., 3:-3, 3:-3])


def test_blur_pooling_is_the_binomial_filter() -> None:
    features = torch.randn(2, 3, 6, 8)
    padded = F.pad(features, (1, 1, 1, 1), mode="reflect")
    row = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4
    both = (row[..., :-2, :] + 2 * row[..., 1:-1, :] + row[..., 2:, :]) / 4
    torch.testing.assert_close(BlurPool2d()(features), both[..., ::2, ::2])
    assert not BlurPool2d().state_dict()


@pytest.mark.parametrize("make", [ResnetGenerator, UNetGenerator], ids=["resnet", "unet"])
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_blur_upsampling_comes_with_blurred_downsampling(make: type[nn.Module], upsampling: str) -> None:
    network = on_meta(make, 3, 3, filters=4, upsampling=upsampling)
    blurred = [any(isinstance(layer, BlurPool2d) for layer in down) for down in network.down]
    strides = [down.conv.stride for down in network.down]
    assert set(blurred) == {upsampling == "blur"}
    assert set(strides) == {(1, 1) if upsampling == "blur" else (2, 2)}


@pytest.mark.parametrize("kind", ["normal", "xavier", "kaiming", "orthogonal"])
def test_initial_weights_have_the_published_spread(kind: str) -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(3, 3, filters=32, blocks=1, normalisation="affine_instance")
    for weight in network.parameters():
        nn.init.constant_(weight, 7.0)
    initialise(network, kind)
    weight = network.body[0].conv2.weight  # 128 channels in, 128 out, 3x3
    fan = 128 * 9
    expected = {
        "normal": 0.02,
        "xavier": 0.02 * (2 / (2 * fan)) ** 0.5,
        "kaiming": (2 / fan) ** 0.5,
        "orthogonal": 0.02 / fan**0.5,
    }
    assert weight.std().item() == pytest.approx(expected[kind], rel=0.02)
    assert abs(weight.mean().item()) < 0.02 * expected[kind]
    scales = torch.cat([layer.weight for layer in network.modules() if isinstance(layer, InstanceNorm2d)])
    assert scales.mean().item() == pytest.approx(1, abs=0.005)
    assert scales.std().item() == pytest.approx(0.02, rel=0.15)
    assert all((value == 0).all() for name, value in network.named_parameters() if name.endswith("bias"))
    with pytest.raises(ValueError, match="expected normal, xavier, kaiming or orthogonal"):
        initialise(network, "uniform")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResnetGenerator(3, 3, filters=16, blocks=2),
        lambda: ResnetGenerator(3, 3, filters=16, blocks=2, upsampling="blur"),
        lambda: UNetGenerator(3, 3, filters=16, levels=5, dropout=0.0),
        lambda: PatchDiscriminator(3, filters=16),
    ],
    ids=["resnet", "resnet_blur", "unet", "patchgan"],
)
def test_channels_last_and_bfloat16_give_the_same_function(make) -> None:
    torch.manual_seed(0)
    network = make()
    images = torch.randn(1, 3, 64, 64)
    expected, gradient = run(network, images)
    last = torch.channels_last
    network.to(memory_format=last)
    output, last_gradient = run(network, images.to(memory_format=last))
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(last_gradient, gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max().item())
    assert output.is_contiguous(memory_format=last)
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = run(network, images.to(memory_format=last))
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).norm() < 0.05 * expected.norm()


def run(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    images = images.requires_grad_()
    output = network(images)
    (gradient,) = torch.autograd.grad((output.float() * output.detach().float().cos()).sum(), images)
    return output.detach(), gradient


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResnetGenerator(3, 3, filters=4, blocks=2, upsampling="blur"),
        lambda: UNetGenerator(3, 3, filters=4, levels=4),
        lambda: PatchDiscriminator(3, filters=4),
    ],
    ids=["resnet", "unet", "patchgan"],
)
def test_forward_is_one_graph_of_tensor_operations(make) -> None:
    """Nothing breaks the graph, so that a step can be compiled and captured."""
    network = make().train()
    explained = torch._dynamo.explain(network)(torch.randn(2, 3, 64, 64))
    assert explained.graph_count == 1
    assert explained.graph_break_count == 0


@pytest.mark.parametrize("mode", ["reflect", "replicate", "zeros"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_padded_convolution_is_torchs_own_to_the_bit(mode: Padding, stride: int) -> None:
    theirs = nn.Conv2d(3, 5, 3, stride=stride, padding=1, padding_mode=mode)
    ours = PaddedConv2d(3, 5, 3, stride=stride, padding=1, padding_mode=mode)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 8, 9)
    assert torch.equal(ours(images), theirs(images))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(images.bfloat16()), theirs(images.bfloat16()))


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_autocast_pads_in_the_number_format_of_the_map(mode: Literal["reflect", "replicate"]) -> None:
    features = torch.randn(1, 3, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        padded = continued(features, 2, mode)
        assert torch.is_autocast_enabled("cpu")
    assert padded.dtype == torch.bfloat16 and padded.shape == (1, 3, 12, 12)
