"""Losses and measures of label maps: what is not labelled counts nowhere."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import tiny
import torch
import torch.nn.functional as F

from translate.data.batch import Paired
from translate.data.domain import Domain
from translate.data.label_maps import NOTHING, planes
from translate.evaluation.label_measures import confusions, estimated, mean_iou, pixel_accuracy
from translate.evaluation.metrics import MEASURES, compare_with_truth
from translate.losses.labels import SHARPNESS, cross_entropy, where_labelled
from translate.models.pix2pix import Pix2Pix

CLASSES = 3


def maps(seed: int = 0, count: int = 4) -> torch.Tensor:
    """Classes with a quarter that nobody labelled: (count, 1, 8, 8), uint8."""
    found = torch.randint(
        0, CLASSES, (count, 1, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )
    found[:, :, :4, :4] = NOTHING
    return found


def test_cross_entropy_is_that_of_labelled_pixels() -> None:
    wanted = maps()
    output = torch.rand(4, CLASSES, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = F.cross_entropy(SHARPNESS * output, wanted[:, 0].long(), ignore_index=NOTHING)
    torch.testing.assert_close(cross_entropy(output, planes(wanted, CLASSES)), expected)
    assert cross_entropy(output, torch.full_like(output, -1)) == 0, "nothing is labelled"
    assert cross_entropy(planes(wanted, CLASSES), planes(wanted, CLASSES)) < 1e-6
    assert cross_entropy(output.bfloat16(), planes(wanted, CLASSES).bfloat16()).dtype == torch.float32


def test_what_nobody_labelled_is_hidden_and_gives_no_gradient() -> None:
    wanted = planes(maps(), CLASSES)
    output = torch.rand(4, CLASSES, 8, 8, requires_grad=True)
    hidden = where_labelled(output, wanted)
    assert (hidden[:, :, :4, :4] == -1).all() and torch.equal(hidden[:, :, 4:], output[:, :, 4:])
    (hidden.sum() + cross_entropy(hidden, wanted)).backward()
    assert output.grad is not None
    assert (output.grad[:, :, :4, :4] == 0).all() and (output.grad[:, :, 4:] != 0).all()


def test_iou_and_accuracy_by_hand() -> None:
    true = torch.tensor([[[[0, 0, 1, 1], [2, 2, NOTHING, NOTHING]]]], dtype=torch.uint8)
    found = torch.tensor([[[[0, 1, 1, 1], [2, 0, 0, 2]]]], dtype=torch.uint8)
    pair = planes(found, 4), planes(true, 4)
    assert confusions(*pair)[0].tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert float(pixel_accuracy(*pair)) == pytest.approx(4 / 6)
    assert float(mean_iou(*pair)) == pytest.approx((1 / 3 + 2 / 3 + 1 / 2) / 3), "of the classes that occur"
    with pytest.raises(ValueError, match="two batches of equal shape"):
        confusions(pair[0], pair[1][:, :3])


def test_measures_are_of_all_pixels_together_and_have_intervals() -> None:
    true, found = maps(2, 9), maps(3, 9)
    found[:3] = true[:3]
    pair = planes(found, CLASSES), planes(true, CLASSES)
    assert set(compare_with_truth(*pair, labels=True)) == {"mean_iou", "pixel_accuracy"}
    assert not {"mean_iou", "pixel_accuracy"} & set(compare_with_truth(*pair))
    for name in ("mean_iou", "pixel_accuracy"):
        function = MEASURES[name].function
        assert function is not None
        value = estimated(function, confusions(*pair))
        assert value.value == pytest.approx(float(function(*pair))) and value.images == 9
        assert value.low < value.value < value.high
        each = sum(float(function(*one)) for one in zip(pair[0].split(1), pair[1].split(1), strict=True)) / 9
        assert name == "pixel_accuracy" or abs(each - value.value) > 1e-3, "no mean over images"
        assert float(function(pair[1], pair[1])) == MEASURES[name].perfect


def test_pix2pix_minimises_cross_entropy_and_its_discriminator_sees_no_holes() -> None:
    target = Domain("b", CLASSES, dtype="uint8", kind="labels", ignore=9)
    spec = replace(tiny.SPEC, each=(Domain("a"), target))
    config = Pix2Pix.Config.model_validate_json(json.dumps(tiny.tiny_settings("pix2pix")))
    model = Pix2Pix(config, spec)
    wanted = planes(torch.nn.functional.interpolate(maps(4, 2).float(), (16, 16)).byte(), CLASSES)
    batch = Paired(torch.rand(2, 3, 16, 16), wanted)
    fakes = model.generate(batch)
    assert (fakes["output"][:, :, :8, :8] == -1).all()
    losses = model.turns()[1].losses(batch, fakes)
    expected = config.reconstruction * cross_entropy(fakes["output"], wanted)
    torch.testing.assert_close(losses["reconstruction"], expected)
    shown = model.show(batch)
    assert shown["output"].shape == shown["target"].shape == (2, 3, 16, 16)
    assert (shown["target"][:, :, :8, :8] == 1).all(), "white, as nobody labelled it"
