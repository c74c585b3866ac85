"""CUT: one optimisation step against the paper's formula by autograd, and what its parts must not do to each other."""

import pytest
import torch
import torch.nn.functional as F
from tiny import TINY, random_batch, tiny_model, tiny_trainer
from torch import nn

from translate.models.base import ImageSpec, Translator
from translate.models.cut import CUT
from translate.recipe.reading import load_recipe
from translate.runs.build import build_trainer
from translate.training.runtime import Runtime

ALL = {"width": 8, "places": 10_000}
"""Every place is compared, so that the order in which they are drawn changes nothing."""


def _model(**settings):
    return tiny_model("cut", settings={**TINY["cut"], "patches": ALL, **settings})


class Reference(nn.Module):
    """CUT with one blurred downsampling and one residual block, written anew in plain torch, of the same weights."""

    def __init__(self, model):
        super().__init__()
        weights = {key: value.detach().clone().double() for key, value in model.named_parameters()}
        self.weights = nn.ParameterDict({key.replace(".", "-"): nn.Parameter(value) for key, value in weights.items()})

    def of(self, *names):
        return [weight for key, weight in self.weights.items() if key.split("-")[0] in names]

    def conv(self, name, maps, pad, mode="reflect"):
        weight, bias = self.weights[f"{name}-weight"], self.weights[f"{name}-bias"]
        return F.conv2d(F.pad(maps, (pad,) * 4, mode=mode), weight, bias)

    def generator(self, images):
        """Images, and what is compared."""
        seen = [F.pad(images, (3, 3, 3, 3), mode="reflect")]
        maps = norm(self.conv("generator-stem-conv", images, 3)).relu()
        for level in range(2):
            maps = self.conv(f"generator-down-{level}-conv", maps, 1, "constant")
            seen.append(maps)
            maps = blurred(norm(maps).relu())
        inner = norm(self.conv("generator-body-0-conv1", maps, 1)).relu()
        maps = maps + norm(self.conv("generator-body-0-conv2", inner, 1))
        seen.append(maps)
        for level in range(2):
            maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
            maps = norm(self.conv(f"generator-up-{level}-conv", maps, 1, "constant")).relu()
        return self.conv("generator-head", maps, 3).tanh(), seen

    def discriminator(self, images):
        maps = blurred(F.leaky_relu(self.conv("discriminator-layers-0-conv", images, 1, "constant"), 0.2))
        maps = F.leaky_relu(norm(self.conv("discriminator-layers-1-conv", maps, 1, "constant")), 0.2)
        return self.conv("discriminator-head", maps, 1, "constant")

    def described(self, number, maps):
        inner, outer = (f"heads-heads-{number}-{layer}" for layer in ("inner", "outer"))
        vectors = maps.flatten(2).transpose(1, 2)
        hidden = (vectors @ self.weights[f"{inner}-weight"].T + self.weights[f"{inner}-bias"]).relu()
        vectors = hidden @ self.weights[f"{outer}-weight"].T + self.weights[f"{outer}-bias"]
        return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-12).sqrt()

    def nce(self, made, images):
        losses = []
        for number, (q, k) in enumerate(zip(self.generator(made)[1], self.generator(images)[1], strict=True)):
            q, k = self.described(number, q), self.described(number, k).detach()
            odds = (torch.einsum("nsc,ntc->nst", q, k) / 0.07).exp()
            losses.append(-(odds.diagonal(dim1=1, dim2=2) / odds.sum(2)).log().mean())
        return sum(losses) / len(losses)


def norm(maps):
    mean, variance = maps.mean((2, 3), keepdim=True), maps.var((2, 3), keepdim=True, correction=0)
    return (maps - mean) / (variance + 1e-5).sqrt()


def blurred(maps):
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=maps.dtype) / 4
    padded = F.pad(maps, (1, 1, 1, 1), mode="reflect")
    return torch.einsum("nchwij,i,j->nchw", padded.unfold(2, 3, 2).unfold(3, 3, 2), taps, taps)


