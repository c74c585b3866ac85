"""Measures of whole volumes beside the truth: inside the body, and as the SynthRAD challenges define them.

Volumes are arrays (slices, height, width) in their own values, such as HU; everything is computed in float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

SYNTHRAD = (-1024.0, 3000.0)
"""The values between which SynthRAD 2023 and 2025 compare, in HU (their published evaluation code)."""
AIR = -500.0
"""HU between air and body."""
PIECE = 0.05
"""Pieces of a slice smaller than this share of its largest are no body: tables and tubes."""
WINDOW = 7
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales of MS-SSIM (Wang, Simoncelli and Bovik 2003)."""
SMALLEST = 97
"""Volumes are widened to so many voxels a side, for five scales with windows of 7."""
SLAB = 16
"""Slices that are compared at once."""


def body_mask(truth: np.ndarray, unit: str) -> np.ndarray:
    """Where the body is, by the truth: above -500 HU, or of other units above Otsu's threshold; in each axial slice the
    pieces of at least a twentieth of the largest, with their holes filled. Boolean, of the shape of the truth."""
    body = truth > (AIR if unit == "HU" else _otsu(truth))
    return np.stack([_filled(one) for one in body])


def mask_in_words(unit: str) -> str:
    """How `body_mask` is made."""
    above = f"{AIR:g} HU" if unit == "HU" else "Otsu's threshold"
    return f"made of the truth: above {above}, pieces of a slice of 5 % of its largest or more, holes filled"


def _otsu(values: np.ndarray) -> float:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return low
    import cv2

    shades = np.rint((values - low) * (255 / (high - low))).astype(np.uint8).reshape(-1, 1)
    level, _ = cv2.threshold(shades, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return low + (level + 0.5) * (high - low) / 255


def _filled(body: np.ndarray) -> np.ndarray:
    """The large pieces of a slice, with their holes."""
    import cv2

    count, pieces, facts, _ = cv2.connectedComponentsWithStats(body.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros(body.shape, bool)
    sizes = facts[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(sizes >= PIECE * sizes.max()) + 1
    kept = np.isin(pieces, large)
    around = np.pad(~kept, 1, constant_values=True).astype(np.uint8)
    _, outside = cv2.connectedComponents(around, connectivity=8)
    found: np.ndarray = (outside != outside[0, 0])[1:-1, 1:-1]
    return found


def absolute_errors(made: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each slice, the sum of absolute differences inside the mask and the number of voxels there."""
    each = zip(made, truth, mask, strict=True)
    sums = [np.abs(a[inside].astype(np.float64) - b[inside]).sum() for a, b, inside in each]
    return np.array(sums), mask.reshape(len(mask), -1).sum(1)


def psnr(made: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """SynthRAD's PSNR in dB: inside the mask, with values clipped to -1024 and 3000 HU, of a peak of 4024 HU."""
    low, high = SYNTHRAD
    squared = (made[mask].astype(np.float64).clip(low, high) - truth[mask].astype(np.float64).clip(low, high)) ** 2
    mean = float(squared.mean())
    return float("inf") if mean == 0 else 10 * float(np.log10((high - low) ** 2 / mean))


def ssim(made: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """SynthRAD 2023's SSIM: in three dimensions, with uniform windows of 7 voxels and sample covariances, of values
    clipped to -1024 and 3000 HU that are -1024 outside of the mask; the mean inside the mask, without the 3 outermost
    voxels. NaN of a volume with a side below 7, or without a mask further inside."""
    return _mean_inside(_prepared(made, mask), _prepared(truth, mask), mask, 1.0)


def ms_ssim(made: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """SynthRAD 2025's MS-SSIM inside the mask: the product over five scales of the means of SSIM's three terms to the
    power of the scale's weight; values as for `ssim`, volumes widened to 97 voxels a side by repeating their edges."""
    pair = _widened(_prepared(made, mask)), _widened(_prepared(truth, mask))
    inside, product = _widened(mask), 1.0
    for weight in SCALES:
        product *= min(1.0, max(0.0, _mean_inside(*pair, inside, weight)))
        pair, inside = (_halved(pair[0]), _halved(pair[1])), inside[::2, ::2, ::2]
    return product


def _prepared(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Clipped, nothing outside of the mask, and 0 the least: what is compared."""
    low, high = SYNTHRAD
    return np.where(mask, values.astype(np.float64).clip(low, high), low) - low


def _widened(values: np.ndarray) -> np.ndarray:
    missing = [max(0, SMALLEST - side) for side in values.shape]
    return np.pad(values, [(more // 2, more - more // 2) for more in missing], mode="edge")


def _halved(values: np.ndarray) -> np.ndarray:
    """Every second voxel of means of 2 x 2 x 2, beyond the first of which lies 0."""
    for axis in range(3):
        before = np.roll(values, 1, axis)
        np.moveaxis(before, axis, 0)[0] = 0
        values = (values + before) / 2
    return values[::2, ::2, ::2]


def _mean_inside(made: np.ndarray, truth: np.ndarray, mask: np.ndarray, weight: float) -> float:
    """The mean of SSIM's map to the power of the weight over the mask, where whole windows fit."""
    if min(made.shape) < WINDOW:
        return float("nan")
    edge = WINDOW // 2
    inside = mask[edge:-edge, edge:-edge, edge:-edge]
    total, count, start = 0.0, int(inside.sum()), 0
    for found in _similar(made, truth, weight):
        total += float(found[inside[start : start + len(found)]].sum())
        start += len(found)
    return total / count if count else float("nan")


def _similar(made: np.ndarray, truth: np.ndarray, weight: float) -> Iterator[np.ndarray]:
    """SSIM's map at the places where whole windows fit, a slab of slices at a time."""
    peak = SYNTHRAD[1] - SYNTHRAD[0]
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    sample = WINDOW**3 / (WINDOW**3 - 1)
    for first in range(0, len(made) - WINDOW + 1, SLAB):
        x, y = (torch.from_numpy(one[first : first + SLAB + WINDOW - 1].copy()) for one in (made, truth))
        mean_x, mean_y, xx, yy, xy = (_means(one) for one in (x, y, x * x, y * y, x * y))
        var_x, var_y = sample * (xx - mean_x**2), sample * (yy - mean_y**2)
        both = sample * (xy - mean_x * mean_y)
        light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        if weight == 1.0:
            yield (light * (2 * both + c2) / (var_x + var_y + c2)).numpy()
            continue
        deviations = (var_x.clamp(min=0) * var_y.clamp(min=0)).sqrt()
        contrast = ((2 * deviations + c2) / (var_x + var_y + c2)).clamp(min=0)
        structure = ((both + c2 / 2) / (deviations + c2 / 2)).clamp(min=0)
        yield (light.clamp(min=0) * contrast * structure).pow(weight).numpy()


def _means(values: torch.Tensor) -> torch.Tensor:
    """Means over windows, one axis after another: 21 additions a voxel, where 343 would be made."""
    each = values[None, None]
    for window in ((WINDOW, 1, 1), (1, WINDOW, 1), (1, 1, WINDOW)):
        each = F.avg_pool3d(each, window, 1)
    return each[0, 0]
