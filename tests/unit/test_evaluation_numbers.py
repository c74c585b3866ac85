"""Intervals, distances and tables against closed forms and other libraries."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

from translate.evaluation import distances
from translate.evaluation.distances import frechet, frechet_of_gaussians, kid, spread
from translate.evaluation.intervals import Estimate, bootstrap_mean, bootstrap_ratio, redrawn, wilson
from translate.evaluation.table import Score, as_json, as_text, dumped, score


def normal(images: int, features: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(features, features, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return torch.randn(images, features, generator=generator, dtype=torch.float64) @ mixing + shift


class Passing(nn.Module):
    """An extractor for torchmetrics that gives features as they are."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, features: Tensor) -> Tensor:
        return features


@pytest.mark.parametrize(("hits", "images"), [(1, 10), (5, 10), (37, 1000), (999, 1000)])
def test_wilsons_ends_are_the_shares_that_the_hits_just_do_not_refute(hits, images):
    found = wilson(hits, images)
    for end in (found.low, found.high):
        assert abs(found.value - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / images), rel=1e-6)
    assert found.low < found.value == hits / images < found.high


def test_wilson_at_the_ends():
    assert wilson(0, 10) == Estimate(0.0, 0.0, pytest.approx(1.959964**2 / (10 + 1.959964**2)), 10)
    assert wilson(10, 10).high == 1.0
    with pytest.raises(ValueError, match="one image"):
        wilson(0, 0)


def test_the_bootstrap_of_a_mean_has_the_width_of_its_standard_error():
    values = torch.randn(2000, generator=torch.Generator().manual_seed(0)).double() * 3 + 5
    found = bootstrap_mean(values)
    half = 1.96 * float(values.std()) / math.sqrt(2000)
    assert found.value == pytest.approx(float(values.mean()))
    assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=0.12)
    assert bootstrap_mean(values) == found != bootstrap_mean(values, seed=1)


def test_readings_of_one_image_are_drawn_together():
    single = (torch.rand(400, generator=torch.Generator().manual_seed(1)) < 0.3).double()
    together = bootstrap_ratio(single * 9, torch.full((400,), 9.0))
    assert together.value == pytest.approx(float(single.mean()))
    # Nine equal readings of an image are worth one: as if all 3600 were drawn alone it would be a third as wide.
    assert together.high - together.low == pytest.approx(2 * 1.96 * float(single.std()) / 20, rel=0.15)
    uneven = bootstrap_ratio(torch.tensor([1.0, 0.0, 5.0]), torch.tensor([1.0, 0.0, 9.0]))
    assert (uneven.value, uneven.images) == (pytest.approx(0.6), 2)
    with pytest.raises(ValueError, match="one reading"):
        bootstrap_ratio(torch.zeros(2), torch.zeros(2))


def test_a_redrawn_set_has_as_many_images():
    counts = redrawn(7, 50, seed=3)
    assert counts.shape == (50, 7)
    assert (counts.sum(1) == 7).all()
    assert counts.max() > 1


def test_frechet_of_gaussians_with_common_axes():
    turn, _ = torch.linalg.qr(normal(3, 3, 1))
    a, b = torch.tensor([4.0, 1.0, 0.0]).double(), torch.tensor([1.0, 9.0, 0.25]).double()
    mean, other = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([1.0, 0.0, 3.0]).double()
    found = frechet_of_gaussians(mean, turn * a @ turn.T, other, turn * b @ turn.T)
    assert found == pytest.approx(4 + float((a.sqrt() - b.sqrt()).square().sum()), rel=1e-9)


def test_frechet_of_gaussians_with_different_axes():
    a = torch.tensor([[2.0, 0.7], [0.7, 1.0]]).double()
    b = torch.tensor([[1.0, -0.4], [-0.4, 3.0]]).double()
    # The root of a 2 x 2 matrix M has the trace sqrt(tr M + 2 sqrt(det M)).
    product = a @ b
    root = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    wanted = float(a.trace() + b.trace() - 2 * root)
    assert frechet_of_gaussians(torch.zeros(2), a, torch.zeros(2), b) == pytest.approx(wanted, rel=1e-12)


def test_frechet_of_a_moved_set_is_how_far_it_was_moved_squared():
    x = normal(50, 8, 2)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x + 0.5) == pytest.approx(8 * 0.25, rel=1e-9)
    # Fewer images than features: singular covariances.
    assert frechet(x[:5], x[:5] + 0.5) == pytest.approx(8 * 0.25, rel=1e-6)
    with pytest.raises(ValueError, match="two images"):
        frechet(x[:1], x)


