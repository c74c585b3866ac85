"""What a recipe says of its data is what batches are made by."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CPU, tiny_model, unpaired_folder, write_images

from translate.data.batch import Labelled, Paired, Plain, Unpaired
from translate.data.io.images import resize, to_float
from translate.evaluation.unseen import Likeness
from translate.evaluation.validation import Direction
from translate.models import MODELS
from translate.models.base import Translator
from translate.recipe import load_recipe
from translate.runs.image_sets.opening import open_data

SIZE = 16


def _opened(folder, kind=Unpaired, **settings):
    sizes = {"size": SIZE, "load_size": SIZE, "workers": 0, "set": str(folder)}
    given = [f"data.{key}={value}" for key, value in (sizes | settings).items()]
    return open_data(load_recipe("cyclegan", given).data, kind, lambda line: None)


@pytest.fixture
def folder(tmp_path):
    for split in ("trainA", "trainB", "testA", "testB"):
        write_images(tmp_path / split, [f"{split}{number}.png" for number in range(4)], size=SIZE, seed=ord(split[-1]))
    return tmp_path


def _pixels(folder):
    return [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in sorted(folder.iterdir())]


def _seen(images, steps=12):
    loader = images.loader(1, seed=0)
    return [loader.batch(step).a[0] for step in range(steps)]


def test_images_are_mirrored_unless_the_recipe_says_otherwise(folder):
    upright = _pixels(folder / "trainA")
    assert all(any(torch.equal(image, one) for one in upright) for image in _seen(_opened(folder, flip="false")))
    mirrored = [image for image in _seen(_opened(folder)) if not any(torch.equal(image, one) for one in upright)]
    assert mirrored and all(any(torch.equal(image.flip(2), one) for one in upright) for image in mirrored)


def test_the_seed_and_augmentation_of_a_recipe_reach_the_batches(folder):
    images = _opened(folder, flip="false")
    one, other = (images.loader(4, seed=seed).batch(0).a for seed in (1, 2))
    assert not torch.equal(one, other)
    upside_down = _opened(folder, flip="false", augment="[{name: VerticalFlip, p: 1}]")
    upright = _pixels(folder / "trainA")
    assert all(any(torch.equal(image.flip(1), one) for one in upright) for image in _seen(upside_down))


def test_classes_come_equally_often_where_the_recipe_wants_balance(tmp_path):
    write_images(tmp_path / "many", [f"m{number}.png" for number in range(9)], size=SIZE)
    write_images(tmp_path / "few", [f"f{number}.png" for number in range(3)], size=SIZE)

    def share(balanced):
        loader = _opened(tmp_path, Labelled, balanced=balanced).loader(4, seed=0)
        return torch.cat([loader.batch(step).labels for step in range(20)]).mean(0).tolist()

    assert share("true") == [0.5, 0.5] and share("false") != [0.5, 0.5]


def test_what_is_measured_is_the_middle_square_where_the_recipe_cuts_it(tmp_path):
    root = unpaired_folder(tmp_path)
    for path in root.rglob("*.png"):
        pixels = np.zeros((SIZE, 2 * SIZE, 3), np.uint8)
        pixels[:, SIZE // 2 : -SIZE // 2] = 255
        Image.fromarray(pixels).save(path)
    whole, middle = (next(_opened(root, resize=resize).first(1)).a for resize in ("square", "centre"))
    assert (middle == 255).all() and not (whole == 255).all()


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if kind.batch_type in (Labelled, Plain)])
def test_only_what_translates_is_compared_with_true_translations(name):
    """Those of the rendered classes are known. What generates from noise has no `convert` to measure."""
    kind, model = MODELS[name], tiny_model(name)
    shapes = {"size": 32, "load_size": 32, "shapes.styles": "[flat, outlined, banded]", "shapes.train": 1}
    images = _opened("shapes", kind.batch_type, **shapes | {"shapes.test": 2})
    found = [one for one in images.validations(model, 1, CPU) if isinstance(one, Direction)]
    both_ways = [f"to {to} from {origin}" for to, origin in permutations(images.domains, 2)]
    assert sorted(one.name for one in found) == (sorted(both_ways) if isinstance(model, Translator) else [])
    assert all(one.measure(model, CPU) for one in found)


@pytest.mark.parametrize(
    ("way", "side"), [({"resize": "none"}, 40), ({"resize": "short_side"}, 16), ({"load_size": 32}, 32)]
)
def test_validation_sees_objects_as_large_as_training_does(tmp_path, way, side):
    """Whole images at the size of a crop would show them at another scale, where models may rank otherwise."""
    for split in ("train", "test"):
        for domain in "AB":
            write_images(tmp_path / f"{split}{domain}", ["0.png", "1.png"], size=40)
    settings = {"load_size": SIZE} | way
    images = _opened(tmp_path, Paired, **settings)
    (direction,) = images.validations(tiny_model("pix2pix"), 2, CPU)
    pixels = np.asarray(Image.open(tmp_path / "testA" / "0.png"))
    wanted = resize(pixels, side, side)
    start = (side - SIZE) // 2
    middle = wanted[start : start + SIZE, start : start + SIZE]
    assert torch.equal(direction.inputs[0], to_float(torch.tensor(middle)).permute(2, 0, 1))
    assert "2 test images of 16 x 16 pixels, their middles, at the scale of training" in direction.protocol
    assert direction.resized == {"resize": "their middles, at the scale of training"}
    old = images.but(kinds=tuple(replace(kind, scale=None) for kind in images.kinds))
    (as_then,) = old.validations(tiny_model("pix2pix"), 2, CPU)
    whole = to_float(torch.tensor(resize(pixels, SIZE, SIZE))).permute(2, 0, 1)
    assert torch.equal(as_then.inputs[0], whole) and "middles" not in as_then.protocol


def test_whole_images_are_measured_where_training_sees_them_whole_or_they_are_too_small(tmp_path):
    for split, size in (("train", 40), ("test", 12)):
        for domain in "AB":
            write_images(tmp_path / f"{split}{domain}", ["0.png", "1.png"], size=size)
    for way in ({"load_size": 18}, {"resize": "centre"}, {"resize": "none"}):
        (direction,) = _opened(tmp_path, Paired, **way).validations(tiny_model("pix2pix"), 2, CPU)
        assert "middles" not in direction.protocol and direction.inputs.shape[-1] == SIZE


def test_without_truth_translations_are_held_against_unseen_images_of_their_target(tmp_path):
    for split, size in (("trainA", 40), ("trainB", 40), ("testA", 40), ("testB", 40)):
        write_images(tmp_path / split, ["0.png", "1.png", f"{split}.png"], size=size, seed=ord(split[-1]))
    images = _opened(tmp_path, load_size=32, layout="unpaired")
    to_b, to_a = found = images.validations(tiny_model("cyclegan"), 2, CPU)
    assert all(isinstance(one, Likeness) for one in found) and (to_b.name, to_a.name) == ("to B", "to A")
    assert torch.equal(to_b.inputs, to_a.reals) and torch.equal(to_b.reals, to_a.inputs)
    assert to_b.inputs.shape == (2, 3, SIZE, SIZE) and "2 test images" in to_b.protocol
    assert "their middles, at the scale of training" in to_b.protocol
    assert to_b.measure(tiny_model("cyclegan"), CPU)["patch_distance"] > 0
    assert to_b.baselines()["untouched input"]["patch_distance"] > 0
    old = images.but(kinds=tuple(replace(kind, scale=None) for kind in images.kinds))
    assert not old.validations(tiny_model("cyclegan"), 2, CPU), "a run of an earlier version goes on as it began"
