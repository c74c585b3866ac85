"""What methods with styles share: random numbers of a seed that are the same everywhere, and what they learn from."""

import numpy as np
from torch import Tensor

from translate.errors import ConfigurationError
from translate.models.base import ImageSpec


def fixed_latents(seed: int, width: int, like: Tensor, count: int = 1) -> Tensor:
    """Numbers (count, width) from N(0, 1), a pure function of the seed: NumPy's, which every device and version of
    torch then shares, and which an exported graph holds as they are. Device and type are those of `like`."""
    drawn = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    return like.new_tensor(drawn)


def require_classes(images: ImageSpec, who: str) -> None:
    """Raises ConfigurationError, which begins with `who`, unless every image is of exactly one domain of one set."""
    if len(images.groups) > 1:
        raise ConfigurationError(f"{who} learns from one set of classes: leave data.also out")
    if not (images.groups and images.groups[0].exclusive):
        names = ", ".join(images.domains[:3])
        raise ConfigurationError(
            f"{who} goes between classes, of which an image has one, and {names} are attributes: put the images into a "
            "folder for each class, or train with stargan"
        )
