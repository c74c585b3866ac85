"""Losses of label maps, which are planes in [-1, 1], one for each class: 1 in that of a pixel's class."""

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.losses.adversarial import full_precision

SHARPNESS = 10.0
"""A generator's planes, which end in a tanh, times this are logits: a class may be e^20 times as likely as another."""


def cross_entropy(planes: Tensor, wanted: Tensor) -> Tensor:
    """The mean of -log p(class) over labelled pixels; `planes` and `wanted` are (batch, classes, height, width).

    In float32 or better. Where all planes of `wanted` are -1 nobody labelled; 0 if nothing is labelled.
    """
    of_class = (full_precision(wanted) + 1) / 2
    likelihoods = F.log_softmax(SHARPNESS * full_precision(planes), 1)
    return -(of_class * likelihoods).sum() / of_class.sum().clamp_min(1)


def where_labelled(planes: Tensor, wanted: Tensor) -> Tensor:
    """The planes, -1 where nobody labelled, so that a discriminator cannot tell by that."""
    return torch.where(wanted.amax(1, keepdim=True) > -1, planes, -1)
