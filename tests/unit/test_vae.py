"""VAE and auto-encoder: likelihoods, divergence, evidence, in closed form."""

import math

import pytest
import torch
from tiny import CPU, DCGAN, MLP, tiny_trainer
from tiny_samplers import batch_of, losses_of, model_of
from torch import nn

from translate.data.batch import Plain
from translate.losses import gaussian
from translate.models.gan import GAN
from translate.models.vae import VAE, Evidence, binarised


def test_normal_codes_agree_with_torch_distributions():
    rng = torch.Generator().manual_seed(0)
    code, mean, log_variance = (torch.randn(5, 7, generator=rng, dtype=torch.float64) for _ in range(3))
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = torch.distributions.kl_divergence(normal, standard).sum(1)
    torch.testing.assert_close(gaussian.kl_to_standard(mean, log_variance), kl)
    torch.testing.assert_close(gaussian.log_density(code, mean, log_variance), normal.log_prob(code).sum(1))


def test_a_drawn_code_has_its_mean_and_variance_and_passes_gradients_on():
    torch.manual_seed(0)
    mean, log_variance = (
        torch.full((20000, 1), 2.0, requires_grad=True),
        torch.full((20000, 1), -1.0, requires_grad=True),
    )
    code = gaussian.draw(mean, log_variance)
    assert code.mean().item() == pytest.approx(2, abs=0.02)
    assert code.var().item() == pytest.approx(math.exp(-1), rel=0.05)
    code.sum().backward()
    assert torch.equal(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_variance.grad, (code.detach() - 2) / 2)


def test_pixels_likelihoods_agree_with_torch_distributions():
    rng = torch.Generator().manual_seed(0)
    decoded = torch.randn(3, 3, 16, 16, generator=rng, dtype=torch.float64)
    images = torch.rand(3, 3, 16, 16, generator=rng, dtype=torch.float64) * 2 - 1
    model = model_of(VAE)
    white = torch.distributions.Bernoulli((1 + torch.tanh(decoded)) / 2)
    black_and_white = images.sign()
    expected = white.log_prob((1 + black_and_white) / 2).flatten(1).sum(1)
    torch.testing.assert_close(model.log_likelihood(decoded, black_and_white), expected)
    model = model_of(VAE, likelihood="gaussian", sigma=0.3)
    expected = torch.distributions.Normal(torch.tanh(decoded), 0.3).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(model.log_likelihood(decoded, images), expected)


def test_the_bound_is_reconstruction_and_divergence_in_nats():
    model, batch = model_of(VAE), batch_of(VAE)
    torch.manual_seed(3)
    fakes = model.generate(batch)
    torch.manual_seed(3)
    mean, log_variance = model.encoder(batch.images).chunk(2, 1)
    decoded = model.decoder(mean + torch.exp(log_variance / 2) * torch.randn_like(mean))
    odds, white = (1 + decoded) / 2, (1 + batch.images) / 2
    likelihood = (white * odds.log() + (1 - white) * (1 - odds).log()).sum((1, 2, 3))
    kl = (mean**2 + log_variance.exp() - log_variance - 1).sum(1) / 2
    losses = losses_of(model, "autoencoder", batch, fakes)
    torch.testing.assert_close(losses["reconstruction"], -likelihood.mean())
    torch.testing.assert_close(losses["kl"], kl.mean())
    torch.testing.assert_close(losses["evidence_lower_bound"], (likelihood - kl).mean().detach())
    heavier = model_of(VAE, kl=4.0)
    torch.testing.assert_close(losses_of(heavier, "autoencoder", batch, fakes)["kl"], 4 * kl.mean())


def test_evidence_is_exact_where_the_code_says_nothing():
    """Decoder and encoder of zeros: each pixel is white at even odds, whatever the code, and q is the prior."""
    model = model_of(VAE)
    for weight in model.parameters():
        nn.init.zeros_(weight)
    images = batch_of(VAE).images.sign()
    for draws in (1, 3):
        bound = model.log_evidence(images, draws)
        torch.testing.assert_close(bound, torch.full((4,), -768 * math.log(2)), rtol=1e-5, atol=0)