@pytest.mark.parametrize("identity", [1, 0])
def test_a_step_moves_the_weights_as_the_papers_formula_by_autograd(identity):
    """D first, by images of the generator before it moves; then G and the heads, by the D that has moved."""
    model = _model(identity=identity, nce=2.0, adversarial={"discriminator_weight": 0.5, "objective": "lsgan"}).double()
    reference = Reference(model)
    batch = random_batch(model, size=2).map(torch.Tensor.double)
    groups = [reference.of("discriminator"), reference.of("generator", "heads")]
    player, painter = (torch.optim.Adam(group, lr=1e-3, betas=(0.5, 0.999)) for group in groups)
    trainer = tiny_trainer(model)
    for _ in range(2):
        trainer.step(batch)
        score = reference.discriminator
        real, fake = score(batch.b), score(reference.generator(batch.a)[0].detach())
        _move(player, ((real - 1).square().mean() + fake.square().mean()) / 2)
        fake, same = (reference.generator(images)[0] for images in (batch.a, batch.b))
        nce = reference.nce(fake, batch.a)
        nce = (nce + reference.nce(same, batch.b)) / 2 if identity else nce
        _move(painter, (score(fake) - 1).square().mean() + 2 * nce)
    for key, weight in model.named_parameters():
        wanted = reference.weights[key.replace(".", "-")]
        if key.endswith("bias") and wanted.grad.abs().max() < 1e-9:  # before a norm: Adam turns rounding into steps
            continue
        torch.testing.assert_close(weight, wanted, rtol=0, atol=2e-5, msg=lambda said, key=key: f"{key}: {said}")


def _move(optimizer, loss):
    optimizer.zero_grad()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()


def test_the_published_networks_have_as_many_parameters_as_published():
    with torch.device("meta"):
        model = CUT(load_recipe("cut").model, ImageSpec(3, 256, ("a", "b")))
    counts = {name: sum(weight.numel() for weight in net.parameters()) for name, net in model.named_children()}
    assert counts["generator"] == 11_378_179 and counts["discriminator"] == 2_764_737 and counts["heads"] == 560_384
    assert model.discriminator.receptive_field == 84


def test_published_weights_of_the_heads_are_small_too():
    """Xavier with a gain of 0.02, biases 0, as the generator's."""
    torch.manual_seed(0)
    heads = CUT(load_recipe("cut", ["model.generator.filters=8"]).model, ImageSpec(3, 32, ("a", "b"))).heads
    outer = heads.heads[0].outer
    assert outer.weight.std().item() == pytest.approx(0.02 * (2 / 512) ** 0.5, rel=0.05)
    assert not outer.bias.any()


def test_keys_come_from_the_pass_that_translates_and_are_what_a_pass_of_their_own_gives():
    model = _model()
    batch, passes = random_batch(model), []
    model.generator.stem.register_forward_hook(lambda *_: passes.append(1))
    fakes = model.generate(batch)
    (turn,) = [turn for turn in model.turns() if turn.trains_generators]
    turn.losses(batch, fakes)
    assert len(passes) == 2  # both images in one, both translations in the other
    for number, (a, b) in enumerate(zip(*map(model.generator.features, (batch.a, batch.b)), strict=True)):
        key = fakes[f"key {number}"]
        assert not key.requires_grad
        torch.testing.assert_close(key, torch.stack([a, b], 1))


def test_mirrored_steps_show_the_discriminator_mirrored_translations():
    model = _model(identity=0, flip_equivariance=True, nce=10.0)
    batch, seen = random_batch(model), set()
    for seed in range(10):
        torch.manual_seed(seed)
        with torch.no_grad():
            fakes = model.generate(batch)
            taken = batch.a.flip(-1) if fakes["mirrored"] else batch.a
            torch.testing.assert_close(fakes["b"], model.generator(taken))
        seen.add(bool(fakes["mirrored"]))
    assert seen == {True, False}


def test_heads_are_not_averaged_for_they_have_no_part_in_translations():
    recipe = load_recipe("quickstart-cut")
    model = _model()
    trainer = build_trainer(model, recipe.training, Runtime(torch.device("cpu")), total=4)
    assert {"generator", "discriminator", "heads"} == set(trainer.optimizers)
    assert trainer.average and {key.split(".")[0] for key in trainer.average.values} == {"generator"}


def test_it_goes_one_way_only():
    model = _model()
    assert isinstance(model, Translator) and model.targets() == [1]
    assert "heads" not in model.port_networks()
