"""One sound of a data set: a file, read as the spectrogram that its domain says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from translate.data.domain import Domain
from translate.data.io.images import Header, Picture, version
from translate.data.sound.files import Facts, facts_of, read
from translate.data.sound.level import decibels, loudness_of
from translate.data.sound.resampling import MOST, apart, resampled
from translate.data.sound.spectrum import Spectrum, held
from translate.errors import ImageError
from translate.utils.printing import shown

USUAL = Spectrum()


@dataclass(frozen=True)
class Sound:
    """A sound file; of several channels their mean is read."""

    path: Path
    spectrum: Spectrum = USUAL

    @classmethod
    def of(cls, source: Sound, domain: Domain) -> Sound:
        """The sound as one of the domain."""
        return replace(source, spectrum=domain.sound) if domain.sound else source

    def read(self, channels: int) -> np.ndarray:
        """The spectrogram (frames, bins, channels), uint16. Raises ImageError, also for a silent file and for values
        above full scale."""
        samples, _ = self.samples()
        return held(self.spectrum.planes(self.spectrum.of(torch.from_numpy(samples)))).numpy()

    def samples(self) -> tuple[np.ndarray, Facts]:
        """The samples (count,), float32 in [-1, 1], at the spectrum's rate, and what the file's header says. Raises
        ImageError as `read`."""
        found, facts = read(self.path)
        peak = float(np.abs(found).max())
        if peak == 0:
            raise ImageError(f"{shown(self.path)}: silent from beginning to end, nothing to learn from")
        if peak > 1:
            raise ImageError(
                f"{shown(self.path)}: values up to {peak:.4g}, where 1 is full scale: make it quieter, with its "
                "partner by the same factor"
            )
        require_rate(self.path, facts, self.spectrum)
        return resampled(found.mean(1), facts.rate, self.spectrum.rate), facts

    def level(self) -> float:
        """How loud what training hears of it is, the root of the mean square, in dB of full scale. Raises ImageError as
        `read`."""
        samples, _ = self.samples()
        (loudness,) = loudness_of([samples[:, None]], self.spectrum.rate, self.spectrum.rate)
        return decibels(loudness.level)

    def size(self) -> tuple[int, int]:
        """Frames and bins of its spectrogram, from the file's header. Raises ImageError."""
        facts = facts_of(self.path)
        return self.spectrum.frames(-(-facts.samples * self.spectrum.rate // facts.rate)), self.spectrum.bins

    def header(self) -> Header:
        """See `OfDomain`. Raises ImageError."""
        return Header(*self.size(), self.spectrum.channels, np.dtype(np.uint16))

    def decoded(self) -> tuple[Picture, bytes]:
        """See `OfDomain`. Raises ImageError."""
        samples, _ = self.samples()
        return Picture(self.read(self.spectrum.channels)), samples.tobytes()

    def identity(self) -> str:
        """See `Readable`. Raises ImageError."""
        return f"{version(self.path)}:{self.spectrum!r}"

    def too_short(self, frames: int) -> str:
        """Why crops of so many frames cannot be taken from it, and what helps; empty if they can."""
        if self.size()[0] >= frames:
            return ""
        return (
            f"{shown(self.path)}: too short for crops of {self.spectrum.seconds(frames):.3g} seconds: set fewer than "
            f"{frames} frames, the first number of data.size"
        )


def require_rate(path: Path, facts: Facts, spectrum: Spectrum) -> None:
    """Raises ImageError for a rate that is not brought to that of the spectrum."""
    if apart(facts.rate, spectrum.rate):
        raise ImageError(
            f"{shown(path)}: {facts.rate:,} samples a second have no ratio to {spectrum.rate:,} of numbers up to "
            f"{MOST:,}: resample it to a usual rate, such as 44,100 or 48,000"
        )
