"""Networks as a recipe names them: how weights start, how deep a U-Net is, what a residual generator begins as."""

from typing import Annotated, Literal

import pytest
import torch
from tiny import shrunk
from torch import nn

from translate.models.parts import DISCRIMINATORS, GENERATORS
from translate.networks.autoencoder import AutoencoderSettings
from translate.networks.resnet import ResnetSettings
from translate.networks.settings import InitialisationSettings, settings_of
from translate.networks.unet import UNetSettings
from translate.utils.one_of import OneOf
from translate.utils.settings import Settings


def _spreads(network):
    """Of every convolution's weights times the root of what they sum over, and of the weights alone."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    drawn = [
        parametrized.weight.original if (parametrized := getattr(layer, "parametrizations", None)) else layer.weight
        for layer in convolutions
    ]  # spectral norm divides what was drawn
    weights = [weight.detach() for weight in drawn if weight.numel() > 1000]
    assert weights and all((layer.bias == 0).all() for layer in convolutions if layer.bias is not None)
    return [float(weight.std()) for weight in weights], [float(w.std() * w[0].numel() ** 0.5) for w in weights]


def _small(kind, **settings):
    """The kind's settings with those that it has of these; small if its size is not said by `filters`."""
    own = {name: value for name, value in settings.items() if name in kind.model_fields}
    return kind.model_validate(own if "filters" in own else shrunk(kind()) | own)


@pytest.mark.parametrize(("settings", "spread"), [({}, 0.02), ({"initialisation": {"gain": 0.5}}, 0.5)])
def test_weights_start_as_published_or_as_the_recipe_says(settings, spread):
    torch.manual_seed(0)
    for kind in (*GENERATORS.values(), *DISCRIMINATORS.values()):
        plain, _ = _spreads(_small(kind, filters=8, downsamplings=2, **settings).initialised(3, 32))
        assert plain == pytest.approx([spread] * len(plain), rel=0.1)


def test_units_auto_encoders_start_by_kaiming_unless_the_recipe_says_otherwise():
    torch.manual_seed(0)
    _, scaled = _spreads(AutoencoderSettings(filters=8, blocks=1).initialised(3, 32))
    assert scaled == pytest.approx([2**0.5] * len(scaled), rel=0.1)
    settings = AutoencoderSettings(filters=8, blocks=1, initialisation=InitialisationSettings(gain=0.3))
    plain, _ = _spreads(settings.initialised(3, 32))
    assert plain == pytest.approx([0.3] * len(plain), rel=0.1)


def test_a_residual_generator_starts_by_leaving_its_input_as_it_is():
    images = torch.rand(1, 3, 16, 16) * 1.9 - 0.95
    generator = ResnetSettings(filters=4, blocks=1, residual=True).initialised(3, 16)
    torch.testing.assert_close(generator(images), images, rtol=0, atol=0.01)
    with torch.no_grad():
        plain = ResnetSettings(filters=4, blocks=1).initialised(3, 16)(images)
    assert (plain - images).abs().mean() > 0.2


@pytest.mark.parametrize(("size", "levels"), [(64, 6), (128, 7), (256, 8), (512, 8), (96, 5)])
def test_a_u_net_halves_as_often_as_the_size_allows_eight_times_at_most(size, levels):
    with torch.device("meta"):
        network = UNetSettings(filters=1).build(3, size)
    assert (len(network.down), network.stride) == (levels, 2**levels)


@pytest.mark.parametrize("kind", [*GENERATORS.values(), *DISCRIMINATORS.values()])
def test_a_network_remembers_its_options_which_are_written_once(kind):
    """Every option of the settings is a keyword of the network, and the network says which settings build it again."""
    settings = _small(kind, filters=3, normalisation="batch", levels=3, downsamplings=2)
    network = settings.build(6, 32)
    found = settings_of(network)
    again = {key.split(".")[2]: value for key, value in found.items() if key.startswith(settings.section)}
    assert kind(**again) == settings
    assert found.get("data.channels", 6) == 6  # heads on features see no image
    rebuilt = type(network)(*[6, 6] if kind in GENERATORS.values() else [6], **settings.options)
    assert repr(rebuilt) == repr(network)
    with pytest.raises(ValueError, match="filter\n"):
        type(network)(*[6, 6] if kind in GENERATORS.values() else [6], filter=3)


def test_an_entry_that_is_added_later_counts_like_the_others():
    class One(Settings):
        kind: Literal["one"] = "one"

    class Two(Settings):
        kind: Literal["two"] = "two"
        sides: tuple[float, ...] = ()

    table = {"one": One}

    class Whole(Settings):
        part: Annotated[Settings, OneOf(table)] = One()

    text = '{"part": {"kind": "two", "sides": [1, 2]}}'
    with pytest.raises(ValueError, match=r"one of \['one'\]"):
        Whole.model_validate_json(text)
    table["two"] = Two
    whole = Whole.model_validate_json(text)
    assert whole.part == Two(sides=(1.0, 2.0)) and Whole(part=whole.part) == whole
    assert Whole.model_validate_json(whole.model_dump_json()) == whole
    with pytest.raises(ValueError, match="one of"):
        Whole.model_validate_json('{"part": {}}')
    with pytest.raises(ValueError, match="a section"):
        Whole.model_validate_json('{"part": 2}')
