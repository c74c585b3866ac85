"""Sound through a network: to its rate, as a spectrogram, and back, at its own rate and of its own length."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np
import torch

from translate.data.io.images import to_float
from translate.data.sound.resampling import REACH, ratio, resampled
from translate.data.sound.spectrum import Spectrum, held

Network = Callable[[np.ndarray], np.ndarray]
"""Translates a spectrogram (frames, bins, channels), uint16, to one of that shape."""
PROBED = 2048
"""Frames of noise by which is seen how far a network looks."""


def translated(
    samples: np.ndarray, rate: int, spectrum: Spectrum, network: Network, *, gain: float = 1.0
) -> np.ndarray:
    """The translation of samples (count,), float32, at their `rate`: as many of them, float32. The network gets them
    `gain` times as loud, in [-1, 1], and what it gives is made as much quieter."""
    own = torch.from_numpy(resampled(samples, rate, spectrum.rate) * np.float32(gain))
    given = spectrum.of(own)
    made = to_float(torch.from_numpy(network(held(spectrum.planes(given)).numpy()))).permute(2, 0, 1)
    back = spectrum.samples(spectrum.spectrogram(made, given), len(own))
    return resampled(back.numpy() / np.float32(gain), spectrum.rate, rate, len(samples))


def reach_of(network: Network, spectrum: Spectrum) -> int | None:
    """How many frames to each side the network looks, found by changing the first half of some noise; None if it looks
    at all, as for statistics of the whole image."""
    random = np.random.default_rng(0)
    shape, half = (PROBED, spectrum.bins, spectrum.channels), PROBED // 2
    noise = random.integers(0, 1 << 16, shape, np.uint16)
    other = noise.copy()
    other[:half] = random.integers(0, 1 << 16, (half, *shape[1:]), np.uint16)
    moved = np.flatnonzero((network(noise) != network(other)).any((1, 2)))
    reach = int(moved.max()) + 1 - half if len(moved) else 0
    return max(0, reach) if reach < 0.9 * half else None


def step_of(spectrum: Spectrum, rate: int, stride: int) -> int:
    """The least number of samples at that rate after which resampling, spectrogram and network begin alike."""
    up, down = ratio(rate, spectrum.rate)
    step = spectrum.hop * stride
    return down * step // gcd(step, up)


def context_of(spectrum: Spectrum, rate: int, stride: int, reach: int) -> int:
    """How many samples at that rate lie on each side of those that a translation depends on; a multiple of the step."""
    own = (reach + stride) * spectrum.hop + spectrum.window
    filters = 2 * REACH * max(1.0, rate / spectrum.rate) + 2 * REACH
    step = step_of(spectrum, rate, stride)
    return -int(-(own * rate / spectrum.rate + filters) // step) * step
