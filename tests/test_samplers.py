"""GAN, cGAN, VAE and StackGAN: what they minimise against closed forms, what they draw, and the files made of it."""

import json
import math

import numpy as np
import pytest
import tiny
import torch
from tiny import CPU, DCGAN, MLP, tiny_trainer
from torch import nn

from translate.data.batch import Labelled, Plain
from translate.data.images import read
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.model import ImageSpec
from translate.models import gaussian
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.cgan import CGAN
from translate.models.classes import class_labels, judge_pairs, other_labels, require_classes
from translate.models.gan import GAN
from translate.models.stackgan import StackGAN
from translate.models.vae import VAE, binarised
from translate.sample_validation import Evidence
from translate.sampling import class_number, draw_samples, sample_folder, tile

SPEC = ImageSpec(3, 16, ("a", "b", "c"), (LabelGroup(3, True),))
POINTS = ImageSpec(2, 1, ("ring",))
TINY = {kind: tiny.TINY[name] for name, kind in (("gan", GAN), ("cgan", CGAN), ("vae", VAE), ("stackgan", StackGAN))}
EVERY = pytest.mark.parametrize("kind", TINY, ids=lambda kind: kind.__name__)


def _model(kind, spec=SPEC, seed=0, **settings):
    torch.manual_seed(seed)
    config = kind.Config.model_validate_json(json.dumps({**TINY[kind], **settings}))
    return kind(config, spec)


def _batch(kind, count=4, seed=0):
    dice = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, 16, 16, generator=dice) * 2 - 1
    labels = torch.eye(3)[torch.randint(3, (count,), generator=dice)]
    return Plain(images) if kind.batch_type is Plain else Labelled(images, labels)


def _losses(model, turn, batch, painted):
    (chosen,) = [each for each in model.turns() if each.name == turn]
    return chosen.losses(batch, painted)


@EVERY
def test_samples_are_images_and_evaluated(kind):
    model = _model(kind).train()
    samples = model.sample(5)
    assert samples.shape == (5, 3, 16, 16) and samples.abs().max() <= 1
    assert model.training and all(module.training for module in model.modules())
    # In evaluation mode batch norm does not tie an image to its company, and leaves its statistics alone.
    before = {key: value.clone() for key, value in model.named_buffers()}
    model.sample(3)
    assert all(torch.equal(value, before[key]) for key, value in model.named_buffers())


@EVERY
def test_a_grid_throws_its_own_dice(kind):
    model = _model(kind)
    batch = _batch(kind)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first, second = model.show(batch), model.show(batch)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(first[name], second[name]) and len(first[name]) == 4 for name in first)
    assert len(first) >= 4


@EVERY
def test_each_published_loss_is_logged_and_measures_carry_no_gradient(kind):
    trainer = tiny_trainer(_model(kind))
    trainer.step(_batch(kind))
    logged = set(trainer.read_losses())
    expected = {
        GAN: {"discriminator/adversarial", "discriminator/jensen-shannon estimate", "generator/adversarial"},
        CGAN: {"discriminator/adversarial", "discriminator/labels told apart", "generator/adversarial"},
        VAE: {"autoencoder/reconstruction", "autoencoder/kl", "autoencoder/evidence lower bound"},
        StackGAN: {f"discriminators/adversarial {stage}" for stage in ("one", "two")}
        | {f"discriminators/labels told apart {stage}" for stage in ("one", "two")}
        | {"generators/adversarial one", "generators/adversarial two", "generators/kl"},
    }
    assert logged == expected[kind]
    model, batch = _model(kind), _batch(kind)
    painted = model.paint(batch)
    measures = {"jensen-shannon estimate", "labels told apart", "evidence lower bound"}
    for turn in model.turns():
        for name, loss in turn.losses(batch, painted).items():
            measure = any(name.startswith(known) for known in measures)
            assert loss.requires_grad != measure, name


# --- GAN


def test_the_original_game_is_played():
    """Goodfellow et al. 2014, algorithm 1: D ascends, and G descends, log D(x) + log(1 - D(G(z)))."""
    model, batch = _model(GAN, adversarial={"objective": "minimax"}).double(), _batch(GAN).map(torch.Tensor.double)
    painted = model.paint(batch)
    real, fake = (torch.sigmoid(model.discriminator(images)) for images in (batch.images, painted["fake"]))
    value = torch.log(real).mean() + torch.log(1 - fake).mean()
    of_d, of_g = _losses(model, "discriminator", batch, painted), _losses(model, "generator", batch, painted)
    torch.testing.assert_close(of_d["adversarial"], -value)
    torch.testing.assert_close(of_g["adversarial"], torch.log(1 - fake).mean())
    # V = 2 JS - log 4 where D is best.
    torch.testing.assert_close(of_d["jensen-shannon estimate"], (value.detach() + math.log(4)) / 2)


