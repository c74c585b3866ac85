"""StarGAN v2: a whole step against a loop of its own in float64, heads that were not picked, styles of requests."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import SPECS, random_batch, tiny_model
from torch import nn
from torch.optim import Adam

from translate.data.batch import Labelled, Referenced
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.models.base import ImageSpec, Request
from translate.models.stargan_v2 import StarGANv2, StarGANv2Config, next_of
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer, step_seed

RATES = {"generator": 1e-3, "mapping": 1e-5, "style_encoder": 1e-3, "discriminator": 1e-3}
DECAY, BETAS = 1e-2, (0.0, 0.99)
WEIGHTS = {"style_reconstruction": 1.5, "diversity": 2.0, "diversity_steps": 4, "cycle": 0.7}


def model_of(**changed) -> StarGANv2:
    settings = {
        "name": "stargan-v2",
        "style": 4,
        "generator": {"filters": 4, "widest": 8, "downsamplings": 1, "blocks": 1},
        "mapping": {"latent": 3, "hidden": 8},
        "style_encoder": {"filters": 4, "widest": 8, "layers": 2},
        "discriminator": {"filters": 4, "widest": 8, "layers": 2},
        "adversarial": {"objective": "nonsaturating", "r1": 1.0},
        **WEIGHTS,
        **changed,
    }
    torch.manual_seed(0)
    return StarGANv2(StarGANv2Config.model_validate(settings), SPECS[Referenced]).double()


def doubled(batch: Referenced) -> Referenced:
    return batch.map(torch.Tensor.double)


def trainer_of(model: StarGANv2, decay: float = DECAY) -> Trainer:
    kinds = {name: build_optimizer(getattr(model, name), "adam", lr, BETAS, decay) for name, lr in RATES.items()}
    averaged = {name: getattr(model, name) for name in ("generator", "mapping", "style_encoder")}
    return Trainer(model.train(), kinds, Runtime(torch.device("cpu")), seed=7, average=WeightAverage(averaged, 0.9))


class Paper:
    """The paper's step, written as a plain loop: every pass anew, heads picked by number."""

    def __init__(self, model: StarGANv2) -> None:
        self.networks = nn.ModuleDict(copy.deepcopy(dict(model.named_children())))
        del self.networks["adversary"]
        self.adams = {
            name: Adam(network.parameters(), RATES[name], BETAS, weight_decay=DECAY)
            for name, network in self.networks.items()
        }

    def style(self, images: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        return self.networks["style_encoder"](images)[torch.arange(len(domain)), domain]

    def latent(self, z: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        return self.networks["mapping"](z)[torch.arange(len(domain)), domain]

    def score(self, images: torch.Tensor, domain: torch.Tensor) -> torch.Tensor:
        return self.networks["discriminator"](images)[torch.arange(len(domain)), domain]

    def move(self, loss: torch.Tensor, *names: str) -> None:
        self.networks.zero_grad()
        loss.backward()
        for name in names:
            self.adams[name].step()

    def step(self, batch: Referenced, number: int) -> None:
        torch.manual_seed(step_seed(7, number))
        generator, x, y, wanted = (
            self.networks["generator"],
            batch.images,
            batch.labels.argmax(1),
            batch.wanted.argmax(1),
        )
        z = self.draw(x)
        for way in ("latent", "reference"):
            with torch.no_grad():
                style = self.latent(z, wanted) if way == "latent" else self.style(batch.reference, wanted)
                fake = generator(x, style)
            real = x.clone().requires_grad_()
            scores = self.score(real, y)
            (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            loss = F.softplus(-scores).mean() + F.softplus(self.score(fake, wanted)).mean()
            self.move(loss + 0.5 * slope.square().sum((1, 2, 3)).mean(), "discriminator")
        diversity = WEIGHTS["diversity"] * max(0, 1 - number / WEIGHTS["diversity_steps"])
        self.move(self.generators(batch, z, self.draw(x), diversity), "generator", "mapping", "style_encoder")
        # The images are made anew for the last turn, and with them the latents are drawn again, which nothing uses.
        self.draw(x)
        self.move(self.generators(batch, None, None, diversity), "generator")

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        return torch.empty(len(x), 3, dtype=torch.float64).normal_()

    def generators(self, batch: Referenced, z, z2, diversity: float) -> torch.Tensor:
        generator, x, y, wanted = (
            self.networks["generator"],
            batch.images,
            batch.labels.argmax(1),
            batch.wanted.argmax(1),
        )
        if z is None:
            style, other = self.style(batch.reference, wanted), self.style(batch.partner, wanted)
        else:
            style, other = self.latent(z, wanted), self.latent(z2, wanted)
        fake, second = generator(x, style), generator(x, other).detach()
        back = generator(fake, self.style(x, y))
        return (
            F.softplus(-self.score(fake, wanted)).mean()
            + WEIGHTS["style_reconstruction"] * (self.style(fake, wanted) - style).abs().mean()
            - diversity * (fake - second).abs().mean()
            + WEIGHTS["cycle"] * (back - x).abs().mean()
        )


def test_whole_steps_are_those_of_the_paper() -> None:
    """Six of them, in float64: past the step from which diversity weighs nothing."""
    model = model_of()
    paper, trainer = Paper(model), trainer_of(model)
    for number in range(6):
        batch = doubled(random_batch(model, size=3, seed=number))
        trainer.step(batch)
        paper.step(batch, number)
    found, wanted = model.state_dict(), paper.networks.state_dict()
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        # What a generator's convolution adds everywhere, a norm removes: its gradient is rounding, which Adam follows.
        if not (key.startswith("generator") and key.endswith(("stem.bias", "conv1.bias", "conv2.bias"))):
            torch.testing.assert_close(found[key], value, rtol=1e-7, atol=1e-9, msg=key)


def test_heads_that_were_not_picked_are_moved_by_weight_decay() -> None:
    """As published: their gradients are 0, not None, so that Adam moves them by about its rate."""
    for decay in (DECAY, 0.0):
        model = model_of()
        batch = doubled(random_batch(model, size=1))
        left_out = next(number for number in range(3) if not (batch.labels + batch.wanted)[0, number])
        before = {name: getattr(model, name).heads[left_out].weight.clone() for name in ("style_encoder",)}
        rows = model.discriminator.head.weight[left_out].clone()
        trainer_of(model, decay).step(batch)
        moved = (model.style_encoder.heads[left_out].weight - before["style_encoder"]).abs().max()
        assert (moved > 0.5 * RATES["style_encoder"]) == bool(decay)
        assert ((model.discriminator.head.weight[left_out] - rows).abs().max() > 0) == bool(decay)


def test_the_average_follows_the_three_networks_once_a_step() -> None:
    model = model_of()
    trainer = trainer_of(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainer.step(doubled(random_batch(model)))
    assert trainer.average is not None and float(trainer.average.updates) == 1
    assert {key.split(".")[0] for key in trainer.average.values} == {"generator", "mapping", "style_encoder"}
    key = "mapping.shared.0.weight"
    share = 9 / 11  # 1 - (1 + n) / (10 + n) after one update
    wanted = before[key] + share * (model.state_dict()[key] - before[key])
    assert torch.allclose(trainer.average.values[key], wanted, rtol=0, atol=1e-9)


def test_the_diversity_falls_to_nothing_and_then_the_spread_is_still_told() -> None:
    model = model_of()
    trainer, batch = trainer_of(model), doubled(random_batch(model))
    for step in range(6):
        trainer.step(batch)
        losses = trainer.read_losses()
        share = losses["generator_latent/diversity"] / losses["generator_latent/spread"]
        assert share == pytest.approx(-WEIGHTS["diversity"] * max(0, 1 - step / 4), abs=1e-6)


def test_a_style_is_a_pure_function_of_its_seed_and_another_gives_another_picture() -> None:
    model = tiny_model("stargan-v2")
    image = random_batch(model, size=1).images
    seven, eight = (Request.to(1).in_style(model.drawn_style(seed, 1)) for seed in (7, 8))
    one = model.translate(image, seven)
    assert torch.equal(one, model.translate(image, seven)) and not torch.equal(one, model.translate(image, eight))
    model.seed = 7
    assert torch.allclose(model.convert(image, 1), one, atol=1e-6)


def test_the_style_of_a_reference_is_what_the_encoder_reads_in_that_domain() -> None:
    model = tiny_model("stargan-v2")
    image, reference = random_batch(model, size=2).images.split(1)
    style = model.read_style(reference, 2, "that.png")
    assert style.name == "that.png"
    wanted = model.generator(image, model.style_encoder(reference)[:, 2]).clamp(-1, 1)
    assert torch.allclose(model.translate(image, Request.to(2).in_style(style)), wanted, atol=1e-6)


def test_the_way_back_is_in_the_style_of_the_input_and_known_between_two_domains_only() -> None:
    images = ImageSpec(3, 16, ("a", "b"), (LabelGroup(2, exclusive=True),))
    model = StarGANv2(tiny_model("stargan-v2").config, images)
    image = random_batch(tiny_model("stargan-v2"), size=1).images
    back = model.way_back(Request.to(1))(image)
    assert back.set == {0} and back.style is not None
    assert back.style.code == pytest.approx(model.style_encoder(image)[0, 0].tolist(), abs=1e-6)
    with pytest.raises(ConfigurationError, match="a model of 3 domains with styles does not tell"):
        tiny_model("stargan-v2").way_back(Request.to(1))


def test_attributes_and_joint_sets_are_refused_by_name() -> None:
    config = tiny_model("stargan-v2").config
    for groups, said in (
        ((LabelGroup(2, exclusive=False),), "Male, Young are attributes"),
        ((LabelGroup(1, True), LabelGroup(1, True)), "leave data.also out"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            StarGANv2.require_images(config, ImageSpec(3, 16, ("Male", "Young"), groups))


def test_the_grid_shows_styles_and_a_reference_of_every_domain_that_the_batch_has() -> None:
    model = tiny_model("stargan-v2")
    batch = random_batch(model, size=2)
    shown = model.show(Labelled(batch.images, torch.eye(3)[[0, 1]]))
    of_b = model.read_style(batch.images[1:], 1, "the next")
    torch.testing.assert_close(
        shown["b, as the next"][:1], model.translate(batch.images[:1], Request.to(1).in_style(of_b))
    )
    columns = list(shown)
    assert columns[:4] == ["input", "a, style 1", "a, style 2", "a, as the next"] and "c, as the next" not in columns
    assert next_of(torch.eye(3)[[0, 1, 0, 1]], 0) == [2, 2, 0, 0] and next_of(torch.eye(3)[[0, 1]], 2) is None
