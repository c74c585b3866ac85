"""Differentiable augmentation of everything a discriminator sees, real or fake (DiffAugment, Zhao et al. 2020).

augment = DifferentiableAugment(("colour", "translation", "cutout"))
loss = objective.discriminator_loss(discriminator(augment(real)), discriminator(augment(fake)))
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

AugmentationKind = Literal["colour", "translation", "cutout"]


class DifferentiableAugment(nn.Module):
    """Augments images (batch, channels, height, width) in [-1, 1], each with its own random parameters.

    Every call draws new ones, from torch's global generator of the images' device. Areas moved in or cut out become 0,
    middle grey. Colours may leave [-1, 1], as published: clamping would remove the gradient.
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
    """Changes brightness by up to +-0.5, saturation by a factor of 0 to 2, and contrast by a factor of 0.5 to 1.5."""
    # Not kornia.enhance: its saturation is HSV's, and its contrast has another mean.
    images = images + _per_image(images, -0.5, 0.5)
    images = torch.lerp(images.mean(1, keepdim=True).expand_as(images), images, _per_image(images, 0, 2))
    mean = images.mean((1, 2, 3), keepdim=True).expand_as(images)
    return torch.lerp(mean, images, _per_image(images, 0.5, 1.5))


def translation(images: Tensor) -> Tensor:
    """Shifts each image by whole pixels, up to an eighth of each side."""
    # Not kornia.geometry: it resamples, at places that are computed in bf16 under autocast and so hit other pixels.
    return _shifted(_shifted(images, -1), -2)


def _shifted(images: Tensor, dimension: int) -> Tensor:
    side = images.shape[dimension]
    most = int(side / 8 + 0.5)
    offset = torch.randint(-most, most + 1, (len(images), 1, 1, 1), device=images.device)
    origin = torch.arange(side, device=images.device).view(-1, *[1] * (-1 - dimension)) - offset
    moved = images.gather(dimension, origin.clamp(0, side - 1).expand_as(images))
    return moved.masked_fill((origin < 0) | (origin >= side), 0)


def cutout(images: Tensor) -> Tensor:
    """Cuts out a rectangle of half of each side, centred on any pixel, so it may cross the border."""
    rows, columns = (_inside(images, dimension) for dimension in (-2, -1))
    return images * ~(rows.unsqueeze(-1) & columns.unsqueeze(-2))


KINDS: dict[str, Callable[[Tensor], Tensor]] = {"colour": colour, "translation": translation, "cutout": cutout}


def _inside(images: Tensor, dimension: int) -> Tensor:
    """Which positions along one dimension lie in the cut: bool (batch, 1, side)."""
    side = images.shape[dimension]
    width = int(side / 2 + 0.5)
    # Published with one more place for an even width, beyond the last pixel; runs that resume draw as they did.
    first = torch.randint(-(width // 2), side - width // 2, (len(images), 1, 1), device=images.device)
    places = torch.arange(side, device=images.device)
    return (places >= first) & (places < first + width)


def _per_image(images: Tensor, low: float, high: float) -> Tensor:
    rng = torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    return low + (high - low) * rng
