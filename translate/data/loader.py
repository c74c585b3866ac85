"""Images to batches: which image comes when, how it is cut, and threads that decode ahead."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import count
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from translate.data.augment import Augmentation, Augmenter, crop, flip
from translate.data.batch import Batch, Labelled, Paired, Plain, SourceLabelled
from translate.data.images import shown
from translate.data.resized import Cache, Domain, Resize
from translate.data.scan import Attempt
from translate.data.source import Readable
from translate.errors import ConfigurationError, ImageError

AnyBatch = TypeVar("AnyBatch", bound=Batch)
ORDER, DICE = 1, 2  # what a seed is used for
Bucket = np.ndarray | range
"""Places of images among those of a domain."""
AHEAD = 2  # batches beyond one per thread


class Loader(Generic[AnyBatch]):
    """Batches as a pure function of seed and step: nothing to save, nothing to lose on resume.

        for batch in loader.stream(start=step): ...

    `split` holds the images of each domain, and `make` says what they are to one another: `Paired` images
    share their place in the order, crop, flip and geometry; `Unpaired` ones share nothing; `SourceLabelled`
    are unpaired ones of which the first have `labels`; `Plain` ones are alone. An image is decoded to
    `channels` channels and resized to `load_size` (None: `size`), a square of `size` is cut from it, mirrored
    at even odds if `flip`, and augmented. Every pass over a domain has its own order; the passes follow one
    another without a gap: no image is left out, and a smaller domain comes round more often.

    `Labelled` images are drawn from the buckets that `split` holds, by turns: one bucket of all images, or one
    of each class, or of each set (see `labelled.buckets`). An image may stand in several.
    `labels`: float32 (images, domains) for each bucket of `Labelled`, or for the first of `SourceLabelled`.

    `workers`: threads that work ahead in `stream`; 0 works in the caller. `cache_bytes`: how much memory
    resized images may take; those that find no room are decoded anew each time. Neither changes a batch.
    Raises ConfigurationError for an empty or an uneven split, ImageError for a file that cannot be used.
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
        flip: bool = True,
        augment: tuple[Augmentation, ...] = (),
        batch_size: int = 1,
        seed: int = 0,
        workers: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        _check(split, make, labels)
        columns: list[tuple[Sequence[Readable], Sequence[Bucket]]] = (
            [_merged(split)] if make is Labelled else [(sources, [range(len(sources))]) for sources in split]
        )
        self._images = [Domain(sources, channels, load_size or size, resize) for sources, _ in columns]
        self._buckets = [buckets for _, buckets in columns]
        self._labels = [torch.from_numpy(np.asarray(rows, np.float32)) for rows in labels]
        self._cache = Cache(cache_bytes)
        self._make, self._size, self._flip = make, size, flip
        self._augmenter = Augmenter(augment) if augment else None
        self._batch_size, self._seed, self._workers = batch_size, seed, workers
        # Kept, for a permutation of millions takes longer than an image; small, for passes come one by one.
        self._order = lru_cache(maxsize=4 * len(split))(self._permutation)

    @property
    def steps_per_epoch(self) -> int:
        """Batches that hold every image of the largest domain, or bucket, at least once.

        Images that stand in several buckets are counted by how often they come on average.
        """
        return -(-max(map(_pass, self._buckets)) // self._batch_size)

    def batch(self, step: int) -> AnyBatch:
        """Images (batch, channels, size, size), uint8 or uint16, channels last in memory; labels float32."""
        positions = range(step * self._batch_size, (step + 1) * self._batch_size)
        items = [self._pair(p) if self._make is Paired else self._singles(p) for p in positions]
        labels = [torch.stack([self._label(p) for p in positions])] if self._labels else []
        return self._make(*map(_stack, zip(*items, strict=True)), *labels)

    def stream(self, start: int = 0, every: int = 1) -> Generator[AnyBatch]:
        """`batch(start)`, `batch(start + every)`, ... for ever; closing it ends its threads."""
        if not self._workers:
            yield from map(self.batch, count(start, every))
            return
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="loader")
        try:
            steps = count(start, every)
            ahead: deque[Future[AnyBatch]] = deque()
            while True:
                while len(ahead) < self._workers + AHEAD:
                    ahead.append(pool.submit(self.batch, next(steps)))
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def attempts(self) -> list[Attempt]:
        """To load each image once, as `batch` will; what finds room stays in memory."""
        return [
            (source.path, partial(self._load, domain, index))
            for domain, images in enumerate(self._images)
            for index, source in enumerate(images.sources)
        ]

    def _pair(self, position: int) -> list[np.ndarray]:
        index = self._index(0, position)
        images = [self._load(domain, index) for domain in range(len(self._images))]
        sizes = {image.shape[:2] for image in images}
        if len(sizes) > 1:
            names = " and ".join(shown(domain.sources[index].path) for domain in self._images)
            raise ImageError(f"{names}: a pair of different proportions; use resize: square, or cut them alike")
        return self._cut(images, domain=0, position=position)

    def _singles(self, position: int) -> list[np.ndarray]:
        return [
            self._cut([self._load(domain, self._index(domain, position))], domain, position)[0]
            for domain in range(len(self._images))
        ]

    def _cut(self, images: list[np.ndarray], domain: int, position: int) -> list[np.ndarray]:
        """The same square of each image, by the dice of this domain and position."""
        dice = _generator(self._seed, DICE, domain, position)
        height, width = images[0].shape[:2]
        top, left = dice.integers(height - self._size + 1), dice.integers(width - self._size + 1)
        mirrored, augmentation_seed = dice.random() < 0.5, int(dice.integers(2**31))
        images = [crop(image, top, left, self._size) for image in images]
        if self._flip and mirrored:
            images = [flip(image) for image in images]
        return self._augmenter(images, augmentation_seed) if self._augmenter else images

    def _load(self, domain: int, index: int) -> np.ndarray:
        image = self._cache.get((domain, index))
        if image is None:
            image = self._images[domain].load(index)
            if min(image.shape[:2]) < self._size:
                path, (height, width) = self._images[domain].sources[index].path, image.shape[:2]
                raise ImageError(
                    f"{shown(path)}: {width} x {height} pixels hold no crop of {self._size}; use a smaller "
                    "size, or resize: square"
                )
            self._cache.put((domain, index), image)
        return image

    def _index(self, domain: int, position: int) -> int:
        bucket, place = self._drawn(domain, position)
        return int(self._buckets[domain][bucket][place])

    def _label(self, position: int) -> Tensor:
        bucket, place = self._drawn(0, position)
        return self._labels[bucket][place]

    def _drawn(self, domain: int, position: int) -> tuple[int, int]:
        """The bucket whose turn it is, and the place in it."""
        buckets = self._buckets[domain]
        turn, bucket = divmod(position, len(buckets))
        round_, place = divmod(turn, len(buckets[bucket]))
        return bucket, int(self._order(domain, bucket, round_)[place])

    def _permutation(self, domain: int, bucket: int, round_: int) -> np.ndarray:
        # Several domains have one bucket each, several buckets one domain.
        return _generator(self._seed, ORDER, domain + bucket, round_).permutation(len(self._buckets[domain][bucket]))


