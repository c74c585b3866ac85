"""What every entry of MODELS promises the trainer."""

import json
import re

import pytest
import torch
from tiny import SIZE, SPEC, SPECS, TINY, random_batch, tiny_model, tiny_trainer
from torch import nn

from translate.models import MODELS
from translate.models.base import Sampler, Translator
from translate.reporting.keys import current_key


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture(params=[name for name, kind in MODELS.items() if issubclass(kind, Translator)])
def translator(request):
    return request.param


@pytest.fixture(params=[name for name, kind in MODELS.items() if issubclass(kind, Sampler)])
def sampler(request):
    return request.param


def _weights(model):
    return {key: value.clone() for key, value in model.named_parameters()}


def test_every_parameter_has_one_owner_among_the_networks(name):
    model = tiny_model(name)
    moved = {id(network): network for turn in model.turns() for network in turn.networks}
    owned = [id(weight) for network in moved.values() for weight in network.parameters()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(weight) for weight in model.parameters()}


def test_each_turn_moves_its_own_networks_and_no_others(name):
    model = tiny_model(name)
    for turn in model.turns():
        trainer = tiny_trainer(model)
        trainer._turns = [turn]
        before = _weights(model)
        trainer.steps = turn.every - 1
        trainer.step(random_batch(model))
        moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
        own = {id(weight) for network in turn.networks for weight in network.parameters()}
        expected = {key for key, value in model.named_parameters() if id(value) in own}
        assert moved <= expected, turn.name
        # A bias before a normalisation has no gradient to speak of; nearly all else must move.
        assert len(moved) > 0.6 * len(expected), turn.name
        assert all(weight.grad is None for weight in model.parameters())
        assert all(weight.requires_grad for weight in model.parameters())


def test_twenty_steps_run_and_losses_are_finite_and_named(name):
    model = tiny_model(name)
    trainer = tiny_trainer(model)
    for step in range(20):
        trainer.step(random_batch(model, seed=step))
    losses = trainer.read_losses()
    assert {key.split("/")[0] for key in losses} == {turn.name for turn in model.turns()}
    assert all(torch.isfinite(torch.tensor(value)) for value in losses.values())
    assert trainer.read_losses() == {}


def test_keys_of_losses_are_machine_names(name):
    """`family/detail`, lower case with underscores; what people read is made of them by `caption`."""
    model = tiny_model(name)
    batch = random_batch(model)
    fakes = model.generate(batch)
    for turn in model.turns():
        for key in (f"{turn.name}/{loss}" for loss in turn.losses(batch, fakes)):
            assert re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+){1,2}", key) and current_key(key) == key


def test_the_same_seed_gives_the_same_weights_and_another_does_not(name):
    def trained(seed):
        model = tiny_model(name, seed)
        trainer = tiny_trainer(model, seed=seed)
        for step in range(3):
            trainer.step(random_batch(model, seed=step))
        return torch.cat([weight.flatten() for weight in model.parameters()])

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_convert_keeps_shape_and_range_and_does_not_depend_on_its_company(translator):
    model = tiny_model(translator)
    images = torch.rand(3, 3, 2 * SIZE, SIZE) * 2 - 1
    with torch.no_grad():
        for target in model.targets():
            together = model.convert(images, target)
            assert together.shape == images.shape
            assert together.abs().max() <= 1
            alone = model.convert(images[1:2], target)
            torch.testing.assert_close(together[1:2], alone, rtol=0, atol=2e-5)
            assert torch.equal(alone, model.convert(images[1:2], target)), "the same image, the same result"


def test_targets_are_domains_each_named_once(translator):
    model = tiny_model(translator)
    domains = SPECS.get(model.batch_type, SPEC).domains
    targets = list(model.targets())
    assert targets and len(set(targets)) == len(targets) and set(targets) <= set(range(len(domains)))


def test_convert_leaves_mode_and_random_state_as_they_were(translator):
    model = tiny_model(translator).train()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model.convert(torch.zeros(1, 3, SIZE, SIZE), model.targets()[0])
    assert model.training and all(module.training for module in model.modules())
    assert torch.equal(torch.rand(3), expected)


def test_show_gives_columns_of_images(name):
    model = tiny_model(name)
    batch = random_batch(model)
    columns = model.show(batch)
    assert len(columns) >= 3
    assert all(column.shape == batch.tensors()[0].shape for column in columns.values())


# What takes away random numbers (all places are taken), and norms that mix a batch, in whatever has such an option.
STILL = {"pool": 0, "places": 10_000, "dropout": 0, "variational": False, "normalisation": "none"}


def still_settings(name):
    def still(values):
        return {
            key: still(value) if isinstance(value, dict) else type(value)(STILL.get(key, value)) if value else value
            for key, value in values.items()
        }

    return still(MODELS[name].Config.model_validate_json(json.dumps(TINY[name])).model_dump(mode="json"))


def _generates_image_by_image(name):
    """Whether, with still settings, what is generated of an image depends on that image alone."""
    model = tiny_model(name, settings=still_settings(name)).train()
    whole = random_batch(model, size=4)
    with torch.no_grad():
        together, halves = model.generate(whole), [model.generate(half) for half in whole.split(2)]
    apart = {key: torch.cat([half[key] for half in halves]) for key in together}
    return all(torch.allclose(value, apart[key], atol=1e-5) for key, value in together.items())


BY_IMAGE = [name for name in MODELS if _generates_image_by_image(name)]


def test_most_translators_generate_image_by_image():
    assert {"pix2pix", "cyclegan", "unit"} <= set(BY_IMAGE)


@pytest.mark.parametrize("name", BY_IMAGE)
def test_accumulating_two_halves_moves_the_weights_as_the_whole(name):
    def trained(accumulate):
        model = tiny_model(name, settings=still_settings(name)).double()
        trainer = tiny_trainer(model, accumulate=accumulate)
        for step in range(2):
            trainer.step(random_batch(model, size=4, seed=step).map(torch.Tensor.double))
        return torch.cat([weight.flatten() for weight in model.parameters()])

    # l1 and the objectives sum in float32; Adam's first steps are lr 1e-3 times the sign of the gradient.
    torch.testing.assert_close(trained(1), trained(2), rtol=0, atol=5e-5)


def test_fakes_are_generated_once_a_step(name):
    """No generator forward is repeated, whatever the number of turns, unless another turn moved its weights."""
    model = tiny_model(name)
    calls = []
    generate = model.generate
    model.generate = lambda batch: calls.append(1) or generate(batch)
    tiny_trainer(model).step(random_batch(model))
    assert len(calls) == max(1, sum(turn.trains_generators for turn in model.turns() if turn.every == 1))


def test_networks_are_modules_of_the_model(name):
    model = tiny_model(name)
    children = {id(child) for child in model.children()}
    assert all(isinstance(n, nn.Module) and id(n) in children for turn in model.turns() for n in turn.networks)


def test_samples_come_from_torchs_random_numbers_and_leave_mode_as_it_was(sampler):
    model = tiny_model(sampler).train()
    spec = SPECS[model.batch_type]

    def drawn(seed, label=None):
        torch.manual_seed(seed)
        return model.sample(4, label)

    with torch.no_grad():
        samples = drawn(0)
        assert samples.shape == (4, spec.channels, spec.size, spec.size) and samples.abs().max() <= 1
        assert torch.equal(samples, drawn(0)) and not torch.equal(samples, drawn(1))
        for label in range(len(model.classes)):
            assert drawn(0, label).shape == samples.shape
    assert model.training and all(module.training for module in model.modules())
