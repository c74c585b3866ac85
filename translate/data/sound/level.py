"""How loud sound is, and the level of the files that a model learned from, to which others are brought, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

HOP, BLOCK = 0.1, 4
"""Seconds between blocks, and of how many such parts each block is."""
GATE = 10.0
"""Blocks whose power is so many times less than the mean's are pauses, and are not counted."""


@dataclass(frozen=True)
class Loudness:
    """How loud one channel of a sound is: its largest sample, by amount, and its `level` (see `levels`). 1 is full
    scale."""

    peak: float
    level: float

    def gain(self, usual: float | None) -> float:
        """What samples are multiplied by for a network that learned from sound of the level `usual`, in dB of full
        scale: as much as brings them there, and none above full scale. They stay as they are where nothing is known, as
        of a run of an earlier version, and where they are silent."""
        within = 1 / self.peak if self.peak else 1.0
        if usual is None or not self.level:
            return min(1.0, within)
        return min(10 ** (usual / 20) / self.level, within)


def loudness_of(parts: Iterable[np.ndarray], rate: int, heard: int) -> list[Loudness]:
    """That of each channel of a sound, given in parts (some, channels) at its `rate`, as a network hears it that is
    given sound of the rate `heard`."""
    hop, found, peaks = round(rate * HOP), [], np.zeros(1)
    rest = np.zeros((0, 1), np.float32)
    for part in parts:
        peaks = np.maximum(peaks, np.abs(part).max(0))
        rest = np.concatenate([rest, part]) if len(rest) else part
        whole = len(rest) // hop * hop
        found.append(powers(rest[:whole].reshape(-1, hop, part.shape[1]), rate, heard))
        rest = rest[whole:]
    every = np.concatenate(found)
    if not len(every):  # shorter than a hop
        every = powers(rest[None], rate, heard)
    return [Loudness(float(peak), float(level)) for peak, level in zip(peaks, levels(every), strict=True)]


def levels(every: np.ndarray) -> np.ndarray:
    """The level (channels,) of a sound from the powers of its hops (hops, channels): the root of their mean over blocks
    of 0.4 seconds, without pauses. This is the relative gate of ITU-R BS.1770, which changes nothing of how a sound
    that is twice as loud has twice the level."""
    count = min(BLOCK, len(every))
    blocks = np.stack([every[start : start + len(every) - count + 1] for start in range(count)]).mean(0)
    counted = blocks >= blocks.mean(0) / GATE
    return np.asarray(np.sqrt((blocks * counted).sum(0) / counted.sum(0)))


def powers(hops: np.ndarray, rate: int, heard: int) -> np.ndarray:
    """The mean square of samples (hops, some, channels), float64 (hops, channels), without the frequencies that the
    rate `heard` cannot hold (Parseval)."""
    samples = hops.astype(np.float64)
    if rate <= heard:
        return np.asarray(np.square(samples).mean(1))
    count = samples.shape[1]
    found = np.square(np.abs(np.fft.rfft(samples, axis=1)))
    found[:, 1 : (count + 1) // 2] *= 2  # negative frequencies, too
    return np.asarray(found[:, : int(count * heard / rate / 2) + 1].sum(1) / count**2)


def decibels(level: float) -> float:
    """A level in dB of full scale."""
    return 20 * float(np.log10(level))
