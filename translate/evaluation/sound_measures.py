"""How good sound is beside the clean sound: SI-SDR and STOI; and the mask that knows the answer, as a ceiling."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch

from translate.data.sound.resampling import resampled
from translate.data.sound.spectrum import Spectrum
from translate.errors import ConfigurationError


def si_sdr(samples: np.ndarray, clean: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, eq. 5) of samples (count,) beside the
    clean ones; infinite if they are these at any loudness. Computed in float64. Raises ValueError for silent clean
    sound, or another length."""
    if samples.shape != clean.shape:
        raise ValueError(f"expected as many samples as the clean sound has, {clean.shape}, not {samples.shape}")
    samples, clean = samples.astype(np.float64), clean.astype(np.float64)
    power = float(clean @ clean)
    if power == 0:
        raise ValueError("the clean sound is silent: nothing to compare with")
    target = float(samples @ clean) / power * clean
    distortion = samples - target
    kept, lost = float(target @ target), float(distortion @ distortion)
    if lost == 0:
        return math.inf
    return 10 * math.log10(kept / lost) if kept else -math.inf


def stoi(samples: np.ndarray, clean: np.ndarray, rate: int) -> float:
    """Short-time objective intelligibility, about 0 to 1 (Taal et al. 2011), of samples (count,) beside the clean ones;
    NaN for sound that is too short, or too silent, for it. Raises ConfigurationError without pystoi."""
    try:
        import pystoi
    except ImportError as error:
        raise ConfigurationError('STOI needs pystoi: pip install "image-translate[sound]"') from error
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = float(pystoi.stoi(clean.astype(np.float64), samples.astype(np.float64), rate))
    return math.nan if any(issubclass(one.category, RuntimeWarning) for one in said) else found


def ideally_masked(noisy: np.ndarray, clean: np.ndarray, rate: int, spectrum: Spectrum) -> np.ndarray:
    """The noisy samples (count,) under the ideal ratio mask (Wang et al. 2014, eq. 3 with beta 1/2): the square root of
    the clean sound's share of the power, which only the answer tells. In the spectrum's frames, and at its rate."""
    given, target = (spectrum.of(torch.from_numpy(resampled(one, rate, spectrum.rate))) for one in (noisy, clean))
    powers = target.abs().square(), (given - target).abs().square()
    mask = (powers[0] / (powers[0] + powers[1]).clamp(min=1e-30)).sqrt()
    back = spectrum.samples(given * mask, len(resampled(noisy, rate, spectrum.rate)))
    return resampled(back.numpy(), spectrum.rate, rate, len(noisy))
