"""Batches whose inputs are made from their targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import noise

from translate.data.augment import Augmentation
from translate.data.batch import Paired
from translate.data.cache.device import on_device
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.derived.settings import Derive
from translate.data.derived.source import Derived
from translate.data.domain import Domain
from translate.data.loader import Loader, evaluation_batches

PHOTO = Domain("photo", 3, dtype="uint8")


@dataclass(frozen=True)
class Array:
    pixels: np.ndarray
    name: str

    @property
    def path(self) -> Path:
        return Path(self.name)

    def read(self, channels: int) -> np.ndarray:
        return self.pixels

    def identity(self) -> str:
        return self.name


def pairs(derive: Derive, dtype: type = np.uint8) -> list[list]:
    targets = [Array(noise(40, 48, 3, dtype=dtype), f"{number}.png") for number in range(4)]
    return [[Derived(one, 3, derive) for one in targets], targets]


def loader(derive: Derive, split: list[list], size: int = 32, **cropping: object) -> Loader:
    given = derive.given(PHOTO, "input")
    ways = [Decoding.of(kind, 40, "none", scale=derive.shrinks) for kind in (given, PHOTO)]
    if derive.shrinks > 1:
        ways[0] = Decoding(3, 40, "none", reduced=derive.shrinks)
    return Loader(split, Paired, ways, Cropping(size, **cropping), batch_size=2, seed=7)


def pixels(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inputs_are_made_of_the_very_crops_of_their_targets(dtype: type) -> None:
    derive = Derive.model_validate({"grey": {}})
    turned = (Augmentation(name="RandomRotate90", p=0.5), Augmentation(name="VerticalFlip", p=0.5))
    made = loader(derive, pairs(derive, dtype), flip=True, augment=turned)
    seen = [made.batch(step) for step in range(8)]
    for batch in seen:
        for given, target in zip(pixels(batch.input), pixels(batch.target), strict=True):
            assert given.dtype == target.dtype == dtype and (given == derive(target, np.random.default_rng())).all()
    plain = [Array(one.pixels, one.name) for one in pairs(derive, dtype)[1]]
    crops = Loader([plain, plain], Paired, Decoding(3, 40, "none"), Cropping(32), batch_size=2, seed=7)
    alone = loader(derive, [[Derived(one, 3, derive) for one in plain], plain])
    assert all(torch.equal(alone.batch(step).target, crops.batch(step).target) for step in range(4))


def test_batches_are_a_pure_function_of_the_step_and_damage_is_new_in_each_pass() -> None:
    derive = Derive.model_validate({"noise": {"sigma": 20}})
    split = pairs(derive)
    one, other = loader(derive, split, 40), loader(derive, split, 40)
    for step in (5, 0, 3):
        assert torch.equal(one.batch(step).input, other.batch(step).input)
    shown: dict[bytes, set[bytes]] = {}
    same = [Array(np.full((40, 40, 3), 30 * number + 60, np.uint8), f"{number}") for number in range(4)]
    flat = loader(derive, [[Derived(array, 3, derive) for array in same], same], 40, flip=False)
    for step in range(6):  # three passes over four images
        batch = flat.batch(step)
        for given, target in zip(pixels(batch.input), pixels(batch.target), strict=True):
            shown.setdefault(target.tobytes(), set()).add(given.tobytes())
    assert [len(inputs) for inputs in shown.values()] == [3, 3, 3, 3]


def test_colours_are_augmented_in_the_image_of_the_input_alone() -> None:
    derive = Derive.model_validate({"holes": {}})
    brighter = Augmentation(name="RandomBrightnessContrast", p=1, brightness_limit=(0.3, 0.3), contrast_limit=(0, 0))
    split = pairs(derive)
    plain, changed = (loader(derive, split, augment=some).batch(1) for some in ((), (brighter,)))
    assert torch.equal(plain.target, changed.target)
    assert torch.equal(plain.input[:, 3], changed.input[:, 3]), "the mask"
    assert changed.input[:, :3].float().mean() > plain.input[:, :3].float().mean() + 20


def test_smaller_inputs_show_what_their_targets_show() -> None:
    derive = Derive.model_validate({"lowres": {"factor": 4}})
    batch = loader(derive, pairs(derive)).batch(0)
    assert batch.input.shape == (2, 3, 8, 8) and batch.target.shape == (2, 3, 32, 32)
    for given, target in zip(pixels(batch.input), pixels(batch.target), strict=True):
        assert (given == derive(target, np.random.default_rng())).all()


def test_what_is_measured_has_the_same_input_for_all_time() -> None:
    derive = Derive.model_validate({"noise": {"sigma": 20}})
    split, ways = pairs(derive), [Decoding(3, 40, "square")] * 2
    (first,), (again,) = (list(evaluation_batches(split, Paired, ways, 4, size=32)) for _ in "ab")
    assert torch.equal(first.input, again.input) and not torch.equal(first.input, first.target)
    others = [[split[0][3]], [split[1][3]]]
    (alone,) = evaluation_batches(others, Paired, ways, 4, size=32)
    assert torch.equal(alone.input[0], first.input[3]), "whatever stands beside it"
    noises = (first.input.float() - first.target.float()).flatten(1)
    assert not torch.equal(noises[0], noises[1]), "each its own"
    assert (split[0][0].read(3) == split[0][0].read(3)).all()


def test_the_cache_on_a_device_is_refused_by_name() -> None:
    derive = Derive.model_validate({"grey": {}})
    made, said = loader(derive, pairs(derive)), list[str]()
    stream = on_device(made, torch.device("cpu"), None, said.append)
    assert "data.derive works on the host; images are cached in main memory instead" in said[0]
    assert torch.equal(next(stream(3, 1)).input, made.batch(3).input)
