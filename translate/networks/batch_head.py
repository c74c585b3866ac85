"""The last layers of UVCGAN v2's discriminators, which see how the images of a batch, and earlier ones, differ."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Head = Literal["batch_norm", "batch_spread"]


class Earlier(NamedTuple):
    """Features of earlier images (count, channels, height, width), and how much each counts (count,): 0 is no image."""

    features: Tensor
    weights: Tensor


class BatchHead(nn.Module):
    """Maps features (batch, channels, height, width) to logits (batch, 1, height, width), by the statistics of the
    batch together with earlier images' features (Torbunov et al. 2023, UVCGAN v2, section 3.2).

    `batch_norm`: features normalised per channel, in training and evaluation alike by the statistics of what is seen,
    with a learned scale and shift. `batch_spread`: one plane more, filled with their standard deviation over images,
    averaged over channels and places. Then two 3x3 convolutions.
    """

    def __init__(self, channels: int, kind: Head) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, track_running_stats=False) if kind == "batch_norm" else None
        self.conv1 = nn.Conv2d(channels + (self.norm is None), channels, 3, padding=1)
        self.activation = nn.LeakyReLU(0.01)
        self.conv2 = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, features: Tensor, earlier: Earlier | None = None) -> Tensor:
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        told = self._spread(wide, earlier) if self.norm is None else self._normalised(self.norm, wide, earlier)
        return self.conv2(self.activation(self.conv1(told.to(features.dtype))))

    def _normalised(self, norm: nn.BatchNorm2d, features: Tensor, earlier: Earlier | None) -> Tensor:
        every, shares = _together(features, earlier)
        mean = (shares * every.mean((2, 3), keepdim=True)).sum(0)
        variance = (shares * (every - mean).square().mean((2, 3), keepdim=True)).sum(0)
        normalised = (features - mean) * (variance + norm.eps).rsqrt()
        return normalised * norm.weight[:, None, None] + norm.bias[:, None, None]

    def _spread(self, features: Tensor, earlier: Earlier | None) -> Tensor:
        every, shares = _together(features, earlier)
        mean = (shares * every).sum(0)
        variance = (shares * (every - mean).square()).sum(0)
        spread = (variance + 1e-6).sqrt().mean()
        return torch.cat([features, spread.expand_as(features[:, :1])], 1)


def _together(features: Tensor, earlier: Earlier | None) -> tuple[Tensor, Tensor]:
    """All features (count, ...), and each image's share (count, 1, 1, 1) in their mean."""
    weights = features.new_ones(len(features))
    if earlier is not None:
        features = torch.cat([features, earlier.features.to(features.dtype)])
        weights = torch.cat([weights, earlier.weights.to(weights.dtype)])
    return features, (weights / weights.sum())[:, None, None, None]
