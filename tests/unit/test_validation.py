"""Measures beside the truth on translations that are known in closed form."""

import math
from types import SimpleNamespace

import pytest
import torch
from test_converter import Negative
from tiny import CPU

from translate.data.batch import Labelled, Unpaired
from translate.data.domain import Domain
from translate.data.io.images import to_float
from translate.data.written import as_written
from translate.evaluation.validation import Direction, class_directions, directions


def _pairs(truth, count=6):
    images = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return [Unpaired(images[:4], truth(images[:4])), Unpaired(images[4:], truth(images[4:]))]


def test_a_perfect_translation_and_a_colour_map_that_finds_it():
    (direction,) = directions(Negative(), ("plain", "negative"), _pairs(lambda images: 255 - images), [], CPU)
    assert (direction.name, direction.to, len(direction.inputs)) == ("to negative", 1, 6)
    measures = direction.measure(Negative(), CPU, batch_size=4)
    assert measures["l1"] == pytest.approx(0, abs=1e-6) and measures["ssim"] == pytest.approx(1, abs=1e-4)
    baselines = direction.baselines()
    # The negative is an affine colour map; the untouched input is |1 - 2x| away, 1/2 on average over uniform levels.
    assert baselines["best colour map"]["l1"] == pytest.approx(0, abs=1e-5)
    assert baselines["untouched input"]["l1"] == pytest.approx(0.5, abs=0.02)


def test_the_untouched_input_is_a_baseline():
    (direction,) = directions(Negative(), ("plain", "same"), _pairs(lambda images: images), [], CPU)
    assert direction.baselines()["untouched input"]["l1"] == 0
    assert math.isinf(direction.baselines()["untouched input"]["psnr"])


def test_the_colour_map_is_fitted_on_training_truth_where_there_is_one():
    training = _pairs(lambda images: images)
    (direction,) = directions(Negative(), ("plain", "negative"), _pairs(lambda images: 255 - images), training, CPU)
    torch.testing.assert_close(direction.colour_map[:, :3].float(), torch.eye(3), atol=1e-5, rtol=0)
    assert (
        direction.protocol.startswith("6 test images of 16 x 16 pixels") and "on training pairs" in direction.protocol
    )
    (unpaired,) = directions(Negative(), ("plain", "negative"), training, [], CPU)
    assert unpaired.protocol.endswith("the best colour map is fitted on these images")


@pytest.mark.parametrize(
    ("kind", "step"),
    [(Domain("b", 3, dtype="uint8"), 2 / 255), (Domain("b", 3, (-20, 44), "int16", "HU"), 2 / 64)],
    ids=["bytes", "HU"],
)
def test_what_is_measured_is_what_files_of_the_target_hold(kind, step):
    """A translation that is off by less than half a step of the files is measured as the truth itself."""
    truth = torch.randint(0, 60, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)) * step - 1
    truth = as_written(truth, kind)
    for error, l1 in ((0.4 * step, 0), (0.6 * step, step / 2)):
        direction = Direction("to b", 1, -truth - error, truth, torch.eye(3, 4).double(), target=kind)
        measured = direction.measure(Negative(), CPU)
        assert measured["l1"] == pytest.approx(l1, rel=0.02, abs=1e-4)
    assert f"rounded to {'8' if kind.dtype == 'uint8' else 'signed 16'}-bit files" in direction.protocol
    (score, *_) = direction.scores(Negative(), CPU, {})
    assert score.protocol["rounding"] and "rounded" not in score.protocol["best colour map"]


def test_nothing_is_rounded_where_the_files_are_of_no_known_type():
    images = torch.rand(2, 3, 16, 16)
    assert as_written(images, None) is images and as_written(images, Domain("b", 3)) is images


class BothWays(Negative):
    def targets(self):
        return [1, 0]


def test_each_direction_leads_from_the_other_domain_to_its_own():
    pairs = _pairs(lambda images: images // 2 + 100)
    first, second = (to_float(torch.cat([getattr(pair, side) for pair in pairs])) for side in "ab")
    to_b, to_a = directions(BothWays(), ("a", "b"), pairs, [], CPU)
    assert (to_b.name, to_b.to, to_a.name, to_a.to) == ("to b", 1, "to a", 0)
    assert torch.equal(to_b.inputs, first) and torch.equal(to_b.truths, second)
    assert torch.equal(to_a.inputs, second) and torch.equal(to_a.truths, first)


def test_classes_are_held_to_each_other_image_by_image():
    scenes = torch.randint(0, 80, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    styles = {name: scenes + 70 * number for number, name in enumerate("abc")}
    labels = torch.eye(3).repeat_interleave(4, 0)
    images = torch.cat(list(styles.values()))
    batches = [Labelled(*(part[i : i + 5] for part in (images, labels))) for i in range(0, 12, 5)]
    found = {direction.name: direction for direction in class_directions("abc", batches, CPU)}
    assert len(found) == 6
    for name, direction in found.items():
        _, to, _, origin = name.split()
        assert direction.to == "abc".index(to)
        assert torch.equal(direction.inputs, to_float(styles[origin]))
        assert torch.equal(direction.truths, to_float(styles[to]))
        assert direction.baselines()["best colour map"]["l1"] == pytest.approx(0, abs=1e-5)


def test_a_colour_map_gives_no_lighter_than_white():
    inputs, white = torch.full((2, 3, 16, 16), 0.8), torch.ones(2, 3, 16, 16)
    twice = torch.cat([2 * torch.eye(3), torch.zeros(3, 1)], 1).double()
    direction = Direction("to white", 1, inputs, white, twice)
    assert direction.baselines()["best colour map"]["l1"] == 0
    score = direction.scores(SimpleNamespace(convert=lambda images, to: images), CPU, {})[0]
    assert score.floor["best colour map"] == 0 and score.floor["untouched input"] == pytest.approx(0.1)


def test_without_true_pairs_there_is_nothing_to_measure():
    assert directions(Negative(), ("a", "b"), [], [], CPU) == []
