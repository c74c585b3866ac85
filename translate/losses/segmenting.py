"""The objective of a discriminator that segments: real pixels are of their class, generated ones of a class of their
own (Schönfeld et al. 2021).

Logits are (batch, 1 + classes, height, width), the first of "generated"; label maps are planes (batch, classes, height,
width) in [-1, 1], 1 in that of a pixel's class, all -1 where nobody labelled.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.losses.adversarial import full_precision


def as_labelled(logits: Tensor, labels: Tensor, gather: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """-log p(class) of the label map: the mean over its pixels for each class, and then over the classes that occur in
    the batch, so that rare ones count as much as others (eq. 1 and 2). 0 if nothing is labelled.

    The discriminator minimises it for real images, the generator for its own. `gather`, if set, maps a tensor to those
    of all processes (processes, ...); the mean of their losses is then that of their batches as one.
    """
    of_class = (full_precision(labels) + 1) / 2
    surprise = -F.log_softmax(full_precision(logits), 1)[:, 1:]
    pixels = of_class.sum((0, 2, 3))
    pixels = gather(pixels).mean(0) if gather else pixels
    of_each = (of_class * surprise).sum((0, 2, 3)) / pixels.clamp(min=1e-6)
    return of_each.sum() / (pixels > 0).sum().clamp(min=1)


def as_generated(logits: Tensor) -> Tensor:
    """-log p(generated), the mean over all pixels: what the discriminator minimises for generated images."""
    return -F.log_softmax(full_precision(logits), 1)[:, 0].mean()


def mask_by_class(labels: Tensor) -> Tensor:
    """A mask, bool (batch, 1, height, width), for LabelMix: all pixels of a class are in it, or none, by the toss of a
    coin for the whole batch; those that nobody labelled are one more class."""
    classes = labels.shape[1]
    coins = torch.rand(classes + 1, device=labels.device) < 0.5
    highest = labels.max(1, keepdim=True)
    return coins[torch.where(highest.values > -1, highest.indices, classes)]


def consistency(real: Tensor, fake: Tensor, mixed: Tensor, mask: Tensor) -> Tensor:
    """The mean squared difference of the logits of a mixed image from the mixture of both images' logits (eq. 4);
    `mask`: where the real one is."""
    real, fake, mixed = map(full_precision, (real, fake, mixed))
    return F.mse_loss(mixed, torch.where(mask, real, fake))
