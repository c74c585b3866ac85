"""Bicubic enlargement by whole factors, as a convolution: the same numbers in every format, whole or in bands."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.networks.blocks import continued

_REACH = 2
"""Pixels on either side that a new pixel is made of: the kernel's support."""


class BicubicEnlargement(nn.Module):
    """Maps images (batch, channels, height, width) to (batch, channels, scale * height, scale * width).

    Cubic convolution with a = -1/2 (Keys 1981), pixels taken as areas, as Pillow's and MATLAB's `bicubic`; the edge
    pixels continue outside. May overshoot the range of the images by an eighth of a step between two pixels. torch's
    own has a = -3/4, and its gradient on CUDA differs from run to run.
    """

    kernel: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        taps = torch.stack([_taps((place + 0.5) / scale - 0.5) for place in range(scale)])
        both = taps[:, None, :, None] * taps[None, :, None, :]  # of rows and columns
        width = 2 * _REACH + 1
        self.register_buffer("kernel", both.reshape(scale**2, 1, width, width).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        kind = images.device.type
        if torch.is_autocast_enabled(kind):  # bf16 would keep fewer than the 8 bits of photos
            with torch.autocast(kind, enabled=False):
                return self._enlarged(images.float())
        return self._enlarged(images)

    def _enlarged(self, images: Tensor) -> Tensor:
        channels = images.shape[1]
        padded = continued(images, _REACH, "replicate")
        kernel = self.kernel.to(images.dtype).repeat(channels, 1, 1, 1)
        return F.pixel_shuffle(F.conv2d(padded, kernel, groups=channels), self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}"


def _taps(offset: float) -> Tensor:
    """The weights, float64, of the pixels around a place that lies `offset` from the middle one; their sum is 1."""
    distance = (torch.arange(-_REACH, _REACH + 1, dtype=torch.float64) - offset).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
