"""The features of the last images that a discriminator looked at, as UVCGAN v2 keeps them (Torbunov et al. 2023)."""

import torch
from torch import Tensor, nn

from translate.networks.batch_head import Earlier


class FeatureCache(nn.Module):
    """Keeps the features (channels, height, width) of up to `capacity` images, the newest last; none to begin with.

    Features that are not finite are not kept. Like those of an image pool, its tensors are recorded and resumed with
    the step.
    """

    features: Tensor
    stored: Tensor

    def __init__(self, capacity: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.zeros(capacity, channels, height, width))
        self.register_buffer("stored", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, features: Tensor) -> None:
        """Keeps the features (batch, channels, height, width), and lets go of the oldest."""
        newest = torch.cat([self.features, features.to(self.features.dtype)])[-len(self.features) :]
        finite = features.isfinite().all()
        self.features.copy_(torch.where(finite, newest, self.features))
        self.stored.copy_((self.stored + finite * len(features)).clamp(max=len(self.features)))

    @property
    def kept(self) -> Earlier:
        """The features of as many images as the capacity, and 1 for each that was one."""
        capacity = len(self.features)
        ages = torch.arange(capacity, 0, -1, device=self.features.device)
        return Earlier(self.features, (ages <= self.stored).to(self.features.dtype))
