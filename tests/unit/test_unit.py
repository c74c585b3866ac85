"""UNIT: each thing that ties two auto-encoders' codes does what it says, measured beside the same training without."""

from functools import cache

import pytest
import torch
from tiny import SIZE, TINY, tiny_model, tiny_trainer

from translate.data.batch import Unpaired
from translate.losses.theory import gaussian_kl
from translate.models.unit import _kl

ALONE = {
    "name": "unit",
    "variational": False,
    "cycle": "none",
    "kl": 0.0,
    "autoencoder": {"filters": 4, "downsamplings": 1, "blocks": 1, "share": 0},
    "discriminator": TINY["unit"]["discriminator"],
}


def _scenes(seed, count=8):
    """Bright discs on dark ground, and the same scenes as domain b has them: dark discs on bright ground."""
    rng = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, 1, 1, generator=rng) * 8 + 4
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    disc = ((rows - centre[:, :1]) ** 2 + (columns - centre[:, 1:]) ** 2 < 9).float().expand(-1, 3, -1, -1)
    return 1.2 * disc - 0.6, 0.6 - 1.2 * disc


def _trained(steps=80, **settings):
    model = tiny_model("unit", settings={**ALONE, **settings})
    trainer = tiny_trainer(model, lr=2e-3)
    for step in range(steps):
        trainer.step(Unpaired(_scenes(2 * step)[0], _scenes(2 * step + 1)[1]))
    return model.eval()


@cache
def _untied():
    return _trained()


@torch.no_grad()
def _code_loss(model):
    """How far the code of an image is from the code of its way there and back, in the codes' own deviations."""
    code = model.encode(_scenes(999, 32)[0], 0)
    there = model.encode(model.decode(code, 1), 1)
    back = model.encode(model.decode(there, 0), 0)
    return float((back - code).abs().mean() / code.std())


@torch.no_grad()
def _semantic_loss(model):
    """The same, half way."""
    code = model.encode(_scenes(999, 32)[0], 0)
    return float((model.encode(model.decode(code, 1), 1) - code).abs().mean() / code.std())


@torch.no_grad()
def _image_loss(model):
    images = _scenes(999, 32)[0]
    back = model.decode(model.encode(model.decode(model.encode(images, 0), 1), 1), 0)
    return float((back - images).abs().mean())


@torch.no_grad()
def _identity_loss(model):
    """How far images of b come out changed when they are translated to b."""
    images = _scenes(999, 32)[1]
    return float((model.convert(images, 1) - images).abs().mean())


@pytest.mark.parametrize(
    ("tie", "measure"),
    [
        pytest.param({"cycle": "code", "code_cycle_weight": 20}, _code_loss, marks=pytest.mark.slow),
        pytest.param({"cycle": "image"}, _image_loss, marks=pytest.mark.slow),
        ({"semantic": 20}, _semantic_loss),
        pytest.param({"identity": 10}, _identity_loss, marks=pytest.mark.slow),
    ],
    ids=["code cycle", "image cycle", "semantic", "identity"],
)
def test_a_tie_brings_what_it_claims(tie, measure):
    assert measure(_trained(**tie)) < 0.7 * measure(_untied())


def test_encoders_hide_the_domain_from_a_discriminator_that_tells_it():
    """The code discriminator learns to tell the domains; then the encoders, on their turns alone, undo that."""
    model = tiny_model("unit", settings={**ALONE, "code_adversary": 20})
    trainer = tiny_trainer(model, lr=5e-3)
    judges, coders = model.turns()

    def take(turn, steps):
        trainer._turns = [turn]
        for step in range(steps):
            trainer.step(Unpaired(_scenes(2 * step)[0], _scenes(2 * step + 1)[1]))

    @torch.no_grad()
    def told():
        """The share of codes whose domain is told: a counts as real, 1, and b as 0."""
        a, b = _scenes(999, 32)
        of_a, of_b = (model.code_discriminator(model.encode(x, domain)) for domain, x in enumerate((a, b)))
        return float(torch.cat([of_a > 0.5, of_b < 0.5]).float().mean())

    take(judges, 60)
    assert told() > 0.9
    take(coders, 60)
    assert told() < 0.6


