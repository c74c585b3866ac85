"""Small instance maps and pictures of the same things, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CELL = 16


def things(seed: int, count: int, size: int = 96) -> np.ndarray:
    """Rectangles numbered from 1 on in cells of a grid, some of which touch: (size, size), uint16."""
    rng = np.random.default_rng(seed)
    found = np.zeros((size, size), np.uint16)
    cells = rng.permutation((size // CELL) ** 2)[:count]
    for number, cell in enumerate(cells, 1):
        top, left = CELL * (cell // (size // CELL)), CELL * (cell % (size // CELL))
        height, width = rng.integers(9, CELL + 1, 2)
        found[top : top + height, left : left + width] = number
    return found


def picture(found: np.ndarray, seed: int = 0) -> np.ndarray:
    """What a microscope might show: things bright, darker where they end, on a dark ground; RGB with noise."""
    inside = (found > 0)[..., None] * np.array([90, 60, 160])
    shifted = np.roll(found, 1, 0) != found
    noise = np.random.default_rng(seed).integers(0, 20, (*found.shape, 3))
    return (inside * np.where(shifted, 0.5, 1)[..., None] + 20 + noise).astype(np.uint8)


def nuclei(root: Path, train: int = 4, test: int = 2) -> Path:
    """Pairs of instance maps (`instances`), 16-bit PNG, and pictures (`microscopy`), RGBA as published; the first
    holds 30 things, the others fewer."""
    for split, count, first in (("train", train, 0), ("test", test, 100)):
        for side in ("instances", "microscopy") if count else ():
            (root / side / split).mkdir(parents=True)
        for number in range(count):
            found = things(first + number, 30 - 3 * number)
            shot = picture(found, number)
            clear = np.full(found.shape, 255, np.uint8)
            Image.fromarray(found).save(root / "instances" / split / f"{number}.png")
            Image.fromarray(np.dstack([shot, clear])).save(root / "microscopy" / split / f"{number}.png")
    return root
