"""Compares translations with the truth, if the data set has it, and with two baselines that learn nothing."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Batch, Labelled
from translate.data.domain import Domain
from translate.data.io.values import kind_in_words
from translate.data.planes import as_images_of
from translate.data.synthetic.points import PointSet
from translate.data.written import as_written
from translate.evaluation.colour_map import apply_affine_colour, fit_affine_colour
from translate.evaluation.enlarged import BICUBIC, enlarged
from translate.evaluation.intervals import Estimate, bootstrap_mean
from translate.evaluation.label_measures import OF_CONFUSION, confusions, estimated
from translate.evaluation.metrics import absolute_error, in_unit, measure_of, with_truth
from translate.evaluation.table import Protocol, Score, score
from translate.models.base import Sampler, Translator
from translate.models.noise import fixed_rng
from translate.training.runtime import Runtime


@dataclass(frozen=True)
class Direction:
    """Conversion from domain number `origin` to number `to`: true pairs to measure it by, and their best affine colour
    map.

    The map (3x4 for RGB) is fitted on the training truth if the training set is paired, else on these very images,
    which favours the baseline; `fitted_on` says which.
    """

    name: str
    to: int
    inputs: Tensor
    truths: Tensor
    colour_map: Tensor
    fitted_on: str = "these images"
    target: Domain | None = None
    """What the truths are: errors are given in its unit, too, and label maps are measured as such."""
    given: Domain | None = None
    """What the inputs are."""
    origin: int = 0
    floors: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    """What restores inputs without learning, if there is such: gives images as the truths, in [-1, 1]."""
    part: str = ""
    """Which part of the test images is measured, if not the whole, in words."""

    @property
    def protocol(self) -> str:
        height, width = self.truths.shape[-2:]
        part = f", {self.part}," if self.part else ""
        rounded = f"; translations are {rounding}" if (rounding := rounded_to(self.target)) else ""
        return (
            f"{len(self.inputs)} test images of {width} x {height} pixels{part} beside their true translations; the "
            f"best colour map is fitted on {self.fitted_on}{self._scale}{rounded}"
        )

    @property
    def colours(self) -> Protocol:
        """Part of the protocol of scores: what the colour map is fitted on, and what the 0-1 scale stands for."""
        return {"best colour map": f"fitted on {self.fitted_on}{self._scale}"}

    @property
    def resized(self) -> Protocol:
        """Part of the protocol of scores, where not whole images are measured."""
        return {"resize": self.part} if self.part else {}

    @property
    def _scale(self) -> str:
        if self.target is None or not self.target.measured:
            return ""
        low, high = self.target.ends
        return f"; 0 is {low:g} and 1 is {high:g}{' ' * bool(self.target.unit)}{self.target.unit}"

    def measure(self, model: Translator, runtime: Runtime, batch_size: int = 8) -> dict[str, float]:
        """The model's translations, compared with the truth."""
        return self._compared(self.translations(model, runtime, batch_size))

    def baselines(self) -> dict[str, dict[str, float]]:
        """The measures of the best colour map, and of the untouched input, or a smaller one enlarged, if that could be
        a translation."""
        return {name: self._compared(images) for name, images in self.references(self.inputs, self.truths).items()}

    def references(self, inputs: Tensor, truths: Tensor) -> dict[str, Tensor]:
        """What needs no model: the untouched inputs, if they could be translations (of samples, the first image that
        could), and the inputs under the best colour map, no lighter than white and no darker than black. Smaller inputs
        are enlarged first."""
        whole = enlarged(inputs, truths)
        alike = as_images_of(whole, self.given, self.target) if self.given and self.target else whole
        name = "untouched input" if inputs.shape[-2:] == truths.shape[-2:] else BICUBIC
        untouched = {name: alike} if alike is not None and alike.shape == truths.shape else {}
        known = {name: floor(inputs) for name, floor in self.floors.items()}
        return {**untouched, **known, "best colour map": apply_affine_colour(whole, self.colour_map).clamp(-1, 1)}

    def _compared(self, images: Tensor) -> dict[str, float]:
        return {key: float(function(images, self.truths)) for key, function in _measures(self.target).items()}

    def scores(self, model: Translator, runtime: Runtime, protocol: Protocol) -> list[Score]:
        """The same measures with intervals, between both baselines and the truth itself."""
        translated, references = self.translations(model, runtime), self.references(self.inputs, self.truths)
        how = {**protocol, **self.resized, **self.colours}
        images = (
            Compared(translated[i : i + 1], {name: of[i : i + 1] for name, of in references.items()}, truth)
            for i, truth in enumerate(self.truths.split(1))
        )
        return scores_beside_truth(self.name, images, self.target, how)

    def translations(self, model: Translator, runtime: Runtime, batch_size: int = 8) -> Tensor:
        """The model's translations of the inputs; see `translated`. Where the truth holds no data, they are the truth:
        no method learns what to make there."""
        found = translated(model, self.inputs, self.to, self.target, runtime, batch_size)
        if self.target is None or not self.target.void:
            return found
        return torch.where((self.truths == -1).all(1, keepdim=True), self.truths, found)


