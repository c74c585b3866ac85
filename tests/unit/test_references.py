"""References: two images of a class drawn for themselves, wherever the set lies, a pure function of seed and step."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from loaders import make_loader
from tiny import CPU

from translate.data.batch import Labelled, Referenced
from translate.data.cache.choice import stream_of
from translate.data.cache.memory import Memory
from translate.data.decoding import Decoding
from translate.data.loader import evaluation_batches


@dataclass(frozen=True)
class Shaded:
    shade: int
    path: Path = Path("shade.png")

    def read(self, channels: int) -> np.ndarray:
        return np.full((8, 8, channels), self.shade, np.uint8)

    def identity(self) -> str:
        return str(self.shade)


# Class 0 is rare: its shades are below 50.
SHADES = (10, 20, 30, *range(100, 200, 5), 250)
CLASSES = [0] * 3 + [1] * 20 + [2]
SOURCES = [Shaded(shade) for shade in SHADES]
LABELS = np.eye(3, dtype=np.float32)[CLASSES]
CLASS_OF = dict(zip(SHADES, CLASSES, strict=True))


def loader(balanced: bool = False, **settings):
    rows = [[row for row, own in enumerate(CLASSES) if own == number] for number in range(3)]
    rows = rows if balanced else [list(range(len(SHADES)))]
    split = [[SOURCES[row] for row in some] for some in rows]
    labels = [LABELS[some] for some in rows]
    settings = {"batch_size": 6, "seed": 3, "load_size": 8, "flip": False} | settings
    return make_loader(split, Referenced, 1, 4, labels=labels, **settings)


def shades(images: torch.Tensor) -> list[int]:
    return images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("balanced", [False, True])
def test_both_references_are_of_the_class_that_is_wanted_and_differ_where_they_can(balanced: bool) -> None:
    drawn: Counter[int] = Counter()
    for batch in islice(loader(balanced).stream(), 200):
        wanted = batch.wanted.argmax(1).tolist()
        drawn.update(wanted)
        assert [CLASS_OF[shade] for shade in shades(batch.reference)] == wanted
        assert [CLASS_OF[shade] for shade in shades(batch.partner)] == wanted
        assert [CLASS_OF[shade] for shade in shades(batch.images)] == batch.labels.argmax(1).tolist()
        for one, two, number in zip(shades(batch.reference), shades(batch.partner), wanted, strict=True):
            assert (one == two) == (number == 2), "the one image of class 2 is its own partner, and no other"
    # Each class equally often, whatever the images: 400 of 1200, four standard deviations of which are 65.
    assert all(abs(drawn[number] - 400) < 65 for number in range(3)), drawn


def test_the_wanted_class_does_not_depend_on_the_images_own() -> None:
    together: Counter[tuple[int, int]] = Counter()
    for batch in islice(loader(balanced=True).stream(), 300):
        together.update(zip(batch.labels.argmax(1).tolist(), batch.wanted.argmax(1).tolist(), strict=True))
    # 1800 draws over nine pairs: 200 each, four standard deviations of which are 53.
    assert all(abs(together[own, wanted] - 200) < 54 for own in range(3) for wanted in range(3)), together


@pytest.mark.parametrize("where", ["ram", "device"])
def test_a_stream_that_is_resumed_draws_the_same_wherever_the_set_lies(where: str) -> None:
    plain, said = list(islice(loader().stream(), 8)), []
    stream = stream_of(loader(cache=Memory(10**6)), where, None, torch.device("cpu"), said.append)(5, 1)
    for wanted, found in zip(plain[5:], stream, strict=False):
        assert all(torch.equal(*pair) for pair in zip(wanted.tensors(), found.tensors(), strict=True))
    stream.close()
    assert where == "ram" or "24 images" in said[0], said  # counted once, though three streams draw from them
    assert not torch.equal(plain[0].reference, next(loader(seed=4).stream()).reference)


def test_references_are_placed_as_images_and_split_with_them() -> None:
    placed = CPU.place(loader().batch(0))
    assert placed.partner.dtype == torch.float32 and placed.partner.min() >= -1 and placed.partner.max() <= 1
    first, second = placed.split(2)
    assert torch.equal(torch.cat([first.reference, second.reference]), placed.reference)
    assert len(loader().attempts()) == len(SHADES)


def test_in_order_there_are_no_references() -> None:
    (batch,) = evaluation_batches([SOURCES[:4]], Referenced, Decoding(1, 4), 8, [LABELS[:4]])
    assert type(batch) is Labelled and shades(batch.images) == list(SHADES[:4])
