"""The settings of `data.sound`: how sound becomes spectrograms."""

from __future__ import annotations

from pydantic import Field, model_validator

from translate.data.sound.spectrum import Form, Spectrum
from translate.utils.settings import Settings


class SoundSettings(Settings):
    """Only for sound: the spectrograms that networks take and give. Both domains have the same."""

    rate: int = Field(16000, ge=4000, le=192000)
    """Samples a second, to which files of other rates are brought, and their translations back. Nothing above half of
    it is translated."""
    window: int = Field(510, ge=14, le=8190)
    """Samples that each column of a spectrogram is made of; half as many and one are the frequencies, 256 of 510, which
    `data.size` names second."""
    hop: int = Field(128, ge=1)
    """Samples between two columns."""
    form: Form = "magnitude"
    """`magnitude` translates how loud each frequency is, and takes the input's phase; `complex` translates both."""

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(self.rate, self.window, self.hop, self.form)

    @model_validator(mode="after")
    def _goes_back(self) -> SoundSettings:
        if self.window % 2:
            raise ValueError(f"window is {self.window}: give an even number")
        if 2 * self.hop > self.window:
            raise ValueError(f"hop is {self.hop}, more than half of window, {self.window}: no sound comes back of that")
        return self
