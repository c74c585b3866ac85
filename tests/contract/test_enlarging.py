"""What every method promises of a generator whose images are larger than those it takes, or refuses by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny import SPEC, SPECS, config_of, random_batch, tiny_model, tiny_settings, tiny_trainer

from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.models.base import Model, Translator
from translate.models.parts import GENERATORS
from translate.networks import BicubicEnlargement
from translate.networks.settings import GeneratorSettings
from translate.recipe.reading import parse_recipe
from translate.runs.loading import build_model
from translate.training.state import training_state

ENLARGING = [name for name, kind in MODELS.items() if kind.may_enlarge]
KINDS = [kind for kind, settings in GENERATORS.items() if settings().enlarges != 1]


def settings_of(name: str, scale: int = 4) -> dict:
    settings = tiny_settings(name)
    return settings | {"generator": {"kind": "srresnet", "scale": scale, "filters": 4, "blocks": 1}}


def model_of(name: str, scale: int = 4) -> Translator:
    model = tiny_model(name, settings=settings_of(name, scale))
    assert isinstance(model, Translator)
    return model


def with_generator(name: str) -> list[str]:
    return [key for key, value in MODELS[name].Config() if isinstance(value, GeneratorSettings)]


def test_the_methods_that_compare_nothing_pixel_by_pixel_take_one() -> None:
    assert {"pix2pix", "direct"} <= set(ENLARGING) and "srresnet" in KINDS


@pytest.mark.parametrize("name", [name for name in MODELS if with_generator(name)])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_taken_or_refused_by_name_before_the_first_step(name: str, kind: str) -> None:
    changed = {key: {"kind": kind, "filters": 4, "blocks": 1} for key in with_generator(name)}
    model = tiny_settings(name) | changed
    training = {"steps": 1, "batch_size": 1}
    recipe = parse_recipe({"name": name, "model": model, "training": training}, "a test")
    images = SPECS.get(MODELS[name].batch_type, SPEC)
    if MODELS[name].may_enlarge:
        built = build_model(recipe, images)
        assert isinstance(built, Translator) and built.scale == GENERATORS[kind]().enlarges
        return
    with pytest.raises(ConfigurationError, match=r"train with pix2pix or direct, or set model\.generator\.kind"):
        build_model(recipe, images)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("name", ENLARGING)
def test_translations_are_larger_and_do_not_depend_on_their_company(name: str, scale: int) -> None:
    model = model_of(name, scale)
    assert model.scale == scale == MODELS[name].enlarges(config_of(name, settings_of(name, scale)))
    images = torch.rand(3, 3, 7, 5) * 2 - 1
    with torch.no_grad():
        together, alone = model.convert(images, 1), model.convert(images[1:2], 1)
    assert together.shape == (3, 3, 7 * scale, 5 * scale) and together.abs().max() <= 1
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", ENLARGING)
def test_twenty_steps_move_every_network_and_samples_are_of_one_size(name: str) -> None:
    model = model_of(name)
    trainer, before = tiny_trainer(model), {key: value.clone() for key, value in model.named_parameters()}
    for step in range(20):
        trainer.step(random_batch(model, seed=step))
    assert all(torch.isfinite(torch.tensor(value)) for value in trainer.read_losses().values())
    moved = {key.partition(".")[0] for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert moved == {key.partition(".")[0] for key in before}
    batch = random_batch(model)
    assert {column.shape for column in model.show(batch).values()} == {batch.sides()[1].shape}


@pytest.mark.parametrize("name", ENLARGING)
def test_the_same_seed_gives_the_same_state_to_the_bit(name: str) -> None:
    def trained() -> dict:
        model = model_of(name)
        trainer = tiny_trainer(model, seed=3)
        for step in range(3):
            trainer.step(random_batch(model, seed=step))
        return {**model.state_dict(), **training_state(trainer)}

    one, other = trained(), trained()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_first_conditional_step_is_that_of_plain_torch() -> None:
    """pix2pix: D and then G move as a bare loop moves them, where D sees the input enlarged beside the image."""
    model, bare = model_of("pix2pix"), model_of("pix2pix")
    batch = random_batch(model)
    tiny_trainer(model, lr=1e-2).step(batch)

    larger = BicubicEnlargement(4)(batch.input)
    adam = {net: torch.optim.Adam(net.parameters(), 1e-2, (0.5, 0.999)) for net in (bare.discriminator, bare.generator)}
    bare.train()
    fake = bare.generator(batch.input)
    real_logits = bare.discriminator(torch.cat([larger, batch.target], 1))
    fake_logits = bare.discriminator(torch.cat([larger, fake.detach()], 1))
    (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()).mul(_share(model)).backward()
    adam[bare.discriminator].step()
    fooled = F.softplus(-bare.discriminator(torch.cat([larger, fake], 1))).mean()
    bare.generator.zero_grad()
    (fooled + 100 * (fake - batch.target).abs().mean()).backward()
    adam[bare.generator].step()
    for (key, ours), theirs in zip(model.named_parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5, msg=lambda text, key=key: f"{key}: {text}")


def _share(model: Model) -> float:
    """What the discriminator's sum of both scores is weighted with, by the loss of scores that are all 0."""
    nothing = torch.zeros(1)
    loss = model.adversary.discriminator_loss(nothing, nothing)
    return float(loss / (2 * F.softplus(nothing).mean()))


