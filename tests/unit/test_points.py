"""Points in the plane: where they lie, that batches are functions of seed and step, how modes are counted, pictures."""

import numpy as np
import pytest
import torch
from tiny import CPU

from translate.data.batch import Plain
from translate.data.synthetic.point_pictures import VIEW, columns, density, dots, heights, places
from translate.data.synthetic.points import POINT_SETS, PointLoader, PointSet, grid, lines, ring
from translate.evaluation.validation import ModeCoverage


def _drawn(points, count=20000, seed=0):
    return points.draw(count, np.random.default_rng(seed))


@pytest.mark.parametrize("name", POINT_SETS)
def test_points_are_images_of_one_pixel_within_range(name):
    points = POINT_SETS[name]()
    drawn = _drawn(points)
    assert points.name == name
    assert drawn.shape == (20000, 2, 1, 1) and drawn.dtype == torch.float32
    assert drawn.abs().max() <= 1


def test_the_ring_has_eight_modes_alike_and_as_wide_as_published():
    flat = _drawn(ring()).flatten(1).double()
    angle = torch.atan2(flat[:, 1], flat[:, 0]) / (2 * torch.pi) * 8
    counts = angle.round().remainder(8).long().bincount()
    # Six standard deviations of a binomial.
    assert len(counts) == 8 and (counts - 2500).abs().max() < 6 * (20000 / 8 * 7 / 8) ** 0.5
    assert flat.norm(dim=1).mean().item() == pytest.approx(0.8, abs=1e-3)
    assert flat.norm(dim=1).std().item() == pytest.approx(0.008, rel=0.03)


def test_the_grid_has_twenty_five_modes():
    flat = _drawn(grid()).flatten(1).double()
    assert len((flat / 0.4).round().unique(dim=0)) == 25
    assert (flat - (flat / 0.4).round() * 0.4).std().item() == pytest.approx(0.01, rel=0.02)


def test_the_lines_are_two_and_upright():
    flat = _drawn(lines()).flatten(1).double()
    assert set(flat[:, 0].sign().tolist()) == {-1.0, 1.0}
    assert flat[:, 0].abs().mean().item() == pytest.approx(0.5, abs=1e-3)
    assert flat[:, 1].std().item() == pytest.approx((1.2**2 / 12 + 0.02**2) ** 0.5, rel=0.02)


def test_a_batch_is_a_function_of_seed_and_step():
    def batches(seed, start, count):
        stream = PointLoader(ring(), 4, seed).stream(start)
        return [next(stream).images for _ in range(count)]

    first = batches(1, 0, 4)
    assert torch.equal(torch.stack(first[2:]), torch.stack(batches(1, 2, 2)))
    assert len(torch.stack(first).flatten(0, 1).unique(dim=0)) == 16
    assert not torch.equal(first[0], batches(2, 0, 1)[0])
    assert isinstance(next(PointLoader(ring(), 4, 1).stream()), Plain)


def test_real_points_cover_every_mode_and_lie_near_one():
    for points in (ring(), grid()):
        measured = points.coverage(_drawn(points))
        assert measured["modes_covered"] == points.modes
        # Within 3 sigma in the plane: 1 - exp(-9 / 2).
        assert measured["near_a_mode"] == pytest.approx(1 - np.exp(-4.5), abs=0.003)
        assert measured["largest_share"] == pytest.approx(1 / points.modes, rel=0.15)


def test_modes_are_counted_as_said():
    points = PointSet("two", np.array([[-0.5, 0.0], [0.5, 0.0]]), np.array([[-0.5, 0.0], [0.5, 0.0]]), 0.01)

    def coverage(*places):
        return points.coverage(torch.tensor(places)[:, :, None, None])

    # Of 8 points 4 are a mode's fair share, of which one is a quarter.
    collapsed = [(-0.5, 0.0)] * 7
    assert coverage(*collapsed, (0.0, 0.0)) == {"modes_covered": 1, "near_a_mode": 7 / 8, "largest_share": 1}
    assert coverage(*collapsed, (0.529, 0.0)) == {"modes_covered": 2, "near_a_mode": 1, "largest_share": 7 / 8}
    assert coverage(*collapsed, (0.531, 0.0))["modes_covered"] == 1
    assert coverage(*collapsed, *collapsed, (0.5, 0.0))["modes_covered"] == 1
    nowhere = {"modes_covered": 0, "near_a_mode": 0, "largest_share": 0}
    assert coverage((0.0, 0.0)) == coverage((float("nan"), 0.0)) == nowhere


