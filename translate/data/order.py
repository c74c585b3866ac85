"""The order in which images are drawn from domains or buckets, a pure function of seed and position."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Kind
from translate.data.source import Readable

Bucket = np.ndarray | range
"""Indices of images within a domain."""
ORDER, RNG, REFERENCE = 1, 2, 4  # uses of a seed


class Order:
    """Draws images in shuffled passes over buckets; each pass has its own order, and the next follows immediately.

    `buckets` of each domain: one of all its images, or several that are drawn from in turn. `labels` has float32
    (images, labels) for each bucket of the first domain, or is empty. With `pairs`, all domains are drawn as the first.
    """

    def __init__(
        self, buckets: Sequence[Sequence[Bucket]], labels: Sequence[np.ndarray], seed: int, pairs: bool = False
    ) -> None:
        self._buckets, self._seed, self._pairs = buckets, seed, pairs
        self._labels = [torch.from_numpy(np.asarray(rows, np.float32)) for rows in labels]
        self._references = References(labels, seed)
        # Cached, as permuting millions takes longer than decoding an image; small, as passes come one after another.
        self._order = lru_cache(maxsize=4 * sum(map(len, buckets)))(self._permutation)

    @property
    def length(self) -> int:
        """Number of draws until each image of the largest domain has been drawn once (on average, if in buckets)."""
        return max(map(_pass, self._buckets))

    def is_pair(self, position: int) -> bool:
        """Whether the images drawn at `position` show the same thing."""
        return self._pairs

    def index(self, domain: int, position: int) -> int:
        """Returns the index, within the domain, of the image drawn at `position`; numbers behind those of the domains
        are references of the last one."""
        domain, further = (0, 0) if self._pairs else (min(domain, len(self._buckets) - 1), domain)
        if (reference := further - len(self._buckets)) >= 0:
            bucket, place = self._references(position)[reference]
        else:
            bucket, place = self._drawn(domain, position)
        return int(self._buckets[domain][bucket][place])

    def values(self, kind: Kind, positions: range) -> Tensor:
        """Returns what belongs to the images drawn from the first domain: labels (positions, labels), float32, their
        index (positions,), int64, or whether they are `known` pairs, bool."""
        if kind == "index":
            return torch.tensor([self.index(0, position) for position in positions])
        if kind == "known":
            return torch.tensor([self.is_pair(position) for position in positions])
        if kind == "reference labels":
            drawn = [self._references(position)[0] for position in positions]
        else:
            drawn = [self._drawn(0, position) for position in positions]
        return torch.stack([self._labels[bucket][place] for bucket, place in drawn])

    def _drawn(self, domain: int, position: int) -> tuple[int, int]:
        """Returns the bucket drawn from at `position`, and the index in it."""
        buckets = self._buckets[domain]
        turn, bucket = divmod(position, len(buckets))
        round_, place = divmod(turn, len(buckets[bucket]))
        return bucket, int(self._order(domain, bucket, round_)[place])

    def _permutation(self, domain: int, bucket: int, round_: int) -> np.ndarray:
        # The sum is unique: several domains have one bucket each, and several buckets are of one domain.
        return generator(self._seed, ORDER, domain + bucket, round_).permutation(len(self._buckets[domain][bucket]))


@dataclass(frozen=True)
class KnownPairs:
    """Which images of two domains are known to be pairs, by their places in both, and the share of draws from these."""

    places: Sequence[tuple[int, int]]
    share: float


class OrderOfSome(Order):
    """Draws from all images of each of two domains, `counts` in number; and, at a share of the positions that is spread
    evenly over them, from the known pairs: each in passes of its own.

    Equal parts of a batch hold equally many pairs, where so many go into them.
    """

    def __init__(self, counts: Sequence[int], known: KnownPairs, seed: int) -> None:
        self._known, self._share = known.places, Fraction(str(known.share))
        super().__init__([[range(count)] for count in (*counts, len(known.places))], [], seed)

    @property
    def length(self) -> int:
        """As of `Order`; draws from pairs come on top."""
        return math.ceil(max(len(bucket) for (bucket,) in self._buckets[:2]) / (1 - self._share))

    def is_pair(self, position: int) -> bool:
        return self._pairs_before(position + 1) > self._pairs_before(position)

    def index(self, domain: int, position: int) -> int:
        before = self._pairs_before(position)
        if self.is_pair(position):
            return self._known[super().index(2, before)][domain]
        return super().index(domain, position - before)

    def _pairs_before(self, position: int) -> int:
        return int(position * self._share)


class References:
    """Draws what images are translated after, a pure function of seed and position: a class, and two images of it.

    Every class comes equally often, and classes and images are drawn with replacement, as published; the two images
    differ unless the class has only one. `labels` as in `Order`: an image is of the class whose label is 1.
    """

    def __init__(self, labels: Sequence[np.ndarray], seed: int) -> None:
        self._seed = seed
        places = [(bucket, place) for bucket, rows in enumerate(labels) for place in range(len(rows))]
        known = np.concatenate([np.asarray(rows) == 1 for rows in labels]) if labels else np.empty((0, 0))
        classes = [[places[row] for row in np.flatnonzero(column)] for column in known.T]
        self._classes = [members for members in classes if members]

    def __call__(self, position: int) -> list[tuple[int, int]]:
        """Bucket and place in it, of both images of `position`."""
        rng = generator(self._seed, REFERENCE, 0, position)
        members = self._classes[rng.integers(len(self._classes))]
        first = int(rng.integers(len(members)))
        second = first + 1 + int(rng.integers(max(len(members) - 1, 1)))
        return [members[first], members[second % len(members)]]


def lists_of(
    split: Sequence[Sequence[Readable]], buckets: bool
) -> tuple[list[Sequence[Readable]], list[Sequence[Bucket]]]:
    """Returns the images of each domain, each once, and its buckets. `buckets`: the lists of `split` are those of one
    domain, else each list is a domain."""
    if not buckets:
        return list(split), [[range(len(sources))] for sources in split]
    every = {id(source): source for bucket in split for source in bucket}
    places = {key: place for place, key in enumerate(every)}
    return [list(every.values())], [[np.array([places[id(source)] for source in bucket]) for bucket in split]]


def generator(seed: int, use: int, domain: int, number: int) -> np.random.Generator:
    """Returns the random generator for one `use` of a seed: ORDER and the number of a pass, or a position.

    Each combination of the four, all at least 0, gives independent random numbers.
    """
    # Always four words, as numpy treats (1, 2) and (1, 2, 0) as the same seed.
    return np.random.default_rng([seed, use, domain, number])


def _pass(buckets: Sequence[Bucket]) -> int:
    """Returns the number of draws, in turn from `buckets`, until each image has been drawn once on average."""
    if len(buckets) == 1:
        return len(buckets[0])
    frequency = np.zeros(max(max(bucket) for bucket in buckets) + 1)
    for bucket in buckets:
        frequency[bucket] += 1 / len(bucket) / len(buckets)
    return math.ceil(round(1 / frequency.min(), 6))
