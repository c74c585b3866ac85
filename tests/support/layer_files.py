"""Small samples of several images, for tests: a grey photo and a label map, and the coloured photo of the place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from label_files import SIZE, classes, photo
from PIL import Image

LAYERS = ("photo", "mask", "clean")
NAMED = ("data.input=[photo, mask]", "data.target=[clean]")
DOMAINS = {
    "flat": "{layer}/{split}",
    "within": "{split}/{layer}",
    "marked": "{split}_{layer}",
    "sides": "{split}/{side}/{layer}",
    "split sides": "{side}/{split}/{layer}",
    "split layers": "{side}/{layer}/{split}",
}
"""How the folders of a set may lie, below its root."""


def samples(root: Path, where: str = "flat", train: int = 4, test: int = 2, size: int = SIZE) -> Path:
    for split, count, first in (("train", train, 0), ("test", test, 100)):
        for number in range(first, first + count):
            found = classes(number, size=size)
            shot = photo(found, number)
            for layer, pixels, suffix in zip(LAYERS, (shot[..., 0], found, shot), ("tif", "png", "bmp"), strict=True):
                side = "target" if layer == "clean" else "input"
                folder = root / DOMAINS[where].format(layer=layer, split=split, side=side)
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{number}.{suffix}")
    return root


def pixels(root: Path, layer: str, number: int = 0, split: str = "train") -> np.ndarray:
    """What stands in a file of a flat set, as (height, width, channels)."""
    with Image.open(next((root / layer / split).glob(f"{number}.*"))) as image:
        return np.atleast_3d(np.array(image))
