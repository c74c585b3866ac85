"""The divergences behind the models, computed: KL, Jensen-Shannon and Wasserstein-1, and how the core relates to them.

A density is given on a grid: a tensor, array or list of probabilities that sum to 1. Everything is float64, in nats,
and differentiable in whatever densities and positions were computed from. docs/divergences.md explains it with
pictures.

Sources: Goodfellow et al. 2014 (Proposition 1, Theorem 1), Arjovsky et al. 2017 (Example 1, eq. 2), Kingma & Welling
2014 (Appendix B), Vallender 1974 (Wasserstein-1 on the line).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from translate.losses.adversarial import OBJECTIVES, AdversarialLoss, Term

Values = Tensor | np.ndarray | Sequence[float]


def kl(p: Values, q: Values) -> Tensor:
    """KL(p || q) = sum p log(p / q); infinite if q is 0 where p is not.

    Functions of this module raise ValueError if shapes differ, a value is negative or not finite, or a density does not
    sum to 1.
    """
    return _relative_entropy(*_densities(p, q))


def reverse_kl(p: Values, q: Values) -> Tensor:
    """KL(q || p): compares a model q with p, weighted by q instead of p."""
    return kl(q, p)


def js(p: Values, q: Values) -> Tensor:
    """Jensen-Shannon divergence: the mean KL of p and of q to their midpoint (p + q) / 2; from 0 to log 2."""
    p, q = _densities(p, q)
    both = p + q  # twice the midpoint: half of the smallest number would be 0, and KL to it infinite
    return math.log(2) + (_relative_entropy(p, both) + _relative_entropy(q, both)) / 2


def wasserstein1(p: Values, q: Values, positions: Values) -> Tensor:
    """Wasserstein-1 on the line: the least mean distance to move p to q, in units of `positions`.

    Computed as the integral of |CDF of p - CDF of q|. `positions` (n,) holds the places of the n values of p and q, in
    any order.
    """
    p, q = _densities(p, q)
    positions, order, difference = _cumulative_difference(p, q, positions)
    return (difference.abs() * positions[order].diff()).sum()


def wasserstein1_of_samples(samples_p: Values, samples_q: Values) -> Tensor:
    """Wasserstein-1 between the samples themselves, (n,) and (m,), without binning; n and m may differ."""
    samples_p, samples_q = _samples(samples_p), _samples(samples_q)
    of_p, of_q = torch.ones_like(samples_p) / len(samples_p), torch.ones_like(samples_q) / len(samples_q)
    p, q = torch.cat([of_p, torch.zeros_like(of_q)]), torch.cat([torch.zeros_like(of_p), of_q])
    return wasserstein1(p, q, torch.cat([samples_p, samples_q]))


def histograms(samples_p: Values, samples_q: Values, bins: int | Values = 50) -> tuple[Tensor, Tensor, Tensor]:
    """Two sets of samples as densities on common bins, and the bins' centres: three tensors (bins,).

    `bins` is their number, from the smallest to the largest sample, or their increasing edges (bins + 1,). A bin
    includes its left edge, the last one both. Raises ValueError if a sample lies outside the edges.
    """
    samples = _samples(samples_p), _samples(samples_q)
    low, high = (float(end) for end in torch.cat(samples).detach().aminmax())
    if isinstance(bins, int):
        around = 0.5 if low == high else 0.0
        edges = torch.linspace(low - around, high + around, bins + 1, dtype=torch.float64, device=samples[0].device)
    else:
        edges = _float64(bins).to(samples[0].device)
    if edges.dim() != 1 or len(edges) < 2 or not (edges.diff() > 0).all():
        raise ValueError(f"expected 1 bin or more, or increasing edges (bins + 1,), not {bins}")
    if low < edges[0] or high > edges[-1]:
        raise ValueError(f"samples from {low:g} to {high:g} reach beyond the edges {edges[0]:g} to {edges[-1]:g}")
    counts = [torch.bucketize(of, edges[1:-1], right=True).bincount(minlength=len(edges) - 1) for of in samples]
    p, q = (count.double() / count.sum() for count in counts)
    return p, q, (edges[:-1] + edges[1:]) / 2


def gaussian(positions: Values, mean: float | Tensor, std: float | Tensor) -> Tensor:
    """The normal density on an even grid that covers nearly all of it, as probabilities (n,)."""
    return torch.softmax(-(((_float64(positions) - mean) / std) ** 2) / 2, dim=0)


def bump(positions: Values, centre: float | Tensor, half_width: float) -> Tensor:
    """The fourth power of a cosine on an even grid, as probabilities (n,): smooth, and 0 outside centre +-
    half_width."""
    along = (_float64(positions) - centre) / half_width
    height = torch.where(along.abs() < 1, torch.cos(math.pi / 2 * along) ** 4, 0.0)
    return height / height.sum()


def gaussian_kl(
    mean_p: float | Values, std_p: float | Values, mean_q: float | Values = 0.0, std_q: float | Values = 1.0
) -> Tensor:
    """KL(p || q) of normal distributions in closed form, elementwise; by default to N(0, 1), as in a VAE.

    log(std_q / std_p) + (std_p^2 + (mean_p - mean_q)^2) / (2 std_q^2) - 1/2 (Kingma & Welling 2014, Appendix B, where q
    is standard). Raises ValueError if a standard deviation is not positive.
    """
    mean_p, std_p, mean_q, std_q = (_float64(value) for value in (mean_p, std_p, mean_q, std_q))
    if not ((std_p > 0).all() and (std_q > 0).all()):
        raise ValueError("standard deviations must be positive")
    return (std_q / std_p).log() + (std_p**2 + (mean_p - mean_q) ** 2) / (2 * std_q**2) - 0.5


def optimal_discriminator(p: Values, q: Values) -> Tensor:
    """The optimal logits log(p / q), whose sigmoid is p / (p + q) (Goodfellow et al. 2014, Proposition 1), in p's
    shape.

    Infinite where one density is 0, and 0 where both are. A constant, as a trained discriminator is to a generator.
    """
    p, q = _densities(p, q)
    return torch.where((p == 0) & (q == 0), 0.0, p.log() - q.log()).detach()


def optimal_critic(p: Values, q: Values, positions: Values) -> Tensor:
    """The critic of slope at most 1 that best separates p from q on the line, (n,); a constant.

    It rises where p lies to the right of q, and falls where it lies to the left. Its mean under p minus its mean under
    q is wasserstein1(p, q, positions) (Arjovsky et al. 2017, eq. 2).
    """
    p, q = _densities(p, q)
    positions, order, difference = _cumulative_difference(p, q, positions)
    critic = torch.zeros_like(positions)
    critic[order[1:]] = (-difference.sign() * positions[order].diff()).cumsum(0)
    return critic.detach()


def discriminator_loss(objective: AdversarialLoss, p: Values, q: Values, logits: Tensor) -> Tensor:
    """`objective.discriminator_loss` for infinitely many real images from p and fake ones from q."""
    p, q = _densities(p, q)
    return _expectation(p, objective.real, logits) + _expectation(q, objective.fake, logits)


def generator_loss(objective: AdversarialLoss, q: Values, logits: Tensor) -> Tensor:
    """`objective.generator_loss` for infinitely many fake images from q."""
    (q,) = _densities(q)
    return _expectation(q, objective.generator, logits)


def minimax_value(p: Values, q: Values, logits: Tensor) -> Tensor:
    """E_p log sigmoid(D) + E_q log(1 - sigmoid(D)), from the core's own terms; `logits` D has p's shape.

    Its maximum over all D is 2 js(p, q) - log 4 (Goodfellow et al. 2014, Theorem 1).
    """
    minimax = OBJECTIVES["minimax"]
    assert isinstance(minimax, AdversarialLoss)
    return -discriminator_loss(minimax, p, q, logits)


def _expectation(density: Tensor, term: Term, logits: Tensor) -> Tensor:
    if logits.shape != density.shape:
        raise ValueError(f"expected one logit per place {tuple(density.shape)}, not {tuple(logits.shape)}")
    some = density > 0  # elsewhere a certain discriminator's infinite term would be multiplied by 0
    return (density[some] * term(logits[some])).sum()


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    some = p > 0
    return (p[some] * (p[some].log() - q[some].log())).sum()


def _cumulative_difference(p: Tensor, q: Tensor, positions: Values) -> tuple[Tensor, Tensor, Tensor]:
    """The positions, their sort order, and (n - 1,) the CDF of p minus that of q between neighbours in that order."""
    positions = _float64(positions)
    if positions.shape != p.shape or positions.dim() != 1 or not positions.isfinite().all():
        raise ValueError(f"expected {tuple(p.shape)} finite positions on a line, not {tuple(positions.shape)}")
    order = positions.detach().argsort()
    return positions, order, (p - q)[order].cumsum(0)[:-1]


def _densities(*densities: Values) -> list[Tensor]:
    tensors = [_float64(density) for density in densities]
    if len({tensor.shape for tensor in tensors}) > 1 or not tensors[0].numel():
        raise ValueError(f"expected densities of one shape, not {[tuple(tensor.shape) for tensor in tensors]}")
    for tensor in tensors:
        if not (tensor >= 0).all():
            raise ValueError(f"a density must not be negative or NaN; its smallest value here is {tensor.min():g}")
        if not abs(tensor.sum() - 1) < 1e-6:
            raise ValueError(f"a density must sum to 1; this one sums to {tensor.sum():.9g}: divide it by its sum")
    return tensors


def _samples(samples: Values) -> Tensor:
    samples = _float64(samples)
    if samples.dim() != 1 or not len(samples) or not samples.isfinite().all():
        raise ValueError(f"expected finite samples (n,), one or more, not {tuple(samples.shape)}")
    return samples


def _float64(values: float | Values) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)
