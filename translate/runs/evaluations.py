"""The ways to evaluate a model, by what its images are and what it does with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Plain
from translate.data.domain import Domain
from translate.data.labels import LabelGroup
from translate.data.source import Grey
from translate.data.written import as_written
from translate.errors import ConfigurationError
from translate.evaluation.digits import evaluate_digits
from translate.evaluation.features import gather, greyed, unchanged
from translate.evaluation.flips import gather_labelled
from translate.evaluation.generated import evaluate_generated
from translate.evaluation.labelled import evaluate_labelled
from translate.evaluation.styled import evaluate_styles
from translate.evaluation.table import Score
from translate.evaluation.unpaired import evaluate_unpaired
from translate.evaluation.validation import Direction
from translate.models.base import ClassifyingTranslator, Relabeller, Sampler, Translator
from translate.runs.delivered import scores_as_delivered
from translate.runs.evaluator import Evaluator, test_of
from translate.runs.image_sets import LabelledImages, LabelledSource, TwoDomains
from translate.runs.image_sets.sound import SoundDirection
from translate.runs.segmented import scores_of_segmenter
from translate.runs.volumes_measured import scores_of_volumes

TRUTHS = 1000
"""The most test images of each direction whose truth is held in memory."""
DRAWN = 2000
"""Samples drawn from a model that generates from noise."""
REALS = 2000
"""The most labelled real images that translations or samples are compared with."""


def scores_of(evaluator: Evaluator) -> list[Score]:
    """Evaluates in the first way that fits. Raises ConfigurationError if none does."""
    model, images = evaluator.loaded.model, evaluator.images
    for image_set, method, evaluate in WAYS:
        if isinstance(images, image_set) and isinstance(model, method):
            return evaluate(evaluator, model, images)
    raise _nothing(evaluator)


def _nothing(evaluator: Evaluator) -> ConfigurationError:
    return ConfigurationError(f"a {evaluator.loaded.recipe.name} on {evaluator.data.set}: there is nothing to measure")


def _digits(evaluator: Evaluator, model: ClassifyingTranslator, images: LabelledSource) -> list[Score]:
    train = images.a.splits["train"]
    (sources,), spec = images.spanned([train.sources]), evaluator.spec(images.a.domains, images.a.groups)
    trained = evaluator.classifier(sources, train.labels, spec, flip=False)
    sets = [
        (folder.root.name, evaluator.labelled(test_of(folder.splits), domain=number))
        for number, folder in enumerate((images.a, images.b))
    ]
    return evaluate_digits(model, sets, trained, evaluator.runtime, evaluator.protocol)


def _labelled(evaluator: Evaluator, model: Relabeller, images: LabelledImages) -> list[Score]:
    train, test = images.folder.splits["train"], test_of(images.folder.splits)
    (sources,) = images.spanned([train.sources])
    trained = evaluator.classifier(sources, train.labels, images.spec, flip=evaluator.data.flip)
    spaces = evaluator.spaces(trained)
    with evaluator.progress(len(test.sources)) as bar:
        scores = evaluate_labelled(
            _delivered(model.relabel, images.kind(0)),
            evaluator.labelled(test),
            images.spec,
            trained,
            evaluator.runtime,
            spaces=spaces,
            reference=gather_labelled(evaluator.labelled(train, REALS), evaluator.runtime, spaces),
            protocol=evaluator.protocol,
            done=bar.advance,
        )
    return scores + _truth(evaluator, model, images)


def _styled(evaluator: Evaluator, model: Translator, images: LabelledImages) -> list[Score]:
    if not model.styled:
        raise _nothing(evaluator)
    train, test = images.folder.splits["train"], test_of(images.folder.splits)
    (sources,) = images.spanned([train.sources])
    trained = evaluator.classifier(sources, train.labels, images.spec, flip=evaluator.data.flip)
    placed = [evaluator.runtime.place(batch) for batch in evaluator.labelled(test)]
    shown, classes = (torch.cat(all_) for all_ in zip(*((one.images, one.labels) for one in placed), strict=True))
    of_domain = [shown[classes[:, number] == 1] for number in range(len(images.domains))]
    written = partial(as_written, domain=images.kind(0))
    return evaluate_styles(
        model, of_domain, images.domains, trained, evaluator.runtime, evaluator.protocol, delivered=written
    )


def _two_domains(evaluator: Evaluator, model: Translator, images: TwoDomains) -> list[Score]:
    unpaired = _unpaired(evaluator, model, images) if images.folder.kind == "unpaired" else []
    return unpaired + _truth(evaluator, model, images)


def _unpaired(evaluator: Evaluator, model: Translator, images: TwoDomains) -> list[Score]:
    train, test = images.folder.splits["train"], test_of(images.folder.splits)
    labels = np.repeat(np.eye(2, dtype=np.float32), [len(train[0]), len(train[1])], axis=0)
    # Channels would give a domain away: where they differ, both are judged as grey.
    unlike = images.kind(0).channels != images.kind(1).channels
    spec = evaluator.spec(images.domains, (LabelGroup(2, exclusive=True),), 1 if unlike else None)
    known = [
        [Grey(source, images.kind(number).channels) for source in sources] if unlike else sources
        for number, sources in enumerate(images.spanned(train))
    ]
    trained = evaluator.classifier([*known[0], *known[1]], labels, spec, flip=evaluator.data.flip)
    spaces, scores = evaluator.spaces(trained), []
    shown = greyed if unlike else unchanged
    for to in model.targets():
        with evaluator.progress(len(test[1 - to])) as bar:
            scores += evaluate_unpaired(
                _delivered(partial(model.convert, to=to), images.kind(to)),
                evaluator.batches(test[1 - to], Plain, 1 - to),
                evaluator.batches(test[to], Plain, to),
                to,
                f"to {images.domains[to]}",
                trained,
                evaluator.runtime,
                spaces=spaces,
                reference=gather(evaluator.batches(train[to], Plain, to), evaluator.runtime, spaces, shown),
                protocol={**evaluator.protocol, **({"channels": "the mean of all, as grey"} if unlike else {})},
                shown=shown,
                done=bar.advance,
            )
    return scores


def _delivered(convert: Callable[..., Tensor], kind: Domain) -> Callable[..., Tensor]:
    """The conversion, with translations as they are read again from files of their domain."""
    return lambda *given: as_written(convert(*given).float(), kind)


def _truth(evaluator: Evaluator, model: Translator, images: LabelledImages | TwoDomains) -> list[Score]:
    """Scores of every direction whose true translations are among the test images."""
    known = images.validations(model, TRUTHS, evaluator.runtime)
    if sounds := [one for one in known if isinstance(one, SoundDirection)]:
        return [score for one in sounds for score in one.scores(model, evaluator.runtime, evaluator.protocol)]
    directions = [one for one in known if isinstance(one, Direction)]
    scores = [score for one in directions for score in one.scores(model, evaluator.runtime, evaluator.protocol)]
    if isinstance(images, TwoDomains):
        scores = scores_of_segmenter(evaluator, model, images, directions) + scores
    of_volumes = scores_of_volumes(evaluator, model, images, directions) if isinstance(images, TwoDomains) else []
    return of_volumes + scores_as_delivered(evaluator, model, images, directions, TRUTHS) + scores


def _generated(evaluator: Evaluator, model: Sampler, images: LabelledImages) -> list[Score]:
    labelled = images.with_labels()
    train, test = labelled.splits["train"], test_of(labelled.splits)
    (sources,), spec = images.spanned([train.sources]), evaluator.spec(labelled.domains, labelled.groups)
    trained = evaluator.classifier(sources, train.labels, spec, flip=evaluator.data.flip)
    reals, spaces = evaluator.labelled(test, REALS), evaluator.spaces(trained)
    return evaluate_generated(model, reals, spec, trained, spaces, evaluator.runtime, evaluator.protocol, DRAWN)


WAYS: tuple[tuple[type, type, Any], ...] = (
    (LabelledSource, ClassifyingTranslator, _digits),
    (LabelledImages, Relabeller, _labelled),
    (LabelledImages, Translator, _styled),
    (TwoDomains, Translator, _two_domains),
    (LabelledImages, Sampler, _generated),
)
"""Kinds of image sets and methods, and how they are evaluated together."""