def test_the_jensen_shannon_estimate_reaches_log_2_where_all_are_told_apart():
    model = _model(GAN, adversarial={"discriminator_weight": 0.5})
    model.discriminator = nn.Sequential(nn.Flatten(1), nn.Linear(768, 1, bias=False))
    nn.init.constant_(model.discriminator[1].weight, 1.0)
    ones = torch.ones(2, 3, 16, 16)
    losses = _losses(model, "discriminator", Plain(ones), {"fake": -ones})
    assert losses["jensen-shannon estimate"].item() == pytest.approx(math.log(2))
    nn.init.zeros_(model.discriminator[1].weight)
    losses = _losses(model, "discriminator", Plain(ones), {"fake": -ones})
    assert losses["jensen-shannon estimate"].item() == pytest.approx(0, abs=1e-6)


def test_a_critic_estimates_the_distance_and_nothing_else_does():
    settings = {"objective": "wasserstein", "gradient_penalty": 10.0, "discriminator_weight": 0.5}
    model, batch = _model(GAN, adversarial=settings), _batch(GAN)
    painted = model.paint(batch)
    losses = _losses(model, "discriminator", batch, painted)
    distance = model.discriminator(batch.images).mean() - model.discriminator(painted["fake"]).mean()
    torch.testing.assert_close(losses["wasserstein estimate"], distance.detach())
    assert not losses["wasserstein estimate"].requires_grad and "gradient penalty" in losses
    hinge = _model(GAN, adversarial={"objective": "hinge"})
    assert _losses(hinge, "discriminator", batch, hinge.paint(batch)).keys() == {"adversarial"}


def test_noise_is_as_asked_for():
    for noise, spread in (("normal", 1.0), ("uniform", 1 / 3)):
        model = _model(GAN, noise=noise, code=64)
        seen = []
        model.generator.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        model.sample(500)
        assert seen[0].var().item() == pytest.approx(spread, rel=0.03)
        assert (seen[0].abs().max() <= 1) == (noise == "uniform")


def test_points_are_shown_as_pictures():
    columns = _model(GAN, POINTS).show(Plain(torch.rand(500, 2, 1, 1) - 0.5))
    assert {column.shape for column in columns.values()} == {(1, 3, 256, 256)} and len(columns) == 3


def test_a_gan_finds_a_point():
    """The whole loop, by its result: points around (0.5, -0.5) are what is drawn after 300 steps."""
    model = _model(GAN, POINTS, code=2, adversarial={"r1": 1.0}, generator=MLP, discriminator=MLP)
    trainer = tiny_trainer(model, lr=5e-3)
    dice = torch.Generator().manual_seed(0)
    place = torch.tensor([0.5, -0.5])[:, None, None]
    assert (model.sample(100).mean(0) - place).norm() > 0.4
    for _ in range(300):
        trainer.step(Plain(place + 0.05 * torch.randn(32, 2, 1, 1, generator=dice)))
    assert (model.sample(100).mean(0) - place).norm() < 0.15


@pytest.mark.parametrize("size", [28, 1])
def test_dcgan_at_a_size_it_has_no_layers_for_is_refused(size):
    with pytest.raises(ConfigurationError, match=f"data.size is {size}.*mlp"):
        _model(GAN, ImageSpec(1, size, ("a",)), generator=DCGAN)


# --- cGAN


def test_wrong_labels_are_never_right_and_otherwise_even():
    torch.manual_seed(0)
    labels = torch.eye(4)[torch.arange(12000) % 4]
    wrong = other_labels(labels)
    assert wrong.shape == labels.shape and torch.equal(wrong.sum(1), torch.ones(12000))
    assert not (wrong * labels).any()
    pairs = (labels.argmax(1) * 4 + wrong.argmax(1)).bincount(minlength=16).reshape(4, 4)
    assert (pairs.fill_diagonal_(1000) - 1000).abs().max() < 6 * 1000**0.5


