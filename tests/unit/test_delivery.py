"""A translation is delivered as what the images of its domain are, whatever came in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from test_converter import Negative
from tiny import CPU
from torch import Tensor

from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.values import UNIT
from translate.inference.converter import Converter
from translate.inference.delivery import fits, form_of, written_as
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import Depth
from translate.models.base import ImageSpec, Request

RNG = np.random.default_rng(0)
MR, CT = Domain("mr", 1, (0, 1000), "uint16"), Domain("ct", 1, (-1000, 900), "int16", "HU")
TYPES = {"uint8": UNIT, "uint16": UNIT, "int16": (-1000.0, 900.0), "float32": (-3.0, 5.0), "float64": (-3e5, 5e5)}
"""The span of each type."""


class Unchanged(Negative):
    """Gives its input, as the mean of its channels where the target has one, and repeated where it has more."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels

    def convert(self, images: Tensor, to: int = 1) -> Tensor:
        return images if images.shape[1] == self.channels else images.mean(1, True).expand(-1, self.channels, -1, -1)


def converter(given: Domain, target: Domain) -> Converter:
    spec = ImageSpec(max(given.channels, target.channels), 16, ("a", "b"), each=(given, target))
    return Converter(Unchanged(target.channels), spec, CPU)


def values_of(kind: str, *shape: int) -> np.ndarray:
    """Values of that type which span all that its domain does."""
    span = TYPES[kind] if TYPES[kind] != UNIT else (0, np.iinfo(kind).max)
    values = RNG.uniform(*span, shape)
    values.flat[0], values.flat[-1] = span
    return values.round().astype(kind) if np.dtype(kind).kind != "f" else values.astype(kind)


def scaled(values: np.ndarray, given: Domain, target: Domain) -> np.ndarray:
    """The same place between the ends of another domain, as float64."""
    low, high = given.ends
    least, largest = target.ends
    return least + (values.astype(np.float64) - low) / (high - low) * (largest - least)


@pytest.mark.parametrize(("came", "goes"), list(product(TYPES, TYPES)))
@pytest.mark.parametrize("order", "<>")
def test_every_type_becomes_every_other_and_its_own_unchanged(tmp_path: Path, came: str, goes: str, order: str) -> None:
    given, target = Domain("a", 1, TYPES[came], came), Domain("b", 1, TYPES[goes], goes)
    values = values_of(came, 9, 7)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "x.tif", values, byteorder=order, metadata=None)
    assert not convert_folder(converter(given, target), plan(tmp_path / "in", tmp_path / "out"), Request.to(1)).failed
    found = tifffile.imread(tmp_path / "out" / "x.tif")
    assert found.dtype == np.dtype(goes) and found.shape == values.shape
    wanted, step = scaled(values, given, target), (target.ends[1] - target.ends[0]) / 65535
    allowed = 0.51 * step if goes.startswith("float") else max(0.51, 1.01 * step)
    assert np.abs(found - wanted).max() <= allowed * 1.01
    if came == goes and not came.startswith("float"):
        assert (found == values).all(), "to the bit"


@pytest.mark.parametrize("channels", list(product([1, 3, 13], [1, 3, 13])))
def test_channels_are_those_of_the_target(tmp_path: Path, channels: tuple[int, int]) -> None:
    given, target = Domain("a", channels[0], UNIT, "uint8"), Domain("b", channels[1], UNIT, "uint8")
    (tmp_path / "in").mkdir()
    planes = RNG.integers(0, 256, (channels[0], 9, 7), dtype=np.uint8)
    colour = "rgb" if channels[0] == 3 else "minisblack"
    planarconfig = "separate" if channels[0] > 1 else None
    stored = planes if channels[0] > 1 else planes[0]
    tifffile.imwrite(tmp_path / "in" / "x.tif", stored, planarconfig=planarconfig, photometric=colour, metadata=None)
    model = converter(given, target)
    model.fitting.tile = "off"
    outcome = convert_folder(model, plan(tmp_path / "in", tmp_path / "out"), Request.to(1))
    assert not outcome.failed
    found = images.read(tmp_path / "out" / "x.tif").pixels
    assert found.shape == (9, 7, channels[1]) and found.dtype == np.uint8
    if channels[0] == channels[1]:
        assert (found == planes.transpose(1, 2, 0)).all()


