"""How well label maps agree with the truth: pixel accuracy and mean IoU, of the pixels that somebody labelled.

Label maps are planes (batch, classes, height, width) in [-1, 1]; a pixel is of the class whose plane is the highest.
Both are taken over all pixels of all images together, as is usual, and not averaged over images.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from translate.data.label_maps import NOTHING, classes_of
from translate.evaluation.intervals import DRAWS, Estimate, estimate, redrawn


def confusions(images: Tensor, truths: Tensor) -> Tensor:
    """How many pixels of each class are taken for each: (batch, true classes, classes), float64.

    Raises ValueError unless both are (batch, classes, height, width) of equal shape.
    """
    if images.shape != truths.shape or images.dim() != 4:
        shapes = f"{tuple(images.shape)} and {tuple(truths.shape)}"
        raise ValueError(f"expected two batches of equal shape (b, c, h, w), not {shapes}")
    count = images.shape[1]
    found, true = (classes_of(planes).flatten(1) for planes in (images, truths))
    return torch.stack([_confusion(*pair, count) for pair in zip(found, true, strict=True)])


def pixel_accuracy(images: Tensor, truths: Tensor) -> Tensor:
    """The share of labelled pixels whose class is right."""
    return accuracy_of(confusions(images, truths).sum(0))


def mean_iou(images: Tensor, truths: Tensor) -> Tensor:
    """The mean over classes of intersection over union, of the classes that occur."""
    return mean_iou_of(confusions(images, truths).sum(0))


def accuracy_of(confusion: Tensor) -> Tensor:
    """Of (..., true classes, classes)."""
    return confusion.diagonal(dim1=-2, dim2=-1).sum(-1) / confusion.sum((-2, -1))


def mean_iou_of(confusion: Tensor) -> Tensor:
    """Of (..., true classes, classes)."""
    both = confusion.diagonal(dim1=-2, dim2=-1)
    return (both / (confusion.sum(-1) + confusion.sum(-2) - both)).nanmean(-1)


OF_CONFUSION: dict[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    pixel_accuracy: accuracy_of,
    mean_iou: mean_iou_of,
}


def estimated(measure: Callable[[Tensor, Tensor], Tensor], counts: Tensor) -> Estimate:
    """The measure with its interval, of the `confusions` of images; the bootstrap draws whole images."""
    of_confusion = OF_CONFUSION[measure]
    drawn = torch.einsum("di,itf->dtf", redrawn(len(counts), DRAWS, seed=0), counts)
    return estimate(float(of_confusion(counts.sum(0))), of_confusion(drawn), len(counts))


def _confusion(found: Tensor, true: Tensor, count: int) -> Tensor:
    known = true != NOTHING
    # What is of no class, as an image without any labelled pixel has it, is taken for none.
    pairs = true[known] * (count + 1) + found[known].clamp(max=count)
    return torch.bincount(pairs, minlength=count * (count + 1)).view(count, count + 1)[:, :count].double()
