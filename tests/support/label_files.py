"""Small label maps and photos of the same places, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 16
COLOURS = ((0, 0, 0), (200, 30, 30), (30, 200, 30), (250, 250, 90))


def classes(seed: int, count: int = 3, size: int = SIZE) -> np.ndarray:
    """Rectangles of classes on a ground of class 0: (size, size), uint8. Every class occurs."""
    rng = np.random.default_rng(seed)
    found = np.zeros((size, size), np.uint8)
    for number in range(1, count):
        top, left = rng.integers(0, size // 2, 2)
        found[top : top + size // 2, left : left + size // 2] = number
    found[0, :count] = np.arange(count)
    return found


def photo(found: np.ndarray, seed: int = 0) -> np.ndarray:
    """A photo of what the classes are: RGB in their colours, with noise."""
    noise = np.random.default_rng(seed).integers(-20, 20, (*found.shape, 3))
    return (np.array(COLOURS)[found % len(COLOURS)] + noise).clip(0, 255).astype(np.uint8)


def palette_image(found: np.ndarray, colours=COLOURS) -> Image.Image:
    image = Image.fromarray(found)
    image.putpalette(np.array(colours, np.uint8).tobytes())
    return image


def scenes(root: Path, train: int = 4, test: int = 2, ignored: int | None = None) -> Path:
    """Pairs of label maps (`maps`) and photos, with a corner that nobody labelled, of that number if it is given."""
    for split, count, first in (("train", train, 0), ("test", test, 100)):
        for side in ("maps", "photos") if count else ():
            (root / side / split).mkdir(parents=True)
        for number in range(count):
            found = classes(first + number)
            shot = photo(found, number)
            if ignored is not None:
                found[-4:, -4:] = ignored
            Image.fromarray(found).save(root / "maps" / split / f"{number}.png")
            Image.fromarray(shot).save(root / "photos" / split / f"{number}.png")
    return root