def test_bands_of_rows_deliver_the_same(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    values = values_of("uint16", 40, 24) // 66
    tifffile.imwrite(tmp_path / "in" / "x.tif", values, metadata=None)
    for name, tile in (("whole", "off"), ("rows", 8)):
        model = converter(MR, CT)
        model.fitting.tile = tile  # type: ignore[assignment]
        assert not convert_folder(model, plan(tmp_path / "in", tmp_path / name), Request.to(1)).failed
    whole, rows = (tifffile.imread(tmp_path / name / "x.tif") for name in ("whole", "rows"))
    assert whole.dtype == np.int16 and (whole == rows).all()


@pytest.mark.parametrize(
    ("depth", "dtype", "ends"),
    [("same", "uint16", (0, 1000)), ("8", "uint8", (0, 255)), ("16", "uint16", (0, 65535)),
     ("float", "float32", (-1000, 900)), ("target", "int16", (-1000, 900))],
)  # fmt: skip
def test_another_depth_may_be_wanted(tmp_path: Path, depth: Depth, dtype: str, ends: tuple[float, float]) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "x.tif", np.array([[0, 250, 1000]], np.uint16), metadata=None)
    model = converter(MR, CT)
    model.depth = depth
    assert not convert_folder(model, plan(tmp_path / "in", tmp_path / "out"), Request.to(1)).failed
    found = tifffile.imread(tmp_path / "out" / "x.tif")
    assert found.dtype == np.dtype(dtype)
    low, high = ends
    assert np.abs(found - (low + np.array([[0, 0.25, 1]]) * (high - low))).max() <= (
        0.51 if dtype != "float32" else 0.02
    )


def test_models_that_do_not_know_their_target_keep_what_came_in() -> None:
    unknown = Domain("b", 1, (0, 9))
    picture = images.Picture(np.zeros((2, 2, 1), np.uint16), span=(0, 9), kind=np.dtype(np.int32))
    assert form_of(unknown, picture, "target") == Domain("b", 1, (0, 9), "int32")
    assert form_of(unknown, images.Picture(np.zeros((2, 2, 1), np.uint8)), "target").dtype == "uint8"
    assert written_as(CT, "same").type is None


def test_png_holds_what_it_holds() -> None:
    assert fits(".png", Domain("x", 3, UNIT, "uint16")) and fits(".png", Domain("x", 1, (0, 4095), "uint16"))
    assert not fits(".png", CT) and not fits(".png", Domain("x", 13, UNIT, "uint8")) and fits(".TIF", CT)
    assert not fits(".jpg", Domain("x", 1, (0, 4095), "uint16"))


def test_the_place_follows_the_input_and_the_meaning_of_values_the_target(tmp_path: Path) -> None:
    meaning = '<GDALMetadata><Item name="OFFSET" sample="0" role="offset">-25</Item></GDALMetadata>'
    place = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0, 0, 0, 5e5, 4e6, 0.0), True),
             (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True), (50844, "d", 92, tuple(range(92)), True),
             (42112, "s", 0, meaning, True)]  # fmt: skip
    (tmp_path / "in").mkdir()
    decibels = RNG.uniform(-25, 5, (2, 9, 7)).astype(np.float32)
    tifffile.imwrite(tmp_path / "in" / "x.tif", decibels, planarconfig="separate", metadata=None, extratags=place)
    given, target = Domain("sar", 2, (-25, 5), "float32", "dB"), Domain("rgb", 3, UNIT, "uint8")
    assert not convert_folder(converter(given, target), plan(tmp_path / "in", tmp_path / "out"), Request.to(1)).failed
    with tifffile.TiffFile(tmp_path / "out" / "x.tif") as file:
        tags = file.pages[0].tags
        assert file.pages[0].dtype == np.uint8 and file.pages[0].shape == (9, 7, 3)
        assert tags[33550].value == (10.0, 10.0, 0.0) and tags[33922].value[3:5] == (5e5, 4e6)
        assert tags[34735].value == (1, 1, 0, 1, 1024, 0, 1, 1) and len(tags[50844].value) == 92
        assert 42112 not in tags, "an offset of decibels is none of shades"


