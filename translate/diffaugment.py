"""Differentiable augmentation of all that a discriminator sees, real or fake (DiffAugment, Zhao et al. 2020).

augment = DifferentiableAugment(("colour", "translation", "cutout"))
loss = objective.discriminator_loss(discriminator(augment(real)), discriminator(augment(fake)))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

AugmentationKind = Literal["colour", "translation", "cutout"]


class DifferentiableAugment(nn.Module):
    """Images (batch, channels, height, width) in [-1, 1] to the same shape, each image with its own dice.

    Every call draws anew from torch's global generator of the images' device; gradients flow through.
    What is moved in or cut out is 0, middle grey. Colours may leave [-1, 1], as published: clamping would
    take the gradient away. Without kinds, images pass unchanged.
    """

    def __init__(self, kinds: Sequence[AugmentationKind] = ("colour", "translation", "cutout")) -> None:
        super().__init__()
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise ValueError(f"unknown kind {sorted(unknown)}; known are {', '.join(KINDS)}")
        self.kinds = tuple(kinds)

    def forward(self, images: Tensor) -> Tensor:
        for kind in self.kinds:
            images = KINDS[kind](images)
        return images

    def extra_repr(self) -> str:
        return ", ".join(self.kinds)


def colour(images: Tensor) -> Tensor:
    """Brightness by up to 0.5 either way, saturation by a factor of 0 to 2, contrast by 0.5 to 1.5."""
    # Not kornia.enhance: it clamps, and so stops gradients.
    images = images + _per_image(images, -0.5, 0.5)
    images = torch.lerp(images.mean(1, keepdim=True).expand_as(images), images, _per_image(images, 0, 2))
    mean = images.mean((1, 2, 3), keepdim=True).expand_as(images)
    return torch.lerp(mean, images, _per_image(images, 0.5, 1.5))


def translation(images: Tensor, share: float = 0.125) -> Tensor:
    """Whole pixels, up to `share` of each side."""
    from kornia.geometry.transform import translate

    limits = [round(images.shape[-1] * share), round(images.shape[-2] * share)]
    offsets = [
        torch.randint(-limit, limit + 1, (len(images),), device=images.device, dtype=torch.float32) for limit in limits
    ]
    return translate(images, torch.stack(offsets, 1).to(images.dtype), mode="nearest")


def cutout(images: Tensor, share: float = 0.5) -> Tensor:
    """A rectangle of `share` of each side around any pixel, so that it may reach over the border."""
    rows, columns = (_inside(images, dimension, share) for dimension in (-2, -1))
    return images * ~(rows.unsqueeze(-1) & columns.unsqueeze(-2))


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def _inside(images: Tensor, dimension: int, share: float) -> Tensor:
    """(batch, 1, side): which places of one dimension lie in the cut."""
    side = images.shape[dimension]
    width = round(side * share)
    first = torch.randint(-(width // 2), side - width // 2, (len(images), 1, 1), device=images.device)
    places = torch.arange(side, device=images.device)
    return (places >= first) & (places < first + width)


def _per_image(images: Tensor, low: float, high: float) -> Tensor:
    dice = torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    return low + (high - low) * dice
