"""GAN and its kin: the original game, what its loss estimates, points."""

import math

import pytest
import torch
from tiny import DCGAN, MLP, tiny_trainer
from tiny_samplers import POINTS, batch_of, losses_of, model_of
from torch import nn

from translate.data.batch import Plain
from translate.errors import ConfigurationError
from translate.models.base import ImageSpec
from translate.models.gan import GAN


def test_the_original_game_is_played():
    """Goodfellow et al. 2014, algorithm 1: D ascends, and G descends, log D(x) + log(1 - D(G(z)))."""
    model, batch = model_of(GAN, adversarial={"objective": "minimax"}).double(), batch_of(GAN).map(torch.Tensor.double)
    fakes = model.generate(batch)
    real, fake = (torch.sigmoid(model.discriminator(images)) for images in (batch.images, fakes["fake"]))
    value = torch.log(real).mean() + torch.log(1 - fake).mean()
    of_d, of_g = losses_of(model, "discriminator", batch, fakes), losses_of(model, "generator", batch, fakes)
    torch.testing.assert_close(of_d["adversarial"], -value)
    torch.testing.assert_close(of_g["adversarial"], torch.log(1 - fake).mean())
    # V = 2 JS - log 4 where D is best.
    torch.testing.assert_close(of_d["jensen_shannon_estimate"], (value.detach() + math.log(4)) / 2)


def test_the_jensen_shannon_estimate_reaches_log_2_where_all_are_told_apart():
    model = model_of(GAN, adversarial={"discriminator_weight": 0.5})
    model.discriminator = nn.Sequential(nn.Flatten(1), nn.Linear(768, 1, bias=False))
    nn.init.constant_(model.discriminator[1].weight, 1.0)
    ones = torch.ones(2, 3, 16, 16)
    losses = losses_of(model, "discriminator", Plain(ones), {"fake": -ones})
    assert losses["jensen_shannon_estimate"].item() == pytest.approx(math.log(2))
    nn.init.zeros_(model.discriminator[1].weight)
    losses = losses_of(model, "discriminator", Plain(ones), {"fake": -ones})
    assert losses["jensen_shannon_estimate"].item() == pytest.approx(0, abs=1e-6)


def test_a_critic_estimates_the_distance_and_nothing_else_does():
    settings = {"objective": "wasserstein", "gradient_penalty": 10.0, "discriminator_weight": 0.5}
    model, batch = model_of(GAN, adversarial=settings), batch_of(GAN)
    fakes = model.generate(batch)
    losses = losses_of(model, "discriminator", batch, fakes)
    distance = model.discriminator(batch.images).mean() - model.discriminator(fakes["fake"]).mean()
    torch.testing.assert_close(losses["wasserstein_estimate"], distance.detach())
    assert not losses["wasserstein_estimate"].requires_grad and "gradient_penalty" in losses
    hinge = model_of(GAN, adversarial={"objective": "hinge"})
    assert losses_of(hinge, "discriminator", batch, hinge.generate(batch)).keys() == {"adversarial"}


def test_noise_is_as_asked_for():
    for noise, spread in (("normal", 1.0), ("uniform", 1 / 3)):
        model = model_of(GAN, noise=noise, code=64)
        seen = []
        model.generator.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        model.sample(500)
        assert seen[0].var().item() == pytest.approx(spread, rel=0.03)
        assert (seen[0].abs().max() <= 1) == (noise == "uniform")


def test_points_are_shown_as_pictures():
    columns = model_of(GAN, POINTS).show(Plain(torch.rand(500, 2, 1, 1) - 0.5))
    assert {column.shape for column in columns.values()} == {(1, 3, 256, 256)} and len(columns) == 3


def test_a_gan_finds_a_point():
    """The whole loop, by its result: points around (0.5, -0.5) are what is drawn after 300 steps."""
    model = model_of(GAN, POINTS, code=2, adversarial={"r1": 1.0}, generator=MLP, discriminator=MLP)
    trainer = tiny_trainer(model, lr=5e-3)
    rng = torch.Generator().manual_seed(0)
    place = torch.tensor([0.5, -0.5])[:, None, None]
    assert (model.sample(100).mean(0) - place).norm() > 0.4
    for _ in range(300):
        trainer.step(Plain(place + 0.05 * torch.randn(32, 2, 1, 1, generator=rng)))
    assert (model.sample(100).mean(0) - place).norm() < 0.15


@pytest.mark.parametrize("size", [28, 1])
def test_dcgan_at_a_size_it_has_no_layers_for_is_refused(size):
    with pytest.raises(ConfigurationError, match=f"data.size is {size}.*mlp"):
        model_of(GAN, ImageSpec(1, size, ("a",)), generator=DCGAN)
