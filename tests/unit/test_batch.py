"""A batch's fields declare what they hold: a new kind of batch is one declaration, and everything else asks it."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from loaders import make_loader
from tiny import CPU
from torch import nn

from translate.data.batch import (
    Batch,
    Images,
    Index,
    Labelled,
    Labels,
    Paired,
    Plain,
    Referenced,
    SourceLabelled,
    Unpaired,
)
from translate.data.cache.choice import stream_of
from translate.data.cache.memory import Memory
from translate.data.decoding import Decoding
from translate.data.loader import evaluation_batches
from translate.models.base import ImageSpec, Model, Turn
from translate.training.optim import build_optimizer
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer
from translate.utils.settings import Settings


@dataclass(frozen=True)
class Numbered(Batch):
    images: Images
    numbers: Index


@dataclass(frozen=True)
class Shaded:
    """An image in memory, all of one shade."""

    shade: int
    path: Path = Path("shade.png")

    def read(self, channels: int) -> np.ndarray:
        return np.full((8, 8, channels), self.shade, np.uint8)

    def identity(self) -> str:
        return str(self.shade)


SHADES = (5, 60, 115, 170, 225)
SPLIT = [[Shaded(shade) for shade in SHADES]]


class Remembers(Model):
    """One number for each image of the set, that the losses pull to its shade."""

    Config = Settings
    batch_type = Numbered

    def __init__(self):
        super().__init__(Settings(), ImageSpec(1, 4, ("shades",)))
        self.shades = nn.Embedding(len(SHADES), 1)
        nn.init.zeros_(self.shades.weight)

    def generate(self, batch):
        return {}

    def turns(self):
        return [Turn("memory", [self.shades], self._losses)]

    def _losses(self, batch, fakes):
        return {"squared": (self.shades(batch.numbers)[:, 0] - batch.images.mean((1, 2, 3))).square().mean()}

    def show(self, batch):
        return {"images": batch.images}


def numbered(**settings):
    return make_loader(SPLIT, Numbered, 1, 4, load_size=8, batch_size=4, seed=3, **settings)


def shades_of(numbers):
    return [SHADES[number] for number in numbers.tolist()]


@pytest.mark.parametrize("where", ["ram", "device"])
def test_a_new_kind_of_batch_is_drawn_cached_placed_split_and_trained_on(where):
    loader = numbered(cache=Memory(10**6))
    stream = stream_of(loader, where, None, torch.device("cpu"), lambda line: None)(0, 1)
    model = Remembers()
    optimizers = {"shades": build_optimizer(model.shades, "adam", 0.05, (0.5, 0.9), 0)}
    trainer = Trainer(model, optimizers, CPU)
    for batch in islice(stream, 150):
        assert batch.numbers.dtype == torch.int64 and batch.images[:, 0, 0, 0].tolist() == shades_of(batch.numbers)
        for part in batch.split(2):
            assert len(part) == 2 and part.images[:, 0, 1, 1].tolist() == shades_of(part.numbers)
        placed = Runtime(torch.device("cpu")).place(batch)
        assert placed.numbers.dtype == torch.int64 and placed.images.dtype == torch.float32
        trainer.step(placed)
    stream.close()
    wanted = torch.tensor(SHADES) / 127.5 - 1
    assert torch.allclose(model.shades.weight[:, 0], wanted, atol=0.05)


def test_a_new_kind_of_batch_is_measured_in_order():
    first, last = evaluation_batches(SPLIT, Numbered, Decoding(1, 4), 3)
    assert first.numbers.tolist() == [0, 1, 2] and last.numbers.tolist() == [3, 4]
    assert last.images[:, 0, 0, 0].tolist() == [170, 225]


def test_a_field_that_declares_nothing_is_named():
    @dataclass(frozen=True)
    class Silent(Batch):
        images: Images
        depth: torch.Tensor

    with pytest.raises(TypeError, match=r"Silent\.depth: declare it as Images, Labels, Index, Known or Reference"):
        make_loader(SPLIT, Silent, 1, 4)


def test_what_the_shipped_kinds_say_of_themselves():
    said = {kind: (kind.domains(), kind.labelled(), kind.labels_are_domains(), kind.pairs) for kind in _KINDS}
    assert said == {
        Paired: (2, False, False, True),
        Unpaired: (2, False, False, False),
        Plain: (1, False, False, False),
        Labelled: (1, True, True, False),
        Referenced: (1, True, True, False),
        SourceLabelled: (2, True, False, False),
    }
    assert len({kind.called for kind in _KINDS}) == len(_KINDS)
    assert Labelled.kinds() == ("images", "labels") and Labels.__metadata__ == ("labels",)


_KINDS = (Paired, Unpaired, Plain, Labelled, Referenced, SourceLabelled)


def test_the_images_to_translate_and_real_ones_of_the_target():
    a, b = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert Paired(a, b).towards(1) == (a, b) and Unpaired(a, b).towards(0) == (b, a)
    assert Labelled(a, torch.ones(1, 3)).towards(2) == (a, a)
    assert SourceLabelled(a, b, torch.ones(1, 3)).sides() == [a, b]
