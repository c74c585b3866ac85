"""Any kind, any size, kept: what the converter promises, on a model whose translation is known."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CPU, SPEC, SPECS, paired_folder, tiny_model
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from translate.data.batch import Unpaired
from translate.data.io.images import Picture, read, to_8_bits, to_pixels, write
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.inference.padding import pad, padded_size
from translate.models import MODELS
from translate.models.base import Request, Translator
from translate.runs.loading import load
from translate.training.runtime import Runtime
from translate.utils.settings import Settings


class Negative(Translator):
    """Turns every image into its negative; stride 8."""

    Config = Settings
    batch_type = Unpaired
    stride = 8

    def __init__(self):
        super().__init__(Settings(), SPEC)
        self.factor = nn.Parameter(torch.tensor(-1.0))
        self.sizes = []

    def generate(self, batch):
        return {}

    def turns(self):
        return []

    def targets(self):
        return [1]

    def show(self, batch):
        return {}

    def convert(self, images, to):
        self.sizes.append(tuple(images.shape))
        return images * self.factor


@pytest.fixture
def converter():
    return Converter(Negative(), SPEC, CPU)


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (16, 16), (17, 33), (8, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_keep_size_and_depth_to_the_last_level(converter, size, dtype):
    top = np.iinfo(dtype).max
    array = np.random.default_rng(0).integers(0, top + 1, (*size, 3), dtype=dtype)
    converted = converter.convert(array, to="b")
    assert converted.dtype == dtype
    assert np.array_equal(converted, top - array)
    height, width = converter.model.sizes[-1][-2:]
    assert height % 8 == width % 8 == 0 and height >= 16 and width >= 16


def test_a_model_of_four_channels_translates_alpha_too():
    array = np.random.default_rng(0).integers(0, 256, (16, 24, 4), dtype=np.uint8)
    converter = Converter(Negative(), replace(SPEC, channels=4), CPU)
    assert np.array_equal(converter.convert(array), 255 - array)


def test_grey_becomes_colour_by_rule(converter):
    assert np.array_equal(converter.convert(np.full((20, 20), 10, np.uint8)), np.full((20, 20, 3), 245, np.uint8))


def test_pil_images_keep_alpha(converter):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    converted = np.asarray(converter.convert(Image.fromarray(pixels)))
    assert converted.shape == (9, 12, 4)
    assert np.array_equal(converted[..., :3], 255 - pixels[..., :3])
    assert np.array_equal(converted[..., 3], pixels[..., 3])


def test_a_pil_image_of_16_bits_is_converted_in_16(converter):
    deep = np.random.default_rng(0).integers(0, 65536, (9, 12), dtype=np.uint16)
    for order in ("I;16", "I;16B"):
        image = Image.frombytes(order, (12, 9), deep.astype("<u2" if order == "I;16" else ">u2").tobytes())
        converted = np.asarray(converter.convert(image))
        assert converted.dtype == np.uint8 and np.array_equal(converted, to_8_bits(converter.convert(deep)))
    grey = Converter(Negative(), replace(SPEC, channels=1), CPU).convert(Image.fromarray(deep))
    assert grey.mode == "I;16" and np.array_equal(np.asarray(grey), 65535 - deep)


@pytest.mark.parametrize("mode", ["I", "F", "LAB", "HSV"])
def test_pil_images_without_a_known_range_are_refused(converter, mode):
    with pytest.raises(ValueError, match=f"mode '{mode}'"):
        converter.convert(Image.new(mode, (8, 8)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"])
def test_other_pil_modes_become_what_their_files_would(converter, mode):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)).convert(mode)
    opaque = mode not in ("LA", "PA", "RGBA")
    expected = 255 - np.asarray(photo.convert("RGB"))
    converted = converter.convert(photo)
    assert converted.mode == ("RGB" if opaque else "RGBA")
    assert np.array_equal(np.asarray(converted)[..., :3], expected)


def test_a_photo_taken_upright_comes_back_upright_as_from_the_command(converter, tmp_path):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8))
    photo.getexif()[274] = 6
    photo.save(tmp_path / "x.png", exif=photo.getexif())
    converted = np.asarray(converter.convert(Image.open(tmp_path / "x.png")))
    assert converted.shape == (24, 16, 3) and np.array_equal(converted, 255 - read(tmp_path / "x.png").pixels)


def test_what_was_converted_can_be_learned_from(converter):
    output = converter.convert(torch.zeros(3, 8, 8))
    assert not output.requires_grad and not output.is_inference()
    weight = torch.ones(1, requires_grad=True)
    (output * weight).square().mean().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("given", ["photo.png", {"photo": torch.zeros(3, 8, 8)}, None])
def test_other_kinds_are_refused_by_what_is_accepted(converter, given):
    with pytest.raises(TypeError, match="a tensor, an array or a PIL image"):
        converter.convert(given)


@pytest.mark.parametrize("value", [255.0, -2.0, float("nan"), float("inf")])
def test_floats_out_of_range_are_refused_and_rounding_is_not(converter, value):
    images = torch.zeros(3, 8, 8)
    images[0, 0, 0] = value
    with pytest.raises(ValueError, match=r"expected in \[-1, 1\]"):
        converter.convert(images)
    images[0, 0, 0] = 1.002
    assert converter.convert(images).shape == images.shape


def test_booleans_are_black_and_white(converter):
    mask = np.random.default_rng(3).random((24, 20)) > 0.5
    wanted = converter.convert(mask * np.uint8(255))
    np.testing.assert_array_equal(converter.convert(mask), wanted)
    np.testing.assert_array_equal(np.asarray(converter.convert(Image.fromarray(mask))), wanted)
    planes = torch.from_numpy(np.repeat(mask[None], 3, 0))
    assert torch.equal(converter.convert(planes), converter.convert(planes.to(torch.uint8) * 255))


def test_tensors_keep_shape_and_kind(converter):
    floats = torch.rand(2, 3, 10, 11) * 2 - 1
    torch.testing.assert_close(converter.convert(floats), -floats)
    torch.testing.assert_close(converter.convert(floats[0]), -floats[0])
    pixels = torch.randint(0, 256, (3, 10, 11), dtype=torch.uint8)
    assert torch.equal(converter.convert(pixels), 255 - pixels)


def test_a_wrong_shape_or_domain_says_what_is_expected(converter):
    with pytest.raises(ValueError, match="trained on 3 channels"):
        converter.convert(torch.zeros(1, 4, 8, 8))
    with pytest.raises(ValueError, match="expected a tensor"):
        converter.convert(torch.zeros(8, 8))
    with pytest.raises(ValueError, match="uint8 or uint16"):
        converter.convert(np.zeros((8, 8, 3)))
    with pytest.raises(ConfigurationError, match="converts to b"):
        converter.convert(torch.zeros(3, 8, 8), to="a")


@pytest.mark.parametrize("to", [1, 0, ["b", 1], 1.5])
def test_a_target_that_is_no_name_is_refused_with_the_names_there_are(converter, to):
    with pytest.raises(TypeError, match=r"expected the name of a domain, b, not (int|float)"):
        converter.convert(torch.zeros(3, 8, 8), to=to)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(3, 0, 0),
        torch.zeros(0, 3, 8, 8),
        torch.zeros(3, 8, 0, dtype=torch.uint8),
        np.zeros((0, 8, 3), np.uint8),
        Image.new("RGB", (0, 4)),
    ],
    ids=["tensor", "no images", "bytes", "array", "PIL image"],
)
def test_images_without_a_pixel_are_refused(converter, images):
    with pytest.raises(ValueError, match="of at least one pixel"):
        converter.convert(images)


def test_padding_reflects_as_often_as_needed():
    image = torch.arange(3.0)[None, None, :].expand(1, 1, 3)
    assert pad(image, 2, 8)[0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    reference = np.pad(np.arange(5.0), (0, 20), mode="reflect")
    assert np.array_equal(pad(torch.arange(5.0)[None, None], 1, 25)[0, 0].numpy(), reference)
    assert padded_size(1, 1, 4) == (16, 16)
    assert padded_size(17, 256, 4) == (20, 256)
    assert padded_size(300, 100, 256) == (512, 256)


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if issubclass(kind, Translator)])
@pytest.mark.parametrize("tile", ["off", 8])
def test_weights_rounded_once_give_what_autocast_gives_to_the_bit(name, tile):
    runtime = Runtime(torch.device("cpu"), bf16=True, channels_last=True)
    model = tiny_model(name)
    spec = SPECS.get(model.batch_type, SPEC)
    images = torch.rand(2, 3, spec.size, spec.size + 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    converters = [Converter(copy.deepcopy(model), spec, runtime) for _ in range(2)]
    runtime.adopt(model)
    converters[0].model = model
    for converter in converters:
        converter.fitting.tile = tile
    pictures = [Picture(to_pixels(image, torch.uint8).permute(1, 2, 0).numpy()) for image in images]
    request = Request.to(model.targets()[0])
    cast_each_time, cast_once = (converter.convert_pictures(pictures, request) for converter in converters)
    for one, other in zip(cast_each_time, cast_once, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    floats = [converter.convert_floats(images, request) for converter in converters]
    assert torch.equal(*floats)
    kinds = [
        {
            layer.weight.dtype
            for layer in converter.model.modules()
            if isinstance(layer, nn.Conv2d) and not is_parametrized(layer)  # spectral norms work out their weights
        }
        for converter in converters
    ]
    assert kinds == [{torch.float32}, {torch.bfloat16}]


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_16_bits_are_left_to_float32_unless_bf16_is_asked_for(run_cli, tiny_recipe, tmp_path, monkeypatch, precision):
    monkeypatch.setattr("translate.training.runtime._has_fast_bf16", lambda device: True)
    paired_folder(tmp_path / "data")
    assert not run_cli("train", tiny_recipe("pix2pix"), "--data", tmp_path / "data", "--out", "run").exit_code
    pixels = np.random.default_rng(0).integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    pictures = {16: Picture(pixels), 8: Picture(to_8_bits(pixels))}
    chosen, rounded, exact = (load("run", precision=name, device="cpu") for name in (precision, "bf16", "float32"))

    def output(converter, bits):
        return converter.convert_pictures([pictures[bits]], converter.request(None))[0].pixels

    assert np.array_equal(output(chosen, 8), output(rounded, 8))
    assert np.array_equal(output(chosen, 16), output(exact if precision == "auto" else rounded, 16))
    assert not np.array_equal(output(rounded, 16), output(exact, 16))


def test_pictures_of_two_depths_are_never_in_one_batch(converter, tmp_path, monkeypatch):
    (put_in := tmp_path / "in").mkdir()
    for number, kind in enumerate([np.uint8, np.uint16] * 3):
        write(put_in / f"{number}.png", Picture(np.full((8, 8, 3), number, kind)))
    batches = []
    convert = converter.convert_pictures
    monkeypatch.setattr(
        converter, "convert_pictures", lambda batch, request: batches.append(batch) or convert(batch, request)
    )
    jobs = plan(put_in, tmp_path / "out")
    assert convert_folder(converter, jobs, Request.to(1), OutputOptions(batch=3)).counts["written"] == 6
    assert [{picture.pixels.dtype for picture in batch} for batch in batches] == [{np.dtype("u1")}, {np.dtype("u2")}]
