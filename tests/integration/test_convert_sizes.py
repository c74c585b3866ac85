"""`translate convert --size`, from the command line: what is written, what is said, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image
from ways_out import SAYS_NO_WAY, User, taken, tried

from translate.inference.provenance import MARK

SAYS_NO_WAY |= {
    ("runs/convert", "--cycle-error, which compares pixel by pixel"): "names what was given",
    ("runs/delivered", "as `translate convert` does, at {}"): "says what was found",
}


@pytest.fixture
def run(user: User) -> str:
    """Trained on files of 24 pixels at 16; the photos are larger."""
    user.photos(size=40)
    return user.run("pix2pix")


def _convert(run, out, *more):
    return ["convert", run, "photos", out, "--device", "cpu", "--precision", "float32", *more]


def _pixels(user, folder):
    return np.asarray(Image.open(user.folder / folder / "one.png"))


def test_a_far_photo_is_translated_at_the_trained_scale_and_that_is_said_once(user, run):
    said = user.gets(*_convert(run, "default"))
    line = "40 x 40 pixels, where training took files of 24 x 24 pixels at 16 x 16: translated at 16 x 16 and brought"
    assert said.count("where training took") == 1 and line in " ".join(said.split())
    user.gets(*_convert(run, "trained", "--size", "trained"))
    small = user.gets(*_convert(run, "small", "--keep-size", "no"))
    assert "left so (--keep-size yes" in " ".join(small.split())
    default, small = (_pixels(user, folder) for folder in ("default", "small"))
    assert default.shape == (40, 40, 3) and small.shape == (16, 16, 3)
    assert np.array_equal(_pixels(user, "trained"), default)
    user.gets(*_convert(run, "native", "--size", "native"))
    user.gets(*_convert(run, "forty", "--size", 40))
    assert np.array_equal(_pixels(user, "native"), _pixels(user, "forty"))
    assert not np.array_equal(_pixels(user, "native"), default)


def test_nothing_is_said_of_photos_near_the_trained_scale_nor_when_quiet(user, run):
    assert "where training took" not in user.gets(*_convert(run, "quiet", "-q"))
    user.photos(size=17)
    assert "where training took" not in user.gets(*_convert(run, "near"))


def test_a_folder_holds_translations_of_one_size(user, run):
    user.gets(*_convert(run, "out"))
    assert json.loads((user.folder / "out" / MARK).read_text())["size"] == "the trained scale"
    refused = user.refused(*_convert(run, "out", "--size", "native"))
    assert "at the trained scale" in " ".join(refused.split())
    user.gets(*_convert(run, "out", "--size", "native", "--overwrite"))


def test_a_video_keeps_its_size(user, run):
    (user.folder / "clip.mp4").touch()
    command = ["convert", run, "clip.mp4", "out.mp4", "--keep-size", "no"]
    assert "--keep-size no is not for a video" in user.refused(*command)


@tried(("inference/sizing", "give --size N, the side of its training images in pixels"))
def test_a_model_that_does_not_know_its_scale(user, run):
    user.gets("export", run, "weights", "--format", "port")
    (file,) = (user.folder / "weights").glob("*.pth")
    text = user.refused(*_convert(file, "out", "--size", "trained"))
    option = taken(" ".join(text.split()), "give (--size) N, the side of its training images")
    user.gets(*_convert(file, "out", option, 16))
