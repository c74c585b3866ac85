"""Measures how many digits of either set are read right by a classifier that saw the labels of only one."""

from collections.abc import Iterable, Sequence

import torch

from translate.data.batch import Labelled
from translate.evaluation.classifier_errors import ClassifierErrors, asking
from translate.evaluation.classifier_training import Trained
from translate.evaluation.intervals import wilson
from translate.evaluation.table import Protocol, Score, score
from translate.models.base import ClassifyingTranslator
from translate.training.runtime import Runtime


@torch.no_grad()
def evaluate_digits(
    model: ClassifyingTranslator,
    sets: Sequence[tuple[str, Iterable[Labelled]]],
    trained: Trained,
    runtime: Runtime,
    protocol: Protocol,
) -> list[Score]:
    """Accuracy on the test images of the source and the target set, named in `sets` in this order.

    Next to it on the target: `trained`, a classifier of the source's images only (the floor), and that classifier on
    the target's images translated into the source domain. The last weights are measured, whereas the published numbers
    are those of the checkpoint that was best on these very test images.
    """
    errors = ClassifierErrors.of(trained)
    how = {**protocol, "weights": "the last, not chosen by any test"}
    scores = []
    for domain, (name, batches) in enumerate(sets):
        counts, labels = torch.zeros(3), []
        for batch in map(runtime.place, batches):
            wanted = batch.labels.argmax(1)
            with runtime.autocast():
                own = model.classify(batch.images, domain)
                moved = batch.images if domain == 0 else model.convert(batch.images, 0)
            readings = (own, trained.classifier.predict(batch.images), trained.classifier.predict(moved.float()))
            counts += torch.stack([(reading.argmax(1) == wanted).sum() for reading in readings]).cpu()
            labels.append(wanted.cpu())
        asked = asking(torch.cat(labels), len(errors.missed))
        by_model, alone, translated = (wilson(int(right), len(asked)) for right in counts)
        floor = {"classifier of the source alone": 100 * alone.value}
        row = f"{name} ({('source', 'target')[domain]})"
        scores.append(score("digit_accuracy", row, by_model.times(100), floor=floor, protocol=how))
        if domain:
            row, share = f"{name} translated to {sets[0][0]}", errors.allowing(translated, asked).times(100)
            scores.append(score("digit_accuracy/translated", row, share, floor=floor, protocol=how))
    return scores
