"""The adversarial core: what a discriminator and a generator minimise, given logits.

An objective is three elementwise terms on logits, or one on the differences of real and fake images' logits: a
discriminator returns D(x) without a sigmoid, and the terms include the sigmoid in a stable form, -log sigmoid(x) =
softplus(-x).

Sources: Goodfellow et al. 2014 (minimax, non-saturating), Mao et al. 2017 (LSGAN), Arjovsky et al. 2017
(Wasserstein), Lim & Ye 2017 (hinge), Gulrajani et al. 2017 (WGAN-GP), Mescheder et al. 2018 (R1, R2), Jolicoeur-
Martineau 2019 and Huang et al. 2024 (relativistic pairing).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Term = Callable[[Tensor], Tensor]
Logits = Tensor | Sequence[Tensor]
"""Scores of a batch: one map (batch, ...) or, from a multi-scale discriminator, one map per scale."""
Score = Callable[[Tensor], Logits]


class Objective(ABC):
    """What the two players minimise, given logits."""

    unsure: float | None
    """The least loss of a discriminator that scores real and fake images alike; None where scores have no scale."""
    sees_real: ClassVar[bool] = False
    """Whether the generator's loss is of real images' logits, too."""

    @abstractmethod
    def discriminator_loss(self, real: Logits, fake: Logits) -> Tensor:
        """The loss the discriminator minimises, a scalar."""

    @abstractmethod
    def generator_loss(self, fake: Logits, real: Logits | None = None) -> Tensor:
        """The loss the generator minimises, a scalar. `real`: needed where `sees_real`."""


@dataclass(frozen=True)
class AdversarialLoss(Objective):
    """Three elementwise terms on logits: D's for real and for fake images, and G's for fake images.

    A loss is the mean of its term over a score map, summed over scales, in float32 whatever the logits' precision.
    """

    real: Term
    fake: Term
    generator: Term
    unsure: float | None = None

    def discriminator_loss(self, real: Logits, fake: Logits) -> Tensor:
        """The loss the discriminator minimises: mean real term plus mean fake term."""
        return _mean(self.real, real) + _mean(self.fake, fake)

    def generator_loss(self, fake: Logits, real: Logits | None = None) -> Tensor:
        """The loss the generator minimises: its mean term on fake images."""
        return _mean(self.generator, fake)


@dataclass(frozen=True)
class RelativisticLoss(Objective):
    """One term on D(x) - D(G(z)): D widens the gap between a real and a fake image, G closes it, so that neither can
    win for all images at once (Huang et al. 2024, eq. 2).

    The i-th real image is paired with the i-th fake one. They may be unrelated, but what D is told beside them
    must not differ inside a pair, or it tells them apart by that.
    """

    gap: Term
    by_image: bool = False
    """Whether means of score maps are compared, rather than maps place by place."""
    unsure: float | None = math.log(2)
    sees_real = True

    def discriminator_loss(self, real: Logits, fake: Logits) -> Tensor:
        return self._loss(real, fake)

    def generator_loss(self, fake: Logits, real: Logits | None = None) -> Tensor:
        if real is None:
            raise ValueError("a relativistic generator's loss needs the scores of real images")
        return self._loss(fake, real)

    def _loss(self, better: Logits, worse: Logits) -> Tensor:
        pairs = zip(self._compared(better), self._compared(worse), strict=True)
        return _mean(self.gap, [one - other for one, other in pairs])

    def _compared(self, logits: Logits) -> list[Tensor]:
        scales = [full_precision(scale) for scale in _scales(logits)]
        return [_per_image(scale) for scale in scales] if self.by_image else scales


OBJECTIVES: dict[str, Objective] = {
    # min_G max_D E log sigmoid(D(x)) + E log(1 - sigmoid(D(G(z)))): saturates where D is sure.
    "minimax": AdversarialLoss(
        real=lambda logits: F.softplus(-logits),
        fake=lambda logits: F.softplus(logits),
        generator=lambda logits: -F.softplus(logits),
        unsure=2 * math.log(2),
    ),
    # The same game for D; G maximises log sigmoid(D(G(z))) instead.
    "nonsaturating": AdversarialLoss(
        real=lambda logits: F.softplus(-logits),
        fake=lambda logits: F.softplus(logits),
        generator=lambda logits: F.softplus(-logits),
        unsure=2 * math.log(2),
    ),
    # Least squares to the labels 1 (real) and 0 (fake).
    "lsgan": AdversarialLoss(
        real=lambda logits: (logits - 1).square(),
        fake=lambda logits: logits.square(),
        generator=lambda logits: (logits - 1).square(),
        unsure=0.5,
    ),
    # A critic's difference of means; meaningful only for a Lipschitz critic (penalty or clipping).
    "wasserstein": AdversarialLoss(
        real=lambda logits: -logits,
        fake=lambda logits: logits,
        generator=lambda logits: -logits,
    ),
    "hinge": AdversarialLoss(
        real=lambda logits: F.relu(1 - logits),
        fake=lambda logits: F.relu(1 + logits),
        generator=lambda logits: -logits,
        unsure=2.0,
    ),
    # -log sigmoid(D(x) - D(G(z))); with R1 and R2, without which it need not converge, it is R3GAN's.
    "relativistic": RelativisticLoss(gap=lambda gap: F.softplus(-gap)),
    "relativistic_means": RelativisticLoss(gap=lambda gap: F.softplus(-gap), by_image=True),
}


def gradient_penalty(
    score: Score,
    real: Tensor,
    fake: Tensor,
    centre: float = 1.0,
    between: Callable[[Tensor], Score] | None = None,
) -> Tensor:
    """WGAN-GP penalty: E (|grad_x D(x)| - 1)^2, with x drawn uniformly on the line from a real to a fake image (eq. 3).
    `centre`: the slope that is wanted instead of 1; 0 in UVCGAN v2.

    `real` and `fake` have the same shape (batch, ...), which `score` maps to logits: a discriminator, or a lambda
    around one that adds a condition or picks a head. An image's score is the mean of its map, summed over scales.
    `between`: what scores x, given the share of the fake image in it, where that matters; one share is then drawn for
    the whole batch. All penalties here are scalars, differentiable in the discriminator's weights, not in the images.
    """
    real, fake = full_precision(real.detach()), full_precision(fake.detach())
    count = 1 if between else len(real)
    along = torch.rand([count] + [1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    squares = _slope_squared(between(along) if between else score, torch.lerp(real, fake, along))
    return (squares.sqrt() - centre).square().mean()


def r1_penalty(score: Score, real: Tensor) -> Tensor:
    """R1 penalty: half the mean squared gradient of the score at real images (eq. 9, without its weight gamma)."""
    return _slope_squared(score, full_precision(real.detach())).mean() / 2


def r2_penalty(score: Score, fake: Tensor) -> Tensor:
    """R2 penalty: half the mean squared gradient of the score at generated images."""
    return r1_penalty(score, fake)


@torch.no_grad()
def clip_weights(networks: Iterable[nn.Module], bound: float) -> None:
    """Clamps every parameter to [-bound, bound] in place: WGAN's Lipschitz constraint."""
    for network in networks:
        for weight in network.parameters():
            weight.clamp_(-bound, bound)


def _mean(term: Term, logits: Logits) -> Tensor:
    return torch.stack([term(full_precision(scale)).mean() for scale in _scales(logits)]).sum()


def _scales(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


def _per_image(scores: Tensor) -> Tensor:
    return scores.flatten(1).mean(1) if scores.dim() > 1 else scores


def full_precision(values: Tensor) -> Tensor:
    """float16 and bfloat16 as float32, where squares and exponentials do not overflow; other types unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _slope_squared(score: Score, images: Tensor) -> Tensor:
    """|grad_x D(x)|^2 per image (batch,), differentiable once more; in full precision even under autocast."""
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        total = torch.stack([_per_image(scale).sum() for scale in _scales(score(images))]).sum()
        (slope,) = torch.autograd.grad(total, images, create_graph=True)
    # The root's derivative at 0 is infinite; the smallest normal number keeps a flat critic's gradient finite.
    return slope.flatten(1).square().sum(1) + torch.finfo(slope.dtype).tiny
