"""The theory that the adversarial core states: values at 0, signs, divergences, and penalties in closed form."""

import math

import pytest
import torch
from torch import nn

from translate.losses.adversarial import OBJECTIVES, clip_weights, gradient_penalty, r1_penalty, r2_penalty

AT_ZERO = {
    "minimax": 2 * math.log(2),
    "nonsaturating": 2 * math.log(2),
    "lsgan": 1.0,
    "hinge": 2.0,
    "wasserstein": 0.0,
    "relativistic": math.log(2),
    "relativistic_means": math.log(2),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_undecided_discriminator_has_the_known_loss(name):
    zero = torch.zeros(3, 1, 4, 4)
    assert OBJECTIVES[name].discriminator_loss(zero, zero).item() == pytest.approx(AT_ZERO[name], abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_discriminator_wants_real_up_and_fake_down_and_the_generator_fake_up(name):
    loss = OBJECTIVES[name]
    real, fake = torch.full((4,), 0.3, requires_grad=True), torch.full((4,), 0.2, requires_grad=True)
    loss.discriminator_loss(real, fake).backward()
    assert (real.grad < 0).all() and (fake.grad > 0).all()
    fake.grad = None
    loss.generator_loss(fake, real.detach()).backward()
    assert (fake.grad < 0).all()


def _sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


# What D pays for a real and for a generated image, and G for the latter, as the papers write it.
PUBLISHED = {
    "minimax": (
        lambda x: -math.log(_sigmoid(x)),
        lambda x: -math.log(1 - _sigmoid(x)),
        lambda x: math.log(1 - _sigmoid(x)),
    ),
    "nonsaturating": (
        lambda x: -math.log(_sigmoid(x)),
        lambda x: -math.log(1 - _sigmoid(x)),
        lambda x: -math.log(_sigmoid(x)),
    ),
    "lsgan": (lambda x: (x - 1) ** 2, lambda x: x**2, lambda x: (x - 1) ** 2),
    "hinge": (lambda x: max(0, 1 - x), lambda x: max(0, 1 + x), lambda x: -x),
    "wasserstein": (lambda x: -x, lambda x: x, lambda x: -x),
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("logit", [-3.0, -0.5, 0.5, 3.0])
def test_every_term_is_the_published_one_on_either_side_of_every_margin(name, logit):
    loss, (real, fake, generator) = OBJECTIVES[name], PUBLISHED[name]
    value, zero = torch.tensor([logit]), torch.zeros(1)
    paid = loss.discriminator_loss(value, zero), loss.discriminator_loss(zero, value), loss.generator_loss(value)
    wanted = real(logit) + fake(0), real(0) + fake(logit), generator(logit)
    assert [term.item() for term in paid] == pytest.approx(wanted, abs=1e-5)


PAIRED = [name for name, objective in OBJECTIVES.items() if objective.sees_real]


def test_every_objective_is_held_to_what_was_published():
    assert {*PUBLISHED, *PAIRED} == {*OBJECTIVES}


@pytest.mark.parametrize("name", PAIRED)
def test_a_pair_costs_what_its_gap_does_and_the_opposite_for_the_generator(name):
    """Huang et al. 2024, eq. 2, with f(t) = log(1 + exp(-t)) of the gap."""
    loss, real, fake = OBJECTIVES[name], torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.5, 0.0, -3.0])
    pairs = [(0.5, 1.5), (-1.0, 0.0), (2.0, -3.0)]
    costs = [sum(math.log(1 + math.exp(-sign * (x - y))) for x, y in pairs) / 3 for sign in (1, -1)]
    paid = loss.discriminator_loss(real, fake), loss.generator_loss(fake, real)
    assert [one.item() for one in paid] == pytest.approx(costs, abs=1e-6)
    with pytest.raises(ValueError, match="needs the scores of real images"):
        loss.generator_loss(fake)


def test_maps_are_compared_place_by_place_or_by_their_means_and_scales_add():
    real = [torch.randn(3, 1, 5, 4, dtype=torch.float64), torch.randn(3, 1, 2, 2, dtype=torch.float64)]
    fake = [torch.randn_like(scale) for scale in real]
    by_place = sum(torch.log1p(torch.exp(y - x)).mean() for x, y in zip(real, fake, strict=True))
    by_image = sum(
        torch.log1p(torch.exp(y.mean((1, 2, 3)) - x.mean((1, 2, 3)))).mean() for x, y in zip(real, fake, strict=True)
    )
    assert OBJECTIVES["relativistic"].discriminator_loss(real, fake).item() == pytest.approx(by_place.item(), abs=1e-12)
    means = OBJECTIVES["relativistic_means"].discriminator_loss(real, fake).item()
    assert means == pytest.approx(by_image.item(), abs=1e-12)
    assert abs(by_place.item() - by_image.item()) > 0.01


@pytest.mark.parametrize("name", PAIRED)
def test_what_is_added_to_all_scores_moves_no_player(name):
    scores = torch.randn(2, 4, 1, 3, 3)
    bias = torch.zeros((), requires_grad=True)
    OBJECTIVES[name].discriminator_loss(*(scores + bias)).backward()
    assert bias.grad.abs() < 1e-7


def test_losses_average_over_a_map_and_add_over_scales():
    loss = OBJECTIVES["lsgan"]
    large, small = torch.full((2, 1, 8, 8), 3.0), torch.full((2, 1, 4, 4), 2.0)
    assert loss.generator_loss(large).item() == 4.0
    assert loss.generator_loss([large, small]).item() == 4.0 + 1.0


def test_losses_are_float32_for_half_precision_logits_and_stable_far_out():
    loss = OBJECTIVES["nonsaturating"]
    logits = torch.full((4,), -1000.0, dtype=torch.bfloat16, requires_grad=True)
    value = loss.generator_loss(logits)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1000.0)
    assert torch.isfinite(logits.grad).all()


