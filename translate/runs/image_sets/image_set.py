"""The interface of data sets: training batches, samples for grids, validations, and the images they consist of."""

from __future__ import annotations

import copy
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import torch

from translate.data.batch import Batch
from translate.data.cache.choice import open_cache, stream_of
from translate.data.checks.files import Files
from translate.data.checks.looking import kinds_of, level_of, scale_of
from translate.data.decoding import Decoding
from translate.data.domain import Domain
from translate.data.labelled import LabelledFolder
from translate.data.labels import LabelGroup
from translate.data.layers import Layered, in_layers, layer_names
from translate.data.layouts.columns import TestSplit
from translate.data.layouts.folders import Folder
from translate.data.loader import Loader, evaluation_batches
from translate.data.order import KnownPairs
from translate.data.source import OfDomain, Readable
from translate.errors import ConfigurationError
from translate.models.base import ImageSpec, Model
from translate.recipe import DataSettings
from translate.training.runtime import Runtime
from translate.training.validation import Film, Validation
from translate.utils.printing import Log
from translate.utils.sides import Sides

Part = Literal["test", "train"]


class Batches(Protocol):
    """A source of training batches, which are a pure function of the step."""

    @property
    def steps_per_epoch(self) -> int: ...

    def stream(self, start: int = 0, every: int = 1) -> Generator[Batch]: ...


Stream = Callable[[int, int], Generator[Batch]]
"""Yields the batches of steps `start`, `start + every`, ... forever."""


def share_of(stream: Stream, rank: int, size: int) -> Callable[[int], Generator[Batch]]:
    """Returns the stream from a given step on for process `rank` of `size`. Together the processes take, at every step,
    what a single process with a batch `size` times as large would take."""
    return lambda start: stream(start * size + rank, size)


