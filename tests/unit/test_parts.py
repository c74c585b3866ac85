"""Networks as a recipe names them: how weights start, how deep a U-Net is, what a residual generator begins as."""

import pytest
import torch
from torch import nn

from translate.models.parts import (
    AutoencoderSettings,
    DiscriminatorSettings,
    InitialisationSettings,
    ResnetSettings,
    UNetSettings,
    build_autoencoders,
    build_discriminator,
    build_generator,
)


def _spreads(network):
    """Of every convolution's weights times the root of what they sum over, and of the weights alone."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    weights = [layer.weight.detach() for layer in convolutions if layer.weight.numel() > 1000]
    assert weights and all((layer.bias == 0).all() for layer in convolutions if layer.bias is not None)
    return [float(weight.std()) for weight in weights], [float(w.std() * w[0].numel() ** 0.5) for w in weights]


@pytest.mark.parametrize(("settings", "spread"), [({}, 0.02), ({"initialisation": {"gain": 0.5}}, 0.5)])
def test_weights_start_as_published_or_as_the_recipe_says(settings, spread):
    torch.manual_seed(0)
    networks = [
        build_generator(ResnetSettings(filters=8, blocks=1, **settings), 3, 32),
        build_generator(UNetSettings(filters=8, levels=3, **settings), 3, 32),
        build_discriminator(DiscriminatorSettings(filters=8, **settings), 3, 32),
        build_discriminator(DiscriminatorSettings(filters=8, scales=2, kind="strided", **settings), 3, 32),
    ]
    for network in networks:
        plain, _ = _spreads(network)
        assert plain == pytest.approx([spread] * len(plain), rel=0.1)


def test_units_auto_encoders_start_by_kaiming_unless_the_recipe_says_otherwise():
    torch.manual_seed(0)
    _, scaled = _spreads(build_autoencoders(AutoencoderSettings(filters=8, blocks=1), 3))
    assert scaled == pytest.approx([2**0.5] * len(scaled), rel=0.1)
    settings = AutoencoderSettings(filters=8, blocks=1, initialisation=InitialisationSettings(gain=0.3))
    plain, _ = _spreads(build_autoencoders(settings, 3))
    assert plain == pytest.approx([0.3] * len(plain), rel=0.1)


def test_a_residual_generator_starts_by_leaving_its_input_as_it_is():
    images = torch.rand(1, 3, 16, 16) * 1.9 - 0.95
    generator = build_generator(ResnetSettings(filters=4, blocks=1, residual=True), 3, 16)
    torch.testing.assert_close(generator(images), images, rtol=0, atol=0.01)
    with torch.no_grad():
        plain = build_generator(ResnetSettings(filters=4, blocks=1), 3, 16)(images)
    assert (plain - images).abs().mean() > 0.2


@pytest.mark.parametrize(("size", "levels"), [(64, 6), (128, 7), (256, 8), (512, 8), (96, 5)])
def test_a_u_net_halves_as_often_as_the_size_allows_eight_times_at_most(size, levels):
    with torch.device("meta"):
        network = UNetSettings(filters=1).build(3, size)
    assert (len(network.down), network.stride) == (levels, 2**levels)
