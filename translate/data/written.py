"""Images as they are read again from files of their domain: what is measured is what is delivered."""

from __future__ import annotations

import torch
from torch import Tensor

from translate.data.domain import Domain
from translate.data.io.images import to_float, to_pixels
from translate.data.io.values import from_16_bits, to_16_bits


def depth_of(domain: Domain) -> torch.dtype:
    """The integers that images of the domain are held as until they are written; fine ones for planes of classes, so
    that the highest is known."""
    return torch.uint16 if domain.deep or domain.classes else torch.uint8


def as_written(images: Tensor, domain: Domain | None) -> Tensor:
    """Images in [-1, 1] of any shape, rounded and clipped to what files of the domain hold; as they are if it is not
    known which type these have, and planes of classes, of which files keep which is the highest."""
    if domain is None or domain.type is None or domain.classes:
        return images
    pixels = to_pixels(images, depth_of(domain))
    if domain.measured:
        values = from_16_bits(pixels.cpu().numpy(), domain.span, domain.type)
        pixels = torch.from_numpy(to_16_bits(values.clip(*domain.span), domain.span))
    return to_float(pixels).to(images.device)
