"""Turns images into batches: draws them in order, crops them, and decodes ahead in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from translate.data.augment import Augmentation, Augmenter
from translate.data.batch import Batch, Labelled, Paired, Plain, SourceLabelled
from translate.data.cache.memory import Cache, Domain, Memory, Resize
from translate.data.checks.scan import Attempt
from translate.data.crops import WHOLE, Crop, Square, assemble, cut_out, random_crop
from translate.data.io.images import Interpolation
from translate.data.order import Bucket, Order
from translate.data.source import Readable
from translate.errors import ConfigurationError, ImageError
from translate.utils.printing import shown

AnyBatch = TypeVar("AnyBatch", bound=Batch)
Made = TypeVar("Made")
AHEAD = 2  # batches beyond one per thread


class Loader(Generic[AnyBatch]):
    """Makes training batches, a pure function of seed and step, so resuming needs no saved state.

        for batch in loader.stream(start=step): ...

    `split` holds the images of each domain, and `make` says how the domains relate: `Paired` images share their
    order, crop, flip and geometric augmentation; `Unpaired` ones share nothing; `SourceLabelled` are unpaired, and the
    first domain has `labels`; `Plain` is a single domain. Each image is decoded to `channels` channels, resized to
    `load_size` (None: `size`), cropped to a square of `size`, mirrored with probability 1/2 if `flip`, and augmented.
    Every pass over a domain has its own order, and the next pass follows immediately: no image is skipped, and smaller
    domains repeat more often.

    `Labelled` images are drawn in turn from the buckets in `split`: one bucket of all images, or one per class or per
    set (see `labelled.buckets`). An image may be in several.
    `labels`: float32 (images, domains) for each bucket of `Labelled`, or for the first domain of `SourceLabelled`.

    `workers`: threads that work ahead in `stream`; with 0 the caller does the work. `cache` keeps resized images; the
    default is memory, up to `cache_bytes`. Images that do not fit are decoded each time. None of these changes batches.
    Raises ConfigurationError for an empty split or pairs of unequal number, ImageError for unusable files.
    """

    def __init__(
        self,
        split: Sequence[Sequence[Readable]],
        *,
        make: type[AnyBatch],
        channels: int,
        size: int,
        labels: Sequence[np.ndarray] = (),
        load_size: int | None = None,
        resize: Resize = "square",
        interpolation: Interpolation = "bicubic",
        flip: bool = True,
        augment: tuple[Augmentation, ...] = (),
        batch_size: int = 1,
        seed: int = 0,
        workers: int = 0,
        cache_bytes: int = 0,
        cache: Cache | None = None,
    ) -> None:
        _check(split, make, labels)
        columns: list[tuple[Sequence[Readable], Sequence[Bucket]]] = (
            [_merged(split)] if make is Labelled else [(sources, [range(len(sources))]) for sources in split]
        )
        self.domains = [Domain(sources, channels, load_size or size, resize, interpolation) for sources, _ in columns]
        self.workers = workers
        self._order = Order([buckets for _, buckets in columns], labels, seed)
        self._cache = cache if cache is not None else Memory(cache_bytes)
        self._make, self.size, self._flip = make, size, flip
        self._augmenter = Augmenter(augment) if augment else None
        self._batch_size, self._seed = batch_size, seed

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in which every image of the largest domain or bucket appears at least once.

        If images are in several buckets, this holds on average.
        """
        return -(-self._order.length // self._batch_size)

    @property
    def augments(self) -> bool:
        """Whether images are augmented beyond cropping and mirroring."""
        return self._augmenter is not None

    def batch(self, step: int, pin: bool = False) -> AnyBatch:
        """Returns images (batch, channels, size, size), uint8 or uint16, in channels-last memory; labels are float32.

        `pin`: puts images into pinned memory, which CUDA copies asynchronously.
        """
        rows = [self._squares(position) for position in self._positions(step)]
        return self.made(step, [assemble(squares, self.size, pin) for squares in zip(*rows, strict=True)])

    def stream(self, start: int = 0, every: int = 1, pin: bool = False) -> Generator[AnyBatch]:
        """Yields `batch(start)`, `batch(start + every)`, ... forever; closing the generator ends its threads."""
        return ahead(lambda step: self.batch(step, pin), start, every, self.workers)

    def attempts(self) -> list[Attempt]:
        """Returns attempts that load each image once, as `batch` does, and so fill the cache."""
        return [
            (source.path, partial(self.load, domain, index))
            for domain, images in enumerate(self.domains)
            for index, source in enumerate(images.sources)
        ]

    def made(self, step: int, images: Sequence[Tensor]) -> AnyBatch:
        """Makes the batch of `step` from the images of each domain; adds labels."""
        return self._make(*images, *self._order.labels(self._positions(step)))

    def cuts(self, step: int, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
        """Returns the crops of `batch`, given each domain's one image size (height, width): int64 (domains, 4, batch)
        of image index, top, left, and whether it is mirrored."""
        rows = [
            [(self._index(domain, p), *self._cut(domain, p, *size)[:3]) for p in self._positions(step)]
            for domain, size in enumerate(sizes)
        ]
        return np.array(rows, np.int64).swapaxes(1, 2)

    def load(self, domain: int, index: int) -> np.ndarray:
        """Returns the resized image, cached if possible. Raises ImageError if it is smaller than a crop."""
        source = self.domains[domain].sources[index]
        image = self._cache.get((domain, index), source)
        if image is None:
            image = self._decode(domain, index)
            self._cache.put((domain, index), source, image)
        return image

    def _decode(self, domain: int, index: int) -> np.ndarray:
        image = self.domains[domain].load(index)
        if min(image.shape[:2]) < self.size:
            path, (height, width) = self.domains[domain].sources[index].path, image.shape[:2]
            raise ImageError(
                f"{shown(path)}: {width} x {height} pixels hold no crop of {self.size}; use a smaller "
                "size, or resize: square"
            )
        return image

    def _positions(self, step: int) -> range:
        return range(step * self._batch_size, (step + 1) * self._batch_size)

    def _squares(self, position: int) -> list[Square]:
        """Returns one square per domain."""
        images = [self.load(domain, self._index(domain, position)) for domain in range(len(self.domains))]
        if self._make is Paired:
            self._require_one_size(images, position)
        squares = [Square(image, self._cut(domain, position, *image.shape[:2])) for domain, image in enumerate(images)]
        if self._augmenter is None:
            return squares
        together = [squares] if self._make is Paired else [[square] for square in squares]
        return [square for group in together for square in self._augmented(group, self._augmenter)]

    def _augmented(self, squares: list[Square], augmenter: Augmenter) -> list[Square]:
        images = augmenter([cut_out(square, self.size) for square in squares], squares[0].cut.seed)
        return [Square(image, WHOLE) for image in images]

    def _require_one_size(self, images: list[np.ndarray], position: int) -> None:
        if len({image.shape[:2] for image in images}) > 1:
            index = self._index(0, position)
            names = " and ".join(shown(domain.sources[index].path) for domain in self.domains)
            raise ImageError(f"{names}: a pair of different proportions; use resize: square, or cut them alike")

    def _index(self, domain: int, position: int) -> int:
        return self._order.index(self._leader(domain), position)

    def _cut(self, domain: int, position: int, height: int, width: int) -> Crop:
        return random_crop(self._seed, self._leader(domain), position, height, width, self.size, self._flip)

    def _leader(self, domain: int) -> int:
        """Returns the domain whose random draws `domain` uses: pairs share them."""
        return 0 if self._make is Paired else domain


def ahead(make: Callable[[int], Made], start: int, every: int, workers: int) -> Generator[Made]:
    """Yields `make(start)`, `make(start + every)`, ... forever, in order, made by threads; closing it ends them."""
    if not workers:
        yield from map(make, count(start, every))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    try:
        steps = count(start, every)
        waiting: deque[Future[Made]] = deque()
        while True:
            while len(waiting) < workers + AHEAD:
                waiting.append(pool.submit(make, next(steps)))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def evaluation_batches(
    split: Sequence[Sequence[Readable]],
    make: type[AnyBatch],
    channels: int,
    size: int,
    batch_size: int,
    *,
    labels: Sequence[np.ndarray] = (),
    resize: Literal["square", "centre"] = "square",
    interpolation: Interpolation = "bicubic",
) -> Iterator[AnyBatch]:
    """Yields the images of a split in order, resized to `size` x `size`; the last batch may be smaller.

    `resize` takes the whole image, or the square at its centre. Image i of one domain is batched with image i of the
    other, up to the length of the smaller one. `Labelled` images come from one bucket, with its `labels`.
    """
    _check(split, make, labels)
    if make is Labelled and len(split) > 1:
        raise ValueError(f"labelled images are measured in one list, not {len(split)} buckets")
    domains = [Domain(sources, channels, size, resize, interpolation) for sources in split]
    rows = [torch.from_numpy(np.asarray(known, np.float32)) for known in labels]
    length = min(map(len, domains))
    for start in range(0, length, batch_size):
        end = min(start + batch_size, length)
        images = [assemble([Square(domain.load(i), WHOLE) for i in range(start, end)], size) for domain in domains]
        yield make(*images, *[known[start:end] for known in rows])


def _merged(split: Sequence[Sequence[Readable]]) -> tuple[list[Readable], list[np.ndarray]]:
    """Returns each image once, and for each bucket the indices of its images among them."""
    places: dict[int, int] = {}
    sources: list[Readable] = []
    buckets = []
    for bucket in split:
        for source in bucket:
            if id(source) not in places:
                places[id(source)] = len(sources)
                sources.append(source)
        buckets.append(np.array([places[id(source)] for source in bucket]))
    return sources, buckets


def _check(split: Sequence[Sequence[Readable]], make: type[Batch], labels: Sequence[np.ndarray]) -> None:
    sizes = [len(sources) for sources in split]
    if 0 in sizes:
        part = "bucket" if make is Labelled else "domain"
        raise ConfigurationError(f"{part} {sizes.index(0)} holds no images; nothing can be learnt or measured")
    if make is Paired and len(set(sizes)) > 1:
        raise ConfigurationError(f"pairs need as many images in each domain, not {' and '.join(map(str, sizes))}")
    if make is Plain and len(split) != 1:
        raise ValueError(f"plain images are of one domain, not {len(split)}")
    labelled = sizes if make is Labelled else sizes[:1] if make is SourceLabelled else []
    if [len(rows) for rows in labels] != labelled:
        wanted, got = ([f"{n} rows" for n in ns] for ns in (labelled, map(len, labels)))
        raise ValueError(f"{make.__name__} images need labels of {wanted or 'none'}, not {got or 'none'}")
    if len({np.shape(rows)[1:] for rows in labels}) > 1:
        raise ValueError("buckets have labels for the same domains")
