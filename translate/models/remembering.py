"""A discriminator that compares each image with those it looked at before (Torbunov et al. 2023, UVCGAN v2)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.losses.adversarial import Score
from translate.losses.feature_cache import FeatureCache
from translate.models.adversary import Adversary, with_name
from translate.models.base import Losses
from translate.networks.batch_head import BatchHead, Earlier
from translate.utils.sides import Size


class Memory(nn.Module):
    """What a domain's discriminator remembers: the features of its last real and of its last generated images.

    The methods take the discriminator, a `PatchDiscriminator` with a `BatchHead`, which belongs to the model.
    """

    def __init__(self, capacity: int, discriminator: Any, size: Size) -> None:
        """For images trained at `size`. Raises ConfigurationError for a discriminator that compares
        nothing."""
        super().__init__()
        if not isinstance(getattr(discriminator, "head", None), BatchHead):
            raise ConfigurationError(
                "model.cache: is of features that the discriminator's last layers compare: set "
                "model.discriminator.head=batch_norm (with model.discriminator.scales=1), or model.cache=0"
            )
        shape = discriminator.features_of(size)
        self.real, self.fake = FeatureCache(capacity, *shape), FeatureCache(capacity, *shape)

    def of_fakes(self, discriminator: nn.Module) -> Score:
        """What scores generated images, beside earlier ones."""
        return partial(_scored, discriminator, self.fake.kept)

    def between(self, discriminator: nn.Module, share: Tensor) -> Score:
        """What scores images between real and generated ones, of which they are that share: beside earlier ones that
        are mixed alike."""
        real, fake = self.real.kept, self.fake.kept
        mixed = torch.lerp(real.features, fake.features, share.to(real.features.dtype))
        return partial(_scored, discriminator, Earlier(mixed, real.weights * fake.weights))

    def discriminator_losses(
        self, adversary: Adversary, discriminator: Any, real: Tensor, fake: Tensor, name: str
    ) -> Losses:
        """As `Adversary.discriminator_losses`, beside earlier images; those of now are remembered after them."""
        of_real, of_fakes = partial(_scored, discriminator, self.real.kept), self.of_fakes(discriminator)
        # As released, penalties come first, so that spectral norms have iterated once more before the scores.
        penalties = adversary.penalties(of_real, real, fake, of_fakes, partial(self.between, discriminator))
        seen_real, seen_fake = (discriminator.layers(adversary.augment(images)) for images in (real, fake))
        loss = adversary.discriminator_loss(
            discriminator.head(seen_real, self.real.kept), discriminator.head(seen_fake, self.fake.kept)
        )
        self.real.push(seen_real)
        self.fake.push(seen_fake)
        return with_name({"adversarial": loss} | penalties, name)


def _scored(discriminator: Any, earlier: Earlier, images: Tensor) -> Tensor:
    scores: Tensor = discriminator.head(discriminator.layers(images), earlier)
    return scores
