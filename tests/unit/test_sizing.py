"""`--size`: pictures are translated at the scale of training and brought back, and a far one is remarked on once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import noise
from PIL import Image
from test_converter import Negative as OfStride8
from tiny import CPU, SPEC

from translate.data.domain import Domain
from translate.data.io.images import Picture, read, resize, write
from translate.data.io.values import UNIT
from translate.data.scale import Scale
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.inference.restoring import brought_back
from translate.inference.sizing import Sizing
from translate.models.base import Request

TO = Request.to(1)
SCALE = Scale(64, 64, 16)


class Negative(OfStride8):
    stride = 1

    @property
    def shapes(self):
        """Height and width of what it was given."""
        return [size[-2:] for size in self.sizes]


class Same(Negative):
    """Gives every image back."""

    def convert(self, images, to):
        return images


def converter(scale=SCALE, channels=3, dtype="uint8", **attributes):
    kinds = tuple(Domain(name, channels, UNIT, dtype, scale=scale) for name in "ab")
    made = Converter(Negative(), replace(SPEC, channels=channels, each=kinds), CPU)
    vars(made).update(attributes)
    return made


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_translated_at_the_trained_scale_and_brought_back(dtype, channels):
    array = noise(40, 80, channels, dtype=dtype)
    ours = converter(channels=channels, dtype=np.dtype(dtype).name, depth="same")
    found = ours.convert(array)
    assert ours.model.shapes == [(16, 32)] and found.shape == array.shape and found.dtype == dtype
    top = np.iinfo(dtype).max
    assert np.array_equal(found, resize(top - resize(array, 16, 32), 40, 80))
    ours.keep_size = False
    assert np.array_equal(ours.convert(array), top - resize(array, 16, 32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(40, 80), (9, 12)])
def test_a_translation_that_keeps_all_of_a_picture_gives_it_back_whole(dtype, size):
    """Enlarging alone would blur it."""
    array = noise(*size, 3, dtype=dtype)
    ours = converter(dtype=np.dtype(dtype).name, depth="same", model=Same())
    ours.network.model = ours.model
    assert np.array_equal(ours.convert(array), array)
    tensor = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1) / (np.iinfo(dtype).max / 2) - 1
    torch.testing.assert_close(ours.convert(tensor), tensor, atol=1e-5, rtol=0)


def test_detail_is_added_as_far_as_the_translation_keeps_it():
    picture = noise(64, 64, 3)
    small = resize(picture, 16, 16)
    same, measured = Domain("a", 3, UNIT, "uint8"), Domain("b", 3, (0, 9), "float32")
    assert np.array_equal(brought_back(small, small, picture, same, same), picture)
    assert np.array_equal(brought_back(small, small, picture, same, measured), resize(small, 64, 64))
    flat = np.full_like(small, 90)
    assert np.array_equal(brought_back(flat, small, picture, same, same), np.full_like(picture, 90))
    half = np.rint(small / 2 + 50).astype(np.uint8)
    wanted = np.rint(resize(half.astype(np.float32), 64, 64) + (picture - resize(small.astype(np.float32), 64, 64)) / 2)
    assert np.abs(brought_back(half, small, picture, same, same) - wanted.clip(0, 255)).max() <= 1


def test_native_and_near_are_the_same_to_the_bit():
    near, far = noise(18, 20, 3), noise(40, 80, 3)
    ours = converter()
    assert np.array_equal(ours.convert(near), 255 - near)
    ours.size = "native"
    assert np.array_equal(ours.convert(far), 255 - far)
    assert ours.model.shapes == [(18, 20), (40, 80)]
    unknown = converter(scale=None)
    assert np.array_equal(unknown.convert(far), 255 - far)


def test_a_number_is_the_shorter_side():
    ours = converter(scale=None, size=20)
    assert ours.convert(noise(40, 80, 3)).shape == (40, 80, 3) and ours.model.shapes == [(20, 40)]


def test_tensors_and_pil_images_go_the_same_way():
    array = noise(64, 64, 3)
    ours = converter()
    wanted = ours.convert(array).astype(float)
    pil = np.asarray(ours.convert(Image.fromarray(array))).astype(float)
    tensor = ours.convert(torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1)
    assert ours.model.shapes == [(16, 16)] * 3
    assert np.array_equal(pil, wanted)
    assert np.abs(((tensor.permute(1, 2, 0).numpy() + 1) * 127.5) - wanted).max() < 2, "rounded once less"
    ours.keep_size = False
    assert ours.convert(torch.zeros(3, 64, 32)).shape == (3, 32, 16)


def test_alpha_stays_as_it_is_and_is_resized_only_where_the_picture_is_left_so():
    array = noise(64, 64, 4)
    ours = converter()
    assert np.array_equal(ours.convert(array)[..., 3], array[..., 3])
    ours.keep_size = False
    assert np.array_equal(ours.convert(array)[..., 3:], resize(array[..., 3:], 16, 16))


def test_a_resized_picture_is_converted_in_bands_like_any_other():
    picture = Picture(noise(160, 128, 3))
    ours = converter()
    (whole,) = ours.convert_pictures([picture], TO)
    ours.fitting.tile = 4
    (banded,) = ours.convert_pictures([picture], TO)
    assert np.abs(whole.pixels.astype(int) - banded.pixels).max() <= 1


def test_a_translation_left_in_another_size_has_no_position_on_earth(tmp_path):
    exif = Image.Exif()
    exif[33550], exif[33922], exif[282], exif[305] = (10.0, 10.0, 0.0), (0.0,) * 6, 300.0, "camera"
    picture = Picture(noise(64, 64, 3), exif=exif.tobytes())
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", picture)
    for keep, tags in ((True, {33550, 33922, 282, 305}), (False, {305})):
        ours = converter(keep_size=keep)
        jobs = plan(tmp_path / "in", tmp_path / f"out-{keep}")
        outcome = convert_folder(ours, jobs, TO, OutputOptions())
        block = Image.Exif()
        block.load(read(jobs[0].output).exif)
        assert {33550, 33922, 282, 305} & set(block) == tags
        assert ["position on Earth is left out" in record.note for record in outcome.noted] == ([] if keep else [True])


def test_pictures_of_unlike_sizes_are_batched_by_the_size_they_are_translated_at(tmp_path):
    (tmp_path / "in").mkdir()
    for number, side in enumerate((48, 64, 96)):
        write(tmp_path / "in" / f"{number}.png", Picture(noise(side, side, 3)))
    ours, sizes = converter(), []
    convert = ours.convert_pictures
    ours.convert_pictures = lambda batch, request: sizes.append(len(batch)) or convert(batch, request)
    convert_folder(ours, plan(tmp_path / "in", tmp_path / "out"), TO, OutputOptions(batch=3))
    assert sizes == [3]
    assert [read(tmp_path / "out" / f"{number}.png").pixels.shape[0] for number in range(3)] == [48, 64, 96]


def test_the_first_far_picture_is_remarked_on_with_what_can_be_done():
    said = []
    ours = converter(remark=said.append)
    ours.convert(noise(18, 16, 3))
    assert said == []
    ours.convert(noise(64, 96, 3))
    ours.convert(noise(80, 80, 3))
    (line,) = said
    assert "96 x 64 pixels, where training took files of 64 x 64 pixels at 16 x 16: translated at 24 x 16" in line
    for size, keep, way in (("auto", False, "--keep-size yes"), ("native", True, "--size trained"), (40, True, "no")):
        assert way in Sizing(size, keep, SCALE).remark(64, 64)
    assert "translated at 40 x 40" in Sizing(40, True, SCALE).remark(64, 64)
    assert Sizing("native", True, None).remark(999, 999) == ""


def test_the_trained_scale_has_to_be_known_to_be_wanted():
    with pytest.raises(ConfigurationError, match="give --size N"):
        converter(scale=None, size="trained").convert(noise(64, 64, 3))
    assert [str(Sizing(*of)) for of in ((50, True, None), ("auto", True, None), ("native", False, SCALE))] == [
        "50 pixels",
        "",
        "",
    ]
    assert str(Sizing("auto", True, SCALE)) == str(Sizing("trained", True, SCALE)) == "the trained scale"
    assert str(Sizing("auto", False, SCALE)) == "the trained scale and left so"
