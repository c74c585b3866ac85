"""Sound at another rate, by SciPy's polyphase filter."""

from __future__ import annotations

from math import gcd

import numpy as np

MOST = 1000
"""The largest terms of the ratio of two rates, such as 160 / 441: beyond, filters take long."""
REACH = 10
"""Samples, at the lower of both rates, that the filter reaches to each side (SciPy's `resample_poly`)."""


def ratio(rate: int, wanted: int) -> tuple[int, int]:
    """Terms up and down of the ratio of `wanted` to `rate`, reduced."""
    common = gcd(rate, wanted)
    return wanted // common, rate // common


def apart(rate: int, wanted: int) -> bool:
    """Whether the rates have a ratio of terms that are too large."""
    return max(ratio(rate, wanted)) > MOST


def resampled(samples: np.ndarray, rate: int, wanted: int, count: int | None = None) -> np.ndarray:
    """Samples (samples,), float32, at the rate `wanted`; cut or filled up with silence to `count` if that is given."""
    if rate != wanted:
        from scipy.signal import resample_poly

        samples = resample_poly(samples.astype(np.float64), *ratio(rate, wanted)).astype(np.float32)
    if count is None or len(samples) == count:
        return samples
    return samples[:count] if len(samples) > count else np.pad(samples, (0, count - len(samples)))
