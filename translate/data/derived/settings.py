"""`data.derive`: what is done to targets to make inputs of them, a section per kind of damage."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Protocol

import numpy as np
from pydantic import model_validator

from translate.data.derived.colour import Edges, Grey
from translate.data.derived.damage import Blur, Jpeg, LowRes, Noise
from translate.data.derived.holes import Holes
from translate.data.derived.tiles import Tiles
from translate.data.domain import Domain
from translate.errors import ConfigurationError
from translate.utils.settings import Settings
from translate.utils.sides import Sides

NAMES = {
    "blur": ("blurred", "sharp"),
    "lowres": ("small", "large"),
    "noise": ("noisy", "clean"),
    "jpeg": ("compressed", "original"),
    "grey": ("grey", "colour"),
    "edges": ("edges", "photo"),
    "tiles": ("tiled", "whole"),
    "holes": ("holed", "whole"),
}
"""Of the two domains, by kind, in the order in which kinds are applied: as in a camera, light, pixels, then files."""
SEVERAL = ("damaged", "clean")


class Derivation(Protocol):
    """A kind of damage, as its settings say."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Makes an input of a target (height, width, channels), uint8 or uint16, which stays as it is: of the same
        type, unless its domain says otherwise. What is drawn at random is drawn from `rng` alone."""

    def given(self, target: Domain) -> Domain:
        """What the inputs are. Raises ValueError if there are none of such targets."""


class Derive(Settings):
    """Makes the inputs from the targets, so that one folder of photos is enough. Of several kinds, all are applied, in
    the order of blur, lowres, noise, jpeg, grey, edges, tiles, holes. In training each crop gets new random numbers
    each time it is shown; what is measured has the same input for all time, by the image's name."""

    blur: Blur | None = None
    """Out of focus, or moved: `{sigma: [0.5, 3]}`, `{length: [5, 15]}`."""
    lowres: LowRes | None = None
    """Fewer pixels: `{factor: 4}`."""
    noise: Noise | None = None
    """`{sigma: [5, 50]}` in levels of 255, or `{photons: 100, read: 3}`."""
    jpeg: Jpeg | None = None
    """What JPEG leaves: `{quality: [10, 50]}`."""
    grey: Grey | None = None
    """No colours: `{by: rec601}`, rec709 or lab."""
    edges: Edges | None = None
    """Only edges: `{low: 100, high: 200}`."""
    tiles: Tiles | None = None
    """Black tiles: `{side: 32, share: 0.4}`."""
    holes: Holes | None = None
    """Holes, and their mask as a further image of the input: `{rectangles: 1, strokes: [0, 4]}`."""

    @model_validator(mode="after")
    def _acts(self) -> Derive:
        if not self.kinds:
            raise ValueError(f"nothing to make inputs by: set one of {', '.join(NAMES)}, such as {{grey: {{}}}}")
        if self.grey and self.edges:
            raise ValueError("edges are grey already: leave grey out")
        return self

    @property
    def kinds(self) -> dict[str, Derivation]:
        """What is set, in the order in which it is applied."""
        return {kind: made for kind in NAMES if (made := getattr(self, kind)) is not None}

    @property
    def names(self) -> tuple[str, str]:
        """Of the two domains, where nobody names them."""
        return NAMES[next(iter(self.kinds))] if len(self.kinds) == 1 else SEVERAL

    @property
    def shrinks(self) -> int:
        """How many times smaller than its target an input is, in height and width."""
        return self.lowres.factor if self.lowres and not self.lowres.enlarged else 1

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See `Derivation`: all that is set, one after another."""
        for derive in self.kinds.values():
            pixels = derive(pixels, rng)
        return pixels

    def given(self, target: Domain, name: str) -> Domain:
        """What the inputs are, as the domain of that name. Raises ConfigurationError if none are made of such
        targets."""
        if target.numbered or target.layers:
            raise ConfigurationError(f"data.derive: inputs are made of photos, and {target.name} holds {target}")
        found = target
        for kind, derive in self.kinds.items():
            try:
                found = derive.given(found)
            except ValueError as error:
                raise ConfigurationError(f"data.derive.{kind}: {error}") from None
        return replace(found, name=name)

    def require_crop(self, crop: Sides) -> None:
        """Raises ConfigurationError unless crops of that size shrink to whole pixels."""
        if any(side % self.shrinks for side in crop):
            factor = self.shrinks
            better = max(8, crop.height // factor * factor)
            raise ConfigurationError(
                f"data.size: {crop} does not divide by data.derive.lowres.factor={factor}: set data.size={better}"
            )


def for_all_time(name: str) -> np.random.Generator:
    """The random numbers of an image that is measured, by its name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