def test_the_distance_to_a_line_is_to_its_nearest_place():
    points = lines(apart=1.0, length=1.0)
    places = np.array([[-0.5, 0.2], [-0.4, 0.0], [0.5, 0.8]])
    expected = [[0, 1], [0.1, 0.9], [np.hypot(1, 0.3), 0.3]]
    np.testing.assert_allclose(points._distances(places), expected, atol=1e-12)


def test_mode_coverage_draws_from_the_model_and_leaves_the_dice():
    class Repeats:
        def sample(self, count, label=None):
            torch.rand(1)
            return ring().draw(count, np.random.default_rng(3))

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    validation = ModeCoverage(ring())
    assert validation.name == "ring"
    measured = validation.measure(Repeats(), CPU)
    assert torch.equal(torch.rand(1), expected)
    baseline = validation.baselines()["real points"]
    assert measured.keys() == baseline.keys() and measured["modes_covered"] == baseline["modes_covered"] == 8


def test_dots_lie_where_the_points_are():
    picture = dots(torch.zeros(0, 2, 1, 1), torch.tensor([VIEW / 2, VIEW / 2]).reshape(1, 2, 1, 1), side=64)
    assert picture.shape == (1, 3, 64, 64)
    rows, cols = (picture[0] != 1).any(0).nonzero().T
    # Right and up: a quarter from the top, three from the left.
    assert rows.tolist() == [16, 16, 17, 17] and cols.tolist() == [48, 49, 48, 49]


def test_generated_dots_are_on_top_and_those_out_of_view_are_left_out():
    point = torch.zeros(1, 2, 1, 1)
    real, sample = (dots(*sets, side=32)[0, :, 16, 16] for sets in ((point, point[:0]), (point, point)))
    assert not torch.equal(real, sample)
    odd = torch.tensor([[9.0, 0.0], [float("nan"), 0.0], [float("inf"), 0.0]])[:, :, None, None]
    assert (dots(odd, odd) == 1).all()


def test_density_is_darker_where_there_are_more():
    few, many = (torch.full((count, 2, 1, 1), place) for count, place in ((1, -0.6), (100, 0.6)))
    picture = density(torch.cat([few, many]), side=64, bins=8)[0].mean(0)
    ordered = [picture[63 - int((0.6 + VIEW) / 2 / VIEW * 64), int((0.6 + VIEW) / 2 / VIEW * 64)]]
    ordered += [picture[63 - int((-0.6 + VIEW) / 2 / VIEW * 64), int((-0.6 + VIEW) / 2 / VIEW * 64)], picture[0, 0]]
    assert ordered == sorted(ordered) and len(set(map(float, ordered))) == 3


def test_heights_are_drawn_where_they_are_measured():
    x, y = places(32).flatten(1).T
    right = heights(x.reshape(32, 32), side=64)[0].mean(0)
    up = heights(y.reshape(32, 32), side=64)[0].mean(0)
    assert (right.diff(dim=1) <= 0).all() and right[0, -1] < right[0, 0]  # darker to the right
    assert (up.diff(dim=0) >= 0).all() and up[0, 0] < up[-1, 0]  # darker above
    assert len(right[0].unique()) == 12
    assert torch.isfinite(heights(torch.zeros(4, 4))).all()


def test_columns_are_pictures():
    pictures = columns(_drawn(ring(), 10), _drawn(ring(), 10))
    assert len(pictures) == 2
    assert all(picture.shape == (1, 3, 256, 256) and picture.abs().max() <= 1 for picture in pictures.values())
