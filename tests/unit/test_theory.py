"""The divergences in closed form, and the theorems that tie them to the adversarial core."""

import math

import numpy as np
import pytest
import torch

from translate.losses import theory
from translate.losses.adversarial import OBJECTIVES, AdversarialLoss

LINE = torch.linspace(-20, 20, 4001, dtype=torch.float64)
PAIRS = {
    "bernoulli": ([0.3, 0.7], [0.8, 0.2]),
    "four places": ([0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]),
    "half shared": ([0.5, 0.5, 0.0, 0.0], [0.0, 0.25, 0.75, 0.0]),
    "disjoint": ([0.5, 0.5, 0.0], [0.0, 0.0, 1.0]),
    "equal": ([0.2, 0.8], [0.2, 0.8]),
    "gaussians": (theory.gaussian(LINE, 0.0, 1.0), theory.gaussian(LINE, 1.5, 0.7)),
    "gaussians far apart": (theory.gaussian(LINE, -6.0, 1.0), theory.gaussian(LINE, 9.0, 0.3)),
}


def _entropy(*chances):
    return -sum(chance * math.log(chance) for chance in chances if chance)


def _at(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def _normal_samples(count, mean=0.0, std=1.0):
    """The quantiles at the middles of `count` equal shares: samples without noise."""
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return mean + std * math.sqrt(2) * torch.erfinv(2 * shares - 1)


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.8), (0.5, 0.01), (0.0, 0.4), (1.0, 0.4)])
def test_bernoulli_divergences_in_closed_form(a, b):
    p, q, middle = [a, 1 - a], [b, 1 - b], (a + b) / 2
    cross_entropy = -a * math.log(b) - (1 - a) * math.log(1 - b)
    assert theory.kl(p, q).item() == pytest.approx(cross_entropy - _entropy(*p), abs=1e-12)
    assert theory.reverse_kl(q, p).item() == theory.kl(p, q).item()
    expected = _entropy(middle, 1 - middle) - (_entropy(*p) + _entropy(*q)) / 2
    assert theory.js(p, q).item() == pytest.approx(expected, abs=1e-12)
    assert theory.wasserstein1(p, q, [2.0, 5.0]).item() == pytest.approx(3 * abs(a - b), abs=1e-12)


def test_kl_is_infinite_where_the_model_never_goes_and_finite_the_other_way():
    wide, narrow = [0.5, 0.5], [1.0, 0.0]
    assert theory.kl(wide, narrow).item() == math.inf
    assert theory.reverse_kl(wide, narrow).item() == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize(
    ("mean_p", "std_p", "mean_q", "std_q"), [(1.5, 0.7, 0.0, 1.0), (-2.0, 1.3, 1.0, 2.0), (0.0, 2.0, 0.5, 1.5)]
)
def test_gaussian_kl_is_the_integral(mean_p, std_p, mean_q, std_q):
    p, q = theory.gaussian(LINE, mean_p, std_p), theory.gaussian(LINE, mean_q, std_q)
    assert theory.gaussian_kl(mean_p, std_p, mean_q, std_q).item() == pytest.approx(theory.kl(p, q).item(), abs=1e-10)


def test_gaussian_kl_to_the_standard_normal_is_the_vaes():
    mean, log_variance = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    published = -(1 + log_variance - mean**2 - log_variance.exp()) / 2
    torch.testing.assert_close(theory.gaussian_kl(mean, (log_variance / 2).exp()), published)


def test_js_is_symmetric_and_between_0_and_log_2():
    for p, q in PAIRS.values():
        value = theory.js(p, q).item()
        assert value == pytest.approx(theory.js(q, p).item(), abs=1e-14)
        assert -1e-12 < value < math.log(2) + 1e-12
    assert theory.js(*PAIRS["equal"]).item() == pytest.approx(0, abs=1e-15)
    assert theory.js(*PAIRS["disjoint"]).item() == pytest.approx(math.log(2), abs=1e-15)


def test_js_survives_the_smallest_number():
    assert theory.js([1.0, 5e-324], [1.0, 0.0]).item() == pytest.approx(0, abs=1e-15)


def test_wasserstein_of_gaussians_in_closed_form():
    start = theory.gaussian(LINE, 0.0, 1.0)
    moved, widened = theory.gaussian(LINE, -2.5, 1.0), theory.gaussian(LINE, 0.0, 2.0)
    assert theory.wasserstein1(start, moved, LINE).item() == pytest.approx(2.5, abs=1e-10)
    # Widening carries x to 2x: the mean of |x|.
    assert theory.wasserstein1(start, widened, LINE).item() == pytest.approx(math.sqrt(2 / math.pi), abs=1e-5)


