"""Inner features of generators, which CUT compares: where they are, and what computing them costs nothing of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from translate.models.parts import GENERATORS
from translate.networks import ResnetGenerator
from translate.networks.foreign_file import read_network

SECOND = Path(__file__).parents[3] / "shared" / "golden" / "second"
golden = pytest.mark.skipif(not SECOND.is_dir(), reason=f"no golden outputs at {SECOND}")
GIVE = [kind for kind, settings in GENERATORS.items() if settings().build(3, 256).feature_channels]


def _arrays(name):
    return {key: torch.from_numpy(value) for key, value in np.load(SECOND / f"{name}.npz").items()}


@golden
def test_cuts_generator_has_the_published_features_of_its_five_layers():
    network, arrays = read_network(SECOND / "cut_generator_9blocks.pth").eval(), _arrays("cut_generator_9blocks")
    with torch.no_grad():
        found = network.features(arrays["input"])
    assert len(found) == 5
    for layer, features in zip((0, 4, 8, 12, 16), found, strict=True):
        torch.testing.assert_close(features, arrays[f"features_{layer}"], rtol=1e-5, atol=1e-5)


@golden
def test_cuts_discriminator_gives_the_published_scores():
    network, arrays = read_network(SECOND / "cut_discriminator.pth"), _arrays("cut_discriminator")
    with torch.no_grad():
        torch.testing.assert_close(network(arrays["input"]), arrays["score"], rtol=1e-5, atol=1e-5)


def test_the_published_generator_is_compared_in_five_layers_of_these_widths():
    with torch.device("meta"):
        network = ResnetGenerator(3, 3, upsampling="blur")
    assert network.feature_channels == (3, 128, 256, 256, 256)


@pytest.mark.parametrize("kind", GIVE)
@pytest.mark.parametrize("options", [{}, {"checkpointing": True}])
def test_a_pass_with_features_makes_the_same_images_and_features(kind, options):
    torch.manual_seed(0)
    network = GENERATORS[kind](filters=4, **options).initialised(3, 32).train()
    images = torch.rand(2, 3, 32, 40) * 2 - 1
    made, features = network.with_features(images)
    torch.testing.assert_close(made, network(images))
    assert tuple(found.shape[1] for found in features) == network.feature_channels
    for alone, found in zip(network.features(images), features, strict=True):
        assert len(found) == 2 and found.dim() == 4
        torch.testing.assert_close(alone, found)


@pytest.mark.parametrize(
    ("options", "channels", "sizes"),
    [
        ({"blocks": 1}, (3, 8, 16, 16), (22, 8, 4, 4)),
        ({"blocks": 2, "upsampling": "blur"}, (3, 8, 16, 16, 16), (22, 16, 8, 4, 4)),
        ({"blocks": 0, "downsamplings": 1}, (3, 8), (22, 8)),
        ({"blocks": 7, "downsamplings": 0}, (3, 4, 4), (22, 16, 16)),
        ({"blocks": 6, "downsamplings": 0, "padding": "zeros"}, (3, 4, 4), (22, 16, 16)),
    ],
)
def test_smaller_resnets_give_what_they_have(options, channels, sizes):
    network = ResnetGenerator(3, 3, filters=4, **options)
    features = network.features(torch.rand(1, 3, 16, 16))
    assert network.feature_channels == channels
    assert tuple(found.shape[-1] for found in features) == sizes


def test_only_what_leads_to_the_last_of_them_is_computed():
    network, run = ResnetGenerator(3, 3, filters=4, blocks=7), []
    for block in network.body:
        block.register_forward_hook(lambda block, *_: run.append(block))
    network.head.register_forward_hook(lambda *_: run.append(network.head))
    network.features(torch.rand(1, 3, 16, 16))
    assert run == list(network.body)[:5]


def test_the_features_of_layers_before_a_norm_hold_what_the_norm_takes_away():
    """A bias before instance norm has no effect on images, but on what CUT compares."""
    network = ResnetGenerator(3, 3, filters=4, blocks=1)
    images = torch.rand(1, 3, 16, 16)
    made, features = network.with_features(images)
    with torch.no_grad():
        nn.init.constant_(network.down[0].conv.bias, 3.0)
    shifted, moved = network.with_features(images)
    torch.testing.assert_close(shifted, made, rtol=0, atol=1e-4)
    assert (moved[1] - features[1]).abs().min() > 1
