"""Points in the plane, drawn on demand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from translate.data.batch import Batch, Plain
from translate.data.source import Readable
from translate.data.synthetic.points import PointLoader, PointSet
from translate.evaluation.mode_coverage import ModeCoverage
from translate.models.base import ImageSpec, Model
from translate.recipe import DataSettings
from translate.runs.image_sets.image_set import ImageSet, Part
from translate.training.runtime import Runtime
from translate.training.validation import Validation


class Points(ImageSet):
    """Points in the plane, freshly drawn for every batch."""

    def __init__(self, settings: DataSettings, points: PointSet) -> None:
        super().__init__(settings, Plain)
        self.points, self.domains = points, (points.name,)

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(channels=2, size=1, domains=self.domains)

    def loader(self, batch_size: int, seed: int) -> PointLoader:
        return PointLoader(self.points, batch_size, seed)

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {}

    def without(self, paths: Collection[Path]) -> Points:
        return self

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        # A handful of dots would show no density.
        yield Plain(self.points.draw(max(count, 2000), np.random.default_rng(0)))

    def validations(self, model: Model, count: int, runtime: Runtime) -> Sequence[Validation]:
        return [ModeCoverage(self.points)]
