"""Labelled images, and a labelled source with an unlabelled target."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Batch
from translate.data.labelled import LabelledFolder, buckets, open_labelled
from translate.data.loader import Loader
from translate.data.source import Readable
from translate.evaluation.validation import class_directions
from translate.models.base import Translator
from translate.recipe import DataSettings
from translate.runs.image_sets.image_set import ImageSet, Part, split_measured
from translate.training.runtime import Runtime
from translate.training.validation import Validation


class LabelledImages(ImageSet):
    """Images with labels, or without if the model does not use them."""

    def __init__(
        self,
        settings: DataSettings,
        folder: LabelledFolder,
        batch_type: type[Batch],
        left_out: Collection[Path] = frozenset(),
    ) -> None:
        super().__init__(settings)
        self.folder, self.batch_type, self.left_out = folder, batch_type, frozenset(left_out)
        self.domains, self.groups, self.alternatives = folder.domains, folder.groups, folder.alternatives

    def loader(self, batch_size: int, seed: int) -> Loader:
        train = self.folder.splits["train"]
        if not self.batch_type.labelled():
            return self._loader([train.sources], self.batch_type, batch_size, seed)
        sources, labels = buckets(train, self.groups, self.settings.balanced)
        return self._loader(sources, self.batch_type, batch_size, seed, labels)

    def sources(self) -> list[Readable]:
        return _sources(self.folder)

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {"images": self.folder.splits["train"].sources}

    def without(self, paths: Collection[Path]) -> LabelledImages:
        return LabelledImages(self.settings, self.folder.without(paths), self.batch_type, self.left_out.union(paths))

    @property
    def test_split(self) -> str:
        return split_measured(self.folder.found)

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        """Takes images spread evenly over the set, as it may be ordered by class."""
        split = self.folder.splits.get(part) or self.folder.splits["train"]
        chosen = np.linspace(0, len(split.sources) - 1, min(count, len(split.sources))).round().astype(int)
        labels = [split.labels[chosen]] if self.batch_type.labelled() else []
        return self.in_order([[split.sources[index] for index in chosen]], self.batch_type, count, labels)

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        if "test" in self.folder.splits and (own := model.validations(lambda: self._test_images(count, runtime))):
            return own
        if not self.folder.test_is_paired or not isinstance(model, Translator):
            return ()
        test = self.folder.splits["test"]
        per_class = len(test.sources) // len(self.domains)
        rows = [
            number * per_class + index for number in range(len(self.domains)) for index in range(min(count, per_class))
        ]
        batches = self.in_order([[test.sources[row] for row in rows]], self.batch_type, count, [test.labels[rows]])
        return class_directions(self.domains, batches, runtime)

    def _test_images(self, count: int, runtime: Runtime) -> Tensor:
        return torch.cat([runtime.place(batch).tensors()[0].cpu() for batch in self.first(count)])

    def with_labels(self) -> LabelledFolder:
        """Returns the set with its labels, to evaluate models that were trained without them."""
        return self.folder if self.folder.groups else open_labelled(self.folder.root).without(self.left_out)


class LabelledSource(ImageSet):
    """Two sets of the same classes; only the first one's labels are used for training."""

    def __init__(self, settings: DataSettings, a: LabelledFolder, b: LabelledFolder, batch_type: type[Batch]) -> None:
        super().__init__(settings)
        self.a, self.b, self.batch_type = a, b, batch_type
        self.domains = (a.root.name, b.root.name)
        self.groups = a.groups

    def loader(self, batch_size: int, seed: int) -> Loader:
        a, b = self.a.splits["train"], self.b.splits["train"]
        return self._loader([a.sources, b.sources], self.batch_type, batch_size, seed, [a.labels])

    def sources(self) -> list[Readable]:
        return [*_sources(self.a), *_sources(self.b)]

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {folder.root.name: folder.splits["train"].sources for folder in (self.a, self.b)}

    def without(self, paths: Collection[Path]) -> LabelledSource:
        return LabelledSource(self.settings, self.a.without(paths), self.b.without(paths), self.batch_type)

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        a, b = (folder.splits.get(part) or folder.splits["train"] for folder in (self.a, self.b))
        return self.in_order([a.sources[:count], b.sources[:count]], self.batch_type, count, [a.labels[:count]])


def _sources(folder: LabelledFolder) -> list[Readable]:
    return [source for part in folder.splits.values() for source in part.sources]