@pytest.mark.parametrize("came", [np.uint8, np.uint16])
def test_alpha_follows_to_the_depth_of_the_target(tmp_path: Path, came: type) -> None:
    top = np.iinfo(came).max
    planes = np.zeros((4, 5, 2), came)
    planes[..., 1] = np.linspace(0, top, 5).astype(came)
    tifffile.imwrite(tmp_path / "x.tif", planes, photometric="minisblack", extrasamples=["unassalpha"], metadata=None)
    given = Domain("a", 1, UNIT, np.dtype(came).name)
    for target in (Domain("b", 1, UNIT, "uint8"), Domain("b", 1, UNIT, "uint16")):
        (tmp_path / target.dtype).mkdir()
        model = converter(given, target)
        convert_folder(model, plan(tmp_path / "x.tif", tmp_path / target.dtype), Request.to(1))
        alpha = images.read(tmp_path / target.dtype / "x.tif").alpha
        assert alpha is not None and alpha.dtype == np.dtype(target.dtype)
        wanted = planes[..., 1] / top * np.iinfo(target.dtype).max
        assert np.abs(alpha - wanted).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.float32, np.float64, np.uint8])
def test_arrays_are_values_of_the_domain(kind: type) -> None:
    mr = np.array([[0, 250], [125, 200]], kind)
    ct = converter(MR, CT).convert(mr, to="b")
    assert ct.shape == (2, 2) and ct.dtype == np.float32
    assert np.abs(ct - (-1000 + mr / 1000 * 1900)).max() < 0.03


def test_arrays_of_bytes_stay_bytes_and_shapes_stay() -> None:
    grey, rgb = Domain("a", 1, UNIT, "uint8"), Domain("b", 3, UNIT, "uint8")
    pixels = RNG.integers(0, 256, (5, 4), dtype=np.uint8)
    coloured = converter(grey, rgb).convert(pixels)
    assert coloured.dtype == np.uint8 and (coloured == pixels[..., None]).all() and coloured.shape == (5, 4, 3)
    same = converter(grey, grey)
    assert (same.convert(pixels) == pixels).all() and same.convert(pixels[..., None]).shape == (5, 4, 1)
    assert (same.convert(pixels.astype(np.float64)) == pixels).all(), "floats are values, too"
    many = Domain("a", 13, (0, 10), "float32")
    assert converter(many, rgb).convert(np.full((5, 4, 13), 10.0)).max() == 255


def test_values_that_no_image_of_the_domain_has_are_refused_in_its_unit() -> None:
    back = Converter(Unchanged(), ImageSpec(1, 16, ("a", "b"), each=(CT, MR)), CPU)
    with pytest.raises(ValueError, match=r"-2000.*only -1000 to 900.*values of a are in HU"):
        back.convert(np.array([[-2000.0, 40]]))
    with pytest.raises(ValueError, match="not finite"):
        back.convert(np.array([[np.nan, 40]]))
    grey = Domain("a", 1, UNIT, "uint8")
    with pytest.raises(ValueError, match=r"floats up to 1, where white is 255: multiply by 255"):
        converter(grey, grey).convert(np.array([[0.0, 1.0]]))
    with pytest.raises(ValueError, match="array of numbers"):
        converter(grey, grey).convert(np.array([[1j, 0]]))
    mask = np.array([[True, False]])
    assert converter(grey, grey).convert(mask).tolist() == [[255, 0]], "white and black"
    np.testing.assert_array_equal(back.convert(mask), back.convert(mask.astype(np.int16)), "values of 1 and 0 HU")


def test_lists_and_iterators_are_translated_one_by_one() -> None:
    model, slices = converter(MR, CT), [np.full((3, 4), value, np.uint16) for value in (0, 500, 1000)]
    several = model.convert(slices)
    assert isinstance(several, list) and [round(float(one.mean())) for one in several] == [-1000, -50, 900]
    lazily = model.convert(iter(slices))
    assert isinstance(lazily, Iterator) and round(float(next(lazily).mean())) == -1000
    tensors = model.convert([torch.zeros(1, 16, 16)])
    assert torch.equal(tensors[0], torch.zeros(1, 16, 16)), "tensors stay on the scale of [-1, 1]"


def test_a_pil_image_of_a_measured_target_holds_its_values() -> None:
    image = Image.fromarray(np.array([[0, 500, 1000]], np.uint16))
    ct = converter(MR, CT).convert(image)
    assert ct.mode == "F" and np.abs(np.asarray(ct) - [[-1000, -50, 900]]).max() < 0.03


def test_arrays_and_files_give_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    mr = values_of("uint16", 20, 30) // 66
    tifffile.imwrite(tmp_path / "in" / "x.tif", mr, metadata=None)
    model = converter(MR, CT)
    convert_folder(model, plan(tmp_path / "in", tmp_path / "out"), Request.to(1))
    assert np.abs(model.convert(mr) - tifffile.imread(tmp_path / "out" / "x.tif")).max() <= 0.52
