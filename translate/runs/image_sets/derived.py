"""Pairs whose inputs are made from their targets, which are one folder of photos (`data.derive`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from translate.data.batch import Batch
from translate.data.catalog.cards import locate
from translate.data.checks.files import Files
from translate.data.checks.looking import kinds_of, scale_of
from translate.data.derived.settings import Derive
from translate.data.derived.source import Derived
from translate.data.domain import Domain
from translate.data.folds import folded
from translate.data.layouts.folders import Folder, Split
from translate.data.layouts.photos import open_photos
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.evaluation.floors import floors_of
from translate.evaluation.validation import Direction
from translate.recipe import DataSettings
from translate.runs.image_sets.image_set import spanned
from translate.runs.image_sets.kinds import TwoDomains
from translate.training.runtime import Runtime
from translate.training.validation import Validation


class DerivedPairs(TwoDomains):
    """Pairs of which only the targets are files."""

    def __init__(self, settings: DataSettings, photos: Folder, batch_type: type[Batch]) -> None:
        super().__init__(settings, _doubled(photos, names_of(settings)), batch_type)
        self.folders = (photos,)

    @property
    def derive(self) -> Derive:
        assert self.settings.derive is not None
        return self.settings.derive

    @property
    def kinds_in_files(self) -> tuple[Domain, ...]:
        return self.kinds[1:]

    @property
    def made(self) -> str:
        """What inputs are made of, in words."""
        given, target = self.domains
        kinds = ", ".join(self.derive.kinds)
        return f"{given} is made of {target}: {kinds} (data.derive)"

    def know(self, known: Sequence[Domain]) -> None:
        self.kinds = tuple(known)

    def look(self, quiet: bool = True, scale: int = 1) -> None:
        self.derive.require_crop(self.settings.crop)
        _require_scale(self.derive, scale)
        files, (sources,) = Files(quiet), self.trained_on().values()
        (target,) = kinds_of(self.columns(), self.settings, files)
        given = replace(self.derive.given(target, self.domains[0]), reduced=scale)
        self.kinds = (given, target)  # which the way to decode follows from
        seen = scale_of(sources, self._way_at_scale(target), files)
        self.kinds = (given.at(seen.over(scale) if seen else None), target.at(seen))

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {self.domains[1]: self.folder.splits["train"][1]}

    def without(self, paths: Collection[Path]) -> DerivedPairs:
        photos = self.folders[0].without(paths)
        assert isinstance(photos, Folder)
        return self.but(folder=_doubled(photos, self.domains), folders=(photos,))

    def pairs(self, split: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """The inputs and the targets of a split."""
        (targets,) = spanned(split[1:], self.kinds_in_files)
        derived = {id(one): Derived(one, self.kinds[1].stored_channels, self.derive) for one in targets}
        return [[derived[id(one)] for one in targets], targets]

    def spanned(self, split: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        return self.pairs(split)

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        floors = floors_of(self.derive)
        found = super().validations(model, count, runtime)
        return [replace(one, floors=floors) if isinstance(one, Direction) else one for one in found]


def names_of(data: DataSettings) -> tuple[str, str]:
    """The names of input and target. Raises ConfigurationError for another number of them."""
    assert data.derive is not None
    names = data.domain_names or data.derive.names
    if len(names) != 2 or names[0] == names[1]:
        raise ConfigurationError(
            f"data.domains: data.derive makes inputs of targets: two different names, not {', '.join(names)}"
        )
    if strange := [name for name in data.domain_settings if name != names[1]]:
        raise ConfigurationError(
            f"data.domains.{strange[0]}: only {names[1]} is in files, of which data.derive makes {names[0]}: "
            f"set data.domains.{names[1]}"
        )
    return names[0], names[1]


def require_pairs(data: DataSettings, batch_type: type[Batch]) -> None:
    """Raises ConfigurationError unless the method learns from pairs, which is what derived inputs make."""
    if batch_type.domains() != 2 or not batch_type.pairs:
        raise ConfigurationError(
            f"data.derive: makes pairs, of inputs and the targets they are made of, and this method learns from "
            f"{batch_type.called}: train with pix2pix, or leave data.derive out"
        )


def open_derived(data: DataSettings, batch_type: type[Batch]) -> DerivedPairs:
    """Opens the folder of photos. Raises ConfigurationError."""
    path = Path(str(data.set))
    root = path if path.exists() else locate(str(data.set))[0]
    photos = open_photos(root, names_of(data)[1], data.follow_links)
    return DerivedPairs(data, folded(photos, data.fold, data.fold_seed), batch_type)


def _doubled(photos: Folder, names: tuple[str, ...]) -> Folder:
    """The set as pairs: the same files are what inputs are made of, and the targets."""
    splits: dict[str, Split] = {split: (sources, sources) for split, (sources,) in photos.splits.items()}
    return replace(photos, kind="paired", domains=names, splits=splits, test_is_paired="test" in splits)


def _require_scale(derive: Derive, scale: int) -> None:
    """Raises ConfigurationError unless a generator that enlarges so takes what is made so small."""
    if derive.shrinks == scale:
        return
    if derive.shrinks == 1:
        raise ConfigurationError(
            f"model.generator: makes its images {scale} times as high and wide, and data.derive leaves them their "
            f"size: set data.derive.lowres.factor={scale}, or a model.generator that keeps the size"
        )
    if scale == 1:
        raise ConfigurationError(
            f"data.derive.lowres.factor={derive.shrinks}: the generator leaves its images their size: set "
            "data.derive.lowres.enlarged=true, or train the recipe super-resolution with that model.generator.scale"
        )
    raise ConfigurationError(
        f"data.derive.lowres.factor={derive.shrinks}: the generator makes its images {scale} times as high and wide: "
        f"set model.generator.scale={derive.shrinks}, too"
    )
