"""Rectangles: `data.size: [height, width]` means the same to every layer, and what squares were they stay."""

import json
from dataclasses import asdict, replace
from itertools import islice

import numpy as np
import pytest
import torch
from loaders import make_loader
from tiny import SPECS, put, tiny_settings, tiny_trainer

from translate.data.augment import Augmentation
from translate.data.batch import Paired, Plain, Unpaired
from translate.data.cache.choice import stream_of
from translate.data.cache.disk import DiskCache
from translate.data.decoding import Decoding
from translate.data.domain import Domain
from translate.data.io.images import Picture, resize, write
from translate.data.loader import evaluation_batches
from translate.data.order import RNG, generator
from translate.data.scale import Scale
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError
from translate.evaluation.classifier import Classifier
from translate.inference.formats.hub import card
from translate.inference.formats.port import script
from translate.inference.sizing import Sizing
from translate.losses.image_pool import ImagePool
from translate.models import MODELS
from translate.models.base import ImageSpec, Sampler
from translate.networks.foreign import from_port, port_state
from translate.networks.stargan import StarGANDiscriminator, StarGANGenerator
from translate.networks.unet import UNetSettings
from translate.recipe import DataSettings, load_recipe, parse_recipe
from translate.runs.image_sets.opening import open_data
from translate.training.checkpoint_json import ScaleFacts
from translate.utils.sides import Sides
from translate.utils.stored import parse_json

TALL, WIDE = (24, 16), (16, 24)


def data(*settings: str) -> DataSettings:
    return load_recipe("pix2pix", [f"data.{setting}" for setting in settings]).data


def places(path, height, width, number=0) -> Source:
    """A file whose channels are its number, row and column, so that a crop says where it was cut."""
    rows, columns = np.mgrid[:height, :width]
    write(path, Picture(np.stack([np.full_like(rows, number), rows, columns], -1).astype(np.uint8)))
    return Source(path)


def shown(batch: torch.Tensor) -> np.ndarray:
    return batch.permute(0, 2, 3, 1).numpy()


# Settings


@pytest.mark.parametrize(
    ("settings", "crop", "loaded", "trained"),
    [
        (["size=256"], (256, 256), (286, 286), (256, 256)),
        (["size=[192, 256]"], (192, 256), (214, 286), (192, 256)),
        (["size=[192, 256]", "load_size=[220, 280]"], (192, 256), (220, 280), (192, 256)),
        (["size=[192, 256]", "load_size=[224, 280]"], (192, 256), (224, 280), (224, 280)),
        (["size=128", "load_size=[128, 256]"], (128, 128), (128, 256), (128, 256)),
        (["size=[64, 64]"], (64, 64), (72, 72), (64, 64)),
    ],
)
def test_a_size_is_one_number_or_height_and_width(settings, crop, loaded, trained):
    given = data(*settings)
    assert (given.crop, given.loaded, given.trained) == (crop, loaded, trained)


