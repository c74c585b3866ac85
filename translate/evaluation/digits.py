"""Measures how many digits of either set are read right by a classifier that saw the labels of only one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from translate.data.batch import Labelled
from translate.engine import Engine
from translate.evaluation.intervals import wilson
from translate.evaluation.table import Protocol, Score, score
from translate.evaluation.teaching import Trained
from translate.models.unit_digits import UNITDigits

TABLE = "digits read right"


@torch.no_grad()
def evaluate_digits(
    model: UNITDigits,
    sets: Sequence[tuple[str, Iterable[Labelled]]],
    trained: Trained,
    engine: Engine,
    protocol: Protocol,
) -> list[Score]:
    """Accuracy on the test images of the source and the target set, named in `sets` in this order.

    Next to it on the target: `trained`, a classifier of the source's images only (the floor), and that classifier on
    the target's images translated into the source domain. The last weights are measured, whereas the published numbers
    are those of the checkpoint that was best on these very test images.
    """
    how = {**protocol, "weights": "the last, not chosen by any test", "interval": "95 %, Wilson"}
    scores = []
    for domain, (name, batches) in enumerate(sets):
        counts, rows = torch.zeros(3), 0
        for batch in map(engine.place, batches):
            wanted = batch.labels.argmax(1)
            with engine.autocast():
                by_model = model.classify(batch.images, domain)
                moved = batch.images if domain == 0 else model.convert(batch.images, 0)
            readings = (by_model, trained.classifier.predict(batch.images), trained.classifier.predict(moved.float()))
            counts += torch.stack([_right(reading, wanted) for reading in readings]).cpu()
            rows += len(batch)
        floor = {"classifier of the source alone": 100 * float(counts[1]) / rows}
        found = {f"{name} ({('source', 'target')[domain]})": counts[0]}
        if domain:
            found[f"{name} translated to {sets[0][0]}, read by the source's classifier"] = counts[2]
        for row, right in found.items():
            share = wilson(int(right), rows).times(100)
            scores.append(score(TABLE, row, share, unit="%", better="higher", floor=floor, protocol=how))
    return scores


def _right(reading: Tensor, wanted: Tensor) -> Tensor:
    return (reading.argmax(1) == wanted).sum().float()
