"""Spectrograms: samples as an image of time and frequency, as networks take it, and back; one class says how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Form = Literal["magnitude", "complex"]
"""What of a spectrogram is translated: how loud each frequency is, or also its phase."""
COMPRESSION = 0.3
"""The power that magnitudes are raised to, so that faint ones are seen beside loud ones."""
STEPS = 65535


@dataclass(frozen=True)
class Spectrum:
    """How sound of `rate` samples a second becomes an image: `window` samples (Hann), every `hop` samples.

    An image is (frames, bins, planes): time goes down, frequency to the right. Magnitudes are those of a signal in
    [-1, 1] divided by the sum of the window, so that none is above 1.
    """

    rate: int = 16000
    window: int = 510
    hop: int = 128
    form: Form = "magnitude"

    @property
    def bins(self) -> int:
        """The frequencies, from 0 to half the rate."""
        return self.window // 2 + 1

    @property
    def channels(self) -> int:
        """The planes of an image: the magnitude, or the real and the imaginary part."""
        return 2 if self.form == "complex" else 1

    def frames(self, samples: int) -> int:
        """The rows that so many samples become."""
        return 1 + samples // self.hop

    def seconds(self, frames: int) -> float:
        """The time that lies between the first and the last of so many rows."""
        return (frames - 1) * self.hop / self.rate

    def of(self, samples: Tensor) -> Tensor:
        """The spectrogram (frames, bins), complex64, of samples (count,) in [-1, 1]."""
        window = self._window()
        made = torch.stft(
            samples.float(), self.window, self.hop, window=window, center=True, pad_mode="constant", return_complex=True
        )
        return made.T / window.sum()

    def samples(self, spectrogram: Tensor, count: int) -> Tensor:
        """The `count` samples, float32, that a spectrogram (frames, bins) is of: the inverse of `of`."""
        window = self._window()
        return torch.istft(
            spectrogram.T * window.sum(), self.window, self.hop, window=window, center=True, length=count
        )

    def planes(self, spectrogram: Tensor) -> Tensor:
        """The spectrogram (frames, bins) as planes (channels, frames, bins), float32 in [-1, 1]."""
        loudness = spectrogram.abs()
        if self.form == "complex":
            return torch.view_as_real(spectrogram * loudness.clamp(min=1e-30) ** (COMPRESSION - 1)).permute(2, 0, 1)
        return 2 * loudness[None] ** COMPRESSION - 1

    def spectrogram(self, planes: Tensor, given: Tensor) -> Tensor:
        """Planes (channels, frames, bins) in [-1, 1] as a spectrogram (frames, bins); magnitudes get the phase of the
        spectrogram that was `given`, and none where that is silent."""
        if self.form == "complex":
            compressed = torch.view_as_complex(planes.permute(1, 2, 0).contiguous())
            return compressed * compressed.abs().clamp(min=1e-30) ** (1 / COMPRESSION - 1)
        return magnitudes(planes)[0] * torch.sgn(given)

    def _window(self) -> Tensor:
        return torch.hann_window(self.window)

    def __str__(self) -> str:
        """In words: "magnitudes of 256 frequencies every 8 ms, at 16,000 Hz"."""
        what = "magnitudes" if self.form == "magnitude" else "complex values"
        return f"{what} of {self.bins} frequencies every {1000 * self.hop / self.rate:.3g} ms, at {self.rate:,} Hz"


def magnitudes(planes: Tensor) -> Tensor:
    """The magnitudes, 0 to 1, of planes of them in [-1, 1]."""
    return ((planes + 1) / 2).clamp(min=0) ** (1 / COMPRESSION)


def held(planes: Tensor) -> Tensor:
    """Planes (channels, frames, bins) in [-1, 1] as pixels (frames, bins, channels), uint16."""
    return ((planes + 1) * (STEPS / 2)).round().clamp(0, STEPS).to(torch.uint16).permute(1, 2, 0)
