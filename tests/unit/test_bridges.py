"""Bridges: the released code's numbers, what is known of paths between Gaussians, and a step by the paper's formula."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, random_batch, tiny_model, tiny_trainer
from torch import Tensor

from translate.errors import ConfigurationError
from translate.losses.bridges import BRIDGES, EARLIEST, BridgeSettings, Brownian, Flow, Schrodinger, evenly
from translate.models.base import Request
from translate.models.bridge import BridgeModel
from translate.training.trainer import step_seed

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")


def arrays(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as held:
        return {key: torch.from_numpy(held[key]) for key in held.files}


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=0, atol=1e-5)


@golden
def test_a_brownian_bridge_is_that_of_the_released_code() -> None:
    """50 times there; the stand-in for a network is 0.3 x + 0.01 of the time's number."""
    of, path = arrays("bbdm_bridge"), Brownian()
    every = torch.linspace(0, 1, 50)
    same(path.gathered(every) / 2, of["m_t"])
    time, x0, y = of["t"] / 49, of["x0"], of["y"]
    point = path.point(x0, y, of["noise"], time)
    same(point, of["x_t"])
    same(path.wanted(point, x0, time), of["target_grad"])
    same(path.guess(point, of["target_grad"], time), of["x0_from_grad"])
    noise = iter(of["sampling_noise"])
    times = (of["sampling_steps"] / 49).tolist()
    walked = path.walk(lambda x, t: 0.3 * x + 0.01 * 49 * t[:, None, None, None], y, times, lambda: next(noise))
    same(walked, of["sampled"])


@golden
def test_a_schrodinger_bridge_is_that_of_the_released_code() -> None:
    """20 times there; the stand-in guesses 0.5 x + 0.1. Theirs ends at the first time, ours goes on to the guess."""
    of, path = arrays("i2sb_bridge"), Schrodinger(intervals=20)
    every = torch.linspace(0, 1, 20, dtype=torch.float64)
    forward, backward = path.gathered(every), path.gathered(1 - every)
    same(forward.diff(), of["betas"][1:])
    same(forward.sqrt(), of["std_forward"])
    same(backward.sqrt(), of["std_backward"])
    ends = torch.eye(2).view(2, 1, 1, 1, 2).expand(2, 20, 1, 1, 2).double()
    nothing = torch.zeros(20, 1, 1, 2).double()
    weights = path.point(*ends, nothing, every)[:, 0, 0]
    same(weights, torch.stack([of["weight_x0"], of["weight_x1"]], 1))
    same(path.point(nothing, nothing, nothing + 1, every)[:, 0, 0, 0], of["std_bridge"])
    time = of["step"] / 19
    point = path.point(of["x0"], of["x1"], of["noise"], time)
    same(point, of["x_t"])
    same(path.wanted(of["x_t"], of["x0"], time), of["target"])
    for eta, wanted in ((1.0, "sampled"), (0.0, "sampled_ode")):
        path, point, silence = Schrodinger(intervals=20, eta=eta), of["x1"], torch.zeros_like(of["x1"])
        steps = (of["sampling_steps"].flip(0) / 19).tolist()
        for now, later, noise in zip(steps, steps[1:], [*of["sampling_noise"], silence], strict=False):
            now, later = (torch.full((3,), float(when)) for when in (now, later))
            point = path.nearer(point, 0.5 * point + 0.1, noise, now, later)
        same(point, of[wanted])


@pytest.mark.parametrize(
    ("path", "spread"), [(Brownian(variance=0.5), 0.0), (Schrodinger(beta_max=1.0), 0.0), (Flow(), 0.3)]
)
def test_walking_back_with_the_exact_guess_has_the_paths_own_marginals(path: BridgeSettings, spread: float) -> None:
    """x0 ~ N(0.4, 0.2^2) from y ~ N(-0.5, spread^2): given x_t, all is Gaussian, and E[x0 | x_t] known. Walking is then
    affine in the point and in the noise, so that mean and variance follow without drawing any."""

    def law(time: float) -> tuple[float, float, float]:
        """The mean and variance of x_t, and its covariance with x0."""
        a, b, c = path.point(*_each(*np.eye(3)), _times(time)).flatten().tolist()
        return 0.4 * a - 0.5 * b, (0.2 * a) ** 2 + (spread * b) ** 2 + c**2, 0.2**2 * a

    steps, (mean, variance, _) = 400, law(1.0)
    for now, later in pairwise(evenly(steps)):
        point, noise = _each([0, 1, 0], [0, 0, 1])
        centre, before, shared = law(now)
        made = path.nearer(point, 0.4 + shared / before * (point - centre), noise, _times(now), _times(later))
        start, slope, deviation = (made.flatten() - torch.tensor([0, 1, 1]) * made[0, 0, 0, 0]).tolist()
        mean, variance = start + slope * mean, slope**2 * variance + deviation**2
        if round(later * steps) in (300, 200, 100, 1):
            wanted = law(later)
            assert mean == pytest.approx(wanted[0], abs=5e-3)
            assert math.sqrt(variance) == pytest.approx(math.sqrt(wanted[1]), abs=1e-2)


def _each(*values: object) -> list[Tensor]:
    """Three images of one pixel, for each list of three."""
    return [torch.tensor(np.asarray(one, float)).view(3, 1, 1, 1) for one in values]


def _times(time: float) -> Tensor:
    return torch.full((3,), time, dtype=torch.float64)


