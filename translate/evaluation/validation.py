"""Compares translations with the truth, if the data set has it, and with two baselines that learn nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from translate.data.batch import Batch, Labelled
from translate.data.domain import Domain
from translate.evaluation.colour_map import apply_affine_colour, fit_affine_colour
from translate.evaluation.intervals import bootstrap_mean
from translate.evaluation.metrics import MEASURES, absolute_error, compare_with_truth, in_unit, measure_of
from translate.evaluation.table import Protocol, Score, score
from translate.models.base import Translator
from translate.training.runtime import Runtime


@dataclass(frozen=True)
class Direction:
    """Conversion to domain number `to`: true pairs to measure it by, and their best affine colour map.

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
    """What the truths are: errors are given in its unit, too."""

    @property
    def protocol(self) -> str:
        height, width = self.inputs.shape[-2:]
        return (
            f"{len(self.inputs)} test images of {width} x {height} pixels beside their true translations; the best "
            f"colour map is fitted on {self.fitted_on}{self._scale}"
        )

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
        """The measures of the best colour map, and of the untouched input if it could be a translation."""
        return {name: self._compared(images) for name, images in self._references().items()}

    def _references(self) -> dict[str, Tensor]:
        """What needs no model."""
        untouched = {"untouched input": self.inputs} if self.inputs.shape == self.truths.shape else {}
        return {**untouched, "best colour map": self.mapped()}

    def _compared(self, images: Tensor) -> dict[str, float]:
        found = compare_with_truth(images, self.truths)
        if self.target is None or not self.target.unit:
            return found
        low, high = self.target.ends
        return {**found, in_unit(self.target.unit): found["l1"] * (high - low)}

    def scores(self, model: Translator, runtime: Runtime, protocol: Protocol) -> list[Score]:
        """The same measures with intervals, between both baselines and the truth itself."""
        translated, references = self.translations(model, runtime), self._references()
        how = {**protocol, "best colour map": f"fitted on {self.fitted_on}{self._scale}"}
        compared = {name: (measure.function, 1.0) for name, measure in MEASURES.items() if measure.function}
        if self.target is not None and self.target.unit:
            low, high = self.target.ends
            compared[in_unit(self.target.unit)] = (absolute_error, high - low)
        found = []
        for name, (function, scale) in compared.items():
            value = bootstrap_mean(scale * _of_each(function, translated, self.truths))
            floor = {
                reference: scale * float(_of_each(function, images, self.truths).mean())
                for reference, images in references.items()
            }
            ceiling = {"the truth itself": measure_of(name).perfect}
            found.append(score(name, self.name, value, floor=floor, ceiling=ceiling, protocol=how))
        return found

    @torch.no_grad()
    def translations(self, model: Translator, runtime: Runtime, batch_size: int = 8) -> Tensor:
        """The model's translations of the inputs, on the CPU."""
        outputs = []
        for images in self.inputs.split(batch_size):
            with runtime.autocast():
                outputs.append(model.convert(runtime.layout(images.to(runtime.device)), self.to).float().cpu())
        return torch.cat(outputs)

    def mapped(self) -> Tensor:
        """The inputs under the best colour map, no lighter than white and no darker than black."""
        return apply_affine_colour(self.inputs, self.colour_map).clamp(-1, 1)


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
            colour_map=fit_affine_colour(known[1 - to], known[to]),
            fitted_on="training pairs" if trained else "these images",
            target=kinds[to] if kinds else None,
        )
        for to in model.targets()
    ]


def class_directions(domains: Sequence[str], test: Iterable[Labelled], runtime: Runtime) -> list[Direction]:
    """One direction from every domain to every other. `test` holds labelled images, class by class; image i of every
    class shows the same thing."""
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
        )
        for origin, to in permutations(range(len(domains)), 2)
    ]


def _of_each(function: Callable[[Tensor, Tensor], Tensor], images: Tensor, truths: Tensor) -> Tensor:
    """The function of each image and its truth: (images,), float64."""
    return torch.stack([function(*pair).double() for pair in zip(images.split(1), truths.split(1), strict=True)])


def _sides(batches: Iterable[Batch], runtime: Runtime) -> tuple[Tensor, Tensor] | None:
    """All images of both domains, each (images, channels, size, size) in [-1, 1] on the CPU; None without batches."""
    sides = [runtime.place(batch).map(Tensor.cpu).sides() for batch in batches]
    return (torch.cat([a for a, _ in sides]), torch.cat([b for _, b in sides])) if sides else None
