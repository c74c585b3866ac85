"""Black tiles, for a generator that is to learn what images look like before it learns to translate them."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from translate.data.derived.amounts import Share
from translate.data.domain import Domain
from translate.utils.settings import Settings


class Tiles(Settings):
    """Some of an image's tiles, square and side by side, are black; no mask says which (UVCGAN v2's pretraining)."""

    side: int = Field(32, ge=1)
    """Of a tile, in pixels."""
    share: Share = 0.4
    """The probability that a tile is black."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = pixels.shape[:2]
        black = rng.random((-(-height // self.side), -(-width // self.side))) < self.share
        covered = black.repeat(self.side, 0).repeat(self.side, 1)[:height, :width]
        return np.where(covered[..., None], pixels.dtype.type(0), pixels)

    def given(self, target: Domain) -> Domain:
        return target
