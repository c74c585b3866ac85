"""The order in which images are drawn from domains or buckets, a pure function of seed and position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Bucket = np.ndarray | range
"""Indices of images within a domain."""
ORDER, RNG = 1, 2  # uses of a seed


class Order:
    """Draws images in shuffled passes over buckets; each pass has its own order, and the next follows immediately.

    `buckets` of each domain: one of all its images, or several that are drawn from in turn. `labels` has float32
    (images, labels) for each bucket of the first domain, or is empty.
    """

    def __init__(self, buckets: Sequence[Sequence[Bucket]], labels: Sequence[np.ndarray], seed: int) -> None:
        self._buckets, self._seed = buckets, seed
        self._labels = [torch.from_numpy(np.asarray(rows, np.float32)) for rows in labels]
        # Cached, as permuting millions takes longer than decoding an image; small, as passes come one after another.
        self._order = lru_cache(maxsize=4 * sum(map(len, buckets)))(self._permutation)

    @property
    def length(self) -> int:
        """Number of draws until each image of the largest domain has been drawn once (on average, if in buckets)."""
        return max(map(_pass, self._buckets))

    def index(self, domain: int, position: int) -> int:
        """Returns the index, within the domain, of the image drawn at `position`."""
        bucket, place = self._drawn(domain, position)
        return int(self._buckets[domain][bucket][place])

    def labels(self, positions: range) -> list[Tensor]:
        """Returns a list with one tensor (positions, labels), or an empty list if there are no labels."""
        return [torch.stack([self._label(position) for position in positions])] if self._labels else []

    def _label(self, position: int) -> Tensor:
        bucket, place = self._drawn(0, position)
        return self._labels[bucket][place]

    def _drawn(self, domain: int, position: int) -> tuple[int, int]:
        """Returns the bucket drawn from at `position`, and the index in it."""
        buckets = self._buckets[domain]
        turn, bucket = divmod(position, len(buckets))
        round_, place = divmod(turn, len(buckets[bucket]))
        return bucket, int(self._order(domain, bucket, round_)[place])

    def _permutation(self, domain: int, bucket: int, round_: int) -> np.ndarray:
        # The sum is unique: several domains have one bucket each, and several buckets are of one domain.
        return generator(self._seed, ORDER, domain + bucket, round_).permutation(len(self._buckets[domain][bucket]))


def generator(seed: int, use: int, domain: int, number: int) -> np.random.Generator:
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
