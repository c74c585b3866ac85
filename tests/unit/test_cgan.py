"""Conditional GAN: labels, and pairs of image and label."""

import math

import pytest
import torch
from tiny import MLP
from tiny_samplers import SPEC, batch_of, losses_of, model_of
from torch import nn

from translate.data.batch import Labelled
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import ImageSpec
from translate.models.cgan import CGAN
from translate.models.classes import class_labels, other_labels, require_classes, score_pairs
from translate.models.stackgan import StackGAN


def test_wrong_labels_are_never_right_and_otherwise_even():
    torch.manual_seed(0)
    labels = torch.eye(4)[torch.arange(12000) % 4]
    wrong = other_labels(labels)
    assert wrong.shape == labels.shape and torch.equal(wrong.sum(1), torch.ones(12000))
    assert not (wrong * labels).any()
    pairs = (labels.argmax(1) * 4 + wrong.argmax(1)).bincount(minlength=16).reshape(4, 4)
    assert (pairs.fill_diagonal_(1000) - 1000).abs().max() < 6 * 1000**0.5


class _Scores(nn.Module):
    """Scores an image by its mean, plus its label's own number."""

    def __init__(self, per_label):
        super().__init__()
        self.per_label = nn.Parameter(torch.tensor(per_label, dtype=torch.float64))

    def forward(self, images, labels):
        return images.flatten(1).mean(1, keepdim=True) + (labels * self.per_label).sum(1, keepdim=True)


def test_three_kinds_of_pairs_are_judged():
    """Reed et al. 2016, algorithm 1: log s_r + (log(1 - s_w) + log(1 - s_f)) / 2."""
    real, fake = torch.full((2, 1, 2, 2), 0.5).double(), torch.full((2, 1, 2, 2), -0.25).double()
    labels, wrong = torch.eye(2).double(), torch.eye(2).double().flip(0)
    discriminator = _Scores([1.0, 0.0])
    losses = score_pairs(Adversary(AdversarialSettings()), discriminator, real, fake, labels, wrong, "x")

    def log_sigmoid(*logits):
        return sum(math.log(1 / (1 + math.exp(-logit))) for logit in logits) / len(logits)

    right, mismatched, generated = (1.5, 0.5), (0.5, 1.5), (0.75, -0.25)
    other = [log_sigmoid(*(-logit for logit in logits)) for logits in (mismatched, generated)]
    assert losses["adversarial/x"].item() == pytest.approx(-log_sigmoid(*right) - sum(other) / 2)
    assert losses["pair_accuracy/x"].item() == 0.5
    # A discriminator that ignores the label tells none apart.
    blind = score_pairs(Adversary(AdversarialSettings()), _Scores([0.0, 0.0]), real, fake, labels, wrong)
    assert blind["pair_accuracy"].item() == 0


def test_a_discriminator_of_pairs_learns_labels_though_every_image_is_real():
    """With nothing to be learnt from images, right and wrong labels are still told apart: the third kind of pair."""
    model = model_of(CGAN, discriminator=MLP)
    images = torch.cat([torch.full((30, 3, 16, 16), value) for value in (-0.9, 0.0, 0.9)])
    batch = Labelled(images, torch.eye(3).repeat_interleave(30, 0))
    optimizer = torch.optim.Adam(model.discriminator.parameters(), 1e-2)
    for _ in range(200):
        fakes = {"fake": images, "wrong": other_labels(batch.labels)}
        losses = losses_of(model, "discriminator", batch, fakes)
        optimizer.zero_grad()
        losses["adversarial"].backward()
        optimizer.step()
    assert losses["pair_accuracy"].item() > 0.95


def test_the_wanted_class_is_what_the_generator_is_told():
    for kind in (CGAN, StackGAN):
        model = model_of(kind)
        told = []
        network = model.generator if kind is CGAN else model.generator_one_condition
        network.register_forward_pre_hook(lambda module, inputs, told=told: told.append(inputs[0][:, -3:]))
        model.sample(4, label=2)
        model.sample(4)
        assert told[0].argmax(1).tolist() == [2, 2, 2, 2]
        assert told[1].argmax(1).tolist() == [0, 1, 2, 0] and torch.equal(told[1].sum(1), torch.ones(4))
        assert model.classes == ("a", "b", "c")


def test_generated_images_are_judged_with_the_label_they_were_made_for():
    model, batch = model_of(CGAN), batch_of(CGAN)
    told, judged = [], []
    model.generator.register_forward_pre_hook(lambda module, inputs: told.append(inputs[0][:, -3:]))
    model.discriminator.register_forward_pre_hook(
        lambda module, inputs, keywords: judged.append(keywords["labels"]), with_kwargs=True
    )
    fakes = model.generate(batch)
    losses_of(model, "generator", batch, fakes)
    assert torch.equal(told[0], batch.labels) and torch.equal(judged[0], batch.labels)


@pytest.mark.parametrize(
    "groups", [(), (LabelGroup(3, False),), (LabelGroup(2, True), LabelGroup(1, True)), (LabelGroup(1, True),)]
)
def test_a_condition_is_one_group_of_classes(groups):
    with pytest.raises(ConfigurationError, match="classes"):
        require_classes(ImageSpec(1, 16, ("a", "b", "c"), groups))
    assert require_classes(SPEC) == 3


def test_class_labels_are_one_hot_like_the_weights():
    labels = class_labels(5, 3, None, nn.Linear(1, 1).double())
    assert labels.dtype == torch.float64 and labels.argmax(1).tolist() == [0, 1, 2, 0, 1]
