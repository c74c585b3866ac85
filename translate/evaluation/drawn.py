"""Measures images drawn from noise by what a classifier of real images reads off them."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from translate.data.batch import Labelled
from translate.engine import Engine
from translate.evaluation.flips import gather_labelled
from translate.evaluation.intervals import wilson
from translate.evaluation.likeness import evaluate_distances, evaluate_diversity
from translate.evaluation.samples import Gathering, Spaces
from translate.evaluation.table import Protocol, Score, score
from translate.evaluation.teaching import Trained
from translate.model import ImageSpec, Sampler

BATCH = 20


@torch.no_grad()
def evaluate_drawn(
    model: Sampler,
    reals: Iterable[Labelled],
    images: ImageSpec,
    trained: Trained,
    spaces: Spaces,
    engine: Engine,
    protocol: Protocol,
    count: int,
) -> list[Score]:
    """Scores `count` samples of a model: the share read as each class, next to that of `reals`, or, if the model takes
    a class, the share read as the requested one; and diversity and distances to `reals`."""
    how = {**protocol, "classifier": f"sha256 {trained.facts['sha256']}, {trained}", "interval": "95 %, Wilson"}
    gathering, wanted, read = Gathering(spaces), [], []
    classes = len(model.classes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for start in range(0, count, BATCH):
            asked = start // BATCH % classes if classes else None
            with engine.autocast():
                samples = model.sample(min(BATCH, count - start), asked).float()
            gathering.add(samples)
            read.append(trained.classifier.predict(samples).argmax(1).cpu())
            wanted.append(torch.full((len(samples),), -1 if asked is None else asked))
    sample, (real, labels) = gathering.sample(), gather_labelled(reals, engine, spaces)
    classes_read, asked_for = torch.cat(read), torch.cat(wanted)
    scores = []
    for number, name in enumerate(images.domains):
        if classes:
            rows = asked_for == number
            table, hits, ceiling = "samples read as the class wanted", classes_read[rows] == number, {}
        else:
            table, hits = "samples read as each class", classes_read == number
            ceiling = {"real test images": 100 * float(labels[:, number].mean())}
        estimate = wilson(int(hits.sum()), len(hits)).times(100)
        scores.append(score(table, name, estimate, unit="%", ceiling=ceiling, protocol=how))
    if classes:
        hits = classes_read == asked_for
        estimate = wilson(int(hits.sum()), len(hits)).times(100)
        scores.append(score("samples read as the class wanted", "all", estimate, unit="%", protocol=how))
    scores += evaluate_diversity("samples", sample, real, real, protocol)
    return scores + evaluate_distances(
        "samples", sample, real.at(torch.zeros(0, dtype=torch.long)), real, spaces, protocol
    )
