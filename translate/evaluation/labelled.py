"""Tests whether a model of labelled domains obeys its labels: a classifier of real images reads its translations."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from translate.data.batch import Labelled
from translate.data.labels import UNKNOWN
from translate.evaluation.classifier_errors import INTERVAL, ClassifierErrors, asking
from translate.evaluation.classifier_training import Trained
from translate.evaluation.features import Features, Spaces
from translate.evaluation.flips import Flips, LabelledConvert, Tested, nothing, translate_flips
from translate.evaluation.intervals import Estimate, bootstrap_mean, bootstrap_ratio, wilson
from translate.evaluation.likeness import evaluate_distances, evaluate_diversity
from translate.evaluation.table import Protocol, Score, score
from translate.models.base import ImageSpec
from translate.models.labels import Labels
from translate.training.runtime import Runtime


def evaluate_labelled(
    convert: LabelledConvert,
    test: Iterable[Labelled],
    images: ImageSpec,
    trained: Trained,
    runtime: Runtime,
    *,
    spaces: Spaces = (),
    reference: tuple[Features, Tensor] | None = None,
    protocol: Protocol | None = None,
    done: Callable[[int], None] = nothing,
) -> list[Score]:
    """Scores translations of each test image: to every other class, and with each attribute inverted while others stay.

    `images` says which domains are classes, attributes and alternatives (setting one alternative clears the others;
    images that already have it are left out). Distances are taken to `reference`, the features of training images and
    their labels (see `gather_labelled`). `test` and the images of `reference` are as the loader gives them. `protocol`
    names the split and the resize filter. `done` is called with the number of images of each batch.
    """
    tested, flips = translate_flips(convert, test, images, trained.classifier, runtime, spaces, done)
    how = {**(protocol or {}), **trained.protocol}
    return [
        *classification_errors(tested, flips, images, trained, how),
        *other_attributes(tested, flips, images, trained, how),
        *(
            change(name, bootstrap_mean(of.change), float(tested.apart.mean()), protocol or {})
            for name, of in zip(images.domains, flips, strict=True)
            if len(of.images)
        ),
        *_comparisons(tested, flips, images, spaces, reference, protocol or {}),
    ]


def classification_errors(
    tested: Tested, flips: Sequence[Flips], images: ImageSpec, trained: Trained, protocol: Protocol
) -> list[Score]:
    """The share of translations that are not read as wanted, per domain and in total (StarGAN's table 3).

    The floor is the untranslated inputs, the score of a model that ignores labels; the ceiling is real images with
    their own labels.
    """
    errors, own = ClassifierErrors.of(trained), trained.classifier.own(tested.labels)
    how = {**protocol, "interval": f"95 %, Wilson; of all, bootstrap over images; {INTERVAL}"}
    wrong_real = (tested.read != tested.labels) & own
    scores: list[Score] = []
    parts: list[tuple[Tensor, ...]] = []

    def add(name: str, right: Estimate, asked: Tensor, ignored: Tensor, domains: int | slice) -> None:
        value = errors.allowing(right, asked).rest.times(100)
        floor = {"untranslated input": 100 * _share(ignored.sum(), len(ignored))}
        ceiling = {"real images": 100 * _share(wrong_real[:, domains].sum(), own[:, domains].sum())}
        scores.append(score("label_error", name, value, floor=floor, ceiling=ceiling, protocol=how))

    for number, of in enumerate(flips):
        if len(of.images):
            wanted = of.wanted[:, number]
            right, ignored = of.read[:, number] == wanted, tested.read[of.images, number] != wanted
            asked = asking(torch.full((len(right),), number), len(images.domains), wanted)
            add(images.domains[number], wilson(int(right.sum()), len(right)), asked, ignored, number)
            parts.append((of.images, right, asked, ignored))
    if parts:
        rows, right, asked, ignored = map(torch.cat, zip(*parts, strict=True))
        per_image = bootstrap_ratio(rows.bincount(right.double(), len(own)), rows.bincount(minlength=len(own)))
        add("all", per_image, asked, ignored, slice(None))
    return scores


def other_attributes(
    tested: Tested, flips: Sequence[Flips], images: ImageSpec, trained: Trained, protocol: Protocol
) -> list[Score]:
    """How often the classifier reads the other attributes as before after one was flipped.

    The floor is the expectation for another test image in place of the translation, from the attributes' frequencies;
    the ceiling reflects the classifier's own errors on the untouched inputs.
    """
    errors, attributes = ClassifierErrors.of(trained), Labels(images).attributes
    known = tested.labels != UNKNOWN
    frequency = (tested.labels.clamp(min=0) * known).sum(0) / known.sum(0).clamp(min=1)
    scores = []
    for number, of in enumerate(flips):
        excluded = {number, *(other for group in images.alternatives if number in group for other in group)}
        others = [other for other in attributes if other not in excluded]
        wanted = of.wanted[:, others]
        asked = wanted != UNKNOWN
        if number not in attributes or not asked.any():
            continue
        stayed = (of.read[:, others] == wanted) & asked
        before = (tested.read[of.images][:, others] == wanted) & asked
        everything = torch.full_like(of.wanted, UNKNOWN)
        everything[:, others] = wanted
        by_chance = torch.where(wanted == 1, frequency[others], 1 - frequency[others]) * asked
        scores.append(
            score(
                "other_labels",
                images.domains[number],
                errors.allowing(bootstrap_ratio(stayed.sum(1), asked.sum(1)), everything).times(100),
                floor={"another image": 100 * _share(by_chance.sum(), asked.sum())},
                ceiling={"untouched input": 100 * _share(before.sum(), asked.sum())},
                protocol=protocol,
            )
        )
    return scores


def change(name: str, value: Estimate, apart: float, protocol: Protocol) -> Score:
    """The difference of translations and inputs, next to `apart`, that of neighbouring inputs."""
    floor, ceiling = {"untouched input": 0.0}, {"another input": apart}
    return score("change", name, value, floor=floor, ceiling=ceiling, protocol=protocol)


def _comparisons(
    tested: Tested,
    flips: Sequence[Flips],
    images: ImageSpec,
    spaces: Spaces,
    reference: tuple[Features, Tensor] | None,
    protocol: Protocol,
) -> list[Score]:
    """Compares the translations that set a domain with real images that have it."""
    scores = []
    for number, (name, of) in enumerate(zip(images.domains, flips, strict=True)):
        inputs = tested.sample.at(of.images[of.wanted[:, number] == 1])
        reals = tested.sample.at(tested.labels[:, number] == 1)
        against = None if reference is None else reference[0].at(reference[1][:, number] == 1)
        scores += evaluate_diversity(name, of.outputs, inputs, reals, protocol)
        scores += evaluate_distances(name, of.outputs, inputs, reals, spaces, protocol, against)
    return scores


def _share(hits: Tensor, of: Tensor | int) -> float:
    return float(hits) / float(of) if of else float("nan")
