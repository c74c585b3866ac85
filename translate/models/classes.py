"""Classes as a condition: one-hot labels, and pairs of image and label as a discriminator judges them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.model import ImageSpec, Losses
from translate.models.adversary import Adversary
from translate.models.labels import one_hot


def require_classes(images: ImageSpec) -> int:
    """How many classes there are. ConfigurationError where the domains are not 2 or more that exclude each other."""
    groups = images.groups
    if len(groups) != 1 or not groups[0].exclusive or groups[0].size < 2:
        raise ConfigurationError(
            "this method is conditioned on classes: give a labelled set whose images belong to one of 2 or more "
            f"classes each, not {', '.join(images.domains)}"
        )
    return groups[0].size


def class_labels(count: int, classes: int, label: int | None, like: nn.Module) -> Tensor:
    """One-hot labels (count, classes) of class number `label`; None: of all classes in turn."""
    weight = next(like.parameters())
    number = torch.arange(count, device=weight.device)
    number = number % classes if label is None else torch.full_like(number, label)
    return F.one_hot(number, classes).to(weight.dtype)


def other_labels(labels: Tensor) -> Tensor:
    """One-hot labels of the same shape, each of another class, evenly drawn: never the right one."""
    classes = labels.shape[1]
    offset = torch.randint(1, classes, (len(labels),), device=labels.device)
    return one_hot((labels.argmax(1) + offset) % classes, classes).to(labels.dtype)


def judge_pairs(
    adversary: Adversary,
    discriminator: nn.Module,
    real: Tensor,
    fake: Tensor,
    labels: Tensor,
    wrong: Tensor,
    name: str = "",
) -> Losses:
    """A discriminator's losses on three kinds of pairs (Reed et al. 2016, algorithm 1), each followed by `name`.

    A real image with its label is real; a generated image with the label it was made for, and a real image with a
    wrong label, are fake, and count half each. `labels told apart`: the share of real images that score higher with
    their label than with the wrong one; 0.5 where the condition is ignored.
    """
    shown = adversary.augment(real)
    right, mismatched = discriminator(shown, labels), discriminator(shown, wrong)
    generated = discriminator(adversary.augment(fake), labels)
    losses = {
        "adversarial": adversary.verdict(right, torch.cat([generated, mismatched])),
        **adversary.penalties(lambda images: discriminator(images, labels), real, fake),
        "labels told apart": (right.detach() > mismatched.detach()).float().mean(),
    }
    return {f"{kind} {name}".rstrip(): loss for kind, loss in losses.items()}
