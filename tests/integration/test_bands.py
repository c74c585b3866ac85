"""Files of many bands and of floating point: read, trained on, converted and written as what they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import warm
import yaml
from test_converter import Negative
from tiny import CPU, SIZE, TINY

from translate.data.checks.folder import check
from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError, ImageError
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.formats.exported import Description
from translate.inference.jobs import plan
from translate.inference.sheets import thumbnail
from translate.models.base import ImageSpec, Request
from translate.recipe import load_recipe

tifffile = pytest.importorskip("tifffile", reason="such files are written by tifffile")

rng = np.random.default_rng(0)


def written(path: Path, planes: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, planes, metadata=None, **options)
    return path


SHADES = [np.uint8, np.uint16]
WHOLE = [np.int8, np.int16, np.int32, np.uint32]


def bands(count: int, dtype: type, height: int = 9, width: int = 7) -> np.ndarray:
    if dtype == np.float32:
        return (rng.random((height, width, count)) * 8 - 3).astype(np.float32)  # from -3 to 5
    if dtype in WHOLE:
        return rng.integers(0 if dtype == np.uint32 else -3, 6, (height, width, count)).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, count)).astype(dtype)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, *WHOLE])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_conversion_keeps_bands_and_depth(tmp_path: Path, count: int, dtype: type, planes: str) -> None:
    values = bands(count, dtype)
    stored = values if planes == "contig" else np.moveaxis(values, -1, 0)
    kind = "rgb" if count == 3 else "minisblack"
    if count == 1:
        stored, planes = values[..., 0], None
    written(tmp_path / "in" / "x.tif", stored, photometric=kind, planarconfig=planes)
    span = (0.0, 1.0) if dtype in SHADES else (-3.0, 5.0)
    converter = Converter(Negative(), ImageSpec(count, 16, ("a", "b"), span=span), CPU)
    assert not convert_folder(converter, plan(tmp_path / "in", tmp_path / "out"), Request.to(1)).failed
    found = tifffile.imread(tmp_path / "out" / "x.tif").reshape(values.shape)
    assert found.dtype == dtype
    if dtype == np.float32:
        # 16 bits are what the network is given of the span.
        assert np.abs(found - (2.0 - values)).max() <= 1.01 * 8 / 65535
    elif dtype in WHOLE:
        assert (found == (2 - values.astype(int)).clip(np.iinfo(dtype).min)).all()
    else:
        assert (found == np.iinfo(dtype).max - values).all()
    assert images.dimensions(tmp_path / "in" / "x.tif") == (9, 7)


def test_another_number_of_bands_or_range_is_said_with_the_files_name(tmp_path: Path) -> None:
    written(tmp_path / "in" / "five.tif", bands(5, np.uint8), photometric="minisblack", planarconfig="contig")
    written(tmp_path / "in" / "far.tif", bands(1, np.float32)[..., 0])
    converter = Converter(Negative(), ImageSpec(3, 16, ("a", "b")), CPU)
    outcome = convert_folder(converter, plan(tmp_path / "in", tmp_path / "out"), Request.to(1))
    five, far = sorted((record.error for record in outcome.failed), key=lambda error: "far.tif" in error)
    assert "five.tif: 5 bands, where images of the domain have 3" in five
    assert "far.tif: floating-point pixels from -2." in far and "data.range" in far
    with pytest.raises(ImageError, match="only -1 to 1"):
        images.read(tmp_path / "in" / "far.tif", span=(-1, 1))
    with pytest.raises(ImageError, match="more than the limit of 62"):
        images.read(tmp_path / "in" / "five.tif", max_pixels=62)
    with pytest.raises(ImageError, match="bands go into TIFF only"):
        images.write(tmp_path / "x.png", Picture(bands(5, np.uint8)))


@pytest.mark.parametrize("count", [1, 5])
def test_a_ct_scan_is_read_and_written_within_its_range(tmp_path: Path, count: int) -> None:
    values = rng.integers(-1000, 2001, (9, 7, count)).astype(np.int16)
    kind = {} if count == 1 else {"planarconfig": "contig"}
    path = written(tmp_path / "ct.tif", values.squeeze(), photometric="minisblack", byteorder=">", **kind)
    with pytest.raises(ImageError, match=r"ct\.tif: signed 16-bit pixels from -\d+ to \d+; .*data\.range"):
        images.read(path)
    images.write(tmp_path / "back.tif", images.read(path, span=(-1000, 2000)))
    found = tifffile.imread(tmp_path / "back.tif")
    assert found.dtype == np.int16 and (found == values.squeeze()).all()
    images.write(
        tmp_path / "x.tif", Picture(np.array([[[0], [65535]]], np.uint16), span=(-200, 70_000), kind=values.dtype)
    )
    assert tifffile.imread(tmp_path / "x.tif").tolist() == [[-200, 32767]], "what the type cannot hold is clipped"


def test_unsigned_32_bits_are_read_beyond_what_signed_ones_hold(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tif", np.array([[0, 4_000_000_000]], np.uint32))
    assert images.read(path, span=(0, 4e9)).pixels.ravel().tolist() == [0, 65535]


def test_straight_alpha_beside_whole_numbers_is_clear_to_opaque(tmp_path: Path) -> None:
    planes = np.dstack([bands(3, np.int16), np.full((9, 7), 32767, np.int16)])
    path = written(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="contig", extrasamples=["unassalpha"])
    picture = images.read(path, span=(-3, 5))
    assert (picture.alpha == 65535).all()
    images.write(tmp_path / "y.tif", picture)
    assert (tifffile.imread(tmp_path / "y.tif") == planes).all()


def test_pixels_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    values = bands(1, np.float32)[..., 0]
    values[2, 3], values[4, 5] = np.nan, np.inf
    for span in ((-3.0, 5.0), None):
        with pytest.raises(ImageError, match=r"x\.tif: holds 2 values that are not finite numbers"):
            images.decode(written(tmp_path / "x.tif", values).read_bytes(), tmp_path / "x.tif", span=span)


def test_no_kind_of_tiff_needs_more_than_is_always_installed(tmp_path: Path) -> None:
    floats = written(tmp_path / "grey.tif", bands(1, np.float32)[..., 0], compression="zlib", byteorder=">")
    many = written(tmp_path / "many.tif", bands(5, np.uint8), photometric="minisblack", planarconfig="contig")
    code = (
        "import sys; sys.modules |= dict.fromkeys(['tifffile', 'imagecodecs', 'cv2'])\n"
        "from pathlib import Path; from translate.data.io import images\n"
        f"for path in ({str(floats)!r}, {str(many)!r}):\n"
        "    picture = images.read(Path(path), span=(-3, 5))\n"
        "    images.write(Path(path + '.again.tif'), picture)\n"
    )
    assert warm.run([sys.executable, "-c", code]).returncode == 0
    for path in (floats, many):
        before, after = tifffile.imread(path), tifffile.imread(f"{path}.again.tif")
        assert before.dtype == after.dtype and np.abs(before.astype(float) - after).max() <= 0.51 * 8 / 65535


def test_many_bands_are_read_without_a_word_of_other_libraries(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tif", bands(13, np.uint8), photometric="minisblack", planarconfig="contig")
    (tmp_path / "empty.tif").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    code = (
        "from pathlib import Path; from translate.data.io import images\n"
        f"images.read(Path({str(path)!r}))\n"
        f"try: images.read(Path({str(tmp_path / 'empty.tif')!r}))\n"
        "except images.ImageError as error: print(error)"
    )
    # A process of its own: pytest takes what is logged.
    found = warm.run([sys.executable, "-c", code])
    assert found.returncode == 0 and found.stderr == "" and "empty.tif" in found.stdout


def test_a_damaged_file_of_bands_is_an_image_error(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tif", bands(5, np.uint16), photometric="minisblack", planarconfig="contig")
    whole = path.read_bytes()
    for end in (9, 60, len(whole) // 2):
        (tmp_path / "cut.tif").write_bytes(whole[:end])
        with pytest.raises(ImageError, match=r"cut\.tif"):
            images.read(tmp_path / "cut.tif")


def test_the_range_of_a_recipe_rises() -> None:
    assert load_recipe("cyclegan", ["data.channels=5", "data.range=[-1, 3]"]).data.range == (-1, 3)
    with pytest.raises(ConfigurationError, match="range is 3 to 3"):
        load_recipe("cyclegan", ["data.range=[3, 3]"])


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_12_bits_in_16_fill_the_range_and_come_back_as_they_were(tmp_path: Path, suffix: str, channels: int) -> None:
    values = rng.integers(0, 4096, (9, 7, channels)).astype(np.uint16)
    values[0, 0], values[0, 1] = 0, 4095
    alpha = rng.integers(0, 65536, (9, 7)).astype(np.uint16)
    (tmp_path / "in").mkdir()
    images.write(tmp_path / "in" / f"x.{suffix}", Picture(values))
    images.write(tmp_path / "in" / f"clear.{suffix}", Picture(values, alpha))
    read = images.read(tmp_path / "in" / f"x.{suffix}", span=(0, 4095))
    assert (read.pixels[0, 0] == 0).all() and (read.pixels[0, 1] == 65535).all()
    converter = Converter(Negative(), ImageSpec(channels, 16, ("a", "b"), span=(0, 4095)), CPU)
    assert not convert_folder(converter, plan(tmp_path / "in", tmp_path / "out"), Request.to(1)).failed
    found, clear = (images.read(tmp_path / "out" / f"{name}.{suffix}") for name in ("x", "clear"))
    assert (found.pixels == 4095 - values).all() and found.pixels.dtype == np.uint16
    assert clear.alpha is not None and (clear.alpha == alpha).all() and clear.pixels.max() <= 4095
    with pytest.raises(ImageError, match=r"x\.\w+: 16-bit pixels from 0 to 4095; only 0 to 4000 is accepted"):
        images.read(tmp_path / "in" / f"x.{suffix}", span=(0, 4000))


def test_an_array_of_16_bits_is_read_as_its_file_would_be() -> None:
    converter = Converter(Negative(), ImageSpec(1, 16, ("a", "b"), span=(0, 4095)), CPU)
    values = rng.integers(0, 4096, (9, 7, 1)).astype(np.uint16)
    assert (converter.convert(values, to="b") == 4095 - values).all()
    with pytest.raises(ValueError, match="only 0 to 4095"):
        converter.convert(values + np.uint16(4095), to="b")
    shades = (values // 16).astype(np.uint8)
    assert (converter.convert(shades, to="b") == 255 - shades).all(), "8 bits are shades whatever the range"


def test_a_range_that_a_check_proposes_holds_every_value(tmp_path: Path) -> None:
    for folder, values in (("trainA", (-3.45678912, 1.23456123)), ("trainB", (0.5, 70_123.45))):
        path = written(tmp_path / folder / f"{folder}.tif", np.array([values] * 4, np.float32))
    a, b = (fact for fact in check(tmp_path).facts if "say otherwise" in fact)
    assert "A: floating-point grey, -3.5 to 1.3 (" in a and "B: floating-point grey, 0 to 71000 (" in b
    assert images.read(path, span=(0, 71000)).pixels.size


def test_a_check_tells_shades_that_are_nearly_black(tmp_path: Path) -> None:
    for folder, top, kind in (("trainA", 4000, np.uint16), ("trainB", 5, np.uint8)):
        (tmp_path / folder).mkdir()
        for index in range(2):
            pixels = rng.integers(0, top + 1, (9, 7, 1)).astype(kind)
            pixels[0, 0] = top
            images.write(tmp_path / folder / f"{folder}{index}.png", Picture(pixels))
    notes = "\n".join(check(tmp_path).notes)
    assert "train B: 2 of 2 images looked at have 8-bit shades up to 5 of 255 only" in notes
    assert "16-bit shades" not in notes
    told = "\n".join(check(tmp_path).facts)
    assert "A: 16-bit grey, 0 to 4095 (data.domains.A.channels" in told and "B: 8-bit grey (data.domains.B" in told
    full = "\n".join(check(tmp_path, DataSettings(range=(0, 1))).notes)
    assert "train A: 2 of 2 images looked at have 16-bit shades up to 4,000 of 65,535 only" in full


def test_a_check_tells_that_bands_of_one_domain_differ(tmp_path: Path) -> None:
    for folder, counts in (("trainA", (5, 5)), ("trainB", (3, 5))):
        for index, count in enumerate(counts):
            kind = "rgb" if count == 3 else "minisblack"
            path = tmp_path / folder / f"{folder}{index}.tif"
            written(path, bands(count, np.uint8), photometric=kind, planarconfig="contig")
    (problem,) = check(tmp_path).problems
    assert problem.startswith("images of 3 bands, where data.domains.B.channels is 5: 1: ")
    assert problem.endswith("trainB0.tif")


def test_pages_are_not_taken_for_bands(tmp_path: Path) -> None:
    written(tmp_path / "stack.tif", np.moveaxis(bands(5, np.uint8), -1, 0), photometric="minisblack")
    with pytest.raises(ImageError, match=r"stack\.tif: 1 band, where .* 5 .*; its other pages are not read"):
        images.refuse_other_bands(images.read(tmp_path / "stack.tif"), 5, tmp_path / "stack.tif")


def test_a_check_tells_bands_and_range(run_cli, tmp_path: Path) -> None:
    for split in ("trainA", "trainB", "testA", "testB"):
        for index in range(2):
            path = tmp_path / "data" / split / f"{split}{index}.tif"
            values = bands(5, np.float32, 24, 20).clip(-2, 4)
            written(path, values, photometric="minisblack", planarconfig="contig")
    result = run_cli("data", "check", tmp_path / "data")
    assert "2 floating-point of 5 bands" in result.stdout, result.output
    assert "A: floating-point of 5 bands, -2 to 4 (data.domains.A.channels and" in result.stdout


def trained(run_cli, folder: Path, count: int, dtype: type) -> None:
    """A run in `folder`/run on data in `folder`/data."""
    for split, number in (("train", 4), ("test", 2)):
        for domain in "AB":
            for index in range(number):
                values = bands(count, dtype, 24, 20)
                path = folder / "data" / f"{split}{domain}" / f"{domain}{index}.tif"
                plain = {} if count == 1 else {"photometric": "minisblack", "planarconfig": "contig"}
                written(path, values[..., 0] if count == 1 else values, **plain)
    span = [0, 1] if dtype in SHADES else [-3, 5]
    data = {"size": SIZE, "load_size": 18, "workers": 0, "channels": count, "range": span}
    training = {"steps": 2, "batch_size": 2, "log_every": 1, "sample_every": 2, "checkpoint_every": 2}
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"model": TINY["cyclegan"], "data": data, "training": training}))
    result = run_cli("train", recipe, "--data", folder / "data", "--out", "run", "-q", "--device", "cpu")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("count", "dtype"), [(1, np.float32), (5, np.uint16), (5, np.int16)])
def test_a_model_is_trained_on_such_files_and_converts_them(run_cli, tmp_path: Path, count: int, dtype: type) -> None:
    trained(run_cli, tmp_path, count, dtype)
    converted = run_cli("convert", "run", tmp_path / "data" / "testA", "out", "--to", "B", "-q", "--device", "cpu")
    assert converted.exit_code == 0, converted.output
    found = tifffile.imread(tmp_path / "out" / "A0.tif")
    assert found.dtype == dtype and found.shape == ((24, 20) if count == 1 else (24, 20, count))
    if dtype == np.float32:
        assert found.min() >= -3 and found.max() <= 5 and found.max() > 1.5


def test_five_bands_of_floating_point_are_shown_exported_and_evaluated(run_cli, tmp_path: Path) -> None:
    trained(run_cli, tmp_path, 5, np.float32)
    testing = tmp_path / "data" / "testA"
    looks = ["--compare", "sheets", "--gallery", "page.html", "-q"]
    result = run_cli("convert", "run", testing, "out", "--to", "B", "--device", "cpu", "--precision", "float32", *looks)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "sheets").iterdir())) == 1
    shown = np.asarray(thumbnail(testing / "A0.tif", 24, Domain("A", 5, (-3, 5), "float32")))
    level = (tifffile.imread(testing / "A0.tif")[..., :3] + 3) / 8 * 255
    assert np.abs(shown - level).max() <= 0.51, "the first three bands"
    pytest.importorskip("onnxruntime", reason="needs the extra [export]")
    pytest.importorskip("onnxscript", reason="needs the extra [export]")
    assert run_cli("export", "run", "five.onnx", "--to", "B").exit_code == 0
    result = run_cli("convert", "five.onnx", testing, "again", "-q")
    assert result.exit_code == 0, result.output
    ours, theirs = (tifffile.imread(tmp_path / where / "A0.tif") for where in ("out", "again"))
    assert np.abs(ours - theirs).max() < 0.01 * 8 and theirs.shape == (24, 20, 5)
    result = run_cli("export", "run", "weights", "--format", "port")
    assert result.exit_code == 0 and "not in these files: -3 of " in result.output and "and 5 is 1" in result.output


def test_a_file_of_older_exports_has_values_from_0_to_1() -> None:
    told = Description("x", ("a", "b"), "b", 5, 4, "floats", "0", span=(-3.0, 5.0)).to_metadata()
    assert Description.from_metadata(told).span == (-3, 5)
    del told["translate.span"]
    assert Description.from_metadata(told).span == (0, 1)
