"""CIE's L*a*b* of sRGB: lightness as people see it, apart from colour (IEC 61966-2-1 and CIE 15, white D65)."""

from __future__ import annotations

import numpy as np

TO_XYZ = np.array(
    [
        [0.41239079926595934, 0.357584339383878, 0.1804807884018343],
        [0.21263900587151027, 0.715168678767756, 0.07219231536073371],
        [0.01933081871559182, 0.11919477979462598, 0.9505321522496607],
    ]
)
"""Linear sRGB to XYZ: of its primaries and D65 (x 0.3127, y 0.3290)."""
WHITE = TO_XYZ.sum(1)
KNEE = 6 / 29
STEPS = 14
"""Halvings of the search for the strongest colours that a pixel can have at its lightness."""


def linear(values: np.ndarray) -> np.ndarray:
    """sRGB, 0 to 1, as amounts of light, 0 to 1."""
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    """The inverse of `linear`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def lightness(light: np.ndarray) -> np.ndarray:
    """L*, 0 to 100, of linear sRGB (..., 3)."""
    return 116 * _root(light @ TO_XYZ[1]) - 16


def lightness_of_grey(light: np.ndarray) -> np.ndarray:
    """L*, 0 to 100, of linear grey."""
    return 116 * _root(light) - 16


def lab(light: np.ndarray) -> np.ndarray:
    """L*, a*, b* (..., 3) of linear sRGB (..., 3)."""
    x, y, z = np.moveaxis(_root(light @ TO_XYZ.T / WHITE), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def light_of(values: np.ndarray) -> np.ndarray:
    """The inverse of `lab`; colours that sRGB has not are below 0 or above 1."""
    y = (values[..., 0] + 16) / 116
    roots = np.stack([y + values[..., 1] / 500, y, y - values[..., 2] / 200], -1)
    xyz = np.where(roots > KNEE, roots**3, 3 * KNEE**2 * (roots - 4 / 29)) * WHITE
    return np.asarray(xyz @ np.linalg.inv(TO_XYZ).T)


def of_lightness(wanted: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Linear sRGB (..., 3) with the colours (a*, b*) of `light` (..., 3) at another L* (...): where sRGB does not have
    them, as strong as it has at that lightness, in the same hue."""
    colours = lab(light)
    found = light_of(_with(colours, wanted, np.ones_like(wanted)))
    outside = (found < 0).any(-1) | (found > 1).any(-1)
    if not outside.any():
        return found
    low, high = np.zeros(int(outside.sum())), np.ones(int(outside.sum()))
    for _ in range(STEPS):
        share = (low + high) / 2
        tried = light_of(_with(colours[outside], wanted[outside], share))
        fits = (tried >= 0).all(-1) & (tried <= 1).all(-1)
        low, high = np.where(fits, share, low), np.where(fits, high, share)
    found[outside] = light_of(_with(colours[outside], wanted[outside], low)).clip(0, 1)
    return found


def _with(colours: np.ndarray, lightness: np.ndarray, share: np.ndarray) -> np.ndarray:
    return np.stack([lightness, colours[..., 1] * share, colours[..., 2] * share], -1)


def _root(ratio: np.ndarray) -> np.ndarray:
    """CIE's f: a cube root, and a line near black."""
    return np.where(ratio > KNEE**3, np.cbrt(ratio), ratio / (3 * KNEE**2) + 4 / 29)