def test_both_cycles_are_both():
    model = tiny_model("unit", settings={**ALONE, "cycle": "both"})
    batch = Unpaired(*_scenes(0))
    (turn,) = [turn for turn in model.turns() if turn.trains_generators]
    losses = turn.losses(batch, model.generate(batch))
    assert {"cycle/a", "cycle/b", "code_cycle/a", "code_cycle/b"} <= losses.keys()
    assert not any(name.startswith(("semantic", "kl", "perceptual")) for name in losses)


def test_shared_layers_are_one_and_the_same():
    """A change to a shared layer changes the codes of both domains; without sharing nothing does."""
    images = _scenes(0)[0]
    model = tiny_model("unit", settings={**ALONE, "autoencoder": {**ALONE["autoencoder"], "share": 1}}).eval()
    before = [model.encode(images, domain) for domain in (0, 1)]
    with torch.no_grad():
        next(model.autoencoders.shared_encoder.parameters()).mul_(2)
    assert all(not torch.equal(model.encode(images, domain), before[domain]) for domain in (0, 1))
    codes = before[0]
    decoded = [model.decode(codes, domain) for domain in (0, 1)]
    with torch.no_grad():
        next(model.autoencoders.shared_decoder.parameters()).mul_(2)
    assert all(not torch.equal(model.decode(codes, domain), decoded[domain]) for domain in (0, 1))
    apart = tiny_model("unit", settings=ALONE).autoencoders
    assert not list(apart.shared_encoder.parameters()) and not list(apart.shared_decoder.parameters())


def test_domains_that_start_alike_start_as_one_auto_encoder():
    images = _scenes(0)[0]

    def differ(alike):
        settings = {**ALONE, "autoencoder": {**ALONE["autoencoder"], "alike": alike}}
        model = tiny_model("unit", settings=settings).eval()
        decoded = model.decode(model.encode(images, 0), 0)
        own = [weight for coder in model.autoencoders.encoders for weight in coder.parameters()]
        assert len({id(weight) for weight in own}) == len(own), "alike, not shared"
        return not torch.equal(model.convert(images, 1), decoded)

    assert differ(alike=False) and not differ(alike=True)


@torch.no_grad()
def test_codes_tell_pale_images_from_bright_ones_where_only_blocks_are_normalised():
    images = _scenes(0)[0]

    def moved(normalised):
        settings = {**ALONE, "autoencoder": {**ALONE["autoencoder"], "normalised": normalised}}
        model = tiny_model("unit", settings=settings).eval()
        codes = model.encode(images, 0)
        return float((model.encode(images / 2, 0) - codes).abs().mean() / codes.std())

    assert moved("all") < 1e-3 and moved("blocks") > 0.02


def test_sharing_moves_blocks_and_does_not_add_any():
    def parameters(share):
        settings = {**ALONE, "autoencoder": {"filters": 4, "downsamplings": 1, "blocks": 3, "share": share}}
        return sum(w.numel() for w in tiny_model("unit", settings=settings).autoencoders.parameters())

    block = (parameters(0) - parameters(1)) / 2  # one of two encoders', one of two decoders'
    assert block > 0 and parameters(0) - parameters(3) == 6 * block


def test_codes_are_noisy_in_training_and_means_after():
    model = tiny_model("unit", settings={**ALONE, "variational": True})
    batch = Unpaired(*_scenes(0))
    torch.manual_seed(0)
    fakes = model.train().generate(batch)
    noise = (fakes["code a"] - fakes["mean a"]).detach()
    assert noise.std() == pytest.approx(1, abs=0.05) and abs(noise.mean()) < 0.05
    fakes = model.eval().generate(batch)
    assert torch.equal(fakes["code a"], fakes["mean a"])


def test_the_kl_term_is_the_closed_form_up_to_the_published_factor():
    mean = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    exact = gaussian_kl(mean, torch.ones_like(mean))
    assert float(_kl(mean)) == pytest.approx(float(2 * exact.mean()), rel=1e-6)


def test_noise_is_drawn_four_times_a_step_as_the_recipe_says(monkeypatch):
    model, draws, draw = tiny_model("unit", settings={**TINY["unit"], "cycle": "image"}), [], torch.randn_like
    monkeypatch.setattr(torch, "randn_like", lambda mean: draws.append(len(mean)) or draw(mean))
    tiny_trainer(model).step(Unpaired(*_scenes(0, count=2)))
    assert draws == [2] * 4
