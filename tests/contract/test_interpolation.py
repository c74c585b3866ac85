"""The filter that a recipe names resizes whatever is trained on, measured and kept, as the published code does it."""

import numpy as np
import pytest
from loaders import make_loader
from PIL import Image
from test_cache import Counted, assert_same
from test_evaluate import _evaluated
from tiny import CPU, labelled_folder
from torchvision import transforms

from translate.data.batch import Labelled, Plain, Unpaired
from translate.data.cache.choice import open_cache
from translate.data.decoding import Decoding
from translate.data.io import images
from translate.data.labels import LabelGroup
from translate.data.source_file import Source
from translate.errors import ConfigurationError
from translate.evaluation import classifier_training as teaching
from translate.evaluation.classifier import ClassifierSettings
from translate.models.base import ImageSpec
from translate.recipe import load_recipe, recipe_names
from translate.recipe.reading import parse_recipe
from translate.runs.image_sets.opening import open_data
from translate.runs.resuming import require_same_run
from translate.training.checkpoint import Checkpoint

FILTERS = {
    "nearest": transforms.InterpolationMode.NEAREST,
    "bilinear": transforms.InterpolationMode.BILINEAR,
    "bicubic": transforms.InterpolationMode.BICUBIC,
}
PUBLISHED = {"stargan": "bilinear", "unit": "bilinear", "unit-digits-paper": "nearest"}


def noise(path, width, height, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return path


def pixels(image):
    return np.asarray(image)


def as_image(tensor):
    return tensor.permute(1, 2, 0).numpy()


def opened(recipe, folder, kind, **settings):
    given = [f"data.{key}={value}" for key, value in ({"set": folder, "workers": 0} | settings).items()]
    return open_data(load_recipe(recipe, given).data, kind, lambda line: None)


def test_recipes_of_published_code_resize_as_it_does():
    """What is based on them does, too; but the results of `unit-digits` are of bicubic images."""
    found = {name: load_recipe(name).data for name in recipe_names()}
    families = {name: data.interpolation for name, data in found.items() if name.startswith(("stargan", "unit"))}
    others = {"unit-digits": "bicubic", "unit-digits-source-only": "bicubic"}
    assert families == dict.fromkeys(families, "bilinear") | PUBLISHED | others
    assert (found["unit"].resize, found["stargan"].resize) == ("short_side_floor", "centre")
    assert found["cyclegan"].interpolation == found["pix2pix"].interpolation == "bicubic"
    assert found["cyclegan-paper"].interpolation == found["pix2pix-paper"].interpolation == "bilinear"


def test_faces_are_cut_and_resized_as_stargan_does_to_the_bit(tmp_path):
    """CelebA's 178 x 218 to 128, in training and where they are measured."""
    places = [f"{part}/{name}/1.png" for part in ("train", "test") for name in ("old", "young")]
    faces = [noise(tmp_path / place, 178, 218, seed) for seed, place in enumerate(places)]
    theirs = transforms.Compose([transforms.CenterCrop(178), transforms.Resize(128)])
    wanted = [pixels(theirs(Image.open(face))) for face in faces]
    data = opened("stargan", tmp_path, Labelled, flip="false")
    trained = data.loader(2, seed=0).batch(0).images
    measured = next(data.first(2)).images
    for found, expected in ((trained, wanted[:2]), (measured, wanted[2:])):
        assert {as_image(image).tobytes() for image in found} == {image.tobytes() for image in expected}


@pytest.mark.parametrize(("width", "height"), [(100, 143), (143, 100), (64, 97), (50, 50), (40, 63)])
def test_photos_are_resized_as_unit_does_to_the_bit(tmp_path, width, height):
    """143 becomes 91.52 pixels at 64 of 100: 91 there, where rounding would give 92."""
    for folder in ("trainA", "trainB"):
        noise(tmp_path / folder / "1.png", width, height)
    photo = pixels(transforms.Resize(64)(Image.open(tmp_path / "trainA" / "1.png")))
    loader = opened("unit", tmp_path, Unpaired, size=64, load_size=64, layout="unpaired").loader(1, seed=0)
    assert np.array_equal(loader.images[0].load(0), photo)


@pytest.mark.parametrize("name", FILTERS)
def test_every_kind_of_image_is_resized_by_the_filter_that_is_named(tmp_path, name):
    path, theirs = noise(tmp_path / "x.png", 37, 23), FILTERS[name]
    image = Image.open(path)
    wanted = pixels(transforms.Resize((16, 40), theirs)(image))
    assert np.array_equal(images.resize(pixels(image), 16, 40, name), wanted)
    square = pixels(transforms.Resize((16, 16), theirs)(image))
    assert np.array_equal(Source(path).stretched(3, 16, 16, name), square), "in one go"
    grey = pixels(transforms.Resize((16, 16), theirs)(image.convert("L")))
    assert np.array_equal(Source(path).stretched(1, 16, 16, name)[..., 0], grey), "plane by plane"
    deep = tmp_path / "deep.png"
    images.write(deep, images.Picture(pixels(image).astype(np.uint16) * 257))
    assert np.abs(Source(deep).stretched(3, 16, 16, name) / 257 - square).max() < 1.13, "at 16 bits"


@pytest.mark.parametrize("where", ["ram", "disk"])
def test_an_image_kept_by_one_filter_is_never_served_to_another(tmp_path, monkeypatch, where):
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "home"))
    sources = [Counted(noise(tmp_path / f"{seed}.png", 30, 20, seed)) for seed in range(3)]
    way = {"channels": 3, "resize": "square"}
    for name in (*FILTERS, *FILTERS):

        def loader(cache, name=name):
            more = {"size": 16, "batch_size": 3, "cache": cache}
            return make_loader([sources], make=Plain, interpolation=name, **way, **more)

        kept = open_cache(where, None, Decoding(3, 16, interpolation=name))
        assert_same(loader(kept).stream(), loader(None))


