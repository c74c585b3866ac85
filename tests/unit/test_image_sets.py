"""What a recipe says of its data is what batches are made by."""

from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CPU, tiny_model, unpaired_folder, write_images

from translate.data.batch import Labelled, Plain, Unpaired
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