def test_a_recipe_says_again_what_it_said_and_an_old_one_is_dumped_as_ever():
    square, wide = (load_recipe("pix2pix", [f"data.size={size}"]) for size in ("256", "[192, 256]"))
    assert (square.to_json()["data"]["size"], square.to_json()["data"]["load_size"]) == (256, None)
    assert type(square.data.size) is int and "  size: 256\n  load_size: null\n" in square.to_yaml()
    assert wide.to_json()["data"]["size"] == [192, 256]
    assert parse_recipe(wide.to_json(), "again") == wide and parse_recipe(square.to_json(), "again") == square
    assert data("size=[192.0, 1e3]", "load_size=[1e3, 1e3]").crop == (192, 1000), "whole numbers, as YAML writes them"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["size=[0, 256]"], r"'data.size': expected a whole number from 8 to 4096, .*, got \[0, 256\]"),
        (["size=[64, 5000]"], r"'data.size': expected a whole number from 8 to 4096, .*, got \[64, 5000\]"),
        (
            ["size=[1, 2, 3]"],
            r"'data.size': a size is one number for squares, or two, \[height, width\], got \[1, 2, 3",
        ),
        (["size=[64]"], r"'data.size': a size is one number"),
        (["size={height: 64, width: 32}"], r"'data.size': a size is one number"),
        (["size=[64, wide]"], r"e.g. 'data.size=\[192, 256\]', got \[64, \"wide\"\]"),
        (
            ["size=64x32"],
            r"or a list of 2, each a whole number from 8 to 4096, e.g. 'data.size=\[192, 256\]', got \"64x32\"",
        ),
        (
            ["size=[48, 80]", "load_size=[60, 79]"],
            r"load_size \[60, 79\] is smaller than size \[48, 80\]: no crop fits",
        ),
        (["size=80", "load_size=[79, 90]"], r"load_size \[79, 90\] is smaller than size 80: no crop fits"),
        (
            ["size=[48, 80]", "load_size=[0, 90]"],
            r"'data.load_size': expected a whole number, 8 or more, or .*, got \[0, 90\]",
        ),
    ],
)
def test_sizes_that_make_no_sense_are_refused_in_words(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        data(*settings)


def test_a_mistaken_whole_number_of_a_named_domain_is_taken_too():
    """Its place names the form of the setting, as that of one of two sides does."""
    assert data("domains={mr: {channels: 1.0}}").domain_settings["mr"].channels == 1


# Decoding


@pytest.mark.parametrize(
    ("size", "part", "short", "floor"),
    [  # the centre's rows and columns, and the sizes that cover [20, 40]
        ((30, 90), (slice(0, 30), slice(15, 75)), (20, 60), (20, 60)),
        ((90, 30), (slice(37, 52), slice(0, 30)), (120, 40), (120, 40)),
        ((25, 50), (slice(0, 25), slice(0, 50)), (20, 40), (20, 40)),
        ((31, 85), (slice(0, 31), slice(11, 73)), (20, 55), (20, 54)),
        ((61, 55), (slice(16, 44), slice(0, 55)), (44, 40), (44, 40)),
    ],
)
def test_a_rectangle_is_made_of_an_image_as_the_recipe_says(tmp_path, size, part, short, floor):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    write(tmp_path / "a.png", Picture(pixels))
    wanted = {
        "square": resize(pixels, 20, 40),
        "centre": resize(pixels[part], 20, 40),
        "short_side": resize(pixels, *short),
        "short_side_floor": resize(pixels, *floor),
        "none": pixels,
    }
    for way, expected in wanted.items():
        assert np.array_equal(Decoding(3, (20, 40), way)(Source(tmp_path / "a.png")), expected), way


def test_a_side_covers_a_crop_whatever_the_picture():
    sizes = [(1, 1000), (1000, 3), (7, 13), (333, 333), (48, 80), (80, 48), (4001, 2999)]
    for sides in (Sides(48, 80), Sides(80, 48), Sides(64, 64), Sides(8, 4096)):
        for height, width in sizes:
            rows, columns = sides.covering(height, width)
            assert sides.fit_in(rows, columns) and (rows == sides.height or columns == sides.width)
            part = sides.largest_in(height, width)
            assert part.fit_in(height, width) and (part.height == height or part.width == width)


def test_an_image_too_small_for_a_rectangle_is_named(tmp_path):
    source = places(tmp_path / "small.png", 30, 20)
    loader = make_loader([[source]], Plain, 3, WIDE, resize="none")
    with pytest.raises(ImageError, match=r"small.png: 20 x 30 pixels are too few for a crop of 24 x 16: set a smaller"):
        loader.batch(0)
    assert make_loader([[source]], Plain, 3, TALL, resize="none").batch(0).images.shape == (1, 3, *TALL)


# Crops


@pytest.mark.parametrize("size", [TALL, WIDE, 16])
@pytest.mark.parametrize("make", [Paired, Unpaired])
def test_crops_are_those_of_a_plain_reference(tmp_path, size, make):
    split = [[places(tmp_path / f"{side}{number}.png", 33, 29, number) for number in range(3)] for side in "ab"]
    rows, columns = Sides.of(size)
    loader = make_loader(split, make, 3, size, resize="none", batch_size=4, seed=7)
    corners = set()
    for step in range(12):
        for domain, images in enumerate(loader.batch(step).sides()):
            for row, found in enumerate(shown(images)):
                drawn = generator(7, RNG, 0 if make.pairs else domain, 4 * step + row)
                top, left = int(drawn.integers(33 - rows + 1)), int(drawn.integers(29 - columns + 1))
                mirrored = drawn.random() < 0.5
                whole = split[domain][found[0, 0, 0]].read(3)
                wanted = whole[top : top + rows, left : left + columns]
                assert np.array_equal(found, wanted[:, ::-1] if mirrored else wanted)
                corners |= {top == 0, (top == 33 - rows) + 2, left == 0, (left == 29 - columns) + 2}
    assert {True, 3} <= corners, "crops reach the edges"


def files(folder):
    rng = np.random.default_rng(0)
    split = []
    for side, count in (("a", 5), ("b", 3)):
        paths = [folder / f"{side}{number}.png" for number in range(count)]
        for path in paths:
            write(path, Picture(rng.integers(0, 256, (40, 50, 3), np.uint8)))
        split.append([Source(path) for path in paths])
    return split


def test_batches_of_rectangles_are_a_pure_function_of_seed_and_step(tmp_path):
    split = files(tmp_path)
    settings = {"load_size": (18, 27), "batch_size": 4}
    augment = (Augmentation(name="Rotate", p=1), Augmentation(name="GaussNoise", p=0.5))
    reference = make_loader(split, Unpaired, 3, WIDE, seed=5, augment=augment, **settings)
    wanted = [reference.batch(step) for step in range(6)]
    assert wanted[0].a.shape == (4, 3, *WIDE)
    ways = ({"workers": 3, "cache_bytes": 10**6}, {"cache": DiskCache(tmp_path / "kept", 10**7, Decoding(3, (18, 27)))})
    for more in ways:
        for start in (0, 3):
            stream = make_loader(split, Unpaired, 3, WIDE, seed=5, augment=augment, **settings, **more).stream(start)
            for expected, found in zip(wanted[start:], stream, strict=False):
                assert torch.equal(found.a, expected.a) and torch.equal(found.b, expected.b)
            stream.close()
    other = make_loader(split, Unpaired, 3, WIDE, seed=6, augment=augment, **settings).batch(0)
    assert not torch.equal(other.a, wanted[0].a)


@pytest.mark.parametrize("size", [TALL, WIDE])
def test_crops_on_the_device_are_those_on_the_host(tmp_path, size):
    loader = make_loader(files(tmp_path), Unpaired, 3, size, load_size=(30, 30), batch_size=4, workers=0)
    told: list[str] = []
    stream = stream_of(loader, "device", None, torch.device("cpu"), told.append)(0, 1)
    for step, found in enumerate(islice(stream, 6)):
        wanted = loader.batch(step)
        assert torch.equal(found.a, wanted.a) and torch.equal(found.b, wanted.b)
    assert "cached on cpu" in told[0]


def test_the_disk_cache_keeps_shapes_apart_and_finds_what_squares_were_kept_as(tmp_path):
    source = files(tmp_path)[0][0]
    for side in (18, (18, 18), (18, 27), (27, 18)):
        way = Decoding(3, side)
        cache = DiskCache(tmp_path / "kept", 10**7, way)
        found = cache.get((0, 0), source)
        if found is None:
            cache.put((0, 0), source, way(source))
        else:
            assert side == (18, 18) and np.array_equal(found, way(source))
    folders = sorted(path.name.split("-translate")[0] for path in (tmp_path / "kept").iterdir() if path.is_dir())
    assert folders == ["2-3-square-bicubic-18", "2-3-square-bicubic-18x27", "2-3-square-bicubic-27x18"]


def test_augmentation_that_turns_pictures_is_for_squares():
    turning, level = "augment=[{name: RandomRotate90}]", "augment=[{name: VerticalFlip}]"
    assert data("size=64", turning).augment and data("size=[48, 80]", level).augment
    with pytest.raises(ConfigurationError, match=r"RandomRotate90 lays pictures on their side, and size \[48, 80\]"):
        data("size=[48, 80]", turning)


# What is measured, and the scale


def test_images_are_measured_whole_or_in_their_middle(tmp_path):
    sources = [places(tmp_path / f"{number}.png", 36, 60, number) for number in range(3)]
    (whole,) = evaluation_batches([sources], Plain, Decoding(3, WIDE), 3)
    assert np.array_equal(shown(whole.images), [resize(source.read(3), *WIDE) for source in sources])
    (middles,) = evaluation_batches([sources], Plain, Decoding(3, (20, 30), "none"), 3, size=TALL)
    assert np.array_equal(shown(middles.images), [source.read(3)[6:30, 22:38] for source in sources])


def test_whole_images_of_a_recipe_are_measured_at_its_size_or_its_scale(tmp_path):
    for domain in "AB":
        put(
            tmp_path,
            *(f"{split}{domain}/{n}.png" for split in ("train", "test") for n in range(2)),
            width=80,
            height=60,
        )
    opened = {}
    for way in ("square", "short_side", "none"):
        settings = [f"set={tmp_path}", "size=[24, 32]", f"resize={way}"]
        opened[way] = open_data(data(*settings), Paired, lambda line: None)
        opened[f"larger {way}"] = open_data(data(*settings, "load_size=[24, 40]"), Paired, lambda line: None)
    assert opened["larger square"].kind(0).scale == Scale(60, 80, (24, 40))
    assert opened["square"].kind(0).scale == Scale(60, 80, (24, 32))
    assert opened["square"].spec.size == (24, 32)
    first = {way: next(images.first(2, at_scale=True)) for way, images in opened.items()}
    assert {tuple(batch.input.shape) for batch in first.values()} == {(2, 3, 24, 32)}
    file = Source(tmp_path / "testA" / "0.png").read(3)
    assert np.array_equal(shown(first["square"].input)[0], resize(file, 24, 32))
    assert np.array_equal(shown(first["none"].input)[0], file[18:42, 24:56])
    assert [images._measured_at_scale(2) for images in opened.values()] == [False] + [True] * 5


@pytest.mark.parametrize(
    ("scale", "sizes"),
    [
        (Scale(192, 256, (96, 128)), {(192, 256): (96, 128), (512, 384): (128, 96), (192, 1024): (96, 512)}),
        (Scale(256, 256, (96, 128)), {(256, 256): (96, 128), (512, 256): (144, 96)}),  # stretched, as its files were
        (
            Scale(256, 256, (96, 128), "short_side"),
            {(256, 256): (128, 128), (90, 200): (128, 284), (90, 60): (192, 128)},
        ),
        (Scale(256, 256, (96, 128), "centre"), {(256, 256): (128, 128)}),
    ],
)
def test_a_picture_becomes_what_training_would_have_made_of_it(scale, sizes):
    for size, wanted in sizes.items():
        assert scale.size_of(*size) == wanted
        assert Sizing("trained", True, scale).working(*size) == wanted


def test_a_scale_of_rectangles_is_said_and_kept():
    scale = Scale(240, 320, (96, 128))
    assert str(scale) == "files of 320 x 240 pixels at 128 x 96"
    assert "translated at 128 x 96" in Sizing("auto", True, scale).remark(240, 320)
    facts = parse_json(json.dumps(asdict(scale)), ScaleFacts, "facts")
    kind = {"name": "a", "channels": 3, "span": (0, 1), "dtype": "uint8", "unit": "", "scale": facts}
    assert Domain.of(kind).scale == scale
    assert asdict(Scale(240, 320, 96))["side"] == 96


# Networks and methods


def of_size(name, size) -> ImageSpec:
    kind = MODELS[name]
    return replace(SPECS.get(kind.batch_type, ImageSpec(3, 16, ("a", "b"))), size=size)


def built(name, size):
    torch.manual_seed(0)
    config = MODELS[name].Config.model_validate_json(json.dumps(tiny_settings(name)))
    return MODELS[name](config, of_size(name, size))


RECTANGULAR = [name for name, kind in MODELS.items() if not issubclass(kind, Sampler) and name != "unit-digits"]


@pytest.mark.parametrize("name", RECTANGULAR)
@pytest.mark.parametrize("size", [(16, 40), (40, 16)])
def test_a_translator_learns_from_rectangles(name, size):
    model = built(name, size)
    kind = model.batch_type
    images = [torch.rand(2, 3, *size) * 2 - 1 for field in kind.kinds() if field in ("images", "reference")]
    others = {"labels": torch.eye(3)[:2], "reference labels": torch.eye(3)[1:], "index": torch.arange(2)}
    batch = kind.made_of(images, others.__getitem__)
    trainer = tiny_trainer(model)
    before = [weight.detach().clone() for weight in model.parameters()]
    for _ in range(2):
        trainer.step(batch)
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert {tuple(column.shape[-2:]) for column in model.show(batch).values()} == {size}
    assert model.convert(images[0], 1).shape == images[0].shape


@pytest.mark.parametrize("name", sorted(MODELS.keys() - set(RECTANGULAR)))
def test_what_takes_squares_only_says_so(name):
    with pytest.raises(
        ConfigurationError, match=rf"{name} .*set data.size to (one number, such as 32|32, not \[32, 64\])"
    ):
        built(name, (32, 64))


def test_a_pool_holds_rectangles():
    torch.manual_seed(0)
    pool = ImagePool(2, 3, WIDE)
    first = torch.rand(2, 3, *WIDE)
    assert torch.equal(pool.exchange(first), first) and torch.equal(pool.images, first)
    later = torch.cat([pool.exchange(torch.full((1, 3, *WIDE), 2.0)) for _ in range(20)])
    assert any(torch.equal(image, one) for image in later for one in first)
    assert ImagePool(2, 3, 16).images.shape == (2, 3, 16, 16)


def test_a_unet_halves_as_often_as_both_sides_allow():
    for size, levels in {64: 6, (48, 80): 4, (64, 256): 6, (96, 64): 5, (64, 48): 4}.items():
        assert UNetSettings(filters=1).build(3, size).settings.levels == levels
    with pytest.raises(ConfigurationError, match=r"set data.size to \[64, 68\] or \[64, 72\]$"):
        UNetSettings(filters=1).build(3, (64, 70))
    network = UNetSettings(filters=1).build(3, (48, 80)).eval()
    assert network(torch.zeros(1, 3, 48, 80)).shape == (1, 3, 48, 80)


def test_stargans_discriminator_reads_labels_off_a_whole_rectangle():
    torch.manual_seed(0)
    wide = StarGANDiscriminator(3, 5, (16, 32), filters=4, layers=3)
    images = torch.rand(2, 3, 16, 32)
    scores, labels = wide(images)
    assert (scores.shape, labels.shape) == ((2, 1, 2, 4), (2, 5))
    features = wide.layers(images)
    torch.testing.assert_close(labels, torch.einsum("bchw,lchw->bl", features, wide.class_head.weight))
    with pytest.raises(ValueError, match="takes images of 16x32, not 32x16"):
        wide(images.transpose(2, 3))
    again = from_port(port_state(wide))
    assert again.size == (16, 32) and torch.equal(again(images)[1], labels)
    assert StarGANDiscriminator(3, 5, 16, filters=4, layers=3).class_head.weight.shape == (5, 16, 2, 2)


# What comes after


@pytest.mark.parametrize(
    ("size", "read"), [((96, 128), (48, 64)), ((40, 24), (40, 24)), (128, (64, 64)), (20, (20, 20))]
)
def test_the_classifier_reads_pictures_in_their_proportions(size, read):
    spec = replace(SPECS[MODELS["stargan"].batch_type], size=size)
    classifier = Classifier(spec).eval()
    assert classifier.size == read
    assert classifier(torch.rand(2, 3, *Sides.of(size))).shape == (2, 3)
    assert f"to {read[1]} x {read[0]}," in classifier.resize


def test_the_way_to_other_projects_says_what_rectangles_need():
    theirs = script("200-G.ckpt", StarGANGenerator(3, 5, filters=4, blocks=6), (192, 256), True)
    assert theirs == "no option of theirs takes rectangles, and this network was trained at 256 x 192 pixels"
    facts = {"recipe": {"name": "mine", "model": {"name": "pix2pix"}, "data": {}}, "step": 5, "channels": 3}
    sizes = {size: card(facts | {"size": size}, ["b"]) for size in (256, (192, 256))}
    assert "at 256 pixels" in sizes[256] and "at 256 x 192 pixels" in sizes[192, 256]


def test_rendered_scenes_are_square():
    with pytest.raises(
        ConfigurationError, match=r"scenes are square, and data.size is \[48, 64\]: set data.size to one"
    ):
        open_data(data("set=shapes", "size=[48, 64]"), Paired, lambda line: None)
