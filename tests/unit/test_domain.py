"""What the images of a domain are: found by looking at the files, or as settings say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from translate.data.batch import Labelled, Paired, Unpaired
from translate.data.checks import files
from translate.data.checks.files import Files
from translate.data.checks.folder import check
from translate.data.checks.looking import look, outwards
from translate.data.domain import Domain
from translate.data.io import codec
from translate.data.io.images import MAX_PIXELS, header
from translate.data.io.values import UNIT
from translate.data.settings import DataSettings
from translate.data.source_file import Source
from translate.errors import ConfigurationError
from translate.recipe import load_recipe
from translate.runs.image_sets.opening import open_data

RNG = np.random.default_rng(0)


def noise(*shape: int, dtype: type = np.uint8, low: float = 0, high: float = 255) -> np.ndarray:
    return (low + RNG.random(shape) * (high - low)).astype(dtype)


def tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, metadata=None, **options)
    return path


def png(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path)
    return path


def found(*paths: Path, **given: object) -> Domain:
    return look("x", list(map(Source, paths)), Files(), **given)  # type: ignore[arg-type]


def test_a_header_says_how_the_file_is_decoded(tmp_path: Path) -> None:
    import cv2

    grey, rgb = noise(9, 7), noise(9, 7, 3)
    deep, bands = noise(9, 7, 4, dtype=np.uint16, high=60000), noise(13, 9, 7, dtype=np.uint16)
    files = [
        png(tmp_path / "grey.png", grey), png(tmp_path / "rgb.png", rgb), png(tmp_path / "one.png", grey, "1"),
        png(tmp_path / "la.png", grey, "LA"), png(tmp_path / "rgba.png", rgb, "RGBA"),
        png(tmp_path / "palette.png", rgb, "P"), png(tmp_path / "deep.png", deep[..., 0]),
        png(tmp_path / "cmyk.jpg", rgb, "CMYK"), png(tmp_path / "grey.jpg", grey), png(tmp_path / "rgb.webp", rgb),
        tiff(tmp_path / "bands.tif", bands, planarconfig="separate"),
        tiff(tmp_path / "int16.tif", noise(9, 7, dtype=np.int16, low=-999)),
        tiff(tmp_path / "float.tif", noise(9, 7, dtype=np.float64), byteorder=">"),
        tiff(tmp_path / "alpha.tif", noise(9, 7, 4), photometric="rgb", extrasamples=["unassalpha"]),
        tiff(tmp_path / "further.tif", noise(9, 7, 4), photometric="rgb", extrasamples=["unspecified"]),
        tiff(tmp_path / "white.tif", grey, photometric="miniswhite"),
        png(tmp_path / "palette.tif", rgb, "P"),
    ]  # fmt: skip
    for name, planes in (("rgb16.png", deep[..., :3]), ("rgba16.png", deep)):
        cv2.imwrite(str(tmp_path / name), planes)
        files.append(tmp_path / name)
    for path in files:
        pixels = codec.decode(path.read_bytes(), MAX_PIXELS).pixels
        said = header(path)
        assert (said.height, said.width, said.bands, said.dtype) == (*pixels.shape, pixels.dtype), path.name


def test_channels_suit_all_files_of_a_domain(tmp_path: Path) -> None:
    grey, rgb = png(tmp_path / "g.png", noise(8, 8)), png(tmp_path / "c.png", noise(8, 8, 3))
    rgba = png(tmp_path / "a.png", noise(8, 8, 3), "RGBA")
    five = tiff(tmp_path / "five.tif", noise(5, 8, 8), planarconfig="separate")
    assert found(grey) == Domain("x", 1, UNIT, "uint8") and found(rgba).channels == 3
    assert found(grey, rgb, rgba) == Domain("x", 3, UNIT, "uint8")
    assert found(five, five).channels == 5 and found(five, channels=7).channels == 7


def test_values_span_what_the_files_hold_rounded_outwards(tmp_path: Path) -> None:
    first = tiff(tmp_path / "1.tif", np.array([[-998, 3]], np.int16))
    second = tiff(tmp_path / "2.tif", np.array([[12, 903]], np.int16))
    assert found(first, second) == Domain("x", 1, (-1000, 1000), "int16")
    assert found(first, second, span=(-1024, 3071)).span == (-1024, 3071)
    unit = tiff(tmp_path / "unit.tif", np.array([[0.25, 0.75]], np.float32))
    beyond = tiff(tmp_path / "beyond.tif", np.array([[0.25, 1.25]], np.float64))
    assert found(unit) == Domain("x", 1, UNIT, "float32")
    assert found(unit, beyond).dtype == "float64" and found(unit, beyond).span == (0.2, 1.3)
    assert found(tiff(tmp_path / "one.tif", np.full((2, 2), 7, np.int32))).span == (7, 8)


def test_16_bits_span_what_they_use_only_if_that_is_little(tmp_path: Path) -> None:
    dark = tiff(tmp_path / "dark.tif", np.array([[0, 900]], np.uint16))
    bright = tiff(tmp_path / "bright.tif", np.array([[0, 60000]], np.uint16))
    assert found(dark).span == (0, 1023) and found(dark).measured
    assert found(dark, bright) == Domain("x", 1, UNIT, "uint16") and not found(bright).measured
    assert found(dark, bright).ends == (0, 65535)


def test_rounding_outwards_holds_both_ends() -> None:
    for low, high in RNG.uniform(-1e4, 1e4, (500, 2)) * 10.0 ** RNG.integers(-8, 8, (500, 1)):
        least, largest = outwards(*sorted((low, high)))
        assert least <= min(low, high) and largest >= max(low, high)
        assert largest - least <= 1.3 * abs(high - low), "and little more"
    assert outwards(-1000, 900) == (-1000, 900)


def test_unreadable_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    grey = png(tmp_path / "g.png", noise(8, 8))
    assert found(tmp_path / "bad.png", grey).channels == 1
    assert found(tmp_path / "bad.png").channels == 3, "as photographs have"


def test_a_look_reads_each_header_once_and_decodes_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):  # the first ones look like label maps, as slices that show little do
        values = np.zeros((16, 16)) if number < 9 else np.full((16, 16), 900)
        values[:4, :4] = number
        tiff(tmp_path / f"trainA/{number:02}.tif", values.astype(np.uint16))
        tiff(tmp_path / f"trainB/{number:02}.tif", values.astype(np.int16))
    done: list[str] = []
    for name in ("header_of", "numbers", "decode"):
        monkeypatch.setattr(codec, name, counted(getattr(codec, name), done, name))
    images, _ = opened(tmp_path, Paired)
    assert [kind.span for kind in images.kinds] == [(0, 1023), (0, 900)] and images.kinds[0].scale is not None
    assert done.count("header_of") == 24
    assert len(done) == 24 + 24


def test_a_check_decodes_each_file_once(slices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(codec, "decode", counted(codec.decode, done, "decode"))
    assert "signed 16-bit grey, -1000 to 900" in " ".join(check(slices).facts)
    assert len(done) == 8


def counted(function: Callable[..., Any], done: list[str], name: str) -> Callable[..., Any]:
    def noted(*given: Any) -> Any:
        done.append(name)
        return function(*given)

    return noted


@pytest.mark.parametrize(("short", "quiet"), [(0.0, False), (0.0, True), (60.0, False)])
def test_long_looks_show_their_progress_unless_it_is_to_be_quiet(slices, capsys, monkeypatch, short, quiet) -> None:
    monkeypatch.setattr(files, "SHORT", short)
    data = load_recipe("pix2pix", [f"data.set={slices}"]).data
    open_data(data, Paired, lambda line: None, quiet=quiet)
    shown = capsys.readouterr().err
    assert ("looking at images: 4/4 images, 100 %" in shown) == (short == 0 and not quiet)
    assert quiet or not short or not shown, "nothing of what is short"


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    for split, count in (("train", 3), ("test", 1)):
        for number in range(count):
            tiff(tmp_path / f"{split}A/{number}.tif", noise(16, 16, dtype=np.uint16, high=1000))
            tiff(tmp_path / f"{split}B/{number}.tif", noise(16, 16, dtype=np.int16, low=-1000, high=900))
    return tmp_path


def opened(root: Path, kind: type, *overrides: str):
    told: list[str] = []
    data = load_recipe("pix2pix", [f"data.set={root}", "data.size=16", "data.load_size=16", *overrides]).data
    return open_data(data, kind, told.append), told


def test_settings_of_one_domain_go_before_what_is_found(slices: Path) -> None:
    images, told = opened(slices, Paired)
    assert [str(kind) for kind in images.kinds] == ["16-bit grey, 0 to 1023", "signed 16-bit grey, -1000 to 900"]
    said = "B: signed 16-bit grey, -1000 to 900 (data.domains.B.channels and data.domains.B.span say otherwise)"
    assert said in told
    images, _ = opened(slices, Paired, "data.domains.B.unit=HU", "data.domains.B.span=[-1024,3071]")
    assert images.kinds[1] == Domain("B", 1, (-1024, 3071), "int16", "HU") and images.domains == ("A", "B")
    images, _ = opened(slices, Paired, "data.domains={mr: {}, ct: {unit: HU}}")
    assert images.domains == ("mr", "ct") and images.kinds[1].unit == "HU"
    images, _ = opened(slices, Paired, "data.channels=3", "data.range=[-2000,2000]")
    assert {(kind.channels, kind.span) for kind in images.kinds} == {(3, (-2000, 2000))}
    with pytest.raises(ConfigurationError, match=r"data\.domains\.C: there are the domains A and B"):
        opened(slices, Paired, "data.domains.C.unit=HU")


def test_classes_are_images_of_one_kind(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        for number in range(3):
            png(tmp_path / name / f"{number}.png", noise(16, 16))
    images, _ = opened(tmp_path, Labelled)
    assert images.kinds == (Domain("images", 1, UNIT, "uint8"),)
    assert images.spec.domain(1) == Domain("dogs", 1, UNIT, "uint8") and images.spec.channels == 1
    with pytest.raises(ConfigurationError, match=r"set data\.channels and data\.range for all"):
        opened(tmp_path, Labelled, "data.domains.cats.channels=3")


def test_batches_have_the_channels_and_values_of_each_domain(slices: Path) -> None:
    for number in range(3):
        (slices / f"trainA/{number}.tif").unlink()
        png(slices / f"trainA/p{number}.png", noise(16, 16, 3))
    (slices / "testA/0.tif").unlink()
    png(slices / "testA/0.png", noise(16, 16, 3))
    images, _ = opened(slices, Unpaired, "data.flip=false", "data.layout=unpaired")
    batch = images.loader(2, 0).batch(0)
    assert batch.a.shape == (2, 3, 16, 16) and batch.b.shape == (2, 1, 16, 16)
    wanted = {
        tuple(np.rint((tifffile.imread(slices / f"trainB/{n}.tif").astype(float) + 1000) * 65535 / 1900).ravel())
        for n in range(3)
    }
    assert {tuple(image.numpy().astype(float).ravel()) for image in batch.b} <= wanted
    assert next(images.first(1)).b.shape == (1, 1, 16, 16)


@pytest.mark.parametrize("where", ["off", "disk", "device"])
def test_every_cache_gives_the_same_batches_of_unlike_domains(slices: Path, where: str, monkeypatch) -> None:
    import torch

    from translate.runs.image_sets import training_stream

    monkeypatch.setenv("TRANSLATE_HOME", str(slices / "home"))
    for number in range(3):
        tiff(slices / f"trainA/{number}.tif", noise(2, 20, 20, dtype=np.float32), planarconfig="separate")
    tiff(slices / "testA/0.tif", noise(2, 20, 20, dtype=np.float32), planarconfig="separate")

    def batches(*overrides: str):
        images, _ = opened(slices, Unpaired, "data.layout=unpaired", *overrides)
        loader = images.loader(2, 0)
        return [
            batch
            for _, batch in zip(
                range(4), training_stream(loader, images.settings, torch.device("cpu"), print)(0, 1), strict=False
            )
        ]

    for one, other in zip(batches(), batches(f"data.cache={where}"), strict=True):
        assert one.a.shape == (2, 2, 16, 16) and one.b.shape == (2, 1, 16, 16)
        assert all(torch.equal(*pair) for pair in zip(one.tensors(), other.tensors(), strict=True))


def test_check_says_what_domains_are_and_what_does_not_suit(slices: Path) -> None:
    report = check(slices)
    assert any(fact.startswith("B: signed 16-bit grey, -1000 to 900") for fact in report.facts)
    assert report.problems == ()
    tiff(slices / "trainB/0.tif", noise(5, 16, 16, dtype=np.int16), planarconfig="separate")
    settings = DataSettings.model_validate_json('{"domains": {"A": {"span": [0, 10]}, "B": {"channels": 1}}}')
    problems = "\n".join(check(slices, settings).problems)
    assert "images of 5 bands, where data.domains.B.channels is 1" in problems
    assert "values outside data.domains.A.span, 0 to 10; set a wider data.domains.A.span" in problems
