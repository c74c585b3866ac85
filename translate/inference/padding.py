"""Reflection padding, so that a network that needs multiples of its stride takes images of any height and width."""

from __future__ import annotations

import torch
from torch import Tensor


def padded_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """The smallest (height, width) that holds the image: multiples of `stride`, at least 16.

    Below 16 pixels, an image halved twice would be too small for the network's reflection padding.
    """
    least = -(-16 // stride) * stride
    return max(least, -(-height // stride) * stride), max(least, -(-width // stride) * stride)


def pad(image: Tensor, height: int, width: int) -> Tensor:
    """Pads (..., h, w) to (..., height, width): the image stays in the top left, its reflection fills the rest."""
    rows = reflected(image.shape[-2], height, image.device)
    columns = reflected(image.shape[-1], width, image.device)
    return image[..., rows, :][..., columns]


def reflected(length: int, wanted: int, device: torch.device) -> Tensor:
    """Indices 0 1 2 ... n-1 n-2 ... 1 0 1 ...: reflection without repeating the edge, as often as needed."""
    period = max(1, 2 * (length - 1))
    index = torch.arange(wanted, device=device) % period
    return torch.minimum(index, period - index) if length > 1 else torch.zeros_like(index)
