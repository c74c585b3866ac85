"""With and without: intervals over seeds and test images, held to tables and to simulation; a segmenter that learns."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CPU

from translate.data.annotated import Original
from translate.data.batch import Paired
from translate.data.label_maps import NOTHING
from translate.errors import ConfigurationError, ImageError
from translate.evaluation.downstream import Compared, compare, over_seeds, share_right, student_t
from translate.evaluation.label_measures import confusions, mean_iou_of
from translate.evaluation.segmenter import SegmenterSettings, train_segmenter
from translate.runs.augmenting.masked import masked_images


def test_quantiles_of_students_t_are_those_of_the_tables():
    """Of any book: two-sided 5 %."""
    for degrees, quantile in {1: 12.706, 2: 4.3027, 4: 2.7764, 9: 2.2622, 30: 2.0423, 1000: 1.9623}.items():
        assert student_t(degrees) == pytest.approx(quantile, abs=2e-3)


def test_an_interval_has_both_sources_of_chance():
    values = torch.tensor([1.0, 2.0, 3.0]).double()
    alone = over_seeds(values, torch.full((1000,), 2.0).double(), 5)
    half = 4.3027 / math.sqrt(3)  # the deviation of 1, 2, 3 is 1
    assert (alone.value, alone.images) == (2, 5) and alone.high - 2 == pytest.approx(half, rel=1e-3)
    drawn = torch.linspace(1, 3, 1001).double()
    both = over_seeds(values, drawn, 5)
    assert 2 - both.low == pytest.approx(math.hypot(half, 0.95), rel=1e-3) == both.high - 2
    with pytest.raises(ValueError, match="two seeds"):
        over_seeds(values[:1], drawn, 5)


def test_the_interval_of_the_difference_covers_the_truth_as_often_as_it_says():
    """Seeds that differ by 2 %, and images that are easy or hard for all seeds: true difference 3 %."""
    rng = np.random.default_rng(0)
    covered, repeats = 0, 120
    for _ in range(repeats):
        ease = rng.normal(0, 1, 300)
        arms = []
        for shift in (0.70, 0.73):
            share = (shift + rng.normal(0, 0.01, 4))[:, None] + 0.15 * ease
            right = rng.random((4, 300)) < np.clip(share, 0, 1)
            arms.append(torch.from_numpy(np.stack([right, np.ones_like(right)], -1)).double())
        difference = Compared("downstream/labels", share_right, *arms, factor=100).estimates()[2]
        covered += difference.low <= 3.0 <= difference.high
    assert 0.90 <= covered / repeats <= 1


def counted(share: float, seeds: int = 3, images: int = 400, seed: int = 0) -> torch.Tensor:
    right = torch.rand(seeds, images, generator=torch.Generator().manual_seed(seed)) < share
    return torch.stack([right, torch.ones_like(right)], -1).double()


@pytest.mark.parametrize(
    ("without", "augmented", "words"),
    [
        (0.6, 0.9, r"the augmented pictures help: \+\d\d\.\d \(\+.* to \+.*\), 3 seeds"),
        (0.9, 0.6, r"the augmented pictures hurt: -\d\d\.\d \(-.* to -.*\), 3 seeds"),
        (0.8, 0.8, r"are not to be told apart at 3 seeds: [+-]\d\.\d \(-.* to \+.*\)"),
    ],
)
def test_the_verdict_says_what_the_interval_says(without, augmented, words):
    compared = Compared("downstream/labels", share_right, counted(without), counted(augmented, seed=1), factor=100)
    assert re.search(words, compared.verdict()), compared.verdict()
    rows = compared.scores({})
    assert rows[2].value == pytest.approx(rows[1].value - rows[0].value)
    assert rows[0].value == pytest.approx(100 * float(counted(without)[..., 0].mean()))


def test_mean_iou_is_of_all_pixels_of_all_images_and_not_a_mean_over_images():
    planes = torch.where(torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5, 1.0, -1.0)
    truth = torch.full((5, 3, 8, 8), -1.0).scatter(1, torch.randint(0, 3, (5, 1, 8, 8)), 1.0)
    counts = confusions(planes, truth)
    compared = Compared("downstream/mean_iou", mean_iou_of, torch.stack([counts] * 2), torch.stack([counts] * 2))
    first, _, difference = compared.estimates()
    assert first.value == pytest.approx(float(mean_iou_of(counts.sum(0))))
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_both_arms_are_counted_for_each_seed():
    asked = []

    def count(augmented: bool, seed: int) -> torch.Tensor:
        asked.append((augmented, seed))
        return torch.tensor([[float(augmented), 1]])

    without, augmented = compare(count, (4, 7))
    assert asked == [(False, 4), (False, 7), (True, 4), (True, 7)]
    assert (float(without.sum()), float(augmented.sum())) == (2, 4)


def test_a_segmenter_learns_what_can_be_seen():
    """The class is where red is above blue; nobody labelled the first column."""
    generator = torch.Generator().manual_seed(0)

    def batches():
        while True:
            images = torch.rand(8, 3, 16, 16, generator=generator)
            classes = (images[:, :1] > images[:, 2:]).long()
            planes = torch.full((8, 2, 16, 16), -1.0).scatter(1, classes, 1.0)
            planes[..., 0] = -1
            yield Paired(images * 2 - 1, planes)

    spec = masked_images_spec()
    before = torch.get_rng_state()
    model = train_segmenter(batches(), spec, SegmenterSettings(filters=8, steps=80, lr=5e-3), CPU, quiet=True)
    assert torch.equal(torch.get_rng_state(), before)
    batch = next(batches())
    assert float(mean_iou_of(confusions(model(batch.input), batch.target).sum(0))) > 0.6  # by chance, a third


def masked_images_spec():
    from translate.runs.augmenting.masked import MaskedImages

    return MaskedImages((0, 255), None).spec(16)


def mask(path: Path, pixels: list[list[int]]) -> Original:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, np.uint8)).save(path)
    return Original(path, path.name, True, path)


def test_numbers_in_masks_become_classes_whatever_they_are(tmp_path):
    first = mask(tmp_path / "a.png", [[0, 255], [7, 11]])
    numbers = masked_images([first, mask(tmp_path / "b.png", [[0, 0], [255, 255]])], ignore=11)
    assert numbers.values == (0, 7, 255)
    (source,) = numbers.pairs([first])[1]
    assert source.read(1)[..., 0].tolist() == [[0, 2], [1, NOTHING]]
    (strange,) = numbers.pairs([mask(tmp_path / "c.png", [[0, 9]])])[1]
    with pytest.raises(ImageError, match=r"c\.png: the number 9, which is in no training mask"):
        strange.read(1)


def test_masks_of_one_number_or_of_colours_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="1 different numbers in the masks"):
        masked_images([mask(tmp_path / "a.png", [[3, 3]])], None)
    path = tmp_path / "colours.png"
    Image.fromarray(np.array([[[1, 2, 3], [3, 2, 1]]], np.uint8)).save(path)
    with pytest.raises(ImageError, match="its pixels are colours"):
        masked_images([Original(path, "colours.png", True, path)], None)
