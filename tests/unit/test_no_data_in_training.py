"""Pixels without data, as GDAL's TIFFs name them, in training: told from black ones, alike in real and generated
images, and without a gradient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CPU, random_batch, tiny_model, tiny_trainer

from translate.data.augment import Augmentation
from translate.data.batch import Paired, Unpaired
from translate.data.cache.device import Unfit, _moved
from translate.data.checks.facts import read_all, remarks
from translate.data.checks.files import Files
from translate.data.checks.looking import kinds_of
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.loader import Loader
from translate.data.planes import planes_of, read_as
from translate.data.settings import DataSettings
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError
from translate.models import MODELS
from translate.models.base import Translator, l1

tifffile = pytest.importorskip("tifffile", reason="scenes are written by tifffile")
rng = np.random.default_rng(0)


def scene(path: Path, pixels: np.ndarray, nodata: str = "") -> Source:
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = [(42113, 2, len(nodata) + 1, nodata, True)] if nodata else []
    kind = {"photometric": "rgb", "planarconfig": "contig"} if pixels.shape[2] == 3 else {"photometric": "minisblack"}
    tifffile.imwrite(path, pixels.squeeze(), metadata=None, extratags=tags, **kind)
    return Source(path)


def pair(folder: Path, side: int = 24) -> tuple[dict[str, list[Source]], np.ndarray, np.ndarray]:
    """A scene in 8 bits whose left has no data (255), and one of values whose top has none; and where."""
    shades = rng.integers(0, 255, (side, side, 3)).astype(np.uint8)
    values = (rng.random((side, side, 1)) * 8 - 3).astype(np.float32)
    left, top = (np.zeros((side, side), bool) for _ in range(2))
    left[:, :5], top[:7] = True, True
    shades[left], values[top] = 255, -9999
    shades[10, 10], values[11, 11] = 0, values[~top].min()  # black, and the lowest, which are data
    columns = {"a": [scene(folder / "a.tif", shades, "255")], "b": [scene(folder / "b.tif", values, "-9999")]}
    return columns, left, top


def loader_of(columns, make, size, augment=(), resize="none"):
    kinds = kinds_of(columns, DataSettings(), Files())
    of_each = zip(columns.values(), kinds, strict=True)
    split = [[Source.of(source, kind) for source in sources] for sources, kind in of_each]
    ways = [Decoding.of(kind, size, resize) for kind in kinds]
    return Loader(split, make, ways, Cropping(size, flip=False, augment=augment), batch_size=1), kinds


@pytest.mark.parametrize("make", [Paired, Unpaired])
def test_pixels_without_data_in_either_image_are_alike_in_both_and_no_others_are(tmp_path, make):
    columns, left, top = pair(tmp_path)
    loader, kinds = loader_of(columns, make, 24)
    assert all(kind.void for kind in kinds) and "some without data" in str(kinds[1])
    batch = CPU.place(loader.batch(0))
    assert batch.void and all(part.void for part in batch.split(1))
    for side in batch.sides():
        assert np.array_equal((side == -1).all(1)[0].numpy(), left | top)
    again = Source.of(columns["a"][0], kinds[0])
    assert again != columns["a"][0] and again.identity() != columns["a"][0].identity()


def test_black_pixels_of_files_that_name_no_value_are_data(tmp_path):
    columns, left, _ = pair(tmp_path)
    columns["b"] = [scene(tmp_path / "c.tif", np.zeros((24, 24, 3), np.uint8))]
    batch = CPU.place(loader_of(columns, Unpaired, 24)[0].batch(0))
    assert np.array_equal((batch.b == -1).all(1)[0].numpy(), left)
    both = {name: [scene(tmp_path / f"{name}2.tif", np.zeros((24, 24, 3), np.uint8))] for name in "ab"}
    batch = CPU.place(loader_of(both, Unpaired, 24)[0].batch(0))
    assert not batch.void and bool((batch.a == -1).all())


def test_a_pixel_that_resizing_mixes_with_none_has_no_data(tmp_path):
    columns, left, _ = pair(tmp_path)
    loader, _ = loader_of({"a": columns["a"], "b": columns["a"]}, Paired, 12, resize="square")
    void = (CPU.place(loader.batch(0)).input == -1).all(1)[0].numpy()
    covered = left.reshape(12, 2, 12, 2).any((1, 3))
    assert void[covered].all() and not void[:, 5:].any()  # bilinear reaches half a pixel farther


def test_neither_reconstruction_nor_generated_images_have_a_gradient_there(tmp_path):
    columns, left, top = pair(tmp_path)
    batch = CPU.place(loader_of(columns, Paired, 24)[0].batch(0))
    made = torch.zeros(1, 1, 24, 24, requires_grad=True)
    l1(batch.without_void(made), batch.target).backward()
    assert np.array_equal(made.grad[0, 0].numpy() == 0, left | top)
    valid = torch.from_numpy(~(left | top))
    expected = batch.target[0, 0][valid].abs().sum() / 24**2
    assert torch.isclose(l1(batch.without_void(made), batch.target), expected)


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if issubclass(kind, Translator)])
def test_what_discriminators_see_of_a_model_has_none_where_the_batch_has_none(name):
    model = tiny_model(name)
    batch = random_batch(model).map_images(lambda images: images.clamp(-0.9, 0.9))
    batch = batch.map_images(lambda images: images.index_fill(3, torch.arange(3), -1.0))
    trainer = tiny_trainer(model)
    free = trainer._generate(batch, graph=False)
    fakes = trainer._generate(replace(batch, void=True), graph=True)
    made = {name: fake for name, fake in fakes.items() if fake.requires_grad}  # others are what a bridge is to tell
    images = {name: fake for name, fake in made.items() if fake.shape[2:] == batch.sides()[0].shape[2:]}
    for fake in images.values():  # others are codes and labels
        assert (fake[..., :3] == -1).all() and not (fake[..., 3:] == -1).any()
    assert images and not any((free[name][..., :3] == -1).all() for name in images)
    trainer.step(replace(batch, void=True))
    assert all(np.isfinite(value) for value in trainer.read_losses().values())


@pytest.mark.parametrize("make", [Paired, Unpaired])
def test_a_crop_without_data_is_moved_to_where_there_are_some(tmp_path, make):
    pixels = np.zeros((90, 90, 3), np.uint8)
    pixels[80:84, 2:6] = 9
    columns = {name: [scene(tmp_path / f"{name}.tif", pixels, "0")] for name in "ab"}
    loader, _ = loader_of(columns, make, 16)
    for step in range(20):
        batch = loader.batch(step)
        assert batch.sides()[0].any() and batch.sides()[1].any()
    again = loader_of(columns, make, 16)[0].batch(19)
    assert all(torch.equal(*sides) for sides in zip(batch.sides(), again.sides(), strict=True))
    with pytest.raises(Unfit, match="where there are data"):
        _moved(loader, torch.device("cpu"), 10**9)


def test_an_image_of_nothing_is_refused_and_data_check_counts(tmp_path):
    columns, left, _ = pair(tmp_path)
    empty = scene(tmp_path / "empty.tif", np.full((24, 24, 3), 255, np.uint8), "255")
    with pytest.raises(ImageError, match=r"empty\.tif: no pixel holds data; leave it out"):
        replace(empty, void=True).read(3)
    said = " ".join(remarks([*read_all([columns["a"][0], empty], Files()).values()]))
    share = (left.sum() + 24 * 24) / (2 * 24 * 24)
    assert f"{share:.1%} of the pixels hold no data, in 2 of 2 images" in said and "refuses them" in said


def test_augmentation_of_values_is_refused(tmp_path):
    columns, _, _ = pair(tmp_path)
    with pytest.raises(ConfigurationError, match=r"data\.augment: RandomGamma changes values, .*; leave it out"):
        loader_of(columns, Paired, 16, (Augmentation(name="RandomGamma"),))


def test_networks_get_the_same_in_conversion(tmp_path):
    columns, left, _ = pair(tmp_path)
    kind = kinds_of(columns, DataSettings(), Files())[0]
    held = Source.of(columns["a"][0], kind).read(3)
    assert np.array_equal(planes_of(read_as(columns["a"][0].path, kind), kind), held)
    assert np.array_equal(~held.any(2), left)
