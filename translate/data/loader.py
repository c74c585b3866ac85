"""Images to batches: which image comes when, how it is cut, and threads that decode ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from translate.data.augment import Augmentation, Augmenter, crop, flip
from translate.data.batch import Batch, Paired
from translate.data.folders import Source
from translate.data.images import resize as bicubic
from translate.data.images import shown
from translate.errors import ConfigurationError, ImageError

Resize = Literal["square", "short_side", "none"]
AnyBatch = TypeVar("AnyBatch", bound=Batch)
ORDER, DICE = 1, 2  # what a seed is used for
AHEAD = 2  # batches beyond one per thread


class Loader(Generic[AnyBatch]):
    """Batches as a pure function of seed and step: nothing to save, nothing to lose on resume.

        for batch in loader.stream(start=step): ...

    `split` holds the images of each domain, and `make` says what they are to one another: `Paired` images
    share their place in the order, crop, flip and geometry; `Unpaired` ones share nothing. An image is
    decoded to `channels` channels and resized to `load_size` (None: `size`), a square of `size` is cut from
    it, mirrored at even odds if `flip`, and augmented. Every pass over a domain has its own order; the passes
    follow one another without a gap: no image is left out, and a smaller domain comes round more often.

    `workers`: threads that work ahead in `stream`; 0 works in the caller. `cache_bytes`: how much memory
    resized images may take; those that find no room are decoded anew each time. Neither changes a batch.
    Raises ConfigurationError for an empty or an uneven split, ImageError for a file that cannot be used.
    """

    def __init__(
        self,
        split: Sequence[Sequence[Source]],
        *,
        make: type[AnyBatch],
        channels: int,
        size: int,
        load_size: int | None = None,
        resize: Resize = "square",
        flip: bool = True,
        augment: tuple[Augmentation, ...] = (),
        batch_size: int = 1,
        seed: int = 0,
        workers: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        _check(split, make)
        self._images = [_Domain(sources, channels, load_size or size, resize) for sources in split]
        self._cache = _Cache(cache_bytes)
        self._make, self._size, self._flip = make, size, flip
        self._augmenter = Augmenter(augment) if augment else None
        self._batch_size, self._seed, self._workers = batch_size, seed, workers
        # Kept, for a permutation of millions takes longer than an image; small, for passes come one by one.
        self._order = lru_cache(maxsize=4 * len(split))(self._permutation)

    @property
    def steps_per_epoch(self) -> int:
        """Batches that hold every image of the largest domain at least once."""
        return -(-max(map(len, self._images)) // self._batch_size)

    def batch(self, step: int) -> AnyBatch:
        """Images (batch, channels, size, size), uint8 or uint16, channels last in memory."""
        positions = range(step * self._batch_size, (step + 1) * self._batch_size)
        items = [self._pair(p) if self._make is Paired else self._singles(p) for p in positions]
        return self._make(*map(_stack, zip(*items, strict=True)))

    def stream(self, start: int = 0) -> Generator[AnyBatch]:
        """`batch(start)`, `batch(start + 1)`, ... for ever; closing it ends its threads."""
        if not self._workers:
            yield from map(self.batch, count(start))
            return
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="loader")
        try:
            steps = count(start)
            ahead: deque[Future[AnyBatch]] = deque()
            while True:
                while len(ahead) < self._workers + AHEAD:
                    ahead.append(pool.submit(self.batch, next(steps)))
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

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
        round_, place = divmod(position, len(self._images[domain]))
        return int(self._order(domain, round_)[place])

    def _permutation(self, domain: int, round_: int) -> np.ndarray:
        return _generator(self._seed, ORDER, domain, round_).permutation(len(self._images[domain]))


def evaluation_batches(
    split: Sequence[Sequence[Source]], make: type[AnyBatch], channels: int, size: int, batch_size: int
) -> Iterator[AnyBatch]:
    """The images of a split in order, each whole, resized to `size` x `size`; the last batch may be smaller.

    Batches end with the smaller domain, where image i of one has an image i of the other beside it.
    """
    _check(split, make)
    domains = [_Domain(sources, channels, size, "square") for sources in split]
    length = min(map(len, domains))
    for start in range(0, length, batch_size):
        indices = range(start, min(start + batch_size, length))
        yield make(*[_stack([domain.load(i) for i in indices]) for domain in domains])


class _Domain:
    """The images of one domain, resized."""

    def __init__(self, sources: Sequence[Source], channels: int, side: int, resize: Resize) -> None:
        self.sources, self._channels, self._side, self._resize = sources, channels, side, resize

    def __len__(self) -> int:
        return len(self.sources)

    def load(self, index: int) -> np.ndarray:
        pixels = self.sources[index].read(self._channels)
        height, width = self._target(*pixels.shape[:2])
        resized = pixels if pixels.shape[:2] == (height, width) else bicubic(pixels, height, width)
        return np.ascontiguousarray(resized)  # half of a side-by-side file would keep the whole in memory

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self._resize == "none":
            return height, width
        if self._resize == "square":
            return self._side, self._side
        scale = self._side / min(height, width)
        return round(height * scale), round(width * scale)


class _Cache:
    """Arrays by key, until their bytes are `room`; what is in stays in. For any number of threads."""

    def __init__(self, room: int) -> None:
        self._arrays: dict[tuple[int, int], np.ndarray] = {}
        self._room, self._lock = room, threading.Lock()

    def get(self, key: tuple[int, int]) -> np.ndarray | None:
        return self._arrays.get(key)

    def put(self, key: tuple[int, int], array: np.ndarray) -> None:
        with self._lock:
            if key not in self._arrays and array.nbytes <= self._room:
                self._room -= array.nbytes
                self._arrays[key] = array


def _check(split: Sequence[Sequence[Source]], make: type[Batch]) -> None:
    sizes = [len(sources) for sources in split]
    if 0 in sizes:
        raise ConfigurationError(f"domain {sizes.index(0)} holds no images; nothing can be learnt or measured")
    if make is Paired and len(set(sizes)) > 1:
        raise ConfigurationError(f"pairs need as many images in each domain, not {' and '.join(map(str, sizes))}")


def _generator(seed: int, use: int, domain: int, number: int) -> np.random.Generator:
    # Always four words: numpy takes (1, 2) and (1, 2, 0) for the same seed.
    return np.random.default_rng([seed, use, domain, number])


def _stack(images: Sequence[np.ndarray]) -> Tensor:
    """(height, width, channels) each to (batch, channels, height, width); 8 bits among 16 become 16."""
    if len({image.dtype for image in images}) > 1:
        images = [image if image.dtype == np.uint16 else image.astype(np.uint16) * 257 for image in images]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