def _minimax_value(p, q, logits):
    """E_p log sigmoid(D) + E_q log(1 - sigmoid(D)) from the core's own terms, for distributions on a few points."""
    loss = OBJECTIVES["minimax"]
    return -(p * loss.real(logits)).sum() - (q * loss.fake(logits)).sum()


def _jensen_shannon(p, q):
    middle = (p + q) / 2
    return (torch.xlogy(p, p / middle).sum() + torch.xlogy(q, q / middle).sum()) / 2


def test_minimax_at_the_optimal_discriminator_is_the_jensen_shannon_divergence():
    p = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    optimal = (p / q).log()  # sigmoid of it is p / (p + q), Proposition 1 of Goodfellow et al.
    value = _minimax_value(p, q, optimal)
    assert value.item() == pytest.approx((2 * _jensen_shannon(p, q) - math.log(4)).item(), abs=1e-12)
    nearby = _minimax_value(p, q, optimal + 0.1 * torch.randn(4, dtype=torch.float64))
    assert nearby < value


def test_a_trained_discriminator_finds_that_value():
    p = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200)

    def closure():
        optimizer.zero_grad()
        loss = -_minimax_value(p, q, logits)
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = 2 * _jensen_shannon(p, q) - math.log(4)
    assert _minimax_value(p, q, logits).item() == pytest.approx(expected.item(), abs=1e-4)


def test_on_disjoint_supports_minimax_is_flat_for_the_generator_and_wasserstein_is_not():
    where = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)  # the generator's only point; reality is at 0
    sure = lambda x: 40 * (1 - 2 * torch.sigmoid(200 * (x - 1)))  # noqa: E731 - any D that separates them
    (flat,) = torch.autograd.grad(OBJECTIVES["minimax"].generator_loss(sure(where)[None]), where)
    assert abs(flat.item()) < 1e-12
    critic = lambda x: -x  # noqa: E731 - the steepest 1-Lipschitz critic
    (slope,) = torch.autograd.grad(OBJECTIVES["wasserstein"].generator_loss(critic(where)[None]), where)
    assert slope.item() == pytest.approx(1.0)  # it tells the way back to reality
    distance = -OBJECTIVES["wasserstein"].discriminator_loss(critic(torch.zeros(1)), critic(torch.full((1,), 3.0)))
    assert distance.item() == pytest.approx(3.0)


def _linear(weight):
    return lambda images: images.flatten(1) @ weight


def test_penalties_of_a_linear_score_in_closed_form():
    weight = torch.randn(12, dtype=torch.float64)
    real, fake = torch.randn(5, 3, 2, 2, dtype=torch.float64), torch.randn(5, 3, 2, 2, dtype=torch.float64)
    norm = weight.norm()
    assert gradient_penalty(_linear(weight), real, fake).item() == pytest.approx((norm - 1).square().item())
    assert r1_penalty(_linear(weight), real).item() == pytest.approx((norm.square() / 2).item())
    assert r2_penalty(_linear(weight), fake).item() == pytest.approx((norm.square() / 2).item())


