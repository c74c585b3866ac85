"""Measures images generated from noise by what a classifier of real images reads off them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from translate.data.batch import Labelled
from translate.evaluation.classifier_errors import ClassifierErrors, asking
from translate.evaluation.classifier_training import Trained
from translate.evaluation.features import FeatureCollector, Spaces
from translate.evaluation.flips import gather_labelled
from translate.evaluation.intervals import wilson
from translate.evaluation.likeness import evaluate_distances, evaluate_diversity
from translate.evaluation.table import Protocol, Score, score
from translate.models.base import ImageSpec, Sampler
from translate.training.runtime import Runtime

BATCH = 20


@torch.no_grad()
def evaluate_generated(
    model: Sampler,
    reals: Iterable[Labelled],
    images: ImageSpec,
    trained: Trained,
    spaces: Spaces,
    runtime: Runtime,
    protocol: Protocol,
    count: int,
) -> list[Score]:
    """Scores `count` samples of a model: the share read as each class, next to that of `reals`, or, if the model takes
    a class, the share read as the requested one; and diversity and distances to `reals`."""
    errors = ClassifierErrors.of(trained)
    collector, wanted, read = FeatureCollector(spaces), [], []
    classes = len(model.classes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for start in range(0, count, BATCH):
            asked = start // BATCH % classes if classes else None
            with runtime.autocast():
                samples = model.sample(min(BATCH, count - start), asked).float()
            collector.add(samples)
            read.append(trained.classifier.predict(samples).argmax(1).cpu())
            wanted.append(torch.full((len(samples),), -1 if asked is None else asked))
    sample, (real, labels) = collector.features(), gather_labelled(reals, runtime, spaces)
    classes_read, asked_for = torch.cat(read), torch.cat(wanted)
    measure = "sample_accuracy" if classes else "sample_share"
    scores = []

    def add(name: str, hits: Tensor, numbers: Tensor, **more: Any) -> None:
        """`numbers` is the class that each of the samples in question should be read as."""
        share = errors.allowing(wilson(int(hits.sum()), len(hits)), asking(numbers, len(images.domains)))
        scores.append(score(measure, name, share.times(100), protocol={**protocol, **trained.protocol}, **more))

    for number, name in enumerate(images.domains):
        rows = asked_for == number if classes else torch.ones(count, dtype=torch.bool)
        real_share = {} if classes else {"real test images": 100 * float(labels[:, number].mean())}
        add(name, classes_read[rows] == number, torch.full((int(rows.sum()),), number), ceiling=real_share)
    if classes:
        add("all", classes_read == asked_for, asked_for)
    scores += evaluate_diversity("samples", sample, real, real, protocol)
    no_inputs = real.at(torch.zeros(0, dtype=torch.long))
    return scores + evaluate_distances("samples", sample, no_inputs, real, spaces, protocol)
