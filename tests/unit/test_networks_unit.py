"""UNIT's networks and those for digits, and the perceptual distance: closed-form sizes, published layers."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.losses.perceptual import PerceptualDistance
from translate.networks import (
    CodeDiscriminator,
    Decoder,
    DigitCode,
    DigitCodeDecoder,
    DigitDecoder,
    DigitEncoder,
    DigitFront,
    DigitTrunk,
    Encoder,
    MultiscaleDiscriminator,
    SharedBlocks,
    StridedDiscriminator,
    initialise,
)
from translate.networks.autoencoder import LayerNorm2d, Normalised
from translate.networks.blocks import InstanceNorm2d


def parameters(*networks: nn.Module) -> int:
    return sum(weight.numel() for network in networks for weight in network.parameters())


def conv(kernel: int, channels_in: int, channels_out: int) -> int:
    return kernel**2 * channels_in * channels_out + channels_out


def published_encoder(channels: int, f: int, blocks: int) -> int:
    return conv(7, channels, f) + conv(4, f, 2 * f) + conv(4, 2 * f, 4 * f) + 2 * blocks * conv(3, 4 * f, 4 * f)


def published_decoder(channels: int, f: int, blocks: int) -> int:
    doublings = conv(5, 4 * f, 2 * f) + conv(5, 2 * f, f)
    norms = 2 * (2 * f + f)
    return 2 * blocks * conv(3, 4 * f, 4 * f) + doublings + norms + conv(7, f, channels)


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        assert parameters(Encoder(3)) == published_encoder(3, 64, 4) == 5_385_856
        assert parameters(Decoder(3)) == published_decoder(3, 64, 4) == 5_754_627
        assert parameters(Encoder(1, 8, blocks=1)) == published_encoder(1, 8, 1)
        assert parameters(Decoder(1, 8, blocks=1)) == published_decoder(1, 8, 1)


@pytest.mark.parametrize("share", [0, 1, 4])
def test_sharing_moves_blocks_and_adds_none(share: int) -> None:
    """The same auto-encoder as unshared: blocks in a row, some of them in a module of their own."""
    torch.manual_seed(0)
    whole = Encoder(3, 4, blocks=4)
    front, shared = Encoder(3, 4, blocks=4 - share), SharedBlocks(16, share)
    assert parameters(front, shared) == parameters(whole)
    state = whole.state_dict()
    front.load_state_dict({key: value for key, value in state.items() if key in front.state_dict()})
    for number, block in enumerate(shared, start=4 - share):
        block.load_state_dict(whole.body[number].state_dict())
    images = torch.randn(2, 3, 16, 8)
    assert torch.equal(shared(front(images)), whole(images))


@pytest.mark.parametrize("downsamplings", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_codes_and_images_have_the_sizes_they_say(downsamplings: int, channels: int) -> None:
    torch.manual_seed(0)
    encoder, decoder = Encoder(channels, 4, downsamplings, 1), Decoder(channels, 4, downsamplings, 1)
    assert encoder.stride == decoder.stride == 2**downsamplings
    images = torch.randn(2, channels, 2 * encoder.stride, 3 * encoder.stride)
    codes = encoder(images)
    assert codes.shape == (2, encoder.code_channels, 2, 3)
    output = decoder(codes)
    assert output.shape == images.shape and output.abs().max() <= 1
    output.square().mean().backward()
    for network in (encoder, decoder):
        for name, weight in network.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all(), name
            # A bias before instance norm has no effect.
            assert name.endswith("bias") or weight.grad.abs().max() > 0, name


def test_the_autoencoder_is_the_published_sequence() -> None:
    """Against plain torch, layer by layer."""
    torch.manual_seed(0)
    encoder, decoder = Encoder(3, 4, 1, 1), Decoder(3, 4, 1, 1)
    images = torch.randn(2, 3, 16, 12)

    def reflected(features: Tensor, layer: nn.Conv2d, margin: int, stride: int = 1) -> Tensor:
        return F.conv2d(F.pad(features, (margin,) * 4, mode="reflect"), layer.weight, layer.bias, stride)

    def residual(features: Tensor, block: nn.Module) -> Tensor:
        inner = F.instance_norm(reflected(features, block.conv1, 1)).relu()
        return features + F.instance_norm(reflected(inner, block.conv2, 1))

    x = F.instance_norm(reflected(images, encoder.stem.conv, 3)).relu()
    x = F.instance_norm(reflected(x, encoder.down[0].conv, 1, stride=2)).relu()
    codes = residual(x, encoder.body[0])
    torch.testing.assert_close(encoder(images), codes, rtol=1e-4, atol=1e-5)

    x = residual(codes, decoder.body[0])
    x = reflected(x.repeat_interleave(2, 2).repeat_interleave(2, 3), decoder.up[0].conv, 2)
    deviation, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True)  # the unbiased one, as released
    norm = decoder.up[0].norm
    x = (x - mean) / (deviation + 1e-5) * norm.weight[:, None, None] + norm.bias[:, None, None]
    expected = torch.tanh(reflected(x.relu(), decoder.head, 3))
    torch.testing.assert_close(decoder(codes), expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_only_normalisation_outside_the_blocks_takes_contrast_and_mean_colour() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 12) - 0.5
    paler = 0.5 * images + 0.2

    def moved(normalised: Normalised) -> tuple[float, float]:
        encoder, decoder = Encoder(3, 4, 1, 1, normalised=normalised), Decoder(3, 4, 1, 0, normalised=normalised)
        for network in (encoder, decoder):
            initialise(network, "kaiming")  # without biases
        codes = encoder(images)
        decoded = decoder(codes)
        code_moved = (encoder(paler) - codes).abs().mean() / codes.std()
        return float(code_moved), float((decoder(2 * codes) - decoded).abs().mean() / decoded.std())

    assert max(moved("all")) < 0.02
    assert min(moved("blocks")) > 0.2


def test_published_normalisation_is_the_default_and_the_other_keeps_that_of_the_blocks() -> None:
    def norms(network: nn.Module) -> int:
        return sum(isinstance(module, InstanceNorm2d | LayerNorm2d) for module in network.modules())

    assert norms(Encoder(3, 4)) == 3 + 2 * 4 and norms(Decoder(3, 4)) == 2 + 2 * 4
    assert norms(Encoder(3, 4, normalised="blocks")) == norms(Decoder(3, 4, normalised="blocks")) == 2 * 4


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_layer_norm_is_per_image_with_weights_per_channel(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    norm = LayerNorm2d(6)
    assert norm.weight.shape == (6,) and norm.weight.min() >= 0 and norm.weight.max() <= 1 and norm.weight.std() > 0.1
    initialise(norm, "kaiming")
    assert norm.weight.std() > 0.1 and norm.weight.min() >= 0, "the published weights stay uniform"
    nn.init.normal_(norm.bias)
    x = (torch.randn(1, 6, 5, 7) * 3 + 2).contiguous(memory_format=memory_format).requires_grad_()
    reference = x.detach().double().requires_grad_()
    variance, mean = torch.var_mean(reference, dim=(1, 2, 3), correction=0, keepdim=True)
    expected = (reference - mean) / (variance + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x).double(), expected, rtol=1e-4, atol=1e-5)
    weights = torch.randn(1, 6, 5, 7)
    (norm(x) * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad.double(), reference.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("deviation", "apart"), [(1.0, 5e-6), (0.1, 4e-4), (0.01, 4.6e-2)])
def test_layer_norm_is_as_far_from_the_released_one_as_it_says(deviation: float, apart: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 256, 256, dtype=torch.float64)
    x = deviation * (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True) + 0.3
    norm = LayerNorm2d(8).double()
    nn.init.ones_(norm.weight)
    released = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + norm.eps)
    found = ((norm(x) - released).abs().max() / released.abs().max()).item()
    assert found == pytest.approx(apart + 1 / (2 * x[0].numel()), rel=0.02)


@pytest.mark.parametrize(("side", "left"), [(1, 1), (2, 1), (8, 2), (16, 4), (30, 8)])
def test_the_codes_discriminator_takes_codes_of_any_size(side: int, left: int) -> None:
    network = CodeDiscriminator(16, 4)
    assert parameters(network) == conv(3, 16, 4) + conv(3, 4, 8) + conv(3, 8, 16) + 17
    assert network(torch.randn(2, 16, side, side)).shape == (2, 1, left, left)


def test_the_codes_discriminator_can_tell_maps_by_their_mean() -> None:
    """Normalisation would take away what tells these domains apart."""
    torch.manual_seed(0)
    network = CodeDiscriminator(4, 8)
    codes = torch.randn(64, 4, 4, 4)
    domain = (torch.arange(64) % 2).float()
    codes = codes - codes.mean(dim=(2, 3), keepdim=True) + domain[:, None, None, None]
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(network(codes).flatten(), domain)
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_the_strided_discriminator_is_munits() -> None:
    def published(channels: int, f: int, layers: int) -> int:
        widths = [channels, *(f * 2**level for level in range(layers))]
        return sum(conv(4, *widths) for widths in pairwise(widths)) + conv(1, widths[-1], 1)

    with torch.device("meta"):
        network = MultiscaleDiscriminator(lambda: StridedDiscriminator(3), 3)
        assert parameters(network) == 3 * published(3, 64, 4) == 8_271_171
        assert [scores.shape for scores in network(torch.zeros(2, 3, 256, 256))] == [
            (2, 1, 16, 16),
            (2, 1, 8, 8),
            (2, 1, 4, 4),
        ]
    torch.manual_seed(0)
    small = StridedDiscriminator(1, filters=2, layers=2)
    images = torch.randn(1, 1, 16, 16)
    x = images
    for layer in small.layers:
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        x = F.leaky_relu(F.conv2d(padded, layer.conv.weight, layer.conv.bias, stride=2), 0.2)
    torch.testing.assert_close(small(images), F.conv2d(x, small.head.weight, small.head.bias))
    with pytest.raises(ValueError, match=r"layers\n.*greater than or equal to 1"):
        StridedDiscriminator(3, layers=0)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_strided_discriminators_receptive_field_is_what_moves_a_logit(layers: int) -> None:
    torch.manual_seed(0)
    network = StridedDiscriminator(1, filters=4, layers=layers)
    images = torch.zeros(1, 1, 128, 128, requires_grad=True)
    scores = network(images)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    rows = images.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows.max() - rows.min() + 1 == network.receptive_field


def test_spectral_norm_bounds_the_strided_discriminator() -> None:
    network = StridedDiscriminator(3, filters=8, layers=3, spectral=True)
    with torch.no_grad():
        for _ in range(50):
            network(torch.randn(1, 3, 16, 16))
    for layer in network.layers:
        largest = torch.linalg.matrix_norm(layer.conv.weight.flatten(1), 2).item()
        assert largest == pytest.approx(1, abs=1e-2)


def published_digits(channels: int, f: int) -> dict[type, int]:
    """Weights of tables 4 and 5: a convolution and a bias per channel (that of the convolution and of the norm)."""
    return {
        DigitEncoder: conv(5, channels + 2, f),
        DigitCode: conv(5, f, 2 * f) + conv(8, 2 * f, 4 * f) + conv(1, 4 * f, 8 * f) + 2 * conv(1, 8 * f, 8 * f),
        DigitCodeDecoder: conv(4, 8 * f, 8 * f) + conv(4, 8 * f, 4 * f) + conv(4, 4 * f, 2 * f),
        DigitDecoder: conv(4, 2 * f, f) + conv(1, f, channels),
    }


@pytest.mark.parametrize(("channels", "filters"), [(1, 96), (3, 64)])
def test_digit_networks_have_the_published_sizes(channels: int, filters: int) -> None:
    expected = published_digits(channels, filters)
    built = [
        DigitEncoder(channels, filters),
        DigitCode(filters),
        DigitCodeDecoder(filters),
        DigitDecoder(channels, filters),
    ]
    assert {type(network): parameters(network) for network in built} == expected
    front, trunk = DigitFront(channels, filters), DigitTrunk(filters)
    assert parameters(front) == conv(5, channels, filters)
    shared = sum(conv(5, filters * width, 2 * filters * width) for width in (1, 2, 4))
    assert parameters(trunk) == shared + conv(2, 8 * filters, 1) + conv(2, 8 * filters, 10)


@pytest.mark.parametrize("channels", [1, 3])
def test_digits_go_through_a_shared_code(channels: int) -> None:
    torch.manual_seed(0)
    encoder, code, shared, decoder = DigitEncoder(channels, 4), DigitCode(4), DigitCodeDecoder(4), DigitDecoder(3, 4)
    images = torch.rand(4, channels, 32, 32) * 2 - 1
    features = encoder(images)
    assert features.shape == (4, 4, 16, 16)
    mean, deviation = code(features)
    assert mean.shape == deviation.shape == (4, code.channels, 1, 1) == (4, 32, 1, 1)
    assert deviation.min() > 0
    grown = shared(mean + deviation * torch.randn_like(mean))
    assert grown.shape == (4, 8, 16, 16)
    output = decoder(grown)
    assert output.shape == (4, 3, 32, 32) and output.abs().max() <= 1
    output.square().sum().backward()
    for network in (encoder, code, shared, decoder):
        for name, weight in network.named_parameters():
            assert weight.grad is not None and weight.grad.abs().max() > 0, name


def test_digit_layers_are_the_published_ones() -> None:
    """Against plain torch: batch norm without a scale, a bias, LeakyReLU 0.01."""
    torch.manual_seed(0)
    encoder, decoder = DigitEncoder(1, 4), DigitDecoder(1, 4)
    images = torch.rand(3, 1, 32, 32)
    rows = ((torch.arange(32) - 16) / 16)[:, None].expand(32, 32)
    planes = torch.stack([rows, rows.T]).expand(3, 2, 32, 32)
    x = F.conv2d(torch.cat([images, planes], 1), encoder.layer.conv.weight, stride=2, padding=2)
    expected = F.leaky_relu(F.batch_norm(x, None, None, training=True) + encoder.layer.bias.bias, 0.01)
    torch.testing.assert_close(encoder(images), expected, rtol=1e-4, atol=1e-5)

    features = torch.randn(3, 8, 16, 16)
    x = F.conv_transpose2d(features, decoder.layer.conv.weight, stride=2, padding=1)
    x = F.leaky_relu(F.batch_norm(x, None, None, training=True) + decoder.layer.bias.bias, 0.01)
    expected = torch.tanh(F.conv2d(x, decoder.head.weight, decoder.head.bias))
    torch.testing.assert_close(decoder(features), expected, rtol=1e-4, atol=1e-5)


def test_the_digit_trunk_judges_with_dropout_and_compares_without() -> None:
    torch.manual_seed(0)
    front, trunk = DigitFront(1, 4), DigitTrunk(4, classes=7)
    images = torch.rand(2, 1, 32, 32)
    x = front(images)
    assert x.shape == (2, 4, 16, 16)
    scores, classes = trunk(x)
    assert scores.shape == (2, 1) and classes.shape == (2, 7)
    assert not torch.equal(trunk(x)[0], scores)
    features = trunk.features(x)
    assert features.shape == (2, 32 * 4)
    assert torch.equal(trunk.features(x), features)
    dropped = []
    for layer in trunk.dropouts:
        layer.register_forward_hook(lambda layer, given, _: dropped.append((layer.p, *given[0].shape[1:])))
    trunk(x)
    assert dropped == [(0.1, 4, 16, 16), (0.3, 8, 8, 8), (0.5, 16, 4, 4), (0.5, 32, 2, 2)]

    trunk.eval()
    expected = F.max_pool2d(F.conv2d(images, front.layer.conv.weight, front.layer.conv.bias, padding=2).relu(), 2)
    for layer in trunk.layers:
        expected = F.max_pool2d(F.conv2d(expected, layer.conv.weight, layer.conv.bias, padding=2).relu(), 2)
    torch.testing.assert_close(features, expected.flatten(1))
    scores, classes = trunk(x)
    torch.testing.assert_close(scores, features @ trunk.score_head.weight.flatten(1).T + trunk.score_head.bias)
    torch.testing.assert_close(classes, features @ trunk.class_head.weight.flatten(1).T + trunk.class_head.bias)


def test_digit_networks_start_as_published() -> None:
    torch.manual_seed(0)
    code, front = DigitCode(32), DigitFront(3, 64)
    for weight in (code.layers[0].conv.weight, code.mean.weight, code.deviation.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    for bias in (code.layers[2].bias.bias, code.mean.bias):
        assert bias.std().item() == pytest.approx(0.002, rel=0.2)
    bound = (2 * 6 / (25 * (3 + 64))) ** 0.5  # xavier, uniform, with a gain of sqrt 2
    assert front.layer.conv.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert (front.layer.conv.bias == 0.1).all()


def test_digit_networks_take_32_pixels_only_and_one_image() -> None:
    for network in (DigitEncoder(1, 4), DigitFront(1, 4)):
        with pytest.raises(ValueError, match="32x32, not 28x28"):
            network(torch.zeros(2, 1, 28, 28))
    mean, _ = DigitCode(4)(DigitEncoder(1, 4)(torch.rand(1, 1, 32, 32)))
    assert mean.isfinite().all()


def vgg_state() -> dict[str, Tensor]:
    from torchvision.models import vgg16

    torch.manual_seed(0)
    with torch.device("meta"):
        network = vgg16(weights=None).features
    network = network.to_empty(device="cpu")
    initialise(network, "kaiming")
    return {f"features.{key}": value for key, value in network.state_dict().items()}


def resnet_state(classes: int) -> dict[str, Tensor]:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    return resnet18(weights=None, num_classes=classes).state_dict()


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(vgg_state() | {"classifier.0.bias": torch.zeros(4096)}, path)
    return path


def imagenet(images: Tensor) -> Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images * 0.5 + 0.5 - mean[:, None, None]) / deviation[:, None, None]


def test_the_perceptual_distance_is_vggs_at_relu5_3(vgg_file: Path) -> None:
    state = torch.load(vgg_file)
    torch.manual_seed(1)
    images, targets = torch.rand(2, 2, 3, 32, 32) * 2 - 1

    def features(x: Tensor) -> Tensor:
        x = imagenet(x)
        for place in (0, 2, "pool", 5, 7, "pool", 10, 12, 14, "pool", 17, 19, 21, 24, 26, 28):
            if place == "pool":
                x = F.max_pool2d(x, 2)
            else:
                x = F.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1).relu()
        assert x.shape == (2, 512, 4, 4)
        return F.instance_norm(x)

    distance = PerceptualDistance(vgg_file)
    expected = (features(images) - features(targets)).square().mean()
    torch.testing.assert_close(distance(images, targets), expected, rtol=1e-3, atol=1e-5)
    assert distance(images, images) == 0
    assert distance(images[:, :1], targets[:, :1]) == distance(
        images[:, :1].expand(-1, 3, -1, -1), targets[:, :1].expand(-1, 3, -1, -1)
    )


def test_only_the_images_are_moved(vgg_file: Path) -> None:
    distance = PerceptualDistance(vgg_file)
    model = nn.Module()
    model.distance = distance
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    distance(images, torch.rand(1, 3, 32, 32)).backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    assert list(model.parameters()) == [] and list(model.state_dict()) == []
    assert all(not weight.requires_grad and weight.grad is None for weight in distance._network.parameters())


@pytest.mark.parametrize("with_head", [True, False])
def test_a_classifier_of_our_own_is_read_after_its_third_stage(tmp_path: Path, with_head: bool) -> None:
    from torchvision.models import resnet18

    state = resnet_state(classes=7)
    state |= {key: torch.rand_like(value) + 0.5 for key, value in state.items() if "running" in key}
    network = resnet18(weights=None, num_classes=7).eval()
    network.load_state_dict(state)
    if not with_head:
        state = {key: value for key, value in state.items() if not key.startswith(("fc.", "layer4."))}
    torch.save(state, tmp_path / "classifier.pth")
    images, targets = torch.rand(2, 2, 3, 64, 64) * 2 - 1

    def features(x: Tensor) -> Tensor:
        x = network.maxpool(network.bn1(network.conv1(imagenet(x))).relu())
        return F.instance_norm(network.layer3(network.layer2(network.layer1(x))))

    expected = (features(images) - features(targets)).square().mean()
    measured = PerceptualDistance(tmp_path / "classifier.pth")(images, targets)
    torch.testing.assert_close(measured, expected, rtol=1e-3, atol=1e-5)


def test_weights_that_are_absent_or_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights at .*absent\.pth"):
        PerceptualDistance(tmp_path / "absent.pth")
    images = torch.zeros(1, 3, 32, 32)
    path = tmp_path / "wrong.pth"

    def refused(content: object, match: str) -> None:
        torch.save(content, path)
        with pytest.raises(ValueError, match=match) as error:
            PerceptualDistance(path)(images, images)
        assert str(path) in str(error.value)

    refused(
        {"model.0.weight": torch.zeros(1)}, "expected a state dict of torchvision's VGG-16 or ResNet-18, found keys"
    )
    refused([1, 2], "expected a state dict .*, found list")
    refused({"features.0.weight": torch.zeros(64, 3, 3, 3)}, "do not fit torchvision's network")
    refused(resnet_state(5) | {"conv1.weight": torch.zeros(64, 3, 3, 3)}, "size mismatch for conv1.weight")
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"wrong\.pth: not a file of weights"):
        PerceptualDistance(path)(images, images)


def test_images_too_small_to_compare_are_refused(vgg_file: Path) -> None:
    with pytest.raises(ValueError, match="images of 8x8 are too small"):
        PerceptualDistance(vgg_file)(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
