"""Scores real and generated digit images with UNIT's discriminators (Liu et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.data.batch import SourceLabelled
from translate.models.adversary import Adversary, with_name
from translate.models.base import Fakes, Losses
from translate.networks.digits import CoupledDigitDiscriminators


class Scored(NamedTuple):
    """Scores (images, 1) of all generated images, and class logits (batch, classes) of a translated to b and b
    translated to a."""

    scores: Tensor
    read_ab: Tensor
    read_ba: Tensor


class DigitDiscriminators:
    """The discriminators with the rules of the game. With `own_too`, reconstructions in an image's own domain are
    scored, too."""

    def __init__(self, discriminators: CoupledDigitDiscriminators, adversary: Adversary, own_too: bool) -> None:
        self.discriminators, self.adversary, self.kinds = discriminators, adversary, 2 if own_too else 1

    def score(self, fakes: Fakes) -> Scored:
        ask, augment, count = self.discriminators, self.adversary.augment, len(fakes["ab"])
        score_a, read_a = ask(augment(torch.cat([fakes["ba"], fakes["aa"]][: self.kinds])), 0)
        score_b, read_b = ask(augment(torch.cat([fakes["ab"], fakes["bb"]][: self.kinds])), 1)
        return Scored(torch.cat([score_a, score_b]), read_b[:count], read_a[:count])

    def read(self, real: Tensor, domain: int) -> tuple[Tensor, Tensor]:
        """Scores (batch, 1) and class logits (batch, classes) of real images, read as images of `domain`."""
        scores, classes = self.discriminators(self.adversary.augment(real), domain)
        return scores, classes

    def pseudo_labels(self, images: Tensor) -> Tensor:
        """Class probabilities (batch, classes) that a's layer assigns to images of b; without gradient."""
        with torch.no_grad():
            probabilities: Tensor = self.discriminators(images, 0)[1].float().softmax(1)
            return probabilities

    def penalties(self, batch: SourceLabelled, fakes: Fakes) -> Losses:
        return {**self._penalties(0, batch.a, fakes["ba"]), **self._penalties(1, batch.b, fakes["ab"])}

    def _penalties(self, domain: int, real: Tensor, fake: Tensor) -> Losses:
        penalties = self.adversary.penalties(lambda images: self.discriminators(images, domain)[0], real, fake)
        return with_name(penalties, "ab"[domain])

    def feature_distance(self, fakes: Fakes) -> Tensor:
        """Squared distance between the discriminators' features of an image decoded into its own and into the other
        domain."""
        features = self.discriminators.features
        as_a = features(fakes["aa"], 0) - features(fakes["ab"], 1)
        as_b = features(fakes["bb"], 1) - features(fakes["ba"], 0)
        return torch.cat([as_a, as_b]).float().square().sum(1).mean()


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy between logits and soft labels (probabilities), both (batch, classes), in float32."""
    return F.cross_entropy(logits.float(), labels)