def evaluation_batches(
    split: Sequence[Sequence[Readable]],
    make: type[AnyBatch],
    channels: int,
    size: int,
    batch_size: int,
    *,
    labels: Sequence[np.ndarray] = (),
    resize: Literal["square", "centre"] = "square",
) -> Iterator[AnyBatch]:
    """The images of a split in order, each resized to `size` x `size`; the last batch may be smaller.

    Each is shown whole, or the square in its centre. Batches end with the smaller domain, where image i of one
    has an image i of the other beside it. `Labelled` images come from one bucket, with its `labels`.
    """
    _check(split, make, labels)
    if make is Labelled and len(split) > 1:
        raise ValueError(f"labelled images are measured in one list, not {len(split)} buckets")
    domains = [Domain(sources, channels, size, resize) for sources in split]
    rows = [torch.from_numpy(np.asarray(known, np.float32)) for known in labels]
    length = min(map(len, domains))
    for start in range(0, length, batch_size):
        end = min(start + batch_size, length)
        images = [_stack([domain.load(i) for i in range(start, end)]) for domain in domains]
        yield make(*images, *[known[start:end] for known in rows])


def _merged(split: Sequence[Sequence[Readable]]) -> tuple[list[Readable], list[np.ndarray]]:
    """Each image once, and the places of each bucket's images among them."""
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


def _pass(buckets: Sequence[Bucket]) -> int:
    """Images that are drawn, by turns, until each of them has come once on average."""
    if len(buckets) == 1:
        return len(buckets[0])
    frequency = np.zeros(max(max(bucket) for bucket in buckets) + 1)
    for bucket in buckets:
        frequency[bucket] += 1 / len(bucket) / len(buckets)
    return math.ceil(round(1 / frequency.min(), 6))


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


def _generator(seed: int, use: int, domain: int, number: int) -> np.random.Generator:
    # Always four words: numpy takes (1, 2) and (1, 2, 0) for the same seed.
    return np.random.default_rng([seed, use, domain, number])


def _stack(images: Sequence[np.ndarray]) -> Tensor:
    """(height, width, channels) each to (batch, channels, height, width); 8 bits among 16 become 16."""
    if len({image.dtype for image in images}) > 1:
        images = [image if image.dtype == np.uint16 else image.astype(np.uint16) * 257 for image in images]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