def test_the_gradient_penalty_is_each_images_own():
    """E (|slope| - 1)^2 and not (E |slope| - 1)^2: slopes of 0 and 2 are as wrong as two of 2 and right on average."""
    real = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]).double()

    def score(images):
        # Slope 0 at the first image, 2 at the second, each along one pixel.
        return images[:, 0, 0, 0].round() * images[:, 0, 1, 1] * 2

    assert gradient_penalty(score, real, real).item() == pytest.approx(1)


def test_penalties_leave_the_images_of_the_batch_alone():
    """What needs a gradient there would keep a graph in every later turn."""
    real, fake, score = torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2), _linear(torch.ones(4))
    gradient_penalty(score, real, fake), r1_penalty(score, real), r2_penalty(score, fake)
    assert not real.requires_grad and not fake.requires_grad


def test_penalties_see_the_mean_of_a_map_and_the_sum_of_scales():
    weight = torch.randn(12, dtype=torch.float64)
    real, fake = torch.randn(5, 3, 2, 2, dtype=torch.float64), torch.randn(5, 3, 2, 2, dtype=torch.float64)
    flat = _linear(weight)
    as_map = lambda images: flat(images)[:, None, None, None].expand(-1, 1, 4, 4)  # noqa: E731
    assert r1_penalty(as_map, real).item() == pytest.approx(r1_penalty(flat, real).item())
    two = lambda images: [as_map(images), as_map(images)]  # noqa: E731
    assert gradient_penalty(two, real, fake).item() == pytest.approx((2 * weight.norm() - 1).square().item())


def test_the_gradient_penalty_looks_between_real_and_fake():
    seen = []

    def score(images):
        seen.append(images.detach())
        return images.flatten(1).sum(1)

    real, fake = torch.zeros(64, 1, 2, 2), torch.ones(64, 1, 2, 2)
    gradient_penalty(score, real, fake)
    points = seen[0]
    assert (points == points[:, :1, :1, :1]).all(), "one draw per image"
    assert 0 <= points.min() < 0.2 and 0.8 < points.max() <= 1


def test_penalties_differentiate_twice():
    weight = torch.randn(4, dtype=torch.float64, requires_grad=True)
    real = torch.randn(3, 1, 2, 2, dtype=torch.float64)

    def penalty(weight):
        return r1_penalty(lambda images: torch.tanh(images.flatten(1) @ weight), real)

    assert torch.autograd.gradcheck(penalty, weight)


def test_a_flat_critic_gets_a_finite_gradient():
    weight = torch.zeros(4, requires_grad=True)
    gradient_penalty(_linear(weight), torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)).backward()
    assert torch.isfinite(weight.grad).all()


def test_penalties_are_float32_under_autocast():
    critic = nn.Conv2d(3, 1, 3)
    real = torch.randn(2, 3, 8, 8)
    exact = r1_penalty(critic, real)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = r1_penalty(critic, real.bfloat16().float())
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(exact.item(), rel=1e-5)


def test_the_gradient_penalty_bites():
    """A critic trained on Wasserstein alone grows without bound; with the penalty its slope stays near 1."""

    def slope_after_training(penalty_weight):
        torch.manual_seed(0)
        critic = nn.Linear(1, 1)
        optimizer = torch.optim.Adam(critic.parameters(), lr=0.05)
        real, fake = torch.zeros(32, 1), torch.ones(32, 1)
        for _ in range(300):
            loss = OBJECTIVES["wasserstein"].discriminator_loss(critic(real), critic(fake))
            loss = loss + penalty_weight * gradient_penalty(critic, real, fake)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return critic.weight.abs().item()

    assert slope_after_training(0.0) > 5
    # Minimising -w + 10 (w - 1)^2 leaves w = 1.05.
    assert slope_after_training(10.0) == pytest.approx(1.05, abs=0.01)


def test_clipping_bounds_every_weight_in_place():
    network = nn.Linear(10, 10)
    weight = network.weight
    clip_weights([network], 0.01)
    assert network.weight is weight
    assert max(p.abs().max() for p in network.parameters()) <= 0.01
