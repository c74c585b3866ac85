"""Tests whether translations pass for images of their target domain, where there are no pairs to compare with."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from translate.data.batch import Plain
from translate.evaluation.classifier_errors import ClassifierErrors, asking
from translate.evaluation.classifier_training import Trained
from translate.evaluation.enlarged import enlarged
from translate.evaluation.features import FeatureCollector, Features, Spaces, unchanged
from translate.evaluation.flips import difference, nothing, to_neighbour
from translate.evaluation.intervals import bootstrap_mean, wilson
from translate.evaluation.labelled import change
from translate.evaluation.likeness import evaluate_distances, evaluate_diversity
from translate.evaluation.table import Protocol, Score, score
from translate.training.runtime import Runtime

Convert = Callable[[Tensor], Tensor]
"""Takes images (batch, channels, height, width) in [-1, 1] and returns as many of that height and width, or larger."""


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
    """Scores the conversion of the test images `inputs` to the classifier's domain number `to`, in rows called `name`.

    `targets` are real test images of that domain; both are as the loader gives them. Distances are taken to
    `reference`, the features of training images of that domain, or else to `targets`. `protocol` names the split and
    the resize filter. `shown`: how images of both domains are shown to classifier, spaces and comparisons. `done` is
    called with the number of inputs in each batch.
    """
    errors, how = ClassifierErrors.of(trained), protocol or {}
    kinds = ("translation", "input", "real")
    collectors = {kind: FeatureCollector(spaces) for kind in kinds}
    taken: dict[str, list[Tensor]] = {kind: [] for kind in kinds}
    changed, apart = [], []

    def add(kind: str, images: Tensor) -> None:
        collectors[kind].add(images)
        taken[kind].append(trained.classifier.predict(images)[:, to].cpu())

    for batch in map(runtime.place, inputs):
        with runtime.autocast():
            translations = convert(batch.images).float()
        outputs, images = shown(translations), shown(enlarged(batch.images, translations))
        add("translation", outputs)
        add("input", images)
        changed.append(difference(images, outputs).cpu())
        apart.append(to_neighbour(images))
        done(len(batch))
    for batch in map(runtime.place, targets):
        add("real", shown(batch.images))
    hits, of_inputs, of_reals = (torch.cat(taken[kind]) for kind in kinds)
    read = errors.allowing(wilson(int(hits.sum()), len(hits)), asking(torch.full((len(hits),), to), len(errors.missed)))
    output, source, target = (collectors[kind].features() for kind in kinds)
    return [
        score(
            "domain_accuracy",
            name,
            read.times(100),
            floor={"inputs": 100 * float(of_inputs.mean())},
            ceiling={"real test images": 100 * float(of_reals.mean())},
            protocol={**how, **trained.protocol},
        ),
        change(name, bootstrap_mean(torch.cat(changed)), float(torch.cat(apart).mean()), how),
        *evaluate_diversity(name, output, source, target, how),
        *evaluate_distances(name, output, source, target, spaces, how, reference),
    ]