def test_direct_compares_the_input_with_the_means_of_blocks() -> None:
    model = model_of("direct")
    batch = random_batch(model)
    fake = torch.rand(2, 3, 16, 16)
    losses = model._generator_losses(batch, {"b": fake})
    blocks = fake.unflatten(2, (4, 4)).unflatten(4, (4, 4)).mean((3, 5))
    torch.testing.assert_close(losses["content"], 5.0 * (blocks - batch.a).abs().mean())


def test_without_an_adversarial_term_there_is_no_discriminator() -> None:
    model = tiny_model("pix2pix", settings=settings_of("pix2pix") | {"adversarial_weight": 0, "reconstruction": 1})
    assert {key.partition(".")[0] for key, _ in model.named_parameters()} == {"generator"}
    (turn,) = model.turns()
    batch = random_batch(model)
    losses = turn.losses(batch, {"output": batch.target + 0.25})
    assert losses.keys() == {"reconstruction"} and float(losses["reconstruction"]) == pytest.approx(0.25)
    trainer = tiny_trainer(model)
    trainer.step(batch)
    assert trainer.read_losses().keys() == {"generator/reconstruction"}


def test_a_weight_scales_the_adversarial_term_of_the_generator_alone() -> None:
    weights = ({}, {"adversarial_weight": 0.25})
    whole, light = (tiny_model("pix2pix", settings=settings_of("pix2pix") | more) for more in weights)
    batch = random_batch(whole)
    fakes = {"output": batch.target * 0.5}
    one, other = (model.turns()[1].losses(batch, fakes) for model in (whole, light))
    torch.testing.assert_close(other["adversarial"], one["adversarial"] / 4)
    torch.testing.assert_close(other["reconstruction"], one["reconstruction"])
    one, other = (model.turns()[0].losses(batch, fakes) for model in (whole, light))
    torch.testing.assert_close(other["adversarial"], one["adversarial"])


def test_sizes_that_are_no_multiples_of_the_scale_are_refused_with_those_that_are() -> None:
    training = {"steps": 1, "batch_size": 1}
    recipe = parse_recipe({"name": "x", "model": settings_of("pix2pix"), "training": training}, "a test")
    with pytest.raises(ConfigurationError, match=r"data\.size is 30, .* multiples of 4: set data\.size to 28 or 32"):
        build_model(recipe, replace(SPEC, size=30))
