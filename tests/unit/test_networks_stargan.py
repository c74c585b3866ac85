"""StarGAN's networks: published counts and layers, labels that reach the output, the released weights' keys."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.networks import PatchDiscriminator, StarGANDiscriminator, StarGANGenerator, initialise
from translate.networks.foreign import from_port, port_state, recognise


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def published_generator(channels: int, labels: int, filters: int, blocks: int) -> int:
    """Weights of the paper's table 4: convolutions without biases, two weights per normalised channel."""
    ends = 49 * filters * (channels + labels) + 49 * filters * channels
    resampling = 2 * 16 * (filters * 2 * filters + 2 * filters * 4 * filters)
    residual = blocks * 2 * 9 * (4 * filters) ** 2
    norms = 2 * (filters + 2 * filters + 4 * filters + 2 * blocks * 4 * filters + 2 * filters + filters)
    return ends + resampling + residual + norms


def published_discriminator(channels: int, labels: int, size: int, filters: int, layers: int) -> int:
    widths = [channels, *(filters * 2**level for level in range(layers))]
    strided = sum(16 * before * after + after for before, after in pairwise(widths))
    return strided + 9 * widths[-1] + (size // 2**layers) ** 2 * widths[-1] * labels


def test_parameters_are_as_many_as_published() -> None:
    assert published_generator(3, 5, 4, 2) == 16_700  # counted in the released networks
    assert published_discriminator(3, 5, 32, 4, 3) == 4_204
    with torch.device("meta"):
        assert parameters(StarGANGenerator(3, 5)) == published_generator(3, 5, 64, 6) == 8_430_528
        assert parameters(StarGANGenerator(1, 8, filters=16, blocks=3)) == published_generator(1, 8, 16, 3)
        assert parameters(StarGANDiscriminator(3, 5, 128)) == published_discriminator(3, 5, 128, 64, 6) == 44_762_048
        assert parameters(StarGANDiscriminator(1, 2, 48, filters=8, layers=4)) == published_discriminator(
            1, 2, 48, 8, 4
        )


def test_the_generator_is_the_published_sequence() -> None:
    """Against plain torch, layer by layer, with zero padding throughout."""
    torch.manual_seed(0)
    network = StarGANGenerator(3, 2, filters=4, blocks=1, downsamplings=1)
    initialise(network, gain=0.3)
    images, labels = torch.rand(2, 3, 16, 12) * 2 - 1, torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    def normed(features: Tensor, norm: nn.Module) -> Tensor:
        return F.instance_norm(features, weight=norm.weight, bias=norm.bias)

    planes = torch.ones(2, 2, 16, 12) * labels[:, :, None, None]
    x = F.conv2d(torch.cat([images, planes], 1), network.stem.conv.weight, padding=3)
    x = normed(x, network.stem.norm).relu()
    x = normed(F.conv2d(x, network.down[0].conv.weight, stride=2, padding=1), network.down[0].norm).relu()
    block = network.body[0]
    inner = normed(F.conv2d(x, block.conv1.weight, padding=1), block.norm1).relu()
    x = x + normed(F.conv2d(inner, block.conv2.weight, padding=1), block.norm2)
    x = F.conv_transpose2d(x, network.up[0].conv.weight, stride=2, padding=1)
    x = normed(x, network.up[0].norm).relu()
    expected = torch.tanh(F.conv2d(x, network.head.weight, padding=3))

    torch.testing.assert_close(network(images, labels), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.eval()(images, labels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("downsamplings", [0, 1, 3])
def test_the_generator_keeps_the_size_and_hears_every_label(downsamplings: int) -> None:
    torch.manual_seed(0)
    network = StarGANGenerator(1, 3, filters=4, blocks=1, downsamplings=downsamplings)
    assert network.stride == 2**downsamplings
    images = torch.rand(2, 1, 2 * network.stride, 3 * network.stride) * 2 - 1
    none = network(images, torch.zeros(2, 3))
    assert none.shape == images.shape and none.abs().max() <= 1
    for label in range(3):
        labels = torch.zeros(2, 3)
        labels[1, label] = 1
        changed = (network(images, labels) - none).abs().amax(dim=(1, 2, 3))
        assert changed[0] == 0 and changed[1] > 1e-3


def test_reflected_planes_would_not_be_heard() -> None:
    """Why the padding is zero: with reflection the first instance norm takes the labels away."""
    torch.manual_seed(0)
    network = StarGANGenerator(1, 3, filters=4, blocks=1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "reflect"
            module._reversed_padding_repeated_twice = [side for side in module.padding for _ in range(2)]
    images = torch.rand(1, 1, 16, 16)
    difference = network(images, torch.ones(1, 3)) - network(images, torch.zeros(1, 3))
    assert difference.abs().max() < 1e-4


def test_a_residual_generator_with_a_head_of_zeros_returns_the_input() -> None:
    network = StarGANGenerator(3, 2, filters=4, blocks=1, residual=True)
    nn.init.zeros_(network.head.weight)
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert (network(images, labels) - images).abs().max() < 0.011  # the last 1 % of the range is squeezed
    nn.init.ones_(network.head.weight)
    assert (network(images, labels) - images).abs().max() > 0.1


def test_every_weight_trains() -> None:
    torch.manual_seed(0)
    generator, critic = StarGANGenerator(3, 2, filters=4, blocks=1), StarGANDiscriminator(3, 2, 16, filters=4, layers=3)
    for network in (generator, critic):
        initialise(network, gain=0.2)
    scores, classes = critic(generator(torch.randn(2, 3, 16, 16), torch.eye(2)))
    (scores.mean() + classes.square().sum()).backward()
    for network in (generator, critic):
        for name, weight in network.named_parameters():
            assert weight.grad is not None and weight.grad.abs().max() > 0, name


def test_the_discriminator_is_the_published_sequence() -> None:
    torch.manual_seed(0)
    network = StarGANDiscriminator(3, 5, 24, filters=4, layers=3)
    images = torch.randn(2, 3, 24, 24)
    x = images
    for layer in network.layers:
        x = F.leaky_relu(F.conv2d(x, layer.conv.weight, layer.conv.bias, stride=2, padding=1), 0.01)
    scores, classes = network(images)
    assert scores.shape == (2, 1, 3, 3) and classes.shape == (2, 5)
    torch.testing.assert_close(scores, F.conv2d(x, network.score_head.weight, padding=1))
    torch.testing.assert_close(classes, torch.einsum("bchw,lchw->bl", x, network.class_head.weight))
    assert torch.equal(network.score(images), scores)


def test_sizes_and_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="6 strided layers need a size that is a multiple of 64, not 96"):
        StarGANDiscriminator(3, 5, 96)
    with pytest.raises(ValueError, match=r"layers\n.*greater than or equal to 1"):
        StarGANDiscriminator(3, 5, 64, layers=0)
    with pytest.raises(ValueError, match="images of 16x16, not 32x16"):
        StarGANDiscriminator(3, 5, 16, filters=4, layers=2)(torch.zeros(1, 3, 32, 16))
    generator = StarGANGenerator(3, 2, filters=4, blocks=1)
    for labels in (torch.zeros(2, 3), torch.zeros(2), torch.zeros(1, 2)):
        with pytest.raises(ValueError, match=r"expected \(2, 2\)"):
            generator(torch.zeros(2, 3, 8, 8), labels)


@pytest.mark.parametrize(
    "network",
    [
        StarGANGenerator(3, 5, filters=4, blocks=6),
        StarGANGenerator(1, 2, filters=4, blocks=1, downsamplings=1),
        StarGANGenerator(3, 7, filters=4, blocks=2, downsamplings=3),
        StarGANDiscriminator(3, 5, 128, filters=2),
        StarGANDiscriminator(1, 8, 12, filters=4, layers=2),
    ],
    ids=["generator", "shallow", "deep", "discriminator", "discriminator_two_layers"],
)
def test_a_state_dict_says_which_network_it_is(network: nn.Module) -> None:
    state = {f"module.{key}": torch.rand_like(value) for key, value in port_state(network).items()}
    read = from_port(state)
    assert repr(read) == repr(network)
    assert getattr(read, "size", None) == getattr(network, "size", None)
    assert {f"module.{key}" for key in port_state(read)} == state.keys()
    assert all(torch.equal(value, state[f"module.{key}"]) for key, value in port_state(read).items())


def test_running_statistics_are_kept_only_when_asked_for() -> None:
    """The released files hold them; the released program never uses them."""
    state = port_state(StarGANGenerator(3, 5, filters=4, blocks=1))
    norms = [key.removesuffix(".bias") for key in state if key.endswith(".bias")]
    for name in norms:
        channels = state[f"{name}.bias"].shape
        state |= {f"{name}.running_mean": torch.rand(channels), f"{name}.running_var": torch.rand(channels) + 0.5}
    images, labels = torch.rand(1, 3, 8, 8), torch.ones(1, 5)
    ours, tracked = from_port(state), from_port(state, running_statistics=True)
    assert torch.equal(ours.eval()(images, labels), ours.train()(images, labels))
    assert (tracked.eval()(images, labels) - ours(images, labels)).abs().max() > 1e-3
    assert torch.equal(tracked.stem.norm.running_mean, state["main.1.running_mean"])


def test_asking_for_running_statistics_that_a_file_lacks_names_them() -> None:
    with pytest.raises(ValueError, match=r"main\.1\.running_mean is missing"):
        from_port(port_state(StarGANGenerator(3, 5, filters=4, blocks=1)), running_statistics=True)


def test_near_misses_are_not_taken_for_stargan() -> None:
    assert isinstance(recognise(port_state(PatchDiscriminator(3, filters=4))), PatchDiscriminator)
    for state in (
        {"main.0.weight": torch.zeros(4, 3, 7, 7), "main.3.weight": torch.zeros(3, 4, 7, 7)},
        {"main.0.weight": torch.zeros(4, 3, 7, 7), "conv1.weight": torch.zeros(1, 4, 3, 3)},
        {"main.2.weight": torch.zeros(4, 3, 7, 7), "main.9.main.0.weight": torch.zeros(4, 4, 3, 3)},
    ):
        with pytest.raises(ValueError, match="nor StarGAN"):
            recognise(state)