@torch.no_grad()
def test_one_draw_estimates_the_bound_and_more_draws_raise_it():
    model, batch = model_of(VAE), batch_of(VAE)
    torch.manual_seed(0)
    once = torch.stack([model.log_evidence(batch.images) for _ in range(2000)])
    mean, log_variance = model.posterior(batch.images)
    likelihoods = [
        model.log_likelihood(model.decoder.unbounded(gaussian.draw(mean, log_variance)), batch.images)
        for _ in range(2000)
    ]
    bound = torch.stack(likelihoods).mean(0) - gaussian.kl_to_standard(mean, log_variance)
    error = 5 * once.std(0) / 2000**0.5
    assert ((once.mean(0) - bound).abs() < 2 * error).all()
    many = torch.stack([model.log_evidence(batch.images, 50) for _ in range(40)]).mean(0)
    assert (many > once.mean(0)).all()


def test_a_plain_autoencoder_has_a_point_for_a_code():
    model, batch = model_of(VAE, variational=False, likelihood="gaussian"), batch_of(VAE)
    assert model.encoder(batch.images).shape == (4, 4)
    first, second = model.generate(batch), model.generate(batch)
    assert torch.equal(first["decoded"], second["decoded"])
    torch.testing.assert_close(torch.tanh(first["decoded"]), model.decode(model.encode(batch.images)))
    assert losses_of(model, "autoencoder", batch, first).keys() == {"reconstruction"}


def test_pixels_are_binarised_at_the_odds_of_their_grey():
    torch.manual_seed(0)
    images = torch.tensor([-1.0, -0.5, 0.0, 1.0]).repeat(20000, 1)
    drawn = binarised(images)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), images[0], rtol=0, atol=0.03)
    model, batch = model_of(VAE, binarise=True), batch_of(VAE)
    assert set(model.generate(batch)["images"].unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(model.generate(batch)["images"], model.generate(batch)["images"])


@pytest.mark.parametrize("network", [MLP, DCGAN], ids=["mlp", "dcgan"])
def test_a_trained_decoder_is_a_generator(network):
    vae = model_of(VAE, decoder=network)
    trainer = tiny_trainer(vae)
    trainer.step(batch_of(VAE))
    gan = model_of(GAN, seed=1, generator=network)
    gan.generator.load_state_dict(vae.decoder.state_dict())
    code = torch.randn(2, 4)
    assert torch.equal(gan.eval().generator(code), vae.eval().decode(code))


def test_a_vae_learns():
    """Images of two kinds: after 200 steps the bound is above what pixels that ignore each other could reach."""
    model = model_of(VAE, binarise=True)
    trainer = tiny_trainer(model, lr=1e-2)
    kinds = torch.stack([torch.full((3, 16, 16), -0.9), torch.full((3, 16, 16), 0.9)])
    for step in range(200):
        trainer.step(Plain(kinds[torch.randint(2, (16,), generator=torch.Generator().manual_seed(step))]))
    validation = Evidence(kinds.repeat(20, 1, 1, 1), binarise=True, draws=5)
    measured, alone = validation.measure(model, CPU), validation.baselines()["pixels alone"]
    assert measured["evidence_lower_bound"] > 0.6 * alone["evidence_lower_bound"]
    assert measured["log_likelihood_by_5_draws"] > measured["evidence_lower_bound"]
    # The truth: a coin's nats for the kind, and 768 pixels of odds 0.95.
    entropy = -0.95 * math.log(0.95) - 0.05 * math.log(0.05)
    assert measured["log_likelihood_by_5_draws"] < -768 * entropy


def test_pixels_alone_are_as_uncertain_as_their_odds():
    half = torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 1, 2, 2)
    alone = Evidence(half).baselines()["pixels alone"]
    assert alone["evidence_lower_bound"] == pytest.approx(-4 * math.log(2))
