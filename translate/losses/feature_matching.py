"""Feature matching: to the discriminator's layers, a translation looks like its target (Wang et al. 2018, eq. 4)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from translate.losses.adversarial import full_precision

Maps = Sequence[Sequence[Tensor]]
"""For each scale of a discriminator, what its layers make of the images, the logits last."""


def feature_matching(fake: Maps, real: Maps) -> Tensor:
    """Mean absolute difference of the maps of translations and of their targets, which get no gradient: summed over the
    layers but the logits, averaged over scales, a scalar. As in SPADE; pix2pixHD's is 4 / (layers + 1) of it."""
    of_scale = [
        torch.stack([(full_precision(one) - full_precision(other).detach()).abs().mean() for one, other in pairs]).sum()
        for pairs in (zip(ours[:-1], theirs[:-1], strict=True) for ours, theirs in zip(fake, real, strict=True))
    ]
    return torch.stack(of_scale).mean()
