"""Palettes of the `shapes` set: each style has so many looks of its own, so that the truth of diversity is known.

A palette is a hue that all shapes of a picture have, each in its own brightness. Those of a style are spread evenly
over the circle of hues from a random start, so that none is near another. The ground is grey in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from translate.data.synthetic.scenes import CHROMA, Array, Scene, hued

CLEAR = 0.25
"""How far a picture's hue may be from a palette's, as a share of the distance between two palettes."""
FAINT = 0.01
"""Mean squared chroma below which a picture is of no palette; one that is a quarter in one hue has .058."""


def hues_of(style: str, count: int) -> Array:
    """The hues (count,), in radians, of a style's palettes."""
    start = np.random.default_rng([*style.encode(), 0x9A1E77E]).uniform(0, 2 * np.pi)
    return (start + 2 * np.pi * np.arange(count) / count) % (2 * np.pi)


def in_palette(scene: Scene, style: str, palettes: int, number: int) -> Scene:
    """The scene with all its shapes in the hue of palette `number` of the style."""
    hue = hues_of(style, palettes)[number]
    shapes = (replace(shape, fill=hued(shape.fill.mean(), hue)) for shape in scene.shapes)
    return replace(scene, shapes=tuple(shapes))


def drawn_palette(scene_seed: int, style: str, palettes: int) -> int:
    """The palette that a scene has in a style, one of so many; a pure function, each equally often."""
    return int(np.random.default_rng([scene_seed, *style.encode(), 0xC01]).integers(palettes))


def palettes_seen(pictures: Sequence[Array], style: str, count: int) -> list[int | None]:
    """For each picture (height, width, 3), uint8, the number of the style's palette that it is in: that of its mean
    hue, weighted by squared chroma, so that the tint of the ground does not count. None for one without colour, and for
    one whose hue lies between two palettes."""
    found: list[int | None] = []
    for picture in pictures:
        chroma = picture.reshape(-1, 3) / 255 @ np.exp(-1j * CHROMA)
        mean = (chroma * abs(chroma)).mean()
        turns = (np.angle(mean) - hues_of(style, count)) / (2 * np.pi)
        apart = np.abs(turns - np.rint(turns)) * count
        clear = abs(mean) >= FAINT and apart.min() <= CLEAR
        found.append(int(apart.argmin()) if clear else None)
    return found


def coverage(pictures: Sequence[Array], style: str, count: int) -> float:
    """The share (0 to 1) of a style's palettes that these translations of one picture are in, which should be all where
    draws are many; 10 fair draws from 4 palettes cover .94 in the mean."""
    return len(set(palettes_seen(pictures, style, count)) - {None}) / count