class ImageSet(ABC):
    """A data set, as its settings want it read."""

    domains: tuple[str, ...]
    groups: tuple[LabelGroup, ...] = ()
    alternatives: tuple[tuple[int, ...], ...] = ()
    kinds: tuple[Domain, ...] = ()
    """What the images of each domain are, or those of all; see `open_data`."""

    def __init__(self, settings: DataSettings, batch_type: type[Batch], *folders: Folder | LabelledFolder) -> None:
        self.settings, self.batch_type, self.folders = settings, batch_type, folders

    def but(self, **changed: Any) -> Self:
        """The same set with other attributes."""
        other = copy.copy(self)
        vars(other).update(changed)
        return other

    @property
    def test_split(self) -> TestSplit:
        """The split that is measured."""
        return self.folders[0].test_split if self.folders else "test"

    @property
    def spec(self) -> ImageSpec:
        most, span = max(kind.channels for kind in self.kinds), self.kinds[0].span
        return ImageSpec(
            most, self.settings.crop.as_set, self.domains, self.groups, self.alternatives, span, self.kinds
        )

    @property
    def kinds_in_files(self) -> tuple[Domain, ...]:
        """What the files of each of `columns` are."""
        return self.kinds

    def know(self, known: Sequence[Domain]) -> None:
        """Takes what the images of each domain are from a run that has looked. Raises ConfigurationError unless samples
        have the images that are known, in their order."""
        for kind, (name, sources) in zip(known, self.columns().items(), strict=False):
            begun, found = [layer.name for layer in kind.layers], layer_names(name, sources)
            if begun and begun != list(found):
                raise ConfigurationError(
                    f"{self.settings.set}: a sample of {name} was {', '.join(begun)}, and is now {', '.join(found)}: "
                    "put the folders back"
                )
        self.kinds = tuple(known)[: max(1, len(self.columns()))]

    def kind(self, number: int) -> Domain:
        """What the images of domain `number` are."""
        return self.kinds[min(number, len(self.kinds) - 1)]

    @property
    def scale(self) -> int:
        """How many times higher and wider than their inputs translations are."""
        return max((kind.reduced for kind in self.kinds), default=1)

    def crop_of(self, number: int) -> Sides:
        """The size at which training sees images of domain `number`."""
        return self.settings.crop.over(self.kind(number).reduced)

    def look(self, quiet: bool = True, scale: int = 1) -> None:
        """Finds what the images of each domain are, and at which scale, or how loud, training has them, whose
        translations are `scale` times as high and wide; shows its progress unless `quiet`."""
        trained, files = self.trained_on(), Files(quiet)
        found = kinds_of(self.columns(), self.settings, files)
        self.kinds = tuple(replace(kind, reduced=scale if number == 0 else 1) for number, kind in enumerate(found))
        self.kinds = tuple(
            replace(
                kind.at(scale_of(trained[kind.name], self._way_at_scale(kind), files)),
                level=level_of(trained[kind.name], kind, files),
            )
            for kind in self.kinds
        )

    @abstractmethod
    def loader(self, batch_size: int, seed: int) -> Batches:
        """Returns the source of training batches."""

    def columns(self) -> dict[str, list[Readable]]:
        """The images of all splits, for each of `kinds`, by its name; empty if images are generated."""
        return {name: sources for folder in self.folders for name, sources in folder.columns().items()}

    def sources(self) -> list[Readable]:
        """The images of all splits; empty if images are generated."""
        return [source for sources in self.columns().values() for source in sources]

    @abstractmethod
    def trained_on(self) -> dict[str, Sequence[Readable]]:
        """Returns the training images by the name of their domain or set, in the order of training data."""

    def listing(self) -> dict[str, dict[str, Any]]:
        """Returns count and SHA-256 of the names of the training images, to recognise them wherever they are stored."""
        return {
            name: {"count": len(sources), "names": _digest([source.path for source in sources])}
            for name, sources in in_layers(self.trained_on()).items()
        }

    @abstractmethod
    def without(self, paths: Collection[Path]) -> ImageSet:
        """Returns the set without these images, and without their partners and labels."""

    @abstractmethod
    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        """Yields one batch with `count` whole images of each domain or set; training images if there is no test."""

    def few(self, count: int, part: Part = "test") -> Sequence[Sequence[Readable]]:
        """Returns the images of `first`, of each domain or set; none if images are generated."""
        return ()

    def first_names(self, count: int) -> list[str]:
        """What the images of `first` are called, in order; nothing if images are generated."""
        together = zip(*self.few(count), strict=False)
        return [", ".join(dict.fromkeys(source.path.name for source in sources)) for sources in together]

    def validations(self, model: Model, count: int, runtime: Runtime) -> Sequence[Validation]:
        """Returns the validations of a model on `count` test images; empty if there is no ground truth."""
        return ()

    def film(self, model: Model, count: int, runtime: Runtime) -> Film | None:
        """What is shown of `count` clips in place of the model's own columns; None if images are no frames of clips."""
        return None

    @property
    def shape(self) -> Literal["centre", "square"]:
        """The part of an image that is measured: the centred one of a crop's shape, or the whole image, stretched."""
        return "centre" if self.settings.resize == "centre" else "square"

    def in_order(
        self,
        split: Sequence[Sequence[Any]],
        make: type[Batch],
        count: int,
        labels: Sequence[np.ndarray] = (),
        domains: Sequence[int] = (0, 1),
        at_scale: bool = False,
    ) -> Iterator[Any]:
        """Yields images of this set, given as a list for each of `domains`, for evaluation: in batches of `count`,
        without random crops or flips. `labels` as for `evaluation_batches`. `at_scale`: the middle of images that are
        resized as in training, instead of whole images."""
        kinds, data = [self.kind(number) for number, _ in zip(domains, split, strict=False)], self.settings
        sources = spanned(split, kinds) if len(split) < 2 else self.spanned(split)
        side, shape = (data.trained, data.resize) if at_scale else (data.crop, self.shape)
        ways = [Decoding.of(kind, side, shape, data.interpolation, self.scale) for kind in kinds]
        return evaluation_batches(sources, make, ways, count, labels, data.size)

    def spanned(self, split: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """The images of each domain, or of several lists of one, to be read as its images."""
        return spanned(split, [self.kind(number) for number in range(len(split))])

    def _way(self, kind: Domain) -> Decoding:
        return self.settings.decoding(kind, self.scale)

    def _way_at_scale(self, kind: Domain) -> Decoding:
        data = self.settings
        return Decoding.of(kind, data.trained, data.resize, data.interpolation, self.scale)

    def _loader(
        self,
        split: Sequence[Sequence[Any]],
        batch_size: int,
        seed: int,
        labels: Sequence[np.ndarray] = (),
        make: type[Batch] | None = None,
        known: KnownPairs | None = None,
    ) -> Loader:
        """The loader of a split's batches: `make`, which are those of the method if it is None."""
        data, ways = self.settings, list(map(self._way, self.kinds))
        return Loader(
            self.spanned(split),
            make or self.batch_type,
            ways,
            data.cropping,
            labels=labels,
            batch_size=batch_size,
            seed=seed,
            workers=data.workers,
            cache=open_cache(data.cache, data.cache_bytes, ways),
            known=known,
        )


def spanned(split: Sequence[Sequence[Any]], kinds: Sequence[Domain]) -> list[Sequence[Any]]:
    """The images of each list, to be read as those of its domain; repeated objects remain the same."""
    each: dict[tuple[int, Domain], Any] = {}

    def within(one: Any, kind: Domain) -> Any:
        key = id(one), kind
        if key not in each:
            made: Any = type(one)
            each[key] = made.of(one, kind) if isinstance(one, OfDomain | Layered) else one
        return each[key]

    return [[within(one, kind) for one in sources] for sources, kind in zip(split, kinds, strict=True)]


def training_stream(loader: Batches, data: DataSettings, device: torch.device, log: Log) -> Stream:
    """Returns the stream of training batches that suits `device`; says so if `data.cache` is impossible there."""
    if isinstance(loader, Loader):
        return stream_of(loader, data.cache, data.cache_bytes, device, log)
    return loader.stream


def _digest(paths: Sequence[Path]) -> str:
    """Returns the SHA-256 of the paths in order, each relative to their common folder."""
    together = os.path.commonpath([path.parent for path in paths] or [Path()])
    names = "\n".join(str(path)[len(together) :].lstrip(os.sep) for path in paths)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()
