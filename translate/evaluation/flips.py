"""Translates labelled test images to every other class and with every attribute flipped, and collects the results."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from translate.data.batch import Labelled
from translate.data.labels import UNKNOWN
from translate.evaluation.classifier import Classifier
from translate.evaluation.features import FeatureCollector, Features, Spaces
from translate.evaluation.metrics import RANGE
from translate.models.base import ImageSpec
from translate.models.labels import Labels
from translate.training.runtime import Runtime

LabelledConvert = Callable[[Tensor, Tensor], Tensor]
"""Takes images (batch, channels, height, width) in [-1, 1] and wanted labels (batch, domains); returns images of the
same shape."""


@dataclass(frozen=True)
class Flips:
    """The n translations that set or cleared one domain."""

    images: Tensor
    """(n,): the number of the test image each was made from."""
    wanted: Tensor
    """(n, domains): the requested labels, -1 where unspecified."""
    read: Tensor
    """(n, domains): the labels that the classifier reads off the translations."""
    change: Tensor
    """(n,): mean absolute difference to the input, 0-1 scale."""
    outputs: Features
    """Only the translations that set the domain, as marked in `wanted`."""


@dataclass(frozen=True)
class Tested:
    """The real test images: their labels and what is read off them, both (images, domains), the differences between
    neighbours (images - batches,), and their features."""

    labels: Tensor
    read: Tensor
    apart: Tensor
    sample: Features


def nothing(images: int) -> None:
    """The default callback after each batch: does nothing."""


@torch.no_grad()
def translate_flips(
    convert: LabelledConvert,
    test: Iterable[Labelled],
    images: ImageSpec,
    classifier: Classifier,
    runtime: Runtime,
    spaces: Spaces = (),
    done: Callable[[int], None] = nothing,
) -> tuple[Tested, list[Flips]]:
    """The facts about the test images, and the flips of each domain; see `evaluate_labelled`."""
    labels, sample = Labels(images), FeatureCollector(spaces)
    real: list[tuple[Tensor, ...]] = []
    collected = [_Collected(FeatureCollector(spaces)) for _ in images.domains]
    count = 0
    for batch in map(runtime.place, test):
        real.append((batch.labels.cpu(), classifier.predict(batch.images).cpu(), to_neighbour(batch.images)))
        sample.add(batch.images)
        for number, of in enumerate(collected):
            wanted = labels.flip(batch.labels, number)
            rows = (batch.labels[:, number] != UNKNOWN) & (wanted[:, number] != batch.labels[:, number])
            if not rows.any():
                continue
            inputs, asked = batch.images[rows], wanted[rows]
            with runtime.autocast():
                outputs = convert(inputs, asked).float()
            of.add(count + rows.nonzero()[:, 0], asked, classifier.predict(outputs), difference(inputs, outputs))
            of.sample.add(outputs[asked[:, number] == 1])
        count += len(batch)
        done(len(batch))
    known, read, apart = map(torch.cat, zip(*real, strict=True))
    return Tested(known, read, apart, sample.features()), [of.flips(len(images.domains)) for of in collected]


@torch.no_grad()
def gather_labelled(batches: Iterable[Labelled], runtime: Runtime, spaces: Spaces) -> tuple[Features, Tensor]:
    """The features of labelled images, given in batches of the loader, and their labels (images, domains)."""
    collector, labels = FeatureCollector(spaces), []
    for batch in map(runtime.place, batches):
        collector.add(batch.images)
        labels.append(batch.labels.cpu())
    return collector.features(), torch.cat(labels)


def difference(images: Tensor, others: Tensor) -> Tensor:
    """Mean absolute difference of each image and its partner, where black is 0 and white is 1: (batch,)."""
    return (images.float() - others.float()).abs().flatten(1).mean(1) / RANGE


def to_neighbour(images: Tensor) -> Tensor:
    """The difference between each image of a batch and the one before it: (batch - 1,), on the CPU."""
    return difference(images[1:], images[:-1]).cpu()


@dataclass
class _Collected:
    """The flips of one domain, batch by batch."""

    sample: FeatureCollector
    rows: list[tuple[Tensor, ...]] = field(default_factory=list)

    def add(self, *tensors: Tensor) -> None:
        self.rows.append(tuple(tensor.cpu() for tensor in tensors))

    def flips(self, domains: int) -> Flips:
        none = torch.zeros(0, dtype=torch.long), torch.zeros(0, domains), torch.zeros(0, domains), torch.zeros(0)
        number, wanted, read, change = map(torch.cat, zip(none, *self.rows, strict=True))
        return Flips(number, wanted, read, change, self.sample.features())
