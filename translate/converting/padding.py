"""Any height and width through a network that wants multiples of its stride: reflected borders, cropped back."""

from __future__ import annotations

import torch
from torch import Tensor


def padded_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """The smallest size that holds the image and suits the network: multiples of `stride`, at least 16.

    Below 16 pixels a twice-halved image would be too small for the reflecting convolutions inside.
    """
    least = -(-16 // stride) * stride
    return max(least, -(-height // stride) * stride), max(least, -(-width // stride) * stride)


def pad(image: Tensor, height: int, width: int) -> Tensor:
    """(..., h, w) to (..., height, width): the image stays in the top left, its reflection fills the rest."""
    rows = reflected(image.shape[-2], height, image.device)
    columns = reflected(image.shape[-1], width, image.device)
    return image[..., rows, :][..., columns]


def reflected(length: int, wanted: int, device: torch.device) -> Tensor:
    """Indices 0 1 2 ... n-1 n-2 ... 1 0 1 ...: reflection without repeating the edge, as often as needed."""
    period = max(1, 2 * (length - 1))
    index = torch.arange(wanted, device=device) % period
    return torch.minimum(index, period - index) if length > 1 else torch.zeros_like(index)
