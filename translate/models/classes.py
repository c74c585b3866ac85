"""Classes as a condition: one-hot labels, and pairs of image and label as a discriminator scores them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.models.adversary import Adversary, with_name
from translate.models.base import ImageSpec, Losses
from translate.models.labels import one_hot


def require_classes(images: ImageSpec) -> int:
    """The number of classes. Raises ConfigurationError unless the domains are 2 or more mutually exclusive classes."""
    groups = images.groups
    if len(groups) != 1 or not groups[0].exclusive or groups[0].size < 2:
        raise ConfigurationError(
            "this method is conditioned on classes: give a labelled set whose images belong to one of 2 or more "
            f"classes each, not {', '.join(images.domains)}"
        )
    return groups[0].size


def class_labels(count: int, classes: int, label: int | None, like: nn.Module) -> Tensor:
    """One-hot labels (count, classes) of class number `label`; None cycles through all classes."""
    weight = next(like.parameters())
    number = torch.arange(count, device=weight.device)
    number = number % classes if label is None else torch.full_like(number, label)
    return F.one_hot(number, classes).to(weight.dtype)


def other_labels(labels: Tensor) -> Tensor:
    """One-hot labels of the same shape, each of a wrong class drawn uniformly."""
    classes = labels.shape[1]
    offset = torch.randint(1, classes, (len(labels),), device=labels.device)
    return one_hot((labels.argmax(1) + offset) % classes, classes).to(labels.dtype)


def score_pairs(
    adversary: Adversary,
    discriminator: nn.Module,
    real: Tensor,
    fake: Tensor,
    labels: Tensor,
    wrong: Tensor,
    name: str = "",
) -> Losses:
    """A discriminator's losses on three kinds of pairs (Reed et al. 2016, algorithm 1), those of `name` if it is given.

    A real image with its own label counts as real. A generated image with the label it was made for and a real image
    with a wrong label count as fake, half each. `pair_accuracy` is the share of real images that score higher with
    their own label than with the wrong one; 0.5 means the condition is ignored.
    """
    shown = adversary.augment(real)
    right, mismatched = discriminator(shown, labels), discriminator(shown, wrong)
    generated = discriminator(adversary.augment(fake), labels)
    losses = {
        "adversarial": adversary.discriminator_loss(right, torch.cat([generated, mismatched])),
        **adversary.penalties(lambda images: discriminator(images, labels), real, fake),
        "pair_accuracy": (right.detach() > mismatched.detach()).float().mean(),
    }
    return with_name(losses, name)
