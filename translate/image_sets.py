"""Data sets as their settings want them read: what training, sample grids and validation take images from."""

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
from torch import Tensor

from translate.data.batch import Batch, Labelled, Plain, SourceLabelled
from translate.data.folders import Folder, Source, Split
from translate.data.images import UNIT
from translate.data.kept import open_cache, stream_of
from translate.data.labelled import LabelledFolder, buckets, open_labelled
from translate.data.labels import LabelGroup
from translate.data.loader import Loader, evaluation_batches
from translate.data.points import PointLoader, PointSet
from translate.data.source import Readable
from translate.engine import Engine
from translate.model import ImageSpec, Model
from translate.models.vae import VAE
from translate.recipe import DataSettings
from translate.sample_validation import Evidence, ModeCoverage
from translate.validation import Validation, class_directions, directions

Say = Callable[[str], None]
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


class TwoDomains(ImageSet):
    """Paired or unpaired images."""

    def __init__(self, settings: DataSettings, folder: Folder, batch_type: type[Batch]) -> None:
        super().__init__(settings)
        self.folder, self.batch_type = folder, batch_type
        self.domains = folder.domains

    def loader(self, batch_size: int, seed: int) -> Loader:
        return self._loader(self.folder.splits["train"], self.batch_type, batch_size, seed)

    def sources(self) -> list[Readable]:
        return [source for columns in self.folder.splits.values() for column in columns for source in column]

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return dict(zip(self.domains, self.folder.splits["train"], strict=True))

    def without(self, paths: Collection[Path]) -> TwoDomains:
        return TwoDomains(self.settings, self.folder.without(paths), self.batch_type)

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        chosen = self.folder.splits.get(part) or self.folder.splits["train"]
        few: Split = tuple(sources[:count] for sources in chosen)
        return self.in_order(few, self.batch_type, count)

    def validations(self, model: Any, count: int, engine: Engine) -> Sequence[Validation]:
        if not self.folder.test_is_paired or not self.folder.splits.get("test"):
            return ()
        training = self.first(count, "train") if self.folder.kind == "paired" else iter(())
        return directions(model, self.domains, self.first(count), training, engine)


class LabelledImages(ImageSet):
    """Images with labels, or without where the model asks for none."""

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
        if self.batch_type is Plain:
            return self._loader([train.sources], Plain, batch_size, seed)
        sources, labels = buckets(train, self.groups, self.settings.balanced)
        return self._loader(sources, Labelled, batch_size, seed, labels=labels)

    def sources(self) -> list[Readable]:
        return _sources(self.folder)

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {"images": self.folder.splits["train"].sources}

    def without(self, paths: Collection[Path]) -> LabelledImages:
        return LabelledImages(self.settings, self.folder.without(paths), self.batch_type, self.left_out.union(paths))

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        """Spread evenly over the set, which may stand class by class."""
        split = self.folder.splits.get(part) or self.folder.splits["train"]
        chosen = np.linspace(0, len(split.sources) - 1, min(count, len(split.sources))).round().astype(int)
        labels = [] if self.batch_type is Plain else [split.labels[chosen]]
        return self.in_order([[split.sources[index] for index in chosen]], self.batch_type, count, labels)

    def validations(self, model: Any, count: int, engine: Engine) -> Sequence[Validation]:
        if isinstance(model, VAE) and model.config.variational and "test" in self.folder.splits:
            (batch,) = (engine.place(batch).map(Tensor.cpu) for batch in self.first(count))
            return [Evidence(batch.tensors()[0])]
        if not self.folder.test_is_paired or self.batch_type is Plain:
            return ()
        test = self.folder.splits["test"]
        per_class = len(test.sources) // len(self.domains)
        rows = [
            number * per_class + index for number in range(len(self.domains)) for index in range(min(count, per_class))
        ]
        batches = self.in_order([[test.sources[row] for row in rows]], Labelled, count, [test.labels[rows]])
        return class_directions(self.domains, batches, engine)

    def with_labels(self) -> LabelledFolder:
        """The same set with its labels, to measure what was drawn by a model that was not told of them."""
        return self.folder if self.folder.groups else open_labelled(self.folder.root).without(self.left_out)


class LabelledSource(ImageSet):
    """Two sets of the same classes, of which only the first's labels are trained on."""

    def __init__(self, settings: DataSettings, a: LabelledFolder, b: LabelledFolder) -> None:
        super().__init__(settings)
        self.a, self.b = a, b
        self.domains = (a.root.name, b.root.name)
        self.groups = a.groups

    def loader(self, batch_size: int, seed: int) -> Loader:
        a, b = self.a.splits["train"], self.b.splits["train"]
        return self._loader([a.sources, b.sources], SourceLabelled, batch_size, seed, labels=[a.labels])

    def sources(self) -> list[Readable]:
        return [*_sources(self.a), *_sources(self.b)]

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {folder.root.name: folder.splits["train"].sources for folder in (self.a, self.b)}

    def without(self, paths: Collection[Path]) -> LabelledSource:
        return LabelledSource(self.settings, self.a.without(paths), self.b.without(paths))

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        a, b = (folder.splits.get(part) or folder.splits["train"] for folder in (self.a, self.b))
        return self.in_order([a.sources[:count], b.sources[:count]], SourceLabelled, count, [a.labels[:count]])


class Points(ImageSet):
    """Points in the plane, drawn anew for every batch."""

    def __init__(self, settings: DataSettings, points: PointSet) -> None:
        super().__init__(settings)
        self.points, self.domains = points, (points.name,)

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(channels=2, size=1, domains=self.domains)

    def loader(self, batch_size: int, seed: int) -> PointLoader:
        return PointLoader(self.points, batch_size, seed)

    def sources(self) -> list[Readable]:
        return []

    def trained_on(self) -> dict[str, Sequence[Readable]]:
        return {}

    def without(self, paths: Collection[Path]) -> Points:
        return self

    def first(self, count: int, part: Part = "test") -> Iterator[Batch]:
        # A handful of dots would show no density.
        yield Plain(self.points.draw(max(count, 2000), np.random.default_rng(0)))

    def validations(self, model: Model, count: int, engine: Engine) -> Sequence[Validation]:
        return [ModeCoverage(self.points)]


def training_stream(loader: Batches, data: DataSettings, device: torch.device, tell: Say) -> Stream:
    """The stream of training batches as `device` is best fed; tells where that is not as `data.cache` asks."""
    if isinstance(loader, Loader):
        return stream_of(loader, data.cache, data.cache_bytes, device, tell)
    return loader.stream


def _sources(folder: LabelledFolder) -> list[Readable]:
    return [source for part in folder.splits.values() for source in part.sources]


def _digest(paths: Sequence[Path]) -> str:
    """Of their names in order, each from the folder that holds them all."""
    together = os.path.commonpath([path.parent for path in paths] or [Path()])
    names = "\n".join(str(path)[len(together) :].lstrip(os.sep) for path in paths)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()