def test_wasserstein_takes_positions_in_any_order_and_their_unit():
    p, q = torch.tensor([0.5, 0.0, 0.5, 0.0]).double(), torch.tensor([0.0, 0.5, 0.0, 0.5]).double()
    positions = torch.tensor([0.0, 1.0, 10.0, 12.0]).double()
    order = torch.tensor([2, 0, 3, 1])
    assert theory.wasserstein1(p, q, positions).item() == pytest.approx(1.5, abs=1e-12)
    assert theory.wasserstein1(p[order], q[order], positions[order]).item() == pytest.approx(1.5, abs=1e-12)
    assert theory.wasserstein1(p, q, 1000 * positions).item() == pytest.approx(1500, abs=1e-9)


def test_wasserstein_of_equally_many_samples_pairs_them_in_order():
    a, b = torch.randn(40, dtype=torch.float64), 3 + 2 * torch.randn(40, dtype=torch.float64)
    expected = (a.sort().values - b.sort().values).abs().mean()
    assert theory.wasserstein1_of_samples(a, b).item() == pytest.approx(expected.item(), abs=1e-12)


def test_wasserstein_of_unequally_many_samples_is_that_of_their_repeats():
    a, b = torch.randn(20, dtype=torch.float64), 1 + torch.randn(30, dtype=torch.float64)
    repeated = theory.wasserstein1_of_samples(a.repeat(3), b.repeat(2))
    assert theory.wasserstein1_of_samples(a, b).item() == pytest.approx(repeated.item(), abs=1e-12)
    assert theory.wasserstein1_of_samples([0.0], [1.0, 2.0, 6.0]).item() == pytest.approx(3.0, abs=1e-12)


def test_wasserstein_tells_every_sample_the_way():
    fake = torch.tensor([5.0, 7.0, 6.0], dtype=torch.float64, requires_grad=True)
    theory.wasserstein1_of_samples([0.0, 1.0], fake).backward()
    torch.testing.assert_close(fake.grad, torch.full((3,), 1 / 3, dtype=torch.float64))


def test_histograms_count_on_common_bins():
    p, q, centres = theory.histograms([0.0, 0.5, 1.0, 1.0], np.array([2.0, 4.0]), bins=[0.0, 1.0, 2.0, 4.0])
    assert p.tolist() == [0.5, 0.5, 0.0]
    assert q.tolist() == [0.0, 0.0, 1.0]
    assert centres.tolist() == [0.5, 1.5, 3.0]
    p, q, centres = theory.histograms([0.0, 1.0], [3.0, 4.0], bins=4)
    assert (p.tolist(), q.tolist(), centres.tolist()) == ([0.5, 0.5, 0, 0], [0, 0, 0, 1.0], [0.5, 1.5, 2.5, 3.5])
    p, q, centres = theory.histograms([7, 7], [7], bins=1)
    assert (p.tolist(), q.tolist(), centres.tolist()) == ([1.0], [1.0], [7.0])


def test_divergences_of_histograms_approach_those_of_the_densities():
    samples = _normal_samples(200_000), _normal_samples(200_000, 0.5, 1.5)
    p, q, centres = theory.histograms(*samples, bins=100)
    real, fake = theory.gaussian(LINE, 0.0, 1.0), theory.gaussian(LINE, 0.5, 1.5)
    assert theory.kl(p, q).item() == pytest.approx(theory.gaussian_kl(0.0, 1.0, 0.5, 1.5).item(), abs=2e-3)
    assert theory.js(p, q).item() == pytest.approx(theory.js(real, fake).item(), abs=5e-4)
    from_samples = theory.wasserstein1_of_samples(*samples).item()
    assert theory.wasserstein1(p, q, centres).item() == pytest.approx(from_samples, abs=1e-3)
    assert theory.wasserstein1(real, fake, LINE).item() == pytest.approx(from_samples, abs=1e-4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: theory.kl([0.5, 0.5], [1.0]), "one shape"),
        (lambda: theory.kl([], []), "one shape"),
        (lambda: theory.js([1.5, -0.5], [0.5, 0.5]), "smallest value here is -0.5"),
        (lambda: theory.js([math.nan, 0.5], [0.5, 0.5]), "nan"),
        (lambda: theory.kl([0.5, 0.5], [2.0, 2.0]), "sums to 4"),
        (lambda: theory.wasserstein1([1.0, 0.0], [0.0, 1.0], [0.0, 1.0, 2.0]), "positions"),
        (lambda: theory.wasserstein1([1.0, 0.0], [0.0, 1.0], [0.0, math.inf]), "finite positions"),
        (lambda: theory.wasserstein1_of_samples([], [1.0]), "one or more"),
        (lambda: theory.histograms([1.0, math.nan], [1.0]), "finite samples"),
        (lambda: theory.histograms([1.0, 5.0], [1.0], bins=[0.0, 2.0]), "beyond the edges"),
        (lambda: theory.histograms([1.0, 5.0], [1.0], bins=[6.0, 0.0]), "increasing edges"),
        (lambda: theory.histograms([1.0, 5.0], [1.0], bins=0), "1 bin or more"),
        (lambda: theory.gaussian_kl(0.0, 0.0), "positive"),
        (lambda: theory.minimax_value([0.5, 0.5], [0.5, 0.5], torch.zeros(1)), "one logit per place"),
    ],
)
def test_what_is_no_density_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("name", PAIRS)
def test_the_cores_minimax_value_at_the_optimal_discriminator_is_2_js_less_log_4(name):
    p, q = PAIRS[name]
    value = theory.minimax_value(p, q, theory.optimal_discriminator(p, q))
    assert value.item() == pytest.approx(2 * theory.js(p, q).item() - math.log(4), abs=1e-10)


