"""Measures of volumes against plain loops over windows, torchmetrics and scipy's filters in float64, and what the
published definitions demand."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve
from support.volume_files import head
from torchmetrics.functional.image import structural_similarity_index_measure

from translate.evaluation import volumes as measures
from translate.evaluation.metrics import MEASURES


def _ssim_by_loops(made, truth, mask, weight=None):
    """SSIM's map, voxel by voxel, with sample covariances by numpy; the mean over the mask without its 3 outermost
    voxels."""
    c1, c2, found = (0.01 * 4024) ** 2, (0.03 * 4024) ** 2, []
    for z, y, x in np.argwhere(mask[3:-3, 3:-3, 3:-3]):
        a, b = (one[z : z + 7, y : y + 7, x : x + 7].ravel() for one in (made, truth))
        (va, cov), (_, vb) = np.cov(a, b)
        light = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
        if weight is None:
            found.append(light * (2 * cov + c2) / (va + vb + c2))
        else:
            deviations = math.sqrt(va * vb)
            contrast = (2 * deviations + c2) / (va + vb + c2)
            structure = max(0, (cov + c2 / 2) / (deviations + c2 / 2))
            found.append((light * contrast * structure) ** weight)
    return float(np.mean(found))


def _pair(shape=(12, 13, 14)):
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1200, 1500, shape)
    return truth + rng.normal(0, 200, shape), truth, rng.uniform(size=shape) > 0.3


def _clipped(values, mask):
    return np.where(mask, values.clip(-1024, 3000), -1024) + 1024


def test_ssim_is_that_of_windows_of_seven_voxels():
    made, truth, mask = _pair()
    expected = _ssim_by_loops(_clipped(made, mask), _clipped(truth, mask), mask)
    assert measures.ssim(made, truth, mask) == pytest.approx(expected, rel=1e-9)
    assert measures.ssim(truth, truth, mask) == pytest.approx(1)


def test_ssim_is_that_of_torchmetrics_but_for_sample_covariances():
    """torchmetrics divides by 343 voxels where SynthRAD divides by 342, which a smaller second constant makes up for:
    2 n/(n-1) cov + c2 is proportional to 2 cov + c2 (n-1)/n."""
    made, truth, mask = _pair((14, 20, 17))
    pair = [torch.from_numpy(_clipped(one, mask))[None, None] for one in (made, truth)]
    _, found = structural_similarity_index_measure(
        *pair, gaussian_kernel=False, kernel_size=7, sigma=0.9, data_range=4024.0, k2=0.03 * math.sqrt(342 / 343),
        return_full_image=True,
    )  # fmt: skip
    expected = found[0, 0].numpy()[3:-3, 3:-3, 3:-3][mask[3:-3, 3:-3, 3:-3]].mean()
    assert found.dtype == torch.float64
    assert measures.ssim(made, truth, mask) == pytest.approx(expected, rel=1e-9)


def test_ms_ssim_is_that_of_filters_of_scipy():
    """Whole volumes are filtered, by running sums and by Fourier transforms, and cropped afterwards."""
    ct = head(3, (14, 101, 36))[1].astype(float)
    mask = measures.body_mask(ct, "HU")
    made = ct + np.random.default_rng(0).normal(0, 600, ct.shape) + np.linspace(-200, 200, 36)
    missing = [(max(0, 97 - side) // 2, max(0, 97 - side) - max(0, 97 - side) // 2) for side in ct.shape]
    x, y, inside = (np.pad(one, missing, "edge") for one in (_clipped(made, mask), _clipped(ct, mask), mask))
    c1, c2, expected = (0.01 * 4024) ** 2, (0.03 * 4024) ** 2, 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        mx, my, xx, yy, xy = (uniform_filter(one, 7) for one in (x, y, x * x, y * y, x * y))
        vx, vy, cov = ((343 / 342) * (a - b) for a, b in ((xx, mx * mx), (yy, my * my), (xy, mx * my)))
        both = np.sqrt(vx.clip(0) * vy.clip(0))
        contrast = ((2 * both + c2) / (vx + vy + c2)).clip(0)
        found = ((2 * mx * my + c1) / (mx**2 + my**2 + c1)).clip(0) * contrast
        found = (found * ((cov + c2 / 2) / (both + c2 / 2)).clip(0)) ** weight
        within = (slice(3, -3),) * 3
        expected *= found[within][inside[within]].mean()
        x, y = (fftconvolve(one, np.full((2, 2, 2), 1 / 8), mode="same")[::2, ::2, ::2] for one in (x, y))
        inside = inside[::2, ::2, ::2]
    assert measures.ms_ssim(made, ct, mask) == pytest.approx(expected, rel=1e-7)
    assert 0.3 < expected < 0.98


def test_one_scale_of_ms_ssim_is_the_product_of_three_terms():
    made, truth, mask = _pair()
    pair = _clipped(made, mask), _clipped(truth, mask)
    for weight in measures.SCALES:
        expected = _ssim_by_loops(*pair, mask, weight)
        assert measures._mean_inside(*pair, mask, weight) == pytest.approx(expected, rel=1e-9)


def test_scales_are_means_of_two_by_two_by_two_voxels():
    values = np.random.default_rng(1).uniform(size=(5, 6, 7))
    padded = np.pad(values, [(1, 0)] * 3)
    expected = np.array([
        [[padded[2 * z : 2 * z + 2, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(4)] for y in range(3)]
        for z in range(3)
    ])  # fmt: skip
    assert np.allclose(measures._halved(values), expected, rtol=1e-12)


def test_ms_ssim_of_small_volumes_is_that_of_widened_ones():
    ct = head(2)[1]
    mask = measures.body_mask(ct, "HU")
    assert measures.ms_ssim(ct, ct, mask) == pytest.approx(1)
    worse = [measures.ms_ssim(ct + np.random.default_rng(0).normal(0, s, ct.shape), ct, mask) for s in (20, 200)]
    assert 1 > worse[0] > worse[1] > 0


def test_psnr_and_mae_are_taken_inside_the_mask_only():
    truth = np.zeros((2, 3, 4))
    made, mask = truth.copy(), np.zeros(truth.shape, bool)
    made[0] += 40.24
    made[1] += 9999  # outside
    mask[0, :, :2] = True
    assert measures.psnr(made, truth, mask) == pytest.approx(40)
    sums, counts = measures.absolute_errors(made, truth, mask)
    assert sums.tolist() == pytest.approx([6 * 40.24, 0]) and counts.tolist() == [6, 0]
    assert measures.psnr(np.full_like(truth, 9000), np.full_like(truth, 3000), mask) == math.inf


def test_the_body_is_whole_and_has_no_table():
    ct = np.full((2, 40, 40), -1000)
    ct[:, 5:25, 10:30] = 40
    ct[:, 12:16, 15:20] = -900  # lungs
    ct[:, 35, 5:25] = 100  # a table
    body = measures.body_mask(ct, "HU")
    expected = np.zeros(ct.shape, bool)
    expected[:, 5:25, 10:30] = True
    assert (body == expected)[:, :30].all() and body[:, 35].sum() == (40 if 20 >= 0.05 * 380 else 0)
    assert not measures.body_mask(np.full((1, 9, 9), -1000), "HU").any()


def test_other_units_are_parted_by_otsu():
    mr, ct = head(4)
    of_mr, of_ct = measures.body_mask(mr.astype(float), ""), measures.body_mask(ct, "HU")
    assert (of_mr == of_ct).mean() > 0.97


def test_volume_measures_stand_in_the_table():
    for key in ("volume_error", "slice_psnr", "slice_ssim", "synthrad_psnr", "synthrad_ssim", "synthrad_ms_ssim"):
        assert MEASURES[key].better != "neither" and MEASURES[key].perfect is not None