def test_a_recipe_without_the_filter_is_of_a_run_that_was_trained_bicubically(tiny_recipe, tmp_path):
    """Its checkpoint goes on as it began, and is not mixed with another filter without a word."""
    begun = load_recipe(tiny_recipe("unit")).to_json()
    del begun["data"]["interpolation"]
    old = Checkpoint(tmp_path / "run" / "checkpoints" / "step-00000002", {"recipe": begun, "processes": 1})
    assert parse_recipe(begun, "an old run").data.interpolation == "bicubic"
    require_same_run(old, load_recipe(tiny_recipe("unit")))
    with pytest.raises(ConfigurationError, match=r'data\.interpolation: "bicubic" then, "bilinear" now') as refused:
        require_same_run(old, load_recipe(tiny_recipe("unit"), ["data.interpolation=bilinear"]))
    assert f"translate train {tmp_path / 'run' / 'recipe.yaml'}" in str(refused.value)


def test_scores_are_of_images_by_the_runs_filter_and_say_so(tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "data")
    _, scores, _ = _evaluated(tiny_recipe, tmp_path, "stargan", data, "data.interpolation=bilinear")
    measured = {score.protocol["resize"] for score in scores if "resize" in score.protocol}
    assert measured == {"Pillow bilinear to 16, stretched"}
    (classifier,) = (tmp_path / "home" / "classifiers").iterdir()
    assert classifier.name.endswith("16px-bilinear")


def test_the_classifier_learns_and_is_tried_on_images_by_the_runs_filter(monkeypatch, tmp_path):
    sources = [Source(noise(tmp_path / f"{seed}.png", 30, 20, seed)) for seed in range(12)]
    labels = np.eye(2, dtype=np.float32)[np.arange(12) % 2]
    monkeypatch.setattr(teaching, "train_classifier", lambda stream, tried, *_, **__: (next(stream), *tried))
    spec, settings = ImageSpec(3, 16, ("a", "b"), (LabelGroup(2, exclusive=True),)), ClassifierSettings(batch_size=9)
    for name, theirs in FILTERS.items():
        batches = teaching.train_on(sources, labels, spec, settings, CPU, interpolation=name, flip=False)
        wanted = {pixels(transforms.Resize((16, 16), theirs)(Image.open(one.path))).tobytes() for one in sources}
        assert {as_image(image).tobytes() for batch in batches for image in batch.images} <= wanted
        assert len(batches) == 2
