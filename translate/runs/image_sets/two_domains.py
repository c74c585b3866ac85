"""Two domains of images, paired or unpaired."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from translate.data.batch import Batch
from translate.data.layouts.folders import Folder, Split
from translate.data.loader import Loader
from translate.data.source import Readable
from translate.evaluation.validation import directions
from translate.recipe import DataSettings
from translate.runs.image_sets.image_set import ImageSet, Part, split_measured
from translate.training.runtime import Runtime
from translate.training.validation import Validation


class TwoDomains(ImageSet):
    """Paired or unpaired images."""

    def __init__(self, settings: DataSettings, folder: Folder, batch_type: type[Batch]) -> None:
        super().__init__(settings, batch_type, folder)
        self.folder, self.domains, self.test_split = folder, folder.domains, split_measured(folder.found)

    def loader(self, batch_size: int, seed: int) -> Loader:
        return self._loader(self.folder.splits["train"], batch_size, seed)

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return dict(zip(self.domains, self.folder.splits["train"], strict=True))

    def without(self, paths: Collection[Path]) -> TwoDomains:
        return TwoDomains(self.settings, self.folder.without(paths), self.batch_type)

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        chosen = self.folder.splits.get(part) or self.folder.splits["train"]
        few: Split = tuple(sources[:count] for sources in chosen)
        return self.in_order(few, self.batch_type, count)

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        if not self.folder.test_is_paired or not self.folder.splits.get("test"):
            return ()
        training = self.first(count, "train") if self.folder.kind == "paired" else iter(())
        return directions(model, self.domains, self.first(count), training, runtime)
