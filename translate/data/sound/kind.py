"""The kind of domain `sound`: what its spectrograms are in words, and how they are shown."""

from __future__ import annotations

import torch
from torch import Tensor

from translate.data.domain import Domain, Kind
from translate.data.io.images import to_float
from translate.data.sound.spectrum import COMPRESSION, Spectrum, magnitudes

QUIETEST, LOUDEST = -80.0, -15.0
"""What is shown black, and what is shown brightest, in dB of the loudest that can be."""
_SHADES = ((0, 0, 4), (60, 15, 110), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))


def domain_of(name: str, spectrum: Spectrum) -> Domain:
    """The domain of sound that is translated as such spectrograms."""
    return Domain(name, spectrum.channels, dtype="uint16", kind="sound", sound=spectrum)


def coloured(images: Tensor, domain: Domain) -> Tensor:
    """Planes (batch, channels, frames, bins) as colours to look at, RGB (batch, 3, bins, frames) in [-1, 1]: time to
    the right, low frequencies below, and brighter the louder, in dB."""
    loudness = images.square().sum(1).sqrt() ** (1 / COMPRESSION) if images.shape[1] > 1 else magnitudes(images)[:, 0]
    decibels = 20 * loudness.clamp(min=1e-9).log10()
    place = ((decibels - QUIETEST) / (LOUDEST - QUIETEST)).clamp(0, 1) * (len(_SHADES) - 1)
    table = torch.tensor(_SHADES, dtype=torch.float32, device=images.device) / 127.5 - 1
    below = place.floor().long().clamp(max=len(_SHADES) - 2)
    part = (place - below)[..., None]
    shown = table[below] * (1 - part) + table[below + 1] * part
    return shown.permute(0, 3, 2, 1).flip(2)


KIND = Kind(
    words=lambda domain: f"sound as {domain.sound}",
    planes=lambda held, domain: to_float(held),
    coloured=coloured,
    settings=(),
)
