"""Folders to measure `translate augment` and `translate downstream` with: few labelled digits, and many without labels.

    python benchmarks/augment.py DATA OUT

DATA holds mnist/ and usps/ as published. Written are OUT/unpaired (trainA: MNIST, trainB: USPS, no labels; what a
CycleGAN learns from), and labelled sets with one folder a class: OUT/mnist-100, whose train/ holds ten digits of each
class of MNIST, and OUT/usps-100 and OUT/usps-1000, whose train/ holds ten or a hundred of each class of USPS. test/
holds the same 2,000 digits of MNIST's test set in all of them. All digits have 32 x 32 pixels: MNIST's with a margin
of two pixels, USPS's enlarged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from translate.data.io.images import resize
from translate.data.labelled import LabelledSplit, open_labelled

SIDE = 32
UNLABELLED, TESTED = 4000, 2000
LABELLED = (("mnist", 10), ("usps", 10), ("usps", 100))
"""Sets, and how many of each class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    sets = {name: open_labelled(options.data / name).splits for name in ("mnist", "usps")}
    for letter, (_, splits) in zip("AB", sets.items(), strict=True):
        rows = range(len(splits["train"]) - UNLABELLED, len(splits["train"]))  # none of those with labels
        _write(splits["train"], rows, options.out / "unpaired" / f"train{letter}", by_class=False)
    for name, count in LABELLED:
        folder, labelled = options.out / f"{name}-{10 * count}", sets[name]["train"]
        _write(labelled, _first_of_each(labelled, count), folder / "train")
        _write(sets["mnist"]["test"], range(TESTED), folder / "test")


def _first_of_each(split: LabelledSplit, count: int) -> np.ndarray:
    """The rows of the first digits of each class, of those that are labelled."""
    labelled = split.labels[: len(split) - UNLABELLED].T == 1
    return np.concatenate([np.flatnonzero(of_class)[:count] for of_class in labelled])


def _write(split: LabelledSplit, rows: Iterable[int], folder: Path, by_class: bool = True) -> None:
    for row in rows:
        pixels = split.sources[row].read(1)
        place = folder / str(split.labels[row].argmax()) if by_class else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_framed(pixels)[..., 0]).save(place / f"{row:05}.png")


def _framed(pixels: np.ndarray) -> np.ndarray:
    """A digit (28 or 16 pixels wide) with 32 x 32 pixels."""
    if pixels.shape[0] == 28:
        return np.pad(pixels, ((2, 2), (2, 2), (0, 0)))
    return resize(pixels, SIDE, SIDE, "bicubic")


if __name__ == "__main__":
    main()
