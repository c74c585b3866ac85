"""Every measure of images and of sets of images, beside an implementation of its definition that shares no code with
it, on five pairs of sets as unlike as they come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from test_metrics import PAIRS, from_black
from torch import Tensor

from translate.evaluation import distances, features, flips, intervals, metrics, validation
from translate.models import base as model
from translate.training import diagnostics as doctor

Judge = Callable[[Tensor, Tensor], object]


def rows(images: Tensor) -> np.ndarray:
    """Patches of 4 x 4 pixels in their mean grey, as features: (patches, 16)."""
    grey = from_black(images).mean(1)
    patches = np.lib.stride_tricks.sliding_window_view(grey, (4, 4), (1, 2))[:, ::5, ::5]
    return patches.reshape(-1, 16)


def of_features(measure: Callable[[Tensor, Tensor], float]) -> Judge:
    return lambda a, b: measure(torch.from_numpy(rows(a)), torch.from_numpy(rows(b)))


def best_map(a: Tensor, b: Tensor) -> Tensor:
    return validation.apply_affine_colour(a, validation.fit_affine_colour(a, b))


def numpy_best_map(a: Tensor, b: Tensor) -> np.ndarray:
    colours, wanted = (images.double().permute(0, 2, 3, 1).reshape(-1, 3).numpy() for images in (a, b))
    colours = np.column_stack([colours, np.ones(len(colours))])
    found = colours @ np.linalg.lstsq(colours, wanted, rcond=1e-10)[0]
    return found.reshape(2, 40, 33, 3).transpose(0, 3, 1, 2)


def numpy_psnr(a: Tensor, b: Tensor) -> float:
    levels = ((from_black(a) - from_black(b)) * 255).reshape(2, -1)
    return float(np.mean(20 * np.log10(255 / np.sqrt((levels**2).mean(1)))))


def numpy_correlation(a: Tensor, b: Tensor) -> float:
    planes = [images.reshape(6, -1).numpy() for images in (a, b)]
    return float(np.mean([np.corrcoef(x, y)[0, 1] if x.std() and y.std() else 0 for x, y in zip(*planes, strict=True)]))


def pillows_thumbnails(images: Tensor) -> np.ndarray:
    planes = from_black(images).astype(np.float32).reshape(6, 40, 33)
    small = [np.asarray(Image.fromarray(plane).resize((16, 16), Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(small).reshape(2, -1).astype(np.float64)


def diversity(a: Tensor, b: Tensor) -> float:
    return distances.spread(features.thumbnails(torch.cat([a, b]))).value


def numpy_diversity(a: Tensor, b: Tensor) -> float:
    small = np.concatenate([pillows_thumbnails(a), pillows_thumbnails(b)])
    return float(np.mean([np.sqrt(((small[i] - small[j]) ** 2).mean()) for i in range(4) for j in range(4) if i != j]))


def numpy_kid(a: Tensor, b: Tensor) -> float:
    x, y = rows(a), rows(b)
    kernel = lambda p, q: (p @ q.T / 16 + 1) ** 3  # noqa: E731
    within = [(kernel(z, z).sum() - np.trace(kernel(z, z))) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(sum(within) - 2 * kernel(x, y).mean())


def numpy_frechet(a: Tensor, b: Tensor) -> float:
    """The root of the product of both covariances, whose eigenvalues no symmetric form keeps real here."""
    x, y = rows(a), rows(b)
    one, other = np.cov(x.T), np.cov(y.T)
    between = np.sqrt(np.linalg.eigvals(one @ other).astype(complex)).real.sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * between)


def numpy_l1(a: Tensor, b: Tensor) -> float:
    return float(np.abs(from_black(a) - from_black(b)).mean())


MEASURES: dict[str, tuple[Judge, Judge]] = {
    "l1": (metrics.absolute_error, numpy_l1),
    "l1 as a loss, from -1 to 1": (model.l1, lambda a, b: 2 * numpy_l1(a, b)),
    "psnr": (metrics.psnr, numpy_psnr),
    "best colour map": (best_map, numpy_best_map),
    "change": (flips.difference, lambda a, b: np.abs(from_black(a) - from_black(b)).mean((1, 2, 3))),
    "neighbours": (
        lambda a, b: flips.to_neighbour(torch.cat([a, b])),
        lambda a, b: np.abs(np.diff(from_black(torch.cat([a, b])), axis=0)).mean((1, 2, 3)),
    ),
    "diversity": (diversity, numpy_diversity),
    "KID": (of_features(lambda x, y: distances.kid(x, y, draws=0).value), numpy_kid),
    "Frechet distance": (of_features(distances.frechet), numpy_frechet),
    "the doctor's distance": (doctor._distance, numpy_l1),
    "the doctor's correlation": (doctor._correlation, numpy_correlation),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_what_another_implementation_finds(name: str, pair: str) -> None:
    ours, theirs = MEASURES[name]
    found, wanted = (np.asarray(measure(*PAIRS[pair]), dtype=np.float64) for measure in (ours, theirs))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("hits", "images"), [(0, 1), (1, 7), (50, 100), (999, 1000), (12, 12)])
def test_an_interval_of_a_share_is_scipys(hits: int, images: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    wanted = stats.binomtest(hits, images).proportion_ci(0.95, method="wilson")
    found = intervals.wilson(hits, images)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@pytest.mark.parametrize("kind", ["normal", "skewed", "yes or no", "heavy tails", "few"])
def test_an_interval_of_a_mean_is_scipys(kind: str) -> None:
    """Both are drawn: the ends of two intervals of 1,000 draws differ by a tenth of their width at most."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    rng = np.random.default_rng(7)
    values = {
        "normal": rng.normal(3, 2, 300),
        "skewed": rng.exponential(1, 200),
        "yes or no": (rng.random(150) < 0.1).astype(float),
        "heavy tails": rng.standard_t(3, 400),
        "few": rng.random(8),
    }[kind]
    wanted = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=1).confidence_interval
    found = intervals.bootstrap_mean(torch.from_numpy(values))
    width = wanted.high - wanted.low
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=width / 10)