def test_no_other_discriminator_does_better():
    torch.manual_seed(0)
    for p, q in PAIRS.values():
        logits = theory.optimal_discriminator(p, q).clamp(-30, 30)
        best = theory.minimax_value(p, q, theory.optimal_discriminator(p, q))
        for _ in range(5):
            assert theory.minimax_value(p, q, logits + 0.3 * torch.randn_like(logits)) < best


def test_the_optimal_discriminator_is_the_chance_of_being_real():
    p, q = torch.tensor([0.2, 0.8, 0.0, 0.0]).double(), torch.tensor([0.6, 0.0, 0.4, 0.0]).double()
    chance = torch.sigmoid(theory.optimal_discriminator(p, q))
    torch.testing.assert_close(chance, torch.tensor([0.25, 1.0, 0.0, 0.5]).double())


def test_a_discriminator_trained_on_densities_by_gradient_descent_reaches_it():
    p, q = PAIRS["four places"]
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for _ in range(300):
        (slope,) = torch.autograd.grad(theory.minimax_value(p, q, logits), logits)
        logits = (logits + 3 * slope).detach().requires_grad_()
    assert theory.minimax_value(p, q, logits).item() == pytest.approx(
        2 * theory.js(p, q).item() - math.log(4), abs=1e-8
    )


def test_a_discriminator_trained_on_samples_by_the_core_itself_reaches_it():
    """On Gaussians log p / q is a parabola: three weights, taught by the mean losses that training uses."""
    real, fake = _normal_samples(20_000), _normal_samples(20_000, 1.5, 0.7)
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    score = lambda x: weights[0] + weights[1] * x + weights[2] * x**2  # noqa: E731
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = OBJECTIVES["minimax"].discriminator_loss(score(real), score(fake))
        loss.backward()
        return loss

    optimizer.step(closure)
    reached = -OBJECTIVES["minimax"].discriminator_loss(score(real), score(fake)).item()
    assert reached == pytest.approx(2 * theory.js(*PAIRS["gaussians"]).item() - math.log(4), abs=1e-4)
    # log p / q = -x^2 / 2 + (x - 1.5)^2 / (2 0.49) + log 0.7
    expected = [1.125 / 0.49 + math.log(0.7), -1.5 / 0.49, 0.5 / 0.49 - 0.5]
    assert weights.tolist() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("name", ["gaussians", "gaussians far apart"])
def test_the_cores_wasserstein_loss_at_the_optimal_critic_is_the_distance(name):
    p, q = PAIRS[name]
    critic = theory.optimal_critic(p, q, LINE)
    assert (critic.diff().abs() <= LINE.diff() * (1 + 1e-12)).all(), "steeper than 1"
    distance = -theory.discriminator_loss(OBJECTIVES["wasserstein"], p, q, critic)
    assert distance.item() == pytest.approx(theory.wasserstein1(p, q, LINE).item(), abs=1e-10)


def test_the_optimal_critic_takes_positions_in_any_order():
    p, q = [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]
    assert theory.optimal_critic(p, q, [4.0, 9.0, -1.0]).tolist() == [5.0, 0.0, 0.0]


