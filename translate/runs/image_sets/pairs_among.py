"""Two domains, some or all of whose images are known to be pairs (`data.pairs`), for methods that do without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from translate.data.batch import AllPaired, SomePaired
from translate.data.checks.some_pairs import require_some_pairs
from translate.data.loader import Loader
from translate.data.order import KnownPairs
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.recipe import DataSettings
from translate.runs.image_sets.kinds import TwoDomains
from translate.training.runtime import Runtime
from translate.training.validation import Validation
from translate.utils.settings import Settings

WEIGHT = "paired_weight"
"""The setting of methods that learn from known pairs."""


def refuse_idle_pairs(data: DataSettings, model: Settings) -> None:
    """Raises ConfigurationError if pairs are known of which the method learns nothing, or if it is to learn from pairs
    and none are known."""
    fields = type(model).model_fields
    if data.pairs and WEIGHT not in fields:
        methods = " or ".join(name for name, kind in MODELS.items() if WEIGHT in kind.Config.model_fields)
        raise ConfigurationError(
            f"data.pairs: this method learns nothing from known pairs: train with {methods}, or leave it out"
        )
    if not data.pairs and WEIGHT in fields and getattr(model, WEIGHT) not in (0, fields[WEIGHT].default):
        raise ConfigurationError(f"model.{WEIGHT}: no effect without known pairs: set data.pairs=some, or leave it out")


class PairsAmong(TwoDomains):
    """Images of two domains with what is known of pairs: batches say it, and test pairs are measured."""

    def loader(self, batch_size: int, seed: int) -> Loader:
        """The source of training batches. Raises ConfigurationError if some are to be pairs, and all or none are."""
        split, data = self.folder.splits["train"], self.settings
        if data.pairs == "all":
            return self._loader(split, batch_size, seed, make=AllPaired)
        known = require_some_pairs(self.folder)
        return self._loader(split, batch_size, seed, make=SomePaired, known=KnownPairs(known, data.pair_share))

    def beside_truths(self) -> PairsAmong:
        """The set with the test images alone whose true translations are known; as it is if those are all, or none."""
        folder = self.folder
        if folder.test_is_paired or "test" not in folder.splits or not (known := folder.known("test")):
            return self
        columns = zip(folder.splits["test"], zip(*known, strict=True), strict=True)
        pairs = tuple(tuple(column[place] for place in places) for column, places in columns)
        return self.but(folder=replace(folder, splits={**folder.splits, "test": pairs}, test_is_paired=True))

    def side_by_side(self) -> Sequence[Sequence[Readable]]:
        return super(PairsAmong, self.beside_truths()).side_by_side()

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        return super(PairsAmong, self.beside_truths()).validations(model, count, runtime)