class _Scores(nn.Module):
    """Scores an image by its mean, plus its label's own number."""

    def __init__(self, per_label):
        super().__init__()
        self.per_label = nn.Parameter(torch.tensor(per_label, dtype=torch.float64))

    def forward(self, images, labels):
        return images.flatten(1).mean(1, keepdim=True) + (labels * self.per_label).sum(1, keepdim=True)


def test_three_kinds_of_pairs_are_judged():
    """Reed et al. 2016, algorithm 1: log s_r + (log(1 - s_w) + log(1 - s_f)) / 2."""
    real, fake = torch.full((2, 1, 2, 2), 0.5).double(), torch.full((2, 1, 2, 2), -0.25).double()
    labels, wrong = torch.eye(2).double(), torch.eye(2).double().flip(0)
    discriminator = _Scores([1.0, 0.0])
    losses = judge_pairs(Adversary(AdversarialSettings()), discriminator, real, fake, labels, wrong, "x")

    def log_sigmoid(*logits):
        return sum(math.log(1 / (1 + math.exp(-logit))) for logit in logits) / len(logits)

    right, mismatched, generated = (1.5, 0.5), (0.5, 1.5), (0.75, -0.25)
    other = [log_sigmoid(*(-logit for logit in logits)) for logits in (mismatched, generated)]
    assert losses["adversarial x"].item() == pytest.approx(-log_sigmoid(*right) - sum(other) / 2)
    assert losses["labels told apart x"].item() == 0.5
    # A discriminator that ignores the label tells none apart.
    blind = judge_pairs(Adversary(AdversarialSettings()), _Scores([0.0, 0.0]), real, fake, labels, wrong)
    assert blind["labels told apart"].item() == 0


def test_a_discriminator_of_pairs_learns_labels_though_every_image_is_real():
    """With nothing to be learnt from images, right and wrong labels are still told apart: the third kind of pair."""
    model = _model(CGAN, discriminator=MLP)
    images = torch.cat([torch.full((30, 3, 16, 16), value) for value in (-0.9, 0.0, 0.9)])
    batch = Labelled(images, torch.eye(3).repeat_interleave(30, 0))
    optimizer = torch.optim.Adam(model.discriminator.parameters(), 1e-2)
    for _ in range(100):
        painted = {"fake": images, "wrong": other_labels(batch.labels)}
        losses = _losses(model, "discriminator", batch, painted)
        optimizer.zero_grad()
        losses["adversarial"].backward()
        optimizer.step()
    assert losses["labels told apart"].item() > 0.95


def test_the_wanted_class_is_what_the_generator_is_told():
    for kind in (CGAN, StackGAN):
        model = _model(kind)
        told = []
        network = model.generator if kind is CGAN else model.generator_one_condition
        network.register_forward_pre_hook(lambda module, inputs, told=told: told.append(inputs[0][:, -3:]))
        model.sample(4, label=2)
        model.sample(4)
        assert told[0].argmax(1).tolist() == [2, 2, 2, 2]
        assert told[1].argmax(1).tolist() == [0, 1, 2, 0] and torch.equal(told[1].sum(1), torch.ones(4))
        assert model.classes == ("a", "b", "c")


def test_generated_images_are_judged_with_the_label_they_were_made_for():
    model, batch = _model(CGAN), _batch(CGAN)
    told, judged = [], []
    model.generator.register_forward_pre_hook(lambda module, inputs: told.append(inputs[0][:, -3:]))
    model.discriminator.register_forward_pre_hook(
        lambda module, inputs, keywords: judged.append(keywords["labels"]), with_kwargs=True
    )
    painted = model.paint(batch)
    _losses(model, "generator", batch, painted)
    assert torch.equal(told[0], batch.labels) and torch.equal(judged[0], batch.labels)


@pytest.mark.parametrize(
    "groups", [(), (LabelGroup(3, False),), (LabelGroup(2, True), LabelGroup(1, True)), (LabelGroup(1, True),)]
)
def test_a_condition_is_one_group_of_classes(groups):
    with pytest.raises(ConfigurationError, match="classes"):
        require_classes(ImageSpec(1, 16, ("a", "b", "c"), groups))
    assert require_classes(SPEC) == 3


def test_class_labels_are_one_hot_like_the_weights():
    labels = class_labels(5, 3, None, nn.Linear(1, 1).double())
    assert labels.dtype == torch.float64 and labels.argmax(1).tolist() == [0, 1, 2, 0, 1]


