"""What a recipe asks of the game is what is played: penalties bite, clipping clips, turns are counted."""

import math

import pytest
import torch
from tiny import TINY, random_batch, tiny_model, tiny_trainer

from translate.errors import ConfigurationError
from translate.losses.adversarial import OBJECTIVES
from translate.models import MODELS
from translate.models.adversary import AdversarialSettings, Adversary
from translate.recipe import load_recipe

GANS = [name for name in MODELS if "adversarial" in MODELS[name].Config.model_fields]


@pytest.fixture(params=GANS)
def name(request):
    return request.param


def _played(name, steps=1, lr=1e-3, **adversarial):
    """A tiny model after some steps under these adversarial settings."""
    model = tiny_model(name, settings={**TINY[name], "adversarial": adversarial})
    trainer = tiny_trainer(model, lr)
    for step in range(steps):
        trainer.step(random_batch(model, seed=step))
    return model, trainer


def _discriminators(model):
    return {key: value.clone() for key, value in model.state_dict().items() if key.startswith("discriminator")}


@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1", "r2"])
def test_a_penalty_that_is_asked_for_is_paid(name, penalty):
    """Peers accept the option and never call the penalty; here it is logged, positive, and moves the weights."""
    without, _ = _played(name, objective="lsgan")
    with_penalty, trainer = _played(name, objective="lsgan", **{penalty: 10.0})
    logged = {key: value for key, value in trainer.read_losses().items() if penalty in key}
    assert logged and all(value > 0 for value in logged.values())
    before, after = _discriminators(without), _discriminators(with_penalty)
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("objective", [name for name, loss in OBJECTIVES.items() if loss.unsure])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_an_unsure_discriminator_pays_what_the_best_same_score_for_all_costs(objective, weight):
    adversary = Adversary(AdversarialSettings(objective=objective, discriminator_weight=weight))
    scores = torch.linspace(-2, 2, 401).split(1)
    least = min(float(adversary.discriminator_loss(score, score)) for score in scores)
    assert adversary.unsure == pytest.approx(least, abs=1e-5)


UNPAIRED_SCORES = {"cgan", "stackgan", "stargan-v2", "unit-digits"}


def test_a_relativistic_generator_is_compared_with_real_images_or_refused(name):
    """Real scores reach the generator's loss: it is ln 2 a scale where both are scored alike, whatever the score."""
    if name in UNPAIRED_SCORES:
        with pytest.raises(ConfigurationError, match=r"set model\.adversarial\.objective: nonsaturating"):
            _played(name, objective="relativistic")
        return
    model, _ = _played(name, steps=0, objective="relativistic")
    for key, weight in model.named_parameters():
        if key.startswith("discriminator"):
            weight.data.zero_()
            if key.endswith("bias"):
                weight.data.fill_(3.0)
    trainer = tiny_trainer(model)
    trainer.step(random_batch(model, seed=0))
    played = {key: value for key, value in trainer.read_losses().items() if "/adversarial" in key}
    assert {key.partition("/")[0] for key in played} == {turn.name for turn in model.turns()}
    scales = 2 if name == "unit" else 1
    assert [*played.values()] == pytest.approx([scales * math.log(2)] * len(played), rel=0.02)


def test_a_wasserstein_critic_without_a_constraint_is_refused(name):
    wasserstein = ["model.adversarial.objective=wasserstein", "model.adversarial.gradient_penalty=0"]
    with pytest.raises(ConfigurationError, match="must be Lipschitz"):
        load_recipe(name, wasserstein)
    load_recipe(name, [*wasserstein, "model.adversarial.gradient_penalty=10"])


def test_the_gradient_penalty_draws_the_slope_to_one(name):
    if name not in ("cyclegan", "stargan", "wgan", "gan", "cgan"):
        pytest.skip("takes seconds: a few methods stand for all, each of which pays the penalty above")

    def distance(weight):
        """The mean of (slope - 1)^2 over 30 steps, with next to no adversarial loss, which changes slopes itself."""
        adversarial = {"objective": "lsgan", "discriminator_weight": 1e-6, "gradient_penalty": weight}
        _, trainer = _played(name, steps=30, lr=5e-3, **adversarial)
        losses = trainer.read_losses()
        return sum(value / weight for key, value in losses.items() if "gradient_penalty" in key)

    assert distance(10.0) < 0.9 * distance(1e-6)


def test_clipping_follows_every_discriminators_turn(name):
    model, _ = _played(name, steps=2, objective="wasserstein", clip=0.01)
    weights = [value for key, value in model.named_parameters() if key.startswith("discriminator")]
    assert max(weight.abs().max() for weight in weights) <= 0.01
    others = [value for key, value in model.named_parameters() if not key.startswith("discriminator")]
    assert max(weight.abs().max() for weight in others) > 0.01


def test_the_discriminator_takes_its_turns_before_the_generator_takes_one(name):
    model = tiny_model(name, settings={**TINY[name], "adversarial": {"discriminator_turns": 3}})
    generators = {id(network) for turn in model.turns() if turn.trains_generators for network in turn.networks}
    roles = {
        key: "generator" if id(network) in generators else "discriminator" for key, network in model.named_children()
    }
    trainer = tiny_trainer(model)
    moved = []
    for step in range(6):
        before = {key: value.clone() for key, value in model.named_parameters()}
        trainer.step(random_batch(model, seed=step))
        changed = {key for key, weight in model.named_parameters() if not torch.equal(weight, before[key])}
        moved.append({roles[key.split(".")[0]] for key in changed})
    assert moved == [{"discriminator"}, {"discriminator"}, {"discriminator", "generator"}] * 2


def test_real_and_fake_are_augmented_before_they_are_scored(name):
    model = tiny_model(name, settings={**TINY[name], "adversarial": {"augment": ["cutout"]}})
    seen = []
    augment = model.adversary.augment.forward
    model.adversary.augment.forward = lambda images: seen.append(len(images)) or augment(images)
    tiny_trainer(model).step(random_batch(model))
    # Real and fake in each discriminator's turn, and fake in each generator's; digits have two in one network, and
    # styles have two sources with turns of their own.
    twice = name in ("unit-digits", "stargan-v2")
    discriminators = 2 if twice else sum(key.startswith("discriminator") for key, _ in model.named_children())
    assert len(seen) == 3 * discriminators
