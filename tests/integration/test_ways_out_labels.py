"""The advice of messages about label maps, followed. See `ways_out.py`."""

from __future__ import annotations

import numpy as np
import pytest
from instance_files import nuclei
from label_files import COLOURS, classes, scenes
from PIL import Image
from ways_out import User, taken, tried, ways_of


@tried(
    ("data/label_maps", "or train with more data.domains.{}.classes, or with data.domains.{}.ignore"),
)
def a_number_that_is_no_class(user: User) -> None:
    scenes(user.folder / "set", ignored=200)
    command = user.train(user.recipe("pix2pix", steps=1), "data.domains.maps.classes=3", data="set")
    text = user.refused(*command, code=2)
    keys = [taken(text, rf"(data\.domains\.maps\.{key})") for key in ("classes", "ignore")]
    user.gets(*command[:-1], *command[-1:], f"{keys[1]}=200")
    user.gets(*command[:-1], f"{keys[0]}=201", "--out", "more")


@tried(
    ("data/label_maps", "give a file of one band, or with a palette; or train with data.domains.{}.colours"),
    ("data/label_maps", "or train with data.domains.{}.colours that has it, too"),
    ("data/checks/folder", "if they stand for classes, set data.domains.{}.colours={}"),
)
def classes_in_colours(user: User) -> None:
    scenes(user.folder / "set", test=0)
    for path in (user.folder / "set" / "maps").rglob("*.png"):
        Image.fromarray(np.array(COLOURS, np.uint8)[classes(int(path.stem), 4, 32)]).save(path)
        photo = path.parents[2] / "photos" / path.parent.name / path.name
        Image.open(photo).resize((32, 32)).save(photo)
    command = user.train(user.recipe("pix2pix", steps=1), data="set")
    text = user.refused(*command, "data.domains.maps.kind=labels")
    key = taken(text, r"train with (data\.domains\.maps\.colours)")
    text = user.refused(*command, f"{key}=[[0,0,0],[200,30,30],[30,200,30]]")
    assert taken(text, r"colour (\[.*?\]) in") == "[250, 250, 90]"
    advice = taken(user.gets("data", "check", "set"), r"set (data\.domains\.maps\.colours=\[\[.*\]\])")
    user.gets(*command, advice)


@tried(
    ("models/oasis", "set data.direction to swap them, data.domains.{}.kind: labels where numbers of classes were"),
    ("networks/oasis", "take fewer model.discriminator.levels"),
)
def photos_where_oasis_takes_label_maps(user: User) -> None:
    scenes(user.folder / "set")
    command = user.train(user.recipe("oasis", steps=1), data="set")
    text = user.refused(*command, "data.direction=BtoA", "--dry-run")
    taken(text, "set (data.direction) to swap them, .* or train with pix2pix")
    as_images = user.refused(*command, "data.domains.maps.kind=image", "--dry-run")
    user.gets(*command, f"{taken(as_images, '(data.domains.maps.kind): labels')}=labels", "--dry-run")
    text = user.refused(*command, "model.discriminator.levels=6", "--dry-run")
    user.gets(*command, f"{taken(text, 'take fewer (model.discriminator.levels)')}=3", "--dry-run")


@tried(("models/oasis", "styles are random numbers, which it reads off no picture; give --style seed:7"))
def a_photo_where_styles_are_random_numbers(user: User) -> None:
    scenes(user.folder / "set")
    user.photos()
    user.gets(*user.train(user.recipe("oasis", steps=1), "--out", "run", data="set"))
    command = ["convert", "run", "set/maps/test", "out", "--device", "cpu", "--style"]
    user.gets(*command, taken(user.refused(*command, "photos/one.png"), "give --style (seed:7)"))


@tried(("networks/projected", "and {} channels are neither; set model.discriminator.kind: patch"))
def planes_that_no_classifier_sees(user: User) -> None:
    scenes(user.folder / "set")
    command = user.train(user.recipe("pix2pix", steps=1), "--dry-run", "data.domains.maps.classes=5", data="set")
    text = user.refused(*command, "model.discriminator.kind=projected")
    user.gets(*command, f"model.discriminator.kind={taken(text, r'set model[.]discriminator[.]kind: (patch)')}")


@tried(("models/pix2pix", "model.perceptual compares grey or RGB images, and {} is {}: set model.perceptual=0"))
def classes_that_no_classifier_sees(user: User) -> None:
    scenes(user.folder / "set")
    command = user.train(user.recipe("pix2pix", steps=1), "--domains", "photos,maps", "--dry-run", data="set")
    user.gets(*command, taken(user.refused(*command, "model.perceptual=1"), r"set (model\.perceptual=0)"))


@tried(("inference/video", "--steady: blends colours, and translations are {}; leave it out"))
def classes_that_cannot_be_blended(user: User) -> None:
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    scenes(user.folder / "set")
    train = user.train(user.recipe("pix2pix", steps=1), "--domains", "photos,maps", "--out", "run", data="set")
    user.gets(*train)
    clip(user.folder / "clip.mp4")
    command = ["convert", "run", "clip.mp4", "out.mp4", "--device", "cpu"]
    taken(user.refused(*command, "--steady"), "(--steady): blends colours, .* leave it out")
    user.gets(*command)


@tried(
    ("models/images", "train with pix2pix, or set data.domains.{}.kind: image to take the numbers for shades of grey")
)
def labels_for_a_method_of_images(user: User) -> None:
    scenes(user.folder / "set")
    command = user.train(user.recipe("cyclegan", steps=1), "data.layout=unpaired", "model.identity=0", data="set")
    text = user.refused(*command)
    user.gets(*command, taken(text, r"set (data\.domains\.maps\.kind: image)").replace(": ", "="))
    user.gets(*user.train(user.recipe(taken(text, r"train with (\w+)"), steps=1), "--out", "other", data="set"))


@tried(
    ("models/images", "which can be the input only: set data.direction: {} to translate from them, or data.domains.{}"),
    ("data/instance_maps", "or train with data.domains.{}.kind=image, which takes it as it is"),
)
def instance_maps_as_the_target(user: User) -> None:
    nuclei(user.folder / "set")
    command = user.train(user.recipe("pix2pix", steps=1), data="set")
    text = user.refused(*command, "data.direction=BtoA")
    user.gets(*command, taken(text, r"set (data\.direction: \w+)").replace(": ", "="))
    grey = taken(text, r"or (data\.domains\.instances\.kind: image)").replace(": ", "=")
    said = ("data.direction=BtoA", grey, "--out", "other")
    text = user.refused(*command, "data.domains.microscopy.kind=instances", *said, code=2)
    user.gets(*command, taken(text, r"train with (data\.domains\.microscopy\.kind=image)"), *said)


@tried(
    ("runs/convert", "--format {}: {}: give --format {}, or leave it out"),
)
def label_maps_in_a_format_that_changes_numbers(user: User) -> None:
    scenes(user.folder / "set")
    user.gets(*user.train(user.recipe("pix2pix", steps=1), "data.direction=BtoA", "--out", "run", data="set"))
    command = ["convert", "run", user.photos(), "out", "--device", "cpu"]
    text = user.refused(*command, "--format", "jpeg")
    user.gets(*command, *taken(text, r"give (--format \w+)").split())
    user.gets(*command, "--overwrite")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