# --- VAE


def test_normal_codes_agree_with_torch_distributions():
    dice = torch.Generator().manual_seed(0)
    code, mean, log_variance = (torch.randn(5, 7, generator=dice, dtype=torch.float64) for _ in range(3))
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
    dice = torch.Generator().manual_seed(0)
    decoded = torch.randn(3, 3, 16, 16, generator=dice, dtype=torch.float64)
    images = torch.rand(3, 3, 16, 16, generator=dice, dtype=torch.float64) * 2 - 1
    model = _model(VAE)
    white = torch.distributions.Bernoulli((1 + torch.tanh(decoded)) / 2)
    black_and_white = images.sign()
    expected = white.log_prob((1 + black_and_white) / 2).flatten(1).sum(1)
    torch.testing.assert_close(model.log_likelihood(decoded, black_and_white), expected)
    model = _model(VAE, likelihood="gaussian", sigma=0.3)
    expected = torch.distributions.Normal(torch.tanh(decoded), 0.3).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(model.log_likelihood(decoded, images), expected)


def test_the_bound_is_reconstruction_and_divergence_in_nats():
    model, batch = _model(VAE), _batch(VAE)
    torch.manual_seed(3)
    painted = model.paint(batch)
    torch.manual_seed(3)
    mean, log_variance = model.encoder(batch.images).chunk(2, 1)
    decoded = model.decoder(mean + torch.exp(log_variance / 2) * torch.randn_like(mean))
    odds, white = (1 + decoded) / 2, (1 + batch.images) / 2
    likelihood = (white * odds.log() + (1 - white) * (1 - odds).log()).sum((1, 2, 3))
    kl = (mean**2 + log_variance.exp() - log_variance - 1).sum(1) / 2
    losses = _losses(model, "autoencoder", batch, painted)
    torch.testing.assert_close(losses["reconstruction"], -likelihood.mean())
    torch.testing.assert_close(losses["kl"], kl.mean())
    torch.testing.assert_close(losses["evidence lower bound"], (likelihood - kl).mean().detach())
    heavier = _model(VAE, kl=4.0)
    torch.testing.assert_close(_losses(heavier, "autoencoder", batch, painted)["kl"], 4 * kl.mean())


def test_evidence_is_exact_where_the_code_says_nothing():
    """Decoder and encoder of zeros: each pixel is white at even odds, whatever the code, and q is the prior."""
    model = _model(VAE)
    for weight in model.parameters():
        nn.init.zeros_(weight)
    images = _batch(VAE).images.sign()
    for draws in (1, 3):
        bound = model.log_evidence(images, draws)
        torch.testing.assert_close(bound, torch.full((4,), -768 * math.log(2)), rtol=1e-5, atol=0)


@torch.no_grad()
def test_one_draw_estimates_the_bound_and_more_draws_raise_it():
    model, batch = _model(VAE), _batch(VAE)
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
    model, batch = _model(VAE, variational=False, likelihood="gaussian"), _batch(VAE)
    assert model.encoder(batch.images).shape == (4, 4)
    first, second = model.paint(batch), model.paint(batch)
    assert torch.equal(first["decoded"], second["decoded"])
    torch.testing.assert_close(torch.tanh(first["decoded"]), model.decode(model.encode(batch.images)))
    assert _losses(model, "autoencoder", batch, first).keys() == {"reconstruction"}


