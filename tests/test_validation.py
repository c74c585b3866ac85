"""Measures beside the truth on translations that are known in closed form."""

import math

import pytest
import torch
from test_converter import Negative
from tiny import CPU

from translate.data.batch import Unpaired
from translate.validation import directions


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


def test_without_true_pairs_there_is_nothing_to_measure():
    assert directions(Negative(), ("a", "b"), [], [], CPU) == []
