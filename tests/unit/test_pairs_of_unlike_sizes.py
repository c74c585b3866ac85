"""Pairs whose target is several times as large as the input: crops that show the same, and a clear answer else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from translate.data.augment import Augmentation
from translate.data.batch import Paired, Unpaired
from translate.data.cache.device import on_device
from translate.data.cache.memory import Memory
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.domain import Domain
from translate.data.loader import Loader, evaluation_batches
from translate.errors import ConfigurationError, ImageError

SCALE = 4


@dataclass(frozen=True)
class Held:
    pixels: np.ndarray
    path: Path = Path("held.png")

    def read(self, channels: int) -> np.ndarray:
        return self.pixels

    def identity(self) -> str:
        return str(hash(self.pixels.tobytes()))


def low(height: int, width: int, seed: int) -> np.ndarray:
    """Every pixel of its own: row, column and number of the image."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, seed)], -1).astype(np.uint8)


def blocks(pixels: np.ndarray, scale: int = SCALE) -> np.ndarray:
    return pixels.repeat(scale, 0).repeat(scale, 1)


SIZES = [(20, 24), (17, 31), (8, 8)]
LOW = [Held(low(*size, number), Path(f"low/{number}.png")) for number, size in enumerate(SIZES)]
HIGH = [Held(blocks(one.pixels), Path("high") / one.path.name) for one in LOW]


def ways(size: int | tuple[int, int] = 32, resize: str = "none", scale: int = SCALE) -> list[Decoding]:
    given, target = Domain("low", reduced=scale), Domain("high")
    return [Decoding.of(domain, size, resize, scale=scale) for domain in (given, target)]


def loader(batch_size: int = 5, size: int | tuple[int, int] = 32, high: list | None = None, **more) -> Loader:
    cropping = Cropping(size, more.pop("flip", True), more.pop("augment", ()))
    return Loader([LOW, high or HIGH], Paired, ways(size), cropping, batch_size=batch_size, **more)


def alike(batch: Paired, scale: int = SCALE) -> bool:
    return torch.equal(batch.target, batch.input.repeat_interleave(scale, 2).repeat_interleave(scale, 3))


@pytest.mark.parametrize("size", [32, (32, 16)])
def test_crops_of_both_show_the_same_at_every_step(size) -> None:
    tops, mirrored = set(), set()
    ours = loader(size=size)
    for batch in islice(ours.stream(), 12):
        height, width = (size, size) if isinstance(size, int) else size
        assert batch.target.shape[2:] == (height, width) and batch.input.shape[2:] == (height // 4, width // 4)
        assert alike(batch)
        tops |= set(batch.input[:, 0, 0, 0].tolist())
        mirrored |= set((batch.input[:, 1, 0, 0] > batch.input[:, 1, 0, -1]).tolist())
    assert len(tops) > 4 and mirrored == {False, True}, "places and mirroring are drawn"


def test_the_same_step_gives_the_same_crops_from_threads_and_from_the_device() -> None:
    same = [replace(one, pixels=low(17, 31, number)) for number, one in enumerate(LOW)]
    made = Loader(
        [same, [Held(blocks(one.pixels)) for one in same]], Paired, ways(), Cropping(32), batch_size=4, workers=2,
        cache=Memory(10**7),
    )  # fmt: skip
    told: list[str] = []
    on_host, there = made.stream(), on_device(made, torch.device("cpu"), None, told.append)(0, 1)
    assert "cached on cpu" in told[-1]
    for number, (one, other) in enumerate(islice(zip(on_host, there, strict=False), 6)):
        assert torch.equal(one.input, other.input) and torch.equal(one.target, other.target)
        assert alike(one) and torch.equal(one.target, made.batch(number).target)


def test_pairs_of_one_size_are_cropped_as_before() -> None:
    """The crop of a pair is drawn from the same numbers, whether or not the loader knows of other sizes."""
    pairs = [HIGH, HIGH]
    plain = Loader(pairs, Paired, Decoding(3, 32, "none"), Cropping(32), batch_size=4)
    ours = Loader(pairs, Paired, ways(scale=1), Cropping(32), batch_size=4)
    assert torch.equal(plain.batch(3).target, ours.batch(3).target)


def test_middles_that_are_measured_show_the_same() -> None:
    for batch in evaluation_batches([LOW, HIGH], Paired, ways(), 1, size=32):
        assert batch.target.shape[2:] == (32, 32) and alike(batch)


@pytest.mark.parametrize("resize", ["square", "centre", "short_side", "short_side_floor"])
@pytest.mark.parametrize("side", [32, 36, 37, (40, 33)])
def test_resized_pairs_keep_the_factor(resize: str, side) -> None:
    given, target = ways(side, resize)
    for small, large in zip(LOW, HIGH, strict=True):
        one, other = given(small), target(large)
        assert (one.shape[0] * SCALE, one.shape[1] * SCALE) == other.shape[:2]


def test_the_loader_of_unpaired_images_crops_each_to_its_size() -> None:
    batch = Loader([LOW, HIGH], Unpaired, ways(), Cropping(32), batch_size=3).batch(0)
    assert batch.a.shape[2:] == (8, 8) and batch.b.shape[2:] == (32, 32)


ODD = [Held(np.pad(one.pixels, ((0, 1), (0, 3), (0, 0))), one.path) for one in HIGH]


@pytest.mark.parametrize("measured", [False, True])
def test_another_size_is_refused_with_the_one_that_fits(measured: bool) -> None:
    with pytest.raises(ImageError) as refused:
        if measured:
            next(iter(evaluation_batches([LOW[:1], ODD[:1]], Paired, ways(), 1, size=32)))
        Loader([LOW[:1], ODD[:1]], Paired, ways(), Cropping(32)).batch(0)
    wanted = "99 x 81 pixels, where 4 times its input is 96 x 80"
    assert str(refused.value) == f"high/0.png: {wanted}: crop it so, or set data.resize: square"


def test_augmentation_beyond_mirroring_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"data\.augment: .* differ in size"):
        loader(augment=(Augmentation(name="Rotate"),))


def test_a_smaller_image_than_its_crop_is_refused_by_its_own_size() -> None:
    with pytest.raises(ImageError, match=r"high/2\.png: 32 x 32 pixels are too few for a crop of 64"):
        Loader([LOW[2:], HIGH[2:]], Paired, ways(64), Cropping(64)).images[1].load(0)
    with pytest.raises(ImageError, match=r"low/2\.png: 8 x 8 pixels are too few for a crop of 16"):
        Loader([LOW[2:], HIGH[2:]], Paired, ways(64), Cropping(64)).images[0].load(0)