@pytest.mark.parametrize("kind", BRIDGES)
def test_a_guess_undoes_what_is_wanted_and_a_known_target_is_reached_in_any_number_of_steps(kind: str) -> None:
    path, rng = BRIDGES[kind](), torch.Generator().manual_seed(0)
    x0, y, noise = (torch.rand(4, 3, 8, 8, generator=rng) * 2 - 1 for _ in range(3))
    time = torch.tensor([EARLIEST, 0.3, 0.7, 1.0])
    point = path.point(x0, y, noise, time)
    torch.testing.assert_close(path.guess(point, path.wanted(point, x0, time), time), x0, atol=1e-4, rtol=0)
    for steps in (1, 2, 7):
        asked: list[float] = []

        def told(x: Tensor, t: Tensor, asked: list[float] = asked) -> Tensor:
            asked.append(float(t[0]))
            return path.wanted(x, x0, t)

        torch.testing.assert_close(path.walk(told, y, evenly(steps), lambda: noise), x0, atol=1e-4, rtol=0)
        assert asked == pytest.approx([1 - step / steps for step in range(steps)])


def _model(**changes: object) -> BridgeModel:
    own = {"adversarial_weight": 0.0, "generator": TINY["bridge"]["generator"] | {"attention": 1, "heads": 2}}
    model = tiny_model("bridge", settings=TINY["bridge"] | own | changes)
    assert isinstance(model, BridgeModel)
    return model


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_a_step_moves_the_weights_as_the_papers_formula_by_autograd(weight: float) -> None:
    """Of BBDM: |G(x_t, y, t) - (m (y - x0) + deviation noise)|; then D by the image in one step, and G by the D that
    moved."""
    model = _model(adversarial_weight=weight, path={"kind": "brownian", "variance": 0.3}).double()
    batch = random_batch(model, size=2).map(torch.Tensor.double)
    twin = _model(adversarial_weight=weight, path={"kind": "brownian", "variance": 0.3}).double()
    twin.load_state_dict(model.state_dict())
    trainer = tiny_trainer(model, seed=3)
    torch.manual_seed(step_seed(3, 0))
    x0, y = batch.target, batch.input
    t = 0.001 + 0.999 * torch.rand(2, dtype=torch.float64)
    m = (0.001 + 0.998 * t)[:, None, None, None]
    sigma, noise = (2 * 0.3 * (m - m**2)).sqrt(), torch.randn_like(x0)
    point = (1 - m) * x0 + m * y + sigma * noise
    trainer.step(batch)
    bridge = (twin.generator(torch.cat([point, y], 1), t) - (m * (y - x0) + sigma * noise)).abs().mean()
    if weight:
        fake = y - twin.generator(torch.cat([y, y], 1), torch.ones(2, dtype=torch.float64))
        score = twin.discriminator
        real, false = score(torch.cat([y, x0], 1)), score(torch.cat([y, fake.detach()], 1))
        _move(score, torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(false).mean())
        bridge = bridge + weight * torch.nn.functional.softplus(-score(torch.cat([y, fake], 1))).mean()
    _move(twin.generator, bridge)
    for (key, weight_), wanted in zip(model.named_parameters(), twin.parameters(), strict=True):
        if key.startswith("discriminator") and key.endswith("bias"):
            continue  # before a norm: Adam turns rounding into steps
        torch.testing.assert_close(weight_, wanted, rtol=0, atol=2e-5, msg=lambda said, key=key: f"{key}: {said}")


def _move(network: torch.nn.Module, loss: Tensor) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999))
    weights = list(network.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()


def test_a_network_whose_last_convolution_is_0_leaves_images_as_they_are() -> None:
    generator = {**TINY["bridge"]["generator"], "zero_head": True}
    for path in ({"kind": "flow"}, {"kind": "brownian", "eta": 0.0}):
        model, images = _model(generator=generator, path=path), torch.rand(1, 3, 16, 16) * 2 - 1
        assert torch.equal(model.convert(images), images)


def test_steps_are_those_of_the_request_and_noise_is_of_the_seed() -> None:
    model, image, passes = _model(), torch.rand(1, 3, 16, 16) * 2 - 1, []
    model.generator.register_forward_hook(lambda *_: passes.append(1))
    one, two, three = (model.translate(image, Request.to(1).in_steps(steps)) for steps in (1, 2, 3))
    assert len(passes) == 6 and torch.equal(two, model.convert(image)) and not torch.equal(two, three)
    model.seed = 5
    assert torch.equal(one, model.translate(image, Request.to(1).in_steps(1))), "one step draws nothing"
    assert not torch.equal(two, model.convert(image)) and model.draws_noise
    assert not _model(path={"kind": "flow"}).draws_noise and not _model(steps=1).draws_noise


def test_a_graph_holds_what_draws_nothing_and_not_too_many_steps() -> None:
    silent = TINY["bridge"]["generator"]
    model, flow = (_model(generator=silent, **of) for of in ({"steps": 4}, {"path": {"kind": "flow"}, "steps": 100}))
    with pytest.raises(ConfigurationError, match=r"attention: export it with --format hub.*attention: 0"):
        _model().require_graph(Request.to(1).in_steps(1))
    with pytest.raises(ConfigurationError, match=r"random numbers in each of its 4 steps.*--steps 1, or --format"):
        model.require_graph(Request.to(1))
    model.require_graph(Request.to(1).in_steps(1))
    with pytest.raises(ConfigurationError, match=r"each of the 100 steps, and 32 are the most: .*--steps 32 or fewer"):
        flow.require_graph(Request.to(1))
    flow.require_graph(Request.to(1).in_steps(32))
