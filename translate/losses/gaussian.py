"""Normal codes with independent entries, given by mean and log variance (batch, width)."""

import math

import torch
from torch import Tensor

from translate.losses.adversarial import full_precision


def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draws a code (batch, width), differentiable in mean and variance (Kingma & Welling 2014, section 2.4)."""
    return mean + torch.exp(log_variance / 2) * torch.randn_like(mean)


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)) in nats (batch,), in float32 at least (Kingma & Welling 2014, appendix B)."""
    mean, log_variance = full_precision(mean), full_precision(log_variance)
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2


def log_density(code: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(code; mean, variance) in nats (batch,)."""
    code, mean, log_variance = full_precision(code), full_precision(mean), full_precision(log_variance)
    squared = (code - mean).square() / log_variance.exp()
    return -(squared + log_variance + math.log(2 * math.pi)).sum(1) / 2