def test_frechet_is_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics is not installed")
    x, y = normal(300, 16, 3), normal(200, 16, 4, shift=0.3) * 1.2
    theirs = fid.FrechetInceptionDistance(feature=Passing(16), normalize=True)
    theirs.update(x, real=True)
    theirs.update(y, real=False)
    assert frechet(y, x) == pytest.approx(float(theirs.compute()), rel=1e-8)


def test_kid_is_the_mean_over_pairs(monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK", 4)
    x, y = normal(9, 5, 5), normal(7, 5, 6, shift=0.4)

    def mean(a: Tensor, b: Tensor, same: bool) -> float:
        values = [
            (float(p @ q) / 5 + 1) ** 3 for i, p in enumerate(a) for j, q in enumerate(b) if not (same and i == j)
        ]
        return sum(values) / len(values)

    wanted = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    found = kid(x, y)
    assert found.value == pytest.approx(wanted, rel=1e-9)
    assert found.low < found.high
    assert math.isnan(kid(x, y, draws=0).low)


def test_kid_is_torch_fidelitys_and_torchmetrics():
    theirs = pytest.importorskip("torch_fidelity.metric_kid", reason="torch-fidelity is not installed")
    metrics = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics is not installed")
    x, y = normal(120, 16, 7), normal(120, 16, 8, shift=0.2)
    kernel = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    wanted = theirs.kernel_mmd(x.numpy(), y.numpy(), kid_kernel_poly_coef0=1.0, **kernel)
    assert kid(x, y).value == pytest.approx(float(wanted), rel=1e-9)
    other = metrics.KernelInceptionDistance(feature=Passing(16), subsets=1, subset_size=120, normalize=True)
    other.update(x, real=True)
    other.update(y, real=False)
    assert kid(y, x).value == pytest.approx(float(other.compute()[0]), rel=1e-6)


def test_kids_interval_holds_zero_for_equal_distributions_and_not_for_others():
    x, same, other = normal(400, 6, 9), normal(400, 6, 10), normal(400, 6, 11, shift=1.0)
    near, far = kid(x, same), kid(x, other)
    assert near.low < 0 < near.high
    assert far.low > 0
    # Bootstrap against fresh draws of both sets: the spread of many sets' values is what the interval tells.
    values = torch.tensor(
        [kid(normal(400, 6, 100 + s), normal(400, 6, 300 + s, shift=1.0), draws=0).value for s in range(60)]
    )
    assert far.high - far.low == pytest.approx(2 * 1.96 * float(values.std()), rel=0.4)


def test_spread_of_a_triangle_and_of_one_image_for_all(monkeypatch):
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert spread(corners).value == pytest.approx((3 + 4 + 5) / 3)
    assert spread(torch.full((40, 6), 0.7)).value == pytest.approx(0, abs=1e-7)
    monkeypatch.setattr(distances, "_BLOCK", 2)
    assert spread(corners).value == pytest.approx(4)
    with pytest.raises(ValueError, match="two images"):
        spread(corners[:1])


def test_a_table_stands_aligned_above_its_protocol():
    how = {"split": "test", "classifier": "sha256 ab"}
    scores = [
        score(
            "error", "hair", wilson(1, 4).times(100), unit="%", better="lower",
            floor={"input": 50.0}, ceiling={"real": 0.5}, protocol=how,
        ),
        Score("distances in Inception", "hair", None, better="lower", note="unavailable: file X wanted"),
        score(
            "error", "all", Estimate(2.5, 1.25, 12345678.0, 12, "95 %, Wilson"), unit="%", better="lower",
            floor={"input": 100.0}, ceiling={"real": float("nan")}, protocol=how, note="few",
        ),
    ]  # fmt: skip
    assert as_text(scores).splitlines() == [
        "error, % (lower is better)",
        "        model     95 % interval  floor: input  ceiling: real  images",
        "  hair     25    4.559 to 69.94            50            0.5       4",
        "  all     2.5  1.25 to 1.23e+07           100              -      12",
        "  split: test",
        "  classifier: sha256 ab",
        "  interval: 95 %, Wilson",
        "  all: few",
        "",
        "distances in Inception (lower is better)",
        "        model",
        "  hair      -",
        "  hair: unavailable: file X wanted",
    ]


def test_scores_are_json_that_any_parser_takes():
    scores = [
        Score("PSNR", "to b", math.inf, ceiling={"truth": math.inf, "other": 1.0}, low=math.nan, protocol={"n": 3})
    ]
    (read,) = json.loads(dumped(scores))
    assert (read["value"], read["low"], read["ceiling"]) == (None, None, {"truth": None, "other": 1.0})
    assert read["protocol"] == {"n": 3}
    assert as_json(scores)[0]["name"] == "to b"
