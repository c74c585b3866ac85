"""Which image comes when: passes over domains or buckets, as a pure function of seed and position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Bucket = np.ndarray | range
"""Places of images among those of a domain."""
ORDER, DICE = 1, 2  # what a seed is used for


class Order:
    """Every pass over a bucket has its own order; the passes follow one another without a gap.

    `buckets` of each domain: one of all its images, or several that are drawn from by turns. `labels` has float32
    (images, labels) for each bucket of the first domain, or is empty.
    """

    def __init__(self, buckets: Sequence[Sequence[Bucket]], labels: Sequence[np.ndarray], seed: int) -> None:
        self._buckets, self._seed = buckets, seed
        self._labels = [torch.from_numpy(np.asarray(rows, np.float32)) for rows in labels]
        # Kept, for a permutation of millions takes longer than an image; small, for passes come one by one.
        self._order = lru_cache(maxsize=4 * sum(map(len, buckets)))(self._permutation)

    @property
    def length(self) -> int:
        """Images of a domain that are drawn until each of the largest has come once (on average, of buckets)."""
        return max(map(_pass, self._buckets))

    def index(self, domain: int, position: int) -> int:
        """The place, among the images of a domain, of the one that is drawn at `position`."""
        bucket, place = self._drawn(domain, position)
        return int(self._buckets[domain][bucket][place])

    def labels(self, positions: range) -> list[Tensor]:
        """One tensor (positions, labels), or none."""
        return [torch.stack([self._label(position) for position in positions])] if self._labels else []

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
        return generator(self._seed, ORDER, domain + bucket, round_).permutation(len(self._buckets[domain][bucket]))


def generator(seed: int, use: int, domain: int, number: int) -> np.random.Generator:
    # Always four words: numpy takes (1, 2) and (1, 2, 0) for the same seed.
    return np.random.default_rng([seed, use, domain, number])


def _pass(buckets: Sequence[Bucket]) -> int:
    """Images that are drawn, by turns, until each of them has come once on average."""
    if len(buckets) == 1:
        return len(buckets[0])
    frequency = np.zeros(max(max(bucket) for bucket in buckets) + 1)
    for bucket in buckets:
        frequency[bucket] += 1 / len(bucket) / len(buckets)
    return math.ceil(round(1 / frequency.min(), 6))
