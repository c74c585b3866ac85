"""Label vectors: planes, loss, accuracy and changes, against what is written down by hand."""

import math

import pytest
import torch

from translate.data.labels import LabelGroup
from translate.models.base import ImageSpec, Request
from translate.models.labels import Labels

HAIR = ImageSpec(3, 16, ("black", "blond", "male", "young"), (LabelGroup(4, exclusive=False),), ((0, 1),))
MOODS = ImageSpec(3, 16, ("angry", "happy", "sad"), (LabelGroup(3, exclusive=True),))
JOINT = ImageSpec(
    3, 16, ("male", "young", "angry", "happy"), (LabelGroup(2, exclusive=False), LabelGroup(2, exclusive=True))
)


def test_one_set_has_a_plane_for_each_domain_and_no_mask():
    labels = Labels(MOODS)
    assert labels.width == 3
    assert torch.equal(labels.planes(torch.tensor([[0.0, 1, 0]])), torch.tensor([[0.0, 1, 0]]))


def test_joint_sets_have_masks_and_unknown_labels_are_zero():
    """StarGAN's c~ = [c_1, c_2, m], eq. 7: the mask says which set's labels are known."""
    labels = Labels(JOINT)
    assert labels.width == 6
    rows = torch.tensor([[1.0, 0, -1, -1], [-1, -1, 0, 1]])
    expected = torch.tensor([[1.0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1]])
    assert torch.equal(labels.planes(rows), expected)


def test_classes_pay_cross_entropy_and_attributes_the_sum_of_binary_ones():
    logits = torch.tensor([[0.0, 0, 0]])
    assert float(Labels(MOODS).loss(logits, torch.tensor([[0.0, 1, 0]]))) == pytest.approx(math.log(3))
    logits, rows = torch.zeros(2, 4), torch.tensor([[1.0, 0, 1, 1], [0, 0, 0, 0]])
    assert float(Labels(HAIR).loss(logits, rows)) == pytest.approx(4 * math.log(2))


def test_unknown_labels_cost_nothing_and_teach_nothing():
    logits = torch.randn(2, 4, requires_grad=True)
    rows = torch.tensor([[1.0, 0, -1, -1], [-1, -1, 0, 1]])
    Labels(JOINT).loss(logits, rows).backward()
    assert torch.equal(logits.grad != 0, rows >= 0)


def test_accuracy_counts_classes_once_and_leaves_unknown_ones_out():
    labels = Labels(JOINT)
    logits = torch.tensor([[2.0, -2, 9, 0], [0, 0, 1.0, 3]])
    rows = torch.tensor([[1.0, 1, -1, -1], [-1, -1, 0, 1]])
    # Of image 1 male is read right and young is not; of image 2 the one class is: two of three.
    assert float(labels.accuracy(logits, rows)) == pytest.approx(2 / 3)
    assert not labels.accuracy(logits.requires_grad_(), rows).requires_grad


def test_decisions_are_the_largest_class_and_positive_attributes():
    decided = Labels(JOINT).decide(torch.tensor([[0.1, -3, 2.0, 2.5]]))
    assert torch.equal(decided, torch.tensor([[1.0, 0, 0, 1]]))


def test_setting_an_attribute_clears_its_alternatives_and_keeps_the_others():
    labels = Labels(HAIR)
    changed = labels.change(torch.tensor([[1.0, 0, 1, 0]]), Request(frozenset({1}), frozenset({2})))
    assert torch.equal(changed, torch.tensor([[0.0, 1, 0, 0]]))
    # Both asked for at once is the user's own wish.
    assert torch.equal(labels.change(torch.zeros(1, 4), Request.to(0, 1)), torch.tensor([[1.0, 1, 0, 0]]))


def test_a_class_is_the_only_one_and_other_sets_are_not_asked():
    assert torch.equal(Labels(MOODS).change(torch.tensor([[1.0, 0, 0]]), Request.to(2)), torch.tensor([[0.0, 0, 1]]))
    changed = Labels(JOINT).change(torch.tensor([[1.0, 1, 1, 0]]), Request.to(3))
    assert torch.equal(changed, torch.tensor([[-1.0, -1, 0, 1]]))


def test_a_flip_sets_classes_and_alternatives_and_negates_the_rest():
    labels, row = Labels(HAIR), torch.tensor([[1.0, 0, 1, 0]])
    assert torch.equal(labels.flip(row, 1), torch.tensor([[0.0, 1, 1, 0]]))
    assert torch.equal(labels.flip(row, 2), torch.tensor([[1.0, 0, 0, 0]]))
    assert torch.equal(labels.flip(row, 3), torch.tensor([[1.0, 0, 1, 1]]))
    assert labels.attributes == [0, 1, 2, 3] and Labels(MOODS).attributes == []
