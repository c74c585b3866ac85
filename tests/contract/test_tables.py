"""What every entry of the tables promises the methods: generators, discriminators, networks from noise, objectives."""

import json

import pytest
import torch
from tiny import SIZE, config_of, random_batch, shrunk, tiny_model, tiny_settings, tiny_trainer

from translate.errors import ConfigurationError
from translate.losses.adversarial import OBJECTIVES
from translate.models import MODELS
from translate.models.parts import DISCRIMINATORS, GENERATORS, SAMPLER_NETWORKS
from translate.networks.settings import DiscriminatorSettings, GeneratorSettings, SamplerNetworkSettings


def _settings(kind):
    return kind.model_validate_json(json.dumps(shrunk(kind())))


def _taking(settings):
    """Methods that let a recipe choose networks of this kind, each with those of its options that name one."""
    options = {
        name: [key for key, value in kind.Config() if isinstance(value, settings)] for name, kind in MODELS.items()
    }
    found = [(name, keys) for name, keys in options.items() if keys]
    assert len(found) > 1
    return found


def _compares_features(name):
    return any("key" in kept for kept in tiny_model(name).generate(random_batch(tiny_model(name))))


def _trains(name, **changes):
    """Three steps of the method move every network, and no loss is lost on the way."""
    model = tiny_model(name, settings=tiny_settings(name) | changes)
    before = {key: value.clone() for key, value in model.named_parameters()}
    trainer = tiny_trainer(model)
    for step in range(3):
        trainer.step(random_batch(model, seed=step))
    assert all(torch.isfinite(torch.tensor(value)) for value in trainer.read_losses().values())
    moved = {key.split(".")[0] for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert moved == {key.split(".")[0] for key in before}


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_keeps_the_size_and_the_range_and_is_of_its_kind(kind):
    settings = _settings(GENERATORS[kind])
    assert settings.kind == kind
    network = settings.initialised(3, SIZE)
    assert SIZE % network.stride == 0 and network.scale == settings.enlarges
    images = torch.rand(2, 3, SIZE, SIZE + 2 * network.stride) * 2 - 1
    fakes = network(images)
    size = [side * network.scale for side in images.shape[2:]]
    assert fakes.shape == (2, 3, *size) and fakes.abs().max() <= 1


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_trains_in_every_method_that_takes_one(kind):
    for name, parts in _taking(GeneratorSettings):
        chosen = dict.fromkeys(parts, shrunk(GENERATORS[kind]()))
        scale = GENERATORS[kind]().enlarges
        assert MODELS[name].enlarges(config_of(name, tiny_settings(name) | chosen)) == scale
        if scale != 1 and not MODELS[name].may_enlarge:
            continue  # refused, see test_enlarging
        if _compares_features(name) and not _settings(GENERATORS[kind]).build(3, SIZE).feature_channels:
            with pytest.raises(ConfigurationError, match=r"says of no inner features.* set model\.generator\.kind"):
                _trains(name, **chosen)
        else:
            _trains(name, **chosen)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_a_discriminator_trains_in_every_method_that_takes_one(kind):
    assert _settings(DISCRIMINATORS[kind]).kind == kind
    for name, parts in _taking(DiscriminatorSettings):
        _trains(name, **dict.fromkeys(parts, shrunk(DISCRIMINATORS[kind]())))


@pytest.mark.parametrize("kind", SAMPLER_NETWORKS)
def test_networks_from_noise_train_in_every_method_that_takes_them(kind):
    assert _settings(SAMPLER_NETWORKS[kind]).kind == kind
    for name, parts in _taking(SamplerNetworkSettings):
        _trains(name, **dict.fromkeys(parts, shrunk(SAMPLER_NETWORKS[kind]())))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_trains_and_draws_real_and_fake_apart(objective):
    _trains("pix2pix", adversarial={"objective": objective, "clip": 0.1})
    loss, one = OBJECTIVES[objective], torch.ones(4)
    assert loss.discriminator_loss(one, -one) < loss.discriminator_loss(-one, one)
    assert loss.generator_loss(one / 2, one) < loss.generator_loss(-one, one)