@torch.no_grad()
def translated(
    model: Translator, inputs: Tensor, to: int, target: Domain | None, runtime: Runtime, batch_size: int = 8
) -> Tensor:
    """The model's translations of the inputs to domain number `to`, rounded to what files of the target hold, on the
    CPU."""
    outputs = []
    for images in inputs.split(batch_size):
        with runtime.autocast():
            outputs.append(model.convert(runtime.layout(images.to(runtime.device)), to).float().cpu())
    return as_written(torch.cat(outputs), target)


def directions(
    model: Translator,
    domains: Sequence[str],
    test: Iterable[Batch],
    training: Iterable[Batch],
    runtime: Runtime,
    kinds: Sequence[Domain] = (),
) -> list[Direction]:
    """One direction for each domain `model` converts to; empty without `test`. `test` holds true pairs, as does
    `training` if not empty. `kinds`: what the images of both domains are."""
    tested = _sides(test, runtime)
    if tested is None:
        return []
    trained = _sides(training, runtime)
    known = trained or tested
    return [
        Direction(
            f"to {domains[to]}",
            to,
            inputs=tested[1 - to],
            truths=tested[to],
            colour_map=fit_affine_colour(enlarged(known[1 - to], known[to]), known[to]),
            fitted_on="training pairs" if trained else "these images",
            target=kinds[to] if kinds else None,
            given=kinds[1 - to] if kinds else None,
            origin=1 - to,
        )
        for to in model.targets()
    ]


def class_directions(
    domains: Sequence[str], test: Iterable[Labelled], runtime: Runtime, kind: Domain | None = None
) -> list[Direction]:
    """One direction from every domain to every other. `test` holds labelled images, class by class; image i of every
    class shows the same thing. `kind`: what all images are."""
    placed = [runtime.place(batch).map(Tensor.cpu) for batch in test]
    images = torch.cat([batch.images for batch in placed])
    classes = torch.cat([batch.labels for batch in placed]).argmax(1)
    of_class = [images[classes == number] for number in range(len(domains))]
    return [
        Direction(
            f"to {domains[to]} from {domains[origin]}",
            to,
            inputs=of_class[origin],
            truths=of_class[to],
            colour_map=fit_affine_colour(of_class[origin], of_class[to]),
            target=kind,
            origin=origin,
        )
        for origin, to in permutations(range(len(domains)), 2)
    ]


class Compared(NamedTuple):
    """A translation, what needs no model, by name, and the truth: each (1, channels, height, width) in [-1, 1]."""

    translation: Tensor
    references: Mapping[str, Tensor]
    truth: Tensor


