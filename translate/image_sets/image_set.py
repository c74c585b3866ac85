"""What every data set offers: training batches, samples for grids, validations, and which images it is made of."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from translate.data.batch import Batch
from translate.data.folders import Source
from translate.data.images import UNIT
from translate.data.kept import open_cache, stream_of
from translate.data.labels import LabelGroup
from translate.data.loader import Loader, evaluation_batches
from translate.data.source import Readable
from translate.engine import Engine
from translate.model import ImageSpec, Model
from translate.progress import Tell
from translate.recipe import DataSettings
from translate.validation import Validation

Part = Literal["test", "train"]


class Batches(Protocol):
    """Where training batches come from: a pure function of the step."""

    @property
    def steps_per_epoch(self) -> int: ...

    def stream(self, start: int = 0, every: int = 1) -> Generator[Batch]: ...


Stream = Callable[[int, int], Generator[Batch]]
"""The batches of step `start`, `start + every`, ..., for ever."""


def share_of(stream: Stream, rank: int, size: int) -> Callable[[int], Generator[Batch]]:
    """What process `rank` takes from a step on of a stream from which `size` processes take one batch each: together,
    at every step, what one process would take whose batch is `size` times as large."""
    return lambda start: stream(start * size + rank, size)


class ImageSet(ABC):
    """A data set, found on disk."""

    domains: tuple[str, ...]
    groups: tuple[LabelGroup, ...] = ()
    alternatives: tuple[tuple[int, ...], ...] = ()

    def __init__(self, settings: DataSettings) -> None:
        self.settings = settings

    @property
    def spec(self) -> ImageSpec:
        data = self.settings
        return ImageSpec(data.channels, data.size, self.domains, self.groups, self.alternatives, data.range)

    @abstractmethod
    def loader(self, batch_size: int, seed: int) -> Batches:
        """Training batches."""

    @abstractmethod
    def sources(self) -> list[Readable]:
        """The images of every split; none where they are drawn."""

    @abstractmethod
    def trained_on(self) -> dict[str, Sequence[Readable]]:
        """The training images, by what they are counted as; the order of data hangs on them."""

    def listing(self) -> dict[str, dict[str, Any]]:
        """By which the training images are known again, wherever they lie: how many, and a SHA-256 of their names."""
        return {
            name: {"count": len(sources), "names": _digest([source.path for source in sources])}
            for name, sources in self.trained_on().items()
        }

    @abstractmethod
    def without(self, paths: Collection[Path]) -> ImageSet:
        """The same set without these images, and without what belongs to them alone."""

    @abstractmethod
    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        """`count` images of a domain or set, whole, in one batch; of the training set where there is no test."""

    def validations(self, model: Model, count: int, engine: Engine) -> Sequence[Validation]:
        """What `count` test images can tell of a model; none where the truth is not known."""
        return ()

    @property
    def shape(self) -> Literal["centre", "square"]:
        """What is measured of an image: the square in its centre, or all of it, stretched."""
        return "centre" if self.settings.resize == "centre" else "square"

    def in_order(
        self, split: Sequence[Sequence[Any]], make: type[Batch], count: int, labels: Sequence[np.ndarray] = ()
    ) -> Iterator[Any]:
        """Images of this set, a list for each domain, as they are measured: in batches of `count`, neither cropped nor
        flipped. `labels` as `evaluation_batches` takes them."""
        data = self.settings
        split = spanned(split, data.range)
        return evaluation_batches(split, make, data.channels, data.size, count, labels=labels, resize=self.shape)

    def _loader(
        self, split: Sequence[Sequence[Any]], make: type[Batch], batch_size: int, seed: int, **more: Any
    ) -> Loader:
        data = self.settings
        return Loader(
            spanned(split, data.range),
            make=make,
            channels=data.channels,
            size=data.size,
            load_size=data.loaded_size,
            resize=data.resize,
            flip=data.flip,
            augment=data.augment,
            batch_size=batch_size,
            seed=seed,
            workers=data.workers,
            cache=open_cache(
                data.cache, data.cache_bytes, channels=data.channels, side=data.loaded_size, resize=data.resize
            ),
            **more,
        )


def spanned(split: Sequence[Sequence[Any]], span: tuple[float, float]) -> Sequence[Sequence[Any]]:
    """The same images, their files of floating point read within `span`; what stands twice stays one."""
    if span == UNIT:
        return split
    each = {id(one): replace(one, span=span) for images in split for one in images if isinstance(one, Source)}
    return [[each.get(id(one), one) for one in images] for images in split]


def training_stream(loader: Batches, data: DataSettings, device: torch.device, tell: Tell) -> Stream:
    """The stream of training batches as `device` is best fed; tells where that is not as `data.cache` asks."""
    if isinstance(loader, Loader):
        return stream_of(loader, data.cache, data.cache_bytes, device, tell)
    return loader.stream


def _digest(paths: Sequence[Path]) -> str:
    """Of their names in order, each from the folder that holds them all."""
    together = os.path.commonpath([path.parent for path in paths] or [Path()])
    names = "\n".join(str(path)[len(together) :].lstrip(os.sep) for path in paths)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()
