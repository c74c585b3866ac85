"""The kinds of data sets: two domains, labelled images, a labelled source with a target, points in the plane."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Batch, Plain
from translate.data.checks.looking import size_of
from translate.data.domain import Domain
from translate.data.folds import held_out
from translate.data.labelled import LabelledFolder, LabelledSplit, buckets, open_labelled
from translate.data.layouts.folders import Folder, Split
from translate.data.loader import Loader
from translate.data.source import Readable
from translate.data.synthetic.points import PointLoader, PointSet
from translate.evaluation.unseen import likenesses
from translate.evaluation.validation import ModeCoverage, class_directions, directions
from translate.models.base import ImageSpec, Model, Translator
from translate.recipe import DataSettings
from translate.runs.image_sets.image_set import ImageSet, Part
from translate.runs.image_sets.sound import holding_crops, sound_directions
from translate.training.runtime import Runtime
from translate.training.validation import Validation

MIDDLES = "their middles, at the scale of training"


class TwoDomains(ImageSet):
    """Paired or unpaired images."""

    def __init__(self, settings: DataSettings, folder: Folder, batch_type: type[Batch]) -> None:
        super().__init__(settings, batch_type, folder)
        self.folder, self.domains = folder, folder.domains

    def loader(self, batch_size: int, seed: int) -> Loader:
        return self._loader(self.folder.splits["train"], batch_size, seed)

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return dict(zip(self.domains, self.folder.splits["train"], strict=True))

    def without(self, paths: Collection[Path]) -> TwoDomains:
        folder = self.folder.without(paths)
        return self.but(folder=folder, folders=(folder,))

    def first(self, count: int, part: Part = "test", at_scale: bool = False) -> Iterator[Batch]:
        at_scale = at_scale or self.kind(0).sound is not None
        return self.in_order(self.few(count, part), self.batch_type, count, at_scale=at_scale)

    def few(self, count: int, part: Part = "test") -> Split:
        chosen = self.folder.splits.get(part) or self.folder.splits["train"]
        if self.kind(0).sound:
            splits = (self.spanned(chosen), self.spanned(self.folder.splits["train"]))
            held = (holding_crops(split, self.settings.crop.height, count) for split in splits)
            return next(filter(None, held), ())
        return tuple(sources[:count] for sources in chosen)

    def side_by_side(self) -> Sequence[Sequence[Readable]]:
        """The test images of each domain, if those of one index show the same thing."""
        return self.spanned(self.folder.splits["test"])

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        if not self.folder.splits.get("test"):
            return ()
        if self.kind(0).sound:
            tested = [sources[:count] for sources in self.spanned(self.folder.splits["test"])]
            return sound_directions(model, self.domains, tested, self.kinds)
        if not self.folder.test_is_paired:
            return self._likenesses(model, count, runtime)
        at_scale = self._measured_at_scale(count)
        training = self.first(count, "train", at_scale) if self.folder.kind == "paired" else iter(())
        found = directions(model, self.domains, self.first(count, "test", at_scale), training, runtime, self.kinds)
        return [replace(one, part=MIDDLES) for one in found] if at_scale else found

    def _likenesses(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        """Those of a model that translates; not in runs of earlier versions, which measured nothing without truth."""
        kinds, at_scale = [self.kind(0), self.kind(1)], self._measured_at_scale(count)
        if not isinstance(model, Translator) or any(kind.scale is None for kind in kinds):
            return ()
        sides = [side.cpu() for side in runtime.place(next(self.first(count, "test", at_scale))).sides()]
        found = likenesses(model, self.domains, sides, kinds)
        return [replace(one, part=MIDDLES) for one in found] if at_scale else found

    def _measured_at_scale(self, count: int) -> bool:
        """Whether whole images at the size of a crop would have another scale than in training, and their middles at
        that scale are measured instead; not in runs of earlier versions, which were not."""
        data = self.settings
        if any(kind.scale is None for kind in self.kinds):
            return False
        if data.resize == "none":
            first = enumerate(sources[:count] for sources in self.folder.splits["test"])
            return all(self.crop_of(number).fit_in(*size_of(one)) for number, some in first for one in some)
        return data.trained != data.crop or data.resize.startswith("short_side")


class LabelledImages(ImageSet):
    """Images with labels, or without if the model does not use them."""

    def __init__(self, settings: DataSettings, folder: LabelledFolder, batch_type: type[Batch]) -> None:
        super().__init__(settings, batch_type, folder)
        self.folder, self.left_out = folder, frozenset[Path]()
        self.domains, self.groups, self.alternatives = folder.domains, folder.groups, folder.alternatives

    def loader(self, batch_size: int, seed: int) -> Loader:
        train = self.folder.splits["train"]
        if not self.batch_type.labelled():
            return self._loader([train.sources], batch_size, seed)
        sources, labels = buckets(train, self.groups, self.settings.balanced)
        return self._loader(sources, batch_size, seed, labels)

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {"images": self.folder.splits["train"].sources}

    def without(self, paths: Collection[Path]) -> LabelledImages:
        folder = self.folder.without(paths)
        return self.but(folder=folder, folders=(folder,), left_out=self.left_out.union(paths))

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        chosen = self._spread(count, part)
        labels = [chosen.labels] if self.batch_type.labelled() else []
        return self.in_order([chosen.sources], self.batch_type, count, labels)

    def few(self, count: int, part: Part = "test") -> Sequence[Sequence[Readable]]:
        return [self._spread(count, part).sources]

    def _spread(self, count: int, part: Part) -> LabelledSplit:
        """Takes images spread evenly over the set, as it may be ordered by class."""
        split = self.folder.splits.get(part) or self.folder.splits["train"]
        return split.rows(np.linspace(0, len(split) - 1, min(count, len(split))).round().astype(int))

    def side_by_side(self) -> Sequence[Sequence[Readable]]:
        """The test images of each class, if those of one index show the same thing."""
        (sources,) = self.spanned([self.folder.splits["test"].sources])
        of_each = len(sources) // len(self.domains)
        return [sources[start : start + of_each] for start in range(0, len(sources), of_each)]

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        if "test" in self.folder.splits and (own := model.validations(lambda: self._test_images(count, runtime))):
            return own
        if not self.folder.test_is_paired or not isinstance(model, Translator):
            return ()
        test = self.folder.splits["test"]
        first = test.rows(np.arange(len(test)).reshape(len(self.domains), -1)[:, :count].ravel())  # of each class
        batches = self.in_order([first.sources], self.batch_type, count, [first.labels])
        return class_directions(self.domains, batches, runtime, self.kind(0))

    def _test_images(self, count: int, runtime: Runtime) -> Tensor:
        return torch.cat([runtime.place(batch).tensors()[0].cpu() for batch in self.first(count)])

    def with_labels(self) -> LabelledFolder:
        """Returns the set with its labels, to evaluate models that were trained without them."""
        if self.folder.groups:
            return self.folder
        labelled = open_labelled(self.folder.root).without(self.left_out)
        if self.settings.fold is None:
            return labelled
        # Labels would deal other folds.
        return held_out(labelled, {source.path for source in self.folder.splits["test"].sources}, self.test_split)


class LabelledSource(ImageSet):
    """Two sets of the same classes; only the first one's labels are used for training."""

    def __init__(self, settings: DataSettings, a: LabelledFolder, b: LabelledFolder, batch_type: type[Batch]) -> None:
        super().__init__(settings, batch_type, a, b)
        self.a, self.b, self.domains, self.groups = a, b, (a.root.name, b.root.name), a.groups

    def loader(self, batch_size: int, seed: int) -> Loader:
        a, b = self.a.splits["train"], self.b.splits["train"]
        return self._loader([a.sources, b.sources], batch_size, seed, [a.labels])

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {folder.root.name: folder.splits["train"].sources for folder in (self.a, self.b)}

    def without(self, paths: Collection[Path]) -> LabelledSource:
        a, b = self.a.without(paths), self.b.without(paths)
        return self.but(a=a, b=b, folders=(a, b))

    def columns(self) -> dict[str, list[Readable]]:
        return {name: folder.columns()["images"] for name, folder in zip(self.domains, self.folders, strict=True)}

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        labels = self._splits(part)[0].labels[:count]
        return self.in_order(self.few(count, part), self.batch_type, count, [labels])

    def few(self, count: int, part: Part = "test") -> Sequence[Sequence[Readable]]:
        return [split.sources[:count] for split in self._splits(part)]

    def _splits(self, part: Part) -> list[LabelledSplit]:
        return [folder.splits.get(part) or folder.splits["train"] for folder in (self.a, self.b)]


class Points(ImageSet):
    """Points in the plane, freshly drawn for every batch."""

    def __init__(self, settings: DataSettings, points: PointSet) -> None:
        super().__init__(settings, Plain)
        self.points, self.domains = points, (points.name,)
        self.kinds = (Domain(points.name, channels=2),)

    @property
    def spec(self) -> ImageSpec:
        return replace(super().spec, size=1)

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