def scores_beside_truth(
    name: str, images: Iterable[Compared], target: Domain | None, protocol: Protocol
) -> list[Score]:
    """Every measure that compares with the truth, in rows called `name`; images may be of different sizes."""
    rounding = rounded_to(target)
    how = {**protocol, **({"rounding": rounding} if rounding else {})}
    values, floors = _of_labels(images) if _holds_labels(target) else _of_images(images, target)
    return [
        score(
            key,
            name,
            value,
            floor=floors[key],
            ceiling={"the truth itself": measure_of(key).perfect},
            protocol=how,
        )
        for key, value in values.items()
    ]


def _measures(target: Domain | None) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """What compares translations to the target with their truths, by key; errors in its unit, too, if it has one."""
    found = with_truth(_holds_labels(target))
    if target is not None and target.unit:
        low, high = target.ends
        found[in_unit(target.unit)] = lambda images, truths: absolute_error(images, truths) * (high - low)
    return found


def _holds_labels(target: Domain | None) -> bool:
    return target is not None and target.classes > 0


_Values = tuple[dict[str, Estimate], dict[str, dict[str, float]]]
"""Of each measure the value, and those of what needs no model, by name."""


def _of_images(images: Iterable[Compared], target: Domain | None) -> _Values:
    measures = _measures(target)
    found: dict[str, list[Tensor]] = {key: [] for key in measures}
    floors: dict[str, dict[str, list[float]]] = {key: defaultdict(list) for key in measures}
    for translation, references, truth in images:
        for key, function in measures.items():
            found[key].append(function(translation, truth).double())
            for reference, image in references.items():
                floors[key][reference].append(float(function(image, truth)))
    values = {key: bootstrap_mean(torch.stack(of)) for key, of in found.items()}
    return values, {key: {name: sum(of) / len(of) for name, of in floor.items()} for key, floor in floors.items()}


def _of_labels(images: Iterable[Compared]) -> _Values:
    """Taken over all pixels of all images together."""
    found: list[Tensor] = []
    floors: dict[str, list[Tensor]] = defaultdict(list)
    for translation, references, truth in images:
        found.append(confusions(translation, truth))
        for reference, image in references.items():
            floors[reference].append(confusions(image, truth))
    counts, measures = torch.cat(found), with_truth(labels=True)
    return {key: estimated(function, counts) for key, function in measures.items()}, {
        key: {name: float(OF_CONFUSION[function](torch.cat(of).sum(0))) for name, of in floors.items()}
        for key, function in measures.items()
    }


def rounded_to(target: Domain | None) -> str:
    """What translations are rounded to before they are measured, in words; empty if that is not known."""
    kind = target.type if target else None
    return "" if kind is None else f"rounded to {kind_in_words(kind)} files"


def _sides(batches: Iterable[Batch], runtime: Runtime) -> tuple[Tensor, Tensor] | None:
    """All images of both domains, each (images, channels, size, size) in [-1, 1] on the CPU; None without batches."""
    sides = [runtime.place(batch).map(Tensor.cpu).sides() for batch in batches]
    return (torch.cat([a for a, _ in sides]), torch.cat([b for _, b in sides])) if sides else None


@dataclass(frozen=True)
class ModeCoverage:
    """How `count` generated points cover a set's modes, as counted by `PointSet.coverage`."""

    points: PointSet
    count: int = 2500
    """As in VEEGAN (Srivastava et al. 2017)."""

    @property
    def name(self) -> str:
        return self.points.name

    @property
    def protocol(self) -> str:
        return f"{self.count:,} points drawn by the model, as many real ones beside them"

    def measure(self, model: Sampler, runtime: Runtime) -> dict[str, float]:
        with torch.no_grad(), runtime.autocast(), fixed_rng(runtime.device):
            return self.points.coverage(model.sample(self.count).float())

    def baselines(self) -> dict[str, dict[str, float]]:
        return {"real points": self.points.coverage(self.points.draw(self.count, np.random.default_rng(0)))}
