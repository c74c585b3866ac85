"""What all models that generate images from noise have in common."""

import pytest
import torch
from tiny import tiny_trainer
from tiny_samplers import EVERY, batch_of, model_of

from translate.models.cgan import CGAN
from translate.models.gan import GAN
from translate.models.stackgan import StackGAN
from translate.models.vae import VAE


@EVERY
def test_samples_are_images_and_evaluated(kind):
    model = model_of(kind).train()
    samples = model.sample(5)
    assert samples.shape == (5, 3, 16, 16) and samples.abs().max() <= 1
    assert model.training and all(module.training for module in model.modules())
    # In evaluation mode batch norm does not tie an image to its company, and leaves its statistics alone.
    before = {key: value.clone() for key, value in model.named_buffers()}
    model.sample(3)
    assert all(torch.equal(value, before[key]) for key, value in model.named_buffers())


@EVERY
def test_a_grid_draws_its_own_random_numbers(kind):
    model = model_of(kind)
    batch = batch_of(kind)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first, second = model.show(batch), model.show(batch)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(first[name], second[name]) and len(first[name]) == 4 for name in first)
    assert len(first) >= 4


PUBLISHED = {
    GAN: {"discriminator/adversarial", "discriminator/jensen_shannon_estimate", "generator/adversarial"},
    CGAN: {"discriminator/adversarial", "discriminator/pair_accuracy", "generator/adversarial"},
    VAE: {"autoencoder/reconstruction", "autoencoder/kl", "autoencoder/evidence_lower_bound"},
    StackGAN: {f"discriminators/adversarial/{stage}" for stage in ("one", "two")}
    | {f"discriminators/pair_accuracy/{stage}" for stage in ("one", "two")}
    | {"generators/adversarial/one", "generators/adversarial/two", "generators/kl"},
}


@pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.__name__)
def test_each_published_loss_is_logged_and_measures_carry_no_gradient(kind):
    trainer = tiny_trainer(model_of(kind))
    trainer.step(batch_of(kind))
    assert set(trainer.read_losses()) == PUBLISHED[kind]
    model, batch = model_of(kind), batch_of(kind)
    fakes = model.generate(batch)
    measures = {"jensen_shannon_estimate", "pair_accuracy", "evidence_lower_bound"}
    for turn in model.turns():
        for name, loss in turn.losses(batch, fakes).items():
            measure = any(name.startswith(known) for known in measures)
            assert loss.requires_grad != measure, name