def test_the_loss_of_a_density_is_that_of_endless_samples():
    p, q = [0.25, 0.75], [0.5, 0.5]
    logits = torch.tensor([0.7, -1.1], dtype=torch.float64)
    real, fake = logits[[0, 1, 1, 1]], logits[[0, 1]]
    for objective in (one for one in OBJECTIVES.values() if isinstance(one, AdversarialLoss)):
        by_density = theory.discriminator_loss(objective, p, q, logits)
        assert by_density.item() == pytest.approx(objective.discriminator_loss(real, fake).item(), abs=1e-12)
        assert theory.generator_loss(objective, q, logits).item() == pytest.approx(
            objective.generator_loss(fake).item(), abs=1e-12
        )


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
def test_what_the_generator_feels_at_the_optimum_is_the_slope_of_a_divergence(shift):
    """Minimax: of 2 JS; non-saturating: of KL(q || p) - 2 JS (Arjovsky & Bottou 2017, Theorem 2.5); Wasserstein: W1."""
    at = _at(shift)
    p, q = theory.gaussian(LINE, 0.0, 1.0), theory.gaussian(LINE, at, 1.0)
    discriminator, critic = theory.optimal_discriminator(p, q), theory.optimal_critic(p, q, LINE)
    slope = lambda value: torch.autograd.grad(value, at, retain_graph=True)[0].item()  # noqa: E731
    feels = lambda name, logits: slope(theory.generator_loss(OBJECTIVES[name], q, logits))  # noqa: E731
    assert feels("minimax", discriminator) == pytest.approx(slope(2 * theory.js(p, q)), abs=1e-9)
    expected = slope(theory.reverse_kl(p, q) - 2 * theory.js(p, q))
    assert feels("nonsaturating", discriminator) == pytest.approx(expected, abs=1e-9)
    assert feels("minimax", discriminator) + feels("nonsaturating", discriminator) == pytest.approx(shift, abs=1e-9)
    assert feels("wasserstein", critic) == pytest.approx(slope(theory.wasserstein1(p, q, LINE)), abs=1e-9)
    assert feels("wasserstein", critic) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("shift", [2.0, 3.7, -8.0])
def test_on_disjoint_supports_js_is_flat_at_log_2_and_wasserstein_tells_the_distance(shift):
    at = _at(shift)
    p, q = theory.bump(LINE, 0.0, 1.0), theory.bump(LINE, at, 1.0)
    assert not (p * q).any()
    js, distance = theory.js(p, q), theory.wasserstein1(p, q, LINE)
    assert js.item() == pytest.approx(math.log(2), abs=1e-12)
    assert distance.item() == pytest.approx(abs(shift), abs=1e-6)
    assert torch.autograd.grad(js, at, retain_graph=True)[0].item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.grad(distance, at, retain_graph=True)[0].item() == pytest.approx(
        math.copysign(1, shift), abs=1e-6
    )
    # So the minimax generator feels nothing, and the critic's pull is the whole way's.
    felt = theory.generator_loss(OBJECTIVES["minimax"], q, theory.optimal_discriminator(p, q))
    assert torch.autograd.grad(felt, at, retain_graph=True)[0].item() == 0
    pulled = theory.generator_loss(OBJECTIVES["wasserstein"], q, theory.optimal_critic(p, q, LINE))
    assert torch.autograd.grad(pulled, at)[0].item() == pytest.approx(math.copysign(1, shift), abs=1e-6)


def test_where_supports_meet_js_has_a_slope():
    at = _at(1.5)
    js = theory.js(theory.bump(LINE, 0.0, 1.0), theory.bump(LINE, at, 1.0))
    (slope,) = torch.autograd.grad(js, at)
    less, more = (theory.js(theory.bump(LINE, 0.0, 1.0), theory.bump(LINE, 1.5 + step, 1.0)) for step in (-1e-4, 1e-4))
    assert slope.item() == pytest.approx((more - less).item() / 2e-4, rel=1e-4)
    assert slope > 0.01


def test_forward_kl_is_least_where_the_moments_match():
    target = 0.3 * theory.gaussian(LINE, -2.0, 0.5) + 0.7 * theory.gaussian(LINE, 3.0, 1.5)
    mean = -0.3 * 2 + 0.7 * 3
    std = math.sqrt(0.3 * (0.25 + 4) + 0.7 * (2.25 + 9) - mean**2)
    at = torch.tensor([mean, std], dtype=torch.float64, requires_grad=True)
    least = theory.kl(target, theory.gaussian(LINE, at[0], at[1]))
    (slope,) = torch.autograd.grad(least, at)
    assert slope.tolist() == pytest.approx([0, 0], abs=1e-6)
    for mean_off, std_off in [(0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)]:
        assert theory.kl(target, theory.gaussian(LINE, mean + mean_off, std + std_off)) > least


def test_everything_is_float64_whatever_comes_in():
    p, q = np.array([0.5, 0.5], dtype=np.float32), torch.tensor([0.25, 0.75])
    for value in (theory.kl(p, q), theory.js(p, q), theory.wasserstein1(p, q, [0, 1]), theory.gaussian_kl(1, 2)):
        assert value.dtype == torch.float64