def test_pixels_are_binarised_at_the_odds_of_their_grey():
    torch.manual_seed(0)
    images = torch.tensor([-1.0, -0.5, 0.0, 1.0]).repeat(20000, 1)
    drawn = binarised(images)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), images[0], rtol=0, atol=0.03)
    model, batch = _model(VAE, binarise=True), _batch(VAE)
    assert set(model.paint(batch)["images"].unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(model.paint(batch)["images"], model.paint(batch)["images"])


@pytest.mark.parametrize("network", [MLP, DCGAN], ids=["mlp", "dcgan"])
def test_a_trained_decoder_is_a_generator(network):
    vae = _model(VAE, decoder=network)
    trainer = tiny_trainer(vae)
    trainer.step(_batch(VAE))
    gan = _model(GAN, seed=1, generator=network)
    gan.generator.load_state_dict(vae.decoder.state_dict())
    code = torch.randn(2, 4)
    assert torch.equal(gan.eval().generator(code), vae.eval().decode(code))


def test_a_vae_learns():
    """Images of two kinds: after 200 steps the bound is above what pixels that ignore each other could reach."""
    model = _model(VAE, binarise=True)
    trainer = tiny_trainer(model, lr=1e-2)
    kinds = torch.stack([torch.full((3, 16, 16), -0.9), torch.full((3, 16, 16), 0.9)])
    for step in range(200):
        trainer.step(Plain(kinds[torch.randint(2, (16,), generator=torch.Generator().manual_seed(step))]))
    validation = Evidence(kinds.repeat(20, 1, 1, 1), draws=5)
    measured, alone = validation.measure(model, CPU), validation.baselines()["pixels alone"]
    assert measured["evidence lower bound"] > 0.6 * alone["evidence lower bound"]
    assert measured["log likelihood by 5 draws"] > measured["evidence lower bound"]
    # The truth: a coin's nats for the kind, and 768 pixels of odds 0.95.
    entropy = -0.95 * math.log(0.95) - 0.05 * math.log(0.05)
    assert measured["log likelihood by 5 draws"] < -768 * entropy


def test_pixels_alone_are_as_uncertain_as_their_odds():
    half = torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 1, 2, 2)
    alone = Evidence(half).baselines()["pixels alone"]
    assert alone["evidence lower bound"] == pytest.approx(-4 * math.log(2))


# --- StackGAN


@pytest.mark.parametrize("joint", [True, False])
def test_the_second_stage_moves_the_first_only_where_both_are_joint(joint):
    model, batch = _model(StackGAN, joint=joint), _batch(StackGAN)
    losses = _losses(model, "generators", batch, model.paint(batch))
    first = list(model.generator_one.parameters())
    gradients = torch.autograd.grad(losses["adversarial two"], first, allow_unused=True)
    assert (gradients[0] is not None) == joint


def test_stages_are_judged_at_their_own_sizes():
    model, batch = _model(StackGAN), _batch(StackGAN)
    seen = []
    for network in (model.discriminator_one, model.discriminator_two):
        network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    painted = model.paint(batch)
    assert painted["small"].shape == (4, 3, 8, 8) and painted["large"].shape == (4, 3, 16, 16)
    _losses(model, "discriminators", batch, painted)
    assert [images.shape[-1] for images in seen] == [8, 8, 8, 16, 16, 16]
    torch.testing.assert_close(seen[0], nn.functional.avg_pool2d(batch.images, 2))


def test_conditions_are_drawn_anew_and_their_divergence_is_paid_for_both_stages():
    model, batch = _model(StackGAN, kl=2.0), _batch(StackGAN)
    losses = _losses(model, "generators", batch, model.paint(batch))
    conditions = (model.generator_one_condition, model.generator_two_condition)
    expected = sum(gaussian.kl_to_standard(*condition(batch.labels)).mean() for condition in conditions)
    torch.testing.assert_close(losses["kl"], 2 * expected / model.config.condition)


@pytest.mark.parametrize(("size", "enlargement"), [(16, 8), (8, 4), (20, 2)])
def test_a_first_stage_that_is_too_small_is_refused(size, enlargement):
    spec = ImageSpec(1, size, SPEC.domains, SPEC.groups)
    with pytest.raises(ConfigurationError, match=f"data.size is {size}"):
        _model(StackGAN, spec, enlargement=enlargement)


# --- files


def _pixels(path):
    return read(path).pixels


