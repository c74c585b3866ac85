"""Tests whether translations pass for images of their target domain, where there are no pairs to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from translate.data.batch import Plain
from translate.evaluation.classifier_errors import ClassifierErrors, asking
from translate.evaluation.classifier_training import Trained
from translate.evaluation.features import FeatureCollector, Features, Spaces, unchanged
from translate.evaluation.flips import difference, nothing, to_neighbour
from translate.evaluation.intervals import bootstrap_mean, wilson
from translate.evaluation.labelled import change
from translate.evaluation.likeness import evaluate_distances, evaluate_diversity
from translate.evaluation.table import Protocol, Score, score
from translate.training.runtime import Runtime

Convert = Callable[[Tensor], Tensor]
"""Takes images (batch, channels, height, width) in [-1, 1] and returns as many of that height and width."""


@torch.no_grad()
def evaluate_unpaired(
    convert: Convert,
    inputs: Iterable[Plain],
    targets: Iterable[Plain],
    to: int,
    name: str,
    trained: Trained,
    runtime: Runtime,
    *,
    spaces: Spaces = (),
    reference: Features | None = None,
    protocol: Protocol | None = None,
    shown: Convert = unchanged,
    done: Callable[[int], None] = nothing,
) -> list[Score]:
    """Scores the conversion of the test images `inputs` to the classifier's domain number `to`.

    `targets` are real test images of that domain to compare with; both are as the loader gives them. `name` is that of
    the direction. Distances are taken to `reference`, the features of training images of that domain, or to `targets`
    without it. `protocol` names the split and the resize filter. `shown`: how images are shown to classifier, spaces
    and comparisons, which take those of both domains. `done` is called with the number of inputs in each
    batch.
    """
    classifier, errors, how = trained.classifier, ClassifierErrors.of(trained), protocol or {}
    gathered, translated, real = FeatureCollector(spaces), FeatureCollector(spaces), FeatureCollector(spaces)
    taken: dict[str, list[Tensor]] = {"translation": [], "input": [], "real": []}
    changed, apart = [], []
    for batch in map(runtime.place, inputs):
        images = batch.images
        with runtime.autocast():
            outputs = shown(convert(images).float())
        images = shown(images)
        taken["translation"].append(classifier.predict(outputs)[:, to].cpu())
        taken["input"].append(classifier.predict(images)[:, to].cpu())
        changed.append(difference(images, outputs).cpu())
        apart.append(to_neighbour(images))
        gathered.add(images)
        translated.add(outputs)
        done(len(images))
    for batch in map(runtime.place, targets):
        reals = shown(batch.images)
        taken["real"].append(classifier.predict(reals)[:, to].cpu())
        real.add(reals)
    shares = {what: torch.cat(read) for what, read in taken.items()}
    hits, wanted = shares["translation"], torch.full((len(shares["translation"]),), to)
    read = errors.allowing(wilson(int(hits.sum()), len(hits)), asking(wanted, len(errors.missed)))
    source, output, target = gathered.features(), translated.features(), real.features()
    return [
        score(
            "domain_accuracy",
            name,
            read.times(100),
            floor={"inputs": 100 * float(shares["input"].mean())},
            ceiling={"real test images": 100 * float(shares["real"].mean())},
            protocol={**how, **trained.protocol},
        ),
        change(name, bootstrap_mean(torch.cat(changed)), float(torch.cat(apart).mean()), how),
        *evaluate_diversity(name, output, source, target, how),
        *evaluate_distances(name, output, source, target, spaces, how, reference),
    ]
