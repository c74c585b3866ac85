"""Turns images into batches: `Order` says which come, `DecodedImages` loads them, `Crops` crops them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from translate.data.ahead import ahead
from translate.data.batch import Batch
from translate.data.cache.memory import Cache, Memory
from translate.data.checks.scan import Attempt
from translate.data.crops import Cropped, Cropping, Crops, middle, stack
from translate.data.decoding import DecodedImages, Decoding, for_each, require_pair
from translate.data.derived.source import DerivedCrops, derivation_of, derived_middles
from translate.data.order import KnownPairs, Order, OrderOfSome, lists_of
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.utils.sides import Sides, Size

AnyBatch = TypeVar("AnyBatch", bound=Batch)


class Loader(Generic[AnyBatch]):
    """Makes training batches, a pure function of seed and step, so resuming needs no saved state.

        for batch in loader.stream(start=step): ...

    `split` holds the images of each domain, and the batch type `make` says how they relate: `Paired` images share their
    order, crop, flip and geometric augmentation; others share nothing. Images of one domain that have labels are drawn
    in turn from the buckets in `split`: one of all its images, or one per class or set (see `labelled.buckets`); an
    image may be in several. References are drawn from the same images (see `References`). Every pass over a list has
    its own order, and the next pass follows immediately: no image is skipped, and smaller domains repeat more often.

    `labels`: float32 (images, labels) for each bucket, or for the first domain. `workers`: threads that work ahead in
    `stream`; with 0 the caller does the work. `cache` holds decoded images; without one they are decoded each time.
    Neither changes batches. Raises ConfigurationError for an empty split or pairs of unequal number, ImageError for
    unusable files. `decoding` may be one for all domains, or one for each. `known`: where only some images of two
    domains are pairs, which they are.
    """

    def __init__(
        self,
        split: Sequence[Sequence[Readable]],
        make: type[AnyBatch],
        decoding: Decoding | Sequence[Decoding],
        cropping: Cropping,
        *,
        labels: Sequence[np.ndarray] = (),
        batch_size: int = 1,
        seed: int = 0,
        workers: int = 0,
        cache: Cache | None = None,
        known: KnownPairs | None = None,
    ) -> None:
        _check(split, make, labels)
        domains, lists = lists_of(split, buckets=make.labels_are_domains())
        cache = cache or Memory(0)
        ways = [*for_each(decoding, len(domains))]
        ways += ways[:1] * make.references()
        self.workers = workers
        self._held, self._reduced = [way.held for way in ways], [way.reduced for way in ways]
        counts = [len(sources) for sources in split]
        self._known = known.places if known else ()
        self._order = OrderOfSome(counts, known, seed) if known else Order(lists, labels, seed, make.pairs)
        self.crops = Crops(cropping, seed, self._order.is_pair, self._held, self._reduced)
        self.derive = derivation_of(split)
        """What makes the inputs of targets, which alone are loaded then."""
        self.images = [
            DecodedImages(i, sources, way, self.crops.size_of(i), cache)
            for i, (sources, way) in enumerate(zip(domains, ways, strict=False))
            if i or not self.derive
        ]
        self.images += self.images[:1] * make.references()
        self._taken = (
            DerivedCrops(self.crops, self.derive, seed, self._held[0], cropping.augment) if self.derive else self.crops
        )
        self._make, self._batch_size = make, batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in which every image of the largest domain or bucket appears at least once.

        If images are in several buckets, this holds on average.
        """
        return -(-self._order.length // self._batch_size)

    def batch(self, step: int, pin: bool = False) -> AnyBatch:
        """Returns images (batch, channels, height, width), uint8 or uint16, in channels-last memory, and what is
        declared beside them.

        `pin`: puts images into pinned memory, which CUDA copies asynchronously.
        """
        rows = [self._taken(position, self._load(position)) for position in self._positions(step)]
        columns = enumerate(zip(*rows, strict=True))
        return self.made_of(step, [stack(crops, self.crops.size_of(domain), pin) for domain, crops in columns])

    def stream(self, start: int = 0, every: int = 1, pin: bool = False) -> Generator[AnyBatch]:
        """Yields `batch(start)`, `batch(start + every)`, ... forever; closing the generator ends its threads."""
        return ahead(lambda step: self.batch(step, pin), start, every, self.workers)

    def attempts(self) -> list[Attempt]:
        """Returns attempts that load each image once, as `batch` does, and so fill the cache."""
        return [attempt for images in dict.fromkeys(self.images) for attempt in images.attempts()]

    def attempts_at_pairs(self) -> list[Attempt]:
        """Returns attempts that find whether the images of each known pair among others can show the same."""
        first = self.images[0].sources
        return [(first[pair[0]].path, partial(self._of_pair, pair)) for pair in self._known]

    def made_of(self, step: int, images: Sequence[Tensor]) -> AnyBatch:
        """Makes the batch of `step` from the images of each domain."""
        return self._make.made_of(images, lambda kind: self._order.values(kind, self._positions(step)), self._held)

    def crops_of(self, step: int, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
        """Returns the crops of `batch`, given each domain's one image size (height, width): int64 (domains, 4, batch)
        of image index, top, left, and whether it is mirrored."""
        rows = [
            [(self._order.index(domain, p), *self.crops.crop(domain, p, *size)[:3]) for p in self._positions(step)]
            for domain, size in enumerate(sizes)
        ]
        return np.array(rows, np.int64).swapaxes(1, 2)

    def _positions(self, step: int) -> range:
        return range(step * self._batch_size, (step + 1) * self._batch_size)

    def _load(self, position: int) -> list[np.ndarray]:
        """Returns the image of each domain at `position`."""
        drawn = [self._order.index(domain, position) for domain in range(len(self.images))]
        if self._order.is_pair(position) and not self.derive:
            return self._of_pair(drawn)
        return [images.load(index) for images, index in zip(self.images, drawn, strict=True)]

    def _of_pair(self, drawn: Sequence[int]) -> list[np.ndarray]:
        """Returns the images of a pair. Raises ImageError unless they can show the same."""
        loaded = [images.load(index) for images, index in zip(self.images, drawn, strict=True)]
        sources = [images.sources[index] for images, index in zip(self.images, drawn, strict=True)]
        require_pair(sources, loaded, self._reduced)
        return loaded


def evaluation_batches(
    split: Sequence[Sequence[Readable]],
    make: type[AnyBatch],
    decoding: Decoding | Sequence[Decoding],
    batch_size: int,
    labels: Sequence[np.ndarray] = (),
    size: Size | None = None,
) -> Iterator[AnyBatch]:
    """Yields the images of a split in order, resized to one size; the last batch may be smaller.

    `decoding`, one for all domains or one for each, stretches whole images, or takes the part at their centre. Where it
    gives larger images than `size`, N or (height, width), if given, their middle is taken. Image
    i of one domain is batched with image i of the other, up to the length of the smaller one. `labels` are those of the
    first domain.
    """
    _check(split, make, labels)
    if len(split) != make.domains():
        raise ValueError(_lists_wanted(split, make))
    known = torch.from_numpy(np.asarray(labels[0], np.float32)) if labels else None
    length, ways = min(map(len, split)), for_each(decoding, len(split))
    ordered: Any = make.in_order()
    most = max(way.reduced for way in ways)
    sides = [Sides.of(size).over(way.reduced) if size else way.sides for way in ways]
    units = [most // way.reduced if make.pairs else 1 for way in ways]
    for start in range(0, length, batch_size):
        rows = slice(start, min(start + batch_size, length))
        crops = _middles([sources[rows] for sources in split], ways, sides, units)
        others = {"index": torch.arange(length)[rows]}
        if known is not None:
            others["labels"] = known[rows]
        images = [stack(column, size) for column, size in zip(crops, sides, strict=True)]
        yield ordered.made_of(images, others.__getitem__, [way.held for way in ways])


def _middles(
    split: Sequence[Sequence[Any]], ways: Sequence[Decoding], sides: Sequence[Sides], units: Sequence[int]
) -> list[list[Cropped]]:
    """The middle crops of these images, of pairs at the same place: where a target's crop begins at a multiple of a
    unit above 1, the input is so many times smaller."""
    if derivation_of(split):
        targets = [middle(ways[1](source), sides[1], units[1]) for source in split[1]]
        return [derived_middles(split[0], targets, sides[1]), targets]
    loaded = [[way(source) for source in sources] for way, sources in zip(ways, split, strict=True)]
    rows = zip(zip(*split, strict=True), zip(*loaded, strict=True), strict=True)
    for sources, images in rows if max(units) > 1 else ():
        require_pair(sources, images, [way.reduced for way in ways])
    return [
        [middle(image, size, unit) for image in column] for column, size, unit in zip(loaded, sides, units, strict=True)
    ]


def _lists_wanted(split: Sequence[Sequence[Readable]], make: type[Batch]) -> str:
    return f"{make.__name__} batches are made of {make.domains()} list{'s' * (make.domains() > 1)}, not {len(split)}"


def _check(split: Sequence[Sequence[Readable]], make: type[Batch], labels: Sequence[np.ndarray]) -> None:
    sizes, buckets = [len(sources) for sources in split], make.labels_are_domains()
    if 0 in sizes:
        part = "bucket" if buckets else "domain"
        raise ConfigurationError(f"{part} {sizes.index(0)} holds no images; nothing can be learnt or measured")
    if make.pairs and len(set(sizes)) > 1:
        raise ConfigurationError(f"pairs need as many images in each domain, not {' and '.join(map(str, sizes))}")
    if not buckets and len(split) != make.domains():
        raise ValueError(_lists_wanted(split, make))
    wanted = sizes if buckets else sizes[: int(make.labelled())]
    if [len(rows) for rows in labels] != wanted:
        expected, got = ([f"{n} rows" for n in ns] for ns in (wanted, map(len, labels)))
        raise ValueError(f"{make.__name__} images need labels of {expected or 'none'}, not {got or 'none'}")
    if len({np.shape(rows)[1:] for rows in labels}) > 1:
        raise ValueError("buckets have labels for the same domains")