def test_a_folder_of_samples_is_what_the_model_draws(tmp_path):
    model = _model(GAN)
    paths = sample_folder(model, tmp_path / "out", 3, seed=4)
    assert paths == [tmp_path / "out" / f"{index:05d}.png" for index in range(3)]
    expected = ((draw_samples(model, 3, seed=4) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert all(np.array_equal(_pixels(path), image) for path, image in zip(paths, expected, strict=True))
    assert len({path.read_bytes() for path in paths}) == 3


def test_an_image_depends_on_seed_and_number_alone(tmp_path):
    model = _model(CGAN)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    few, many = draw_samples(model, 2, seed=1), draw_samples(model, 5, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(few, many[:2])
    assert not torch.equal(few, draw_samples(model, 2, seed=2))
    assert not torch.equal(many[0], many[3])  # the same class, other noise


def test_classes_have_their_folders(tmp_path):
    model = _model(CGAN)
    paths = sample_folder(model, tmp_path, 4, grid=True)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "a/00000.png",
        "b/00001.png",
        "c/00002.png",
        "a/00003.png",
        "grid.png",
    ]
    # A column for each class.
    assert _pixels(tmp_path / "grid.png").shape == (2 * 18 + 2, 3 * 18 + 2, 3)
    (path,) = sample_folder(model, tmp_path / "one", 1, label=1)
    assert path == tmp_path / "one" / "b" / "00000.png"
    assert not np.array_equal(_pixels(path), _pixels(paths[0]))


def test_a_class_with_an_odd_name_stays_inside_the_folder(tmp_path):
    model = _model(CGAN, ImageSpec(3, 16, ("../out", ".b", "c d"), SPEC.groups))
    paths = sample_folder(model, tmp_path / "in", 3)
    assert [path.parent.relative_to(tmp_path).as_posix() for path in paths] == ["in/0", "in/1", "in/c d"]


def test_nothing_is_overwritten_unless_asked_for(tmp_path):
    model = _model(GAN)
    sample_folder(model, tmp_path, 2)
    before = (tmp_path / "00001.png").read_bytes()
    (tmp_path / "00000.png").unlink()
    with pytest.raises(ConfigurationError, match=r"00001\.png.*exists"):
        sample_folder(model, tmp_path, 2, seed=7)
    assert not (tmp_path / "00000.png").exists() and (tmp_path / "00001.png").read_bytes() == before
    sample_folder(model, tmp_path, 2, seed=7, overwrite=True)
    assert (tmp_path / "00001.png").read_bytes() != before
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "grid.png").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match=r"grid\.png.*exists"):
        sample_folder(model, tmp_path / "more", 2, grid=True)
    assert list((tmp_path / "more").iterdir()) == [tmp_path / "more" / "grid.png"]


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"--label d: .*a, b, c"):
        class_number(_model(CGAN), "d")
    with pytest.raises(ConfigurationError, match="knows no classes"):
        class_number(_model(GAN), "a")
    assert class_number(_model(CGAN), "b") == 1 and class_number(_model(GAN), None) is None
    with pytest.raises(ValueError, match="class 3 of 3"):
        sample_folder(_model(CGAN), tmp_path, 1, label=3)
    with pytest.raises(ConfigurationError, match="--count 0"):
        sample_folder(_model(GAN), tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_points_become_a_table_and_a_picture(tmp_path):
    model = _model(GAN, POINTS)
    paths = sample_folder(model, tmp_path, 7, grid=True)
    assert [path.name for path in paths] == ["points.csv", "grid.png"] == sorted(p.name for p in paths)[::-1]
    table = np.loadtxt(paths[0], delimiter=",", skiprows=1)
    np.testing.assert_allclose(table, draw_samples(model, 7).flatten(1).numpy(), rtol=1e-6)
    assert _pixels(paths[1]).shape == (256, 256, 3)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_number_of_channels_is_written(tmp_path, channels):
    (path,) = sample_folder(_model(GAN, ImageSpec(channels, 8, ("a",))), tmp_path, 1)
    picture = read(path)
    assert picture.pixels.shape == (8, 8, 1 if channels == 1 else 3)
    assert (picture.alpha is not None) == (channels == 4)


def test_tiles_stand_row_by_row_on_white():
    images = torch.arange(5.0)[:, None, None, None].expand(5, 1, 2, 3)
    sheet = tile(images, 3, gutter=1)
    assert sheet.shape == (1, 2 * 3 + 1, 3 * 4 + 1)
    assert sheet[0, 1, 1::4].tolist() == [0, 1, 2] and sheet[0, 4, 1::4].tolist() == [3, 4, 1]
    assert (sheet[0, ::3] == 1).all() and (sheet[0, :, ::4] == 1).all()


def test_stackgans_divergence_is_weighed_per_number_of_the_condition():
    """Summed over the numbers it would cost more than telling ten classes apart is worth, and labels be ignored."""
    model, batch = _model(StackGAN), _batch(StackGAN)
    painted = model.paint(batch)
    losses = _losses(model, "generators", batch, painted)
    width = model.config.condition
    torch.testing.assert_close(losses["kl"], 2.0 * painted["kl"].mean() / width)
    wider = _model(StackGAN, kl=6.0)
    torch.testing.assert_close(_losses(wider, "generators", batch, painted)["kl"], 6.0 * painted["kl"].mean() / width)
