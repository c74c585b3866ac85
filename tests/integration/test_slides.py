"""Slides and scenes through `translate convert`: by rows the same pixels as in memory, no data kept, and what is said
of those that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from test_converter import Negative
from tiny import CPU
from ways_out import SAYS_NO_WAY, User, taken, tried

from translate.data.io import images
from translate.data.io.images import Picture
from translate.inference import fitting, slides
from translate.inference.converter import Converter
from translate.inference.fitting import Fitting
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.inference.rehearsal import Plan, rehearsed
from translate.inference.tiling.banded import RowsOfPixels, convert_rows
from translate.inference.tiling.rowmap import Bands
from translate.inference.tiling.store import FileStore
from translate.models.base import ImageSpec, Request
from translate.networks.resnet import ResnetGenerator

tifffile = pytest.importorskip("tifffile", reason="slides are written by tifffile")

GIVEN = "names what was given"
SAYS_NO_WAY |= {
    ("inference/slides", "--tile off forbids"): GIVEN,
    ("data/crops", "data.augment: {} changes values, by which pixels without data are known; leave it out"): GIVEN,
}
rng = np.random.default_rng(0)
PLACE = {33550: (0.5, 0.5, 0.0), 33922: (0.0, 0.0, 0.0, 440720.0, 3751320.25, 0.0), 34735: (1, 1, 0, 1, 1024, 0, 1, 1)}
KINDS = {33550: 12, 33922: 12, 34735: 3}


@pytest.fixture(autouse=True)
def everything_is_a_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slides, "SLIDE", 100)


def scene(path: Path, pixels: np.ndarray, nodata: str = "", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = [(tag, KINDS[tag], len(values), values, True) for tag, values in PLACE.items()]
    tags += [(42113, 2, len(nodata) + 1, nodata, True)] if nodata else []
    options = {"tile": (64, 64), "compression": "deflate", "photometric": "rgb", **options}
    if pixels.ndim == 3 and pixels.shape[2] > 1:
        options["planarconfig"] = "contig"
    tifffile.imwrite(path, pixels, metadata=None, extratags=tags, **options)
    return path


def page(path: Path) -> Any:
    with tifffile.TiffFile(path) as file:
        return file.pages[0]


@pytest.mark.parametrize("model", ["cyclegan", "pix2pix"])
def test_by_rows_the_pixels_are_those_of_the_image_in_memory_to_the_bit(
    user: Any, trained_once: Any, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained_once(model) / f"run-{model}"
    scene(tmp_path / "in" / "x.tif", rng.integers(0, 256, (331, 203, 3)).astype(np.uint8))
    written: list[type] = []
    monkeypatch.setattr("translate.inference.fitting._MAPS", 0)  # its maps lie in files, too
    monkeypatch.setattr(FileStore, "__del__", lambda self: written.append(type(self)), raising=False)
    to = ["--to", "B"] if model == "cyclegan" else []
    common = ["--size", "native", "--tile", "24", "--precision", "float32", *to]
    user.gets("convert", str(run), "in", "rows", *common)
    assert written
    user.gets("convert", str(run), "in", "whole", *common, "--max-pixels", "1000000")
    rows, whole = (images.read(tmp_path / name / "x.tif") for name in ("rows", "whole"))
    assert np.array_equal(rows.pixels, whole.pixels) and rows.pixels.std() > 1
    assert rows.exif == whole.exif and b"\x01" in (rows.exif or b"")
    assert page(tmp_path / "rows" / "x.tif").is_tiled and not page(tmp_path / "whole" / "x.tif").is_tiled
    tags = page(tmp_path / "rows" / "x.tif").tags
    assert {tag: tags[tag].value for tag in PLACE} == PLACE
    with tifffile.TiffFile(tmp_path / "rows" / "x.tif") as file:
        assert [found.shape for found in file.pages] == [(331, 203, 3), (166, 102, 3)]


def negative(channels: int = 3, **spec: Any) -> Converter:
    return Converter(Negative(), ImageSpec(channels, 16, ("a", "b"), **spec), CPU)


def converted(tmp_path: Path, converter: Converter, **options: Any) -> Any:
    return convert_folder(
        converter, plan(tmp_path / "in", tmp_path / "out"), Request.to(1), OutputOptions(overwrite=True, **options)
    )


@pytest.mark.parametrize("by_rows", [True, False])
def test_pixels_without_data_stay_so_and_no_other_becomes_one(tmp_path: Path, by_rows: bool) -> None:
    values = rng.integers(0, 256, (300, 280, 3)).astype(np.uint8)
    void = rng.random((300, 280)) < 0.3
    values[void] = 0
    values[0, 0], void[0, 0] = 255, False  # whose negative is 0, the value of no data
    values[1, 1], void[1, 1] = (0, 7, 0), False  # one band may have it
    scene(tmp_path / "in" / "x.tif", values, "0")
    assert not converted(tmp_path, negative(), max_pixels=None if by_rows else 10**6).failed
    path = tmp_path / "out" / "x.tif"
    assert page(path).is_tiled == by_rows and page(path).tags[42113].value == "0"
    expected = 255 - values
    expected[void] = 0
    expected[0, 0] = 1, 0, 0
    assert np.array_equal(tifffile.imread(path), expected)


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("nodata", ["-9999", "nan"])
def test_a_value_far_outside_of_the_span_is_no_data(tmp_path: Path, by_rows: bool, nodata: str) -> None:
    values = (rng.random((70, 90, 1)) * 8 - 3).astype(np.float32)
    void = rng.random((70, 90)) < 0.3
    values[void] = float(nodata)
    scene(tmp_path / "in" / "x.tif", values[..., 0], nodata, photometric="minisblack")
    outcome = converted(tmp_path, negative(1, span=(-3.0, 5.0)), max_pixels=None if by_rows else 10**6)
    assert not outcome.failed
    found = tifffile.imread(tmp_path / "out" / "x.tif").reshape(70, 90)
    assert np.array_equal(np.isnan(found) if nodata == "nan" else found == -9999, void)
    assert np.abs(found[~void] - (2.0 - values[..., 0][~void])).max() <= 1.01 * 8 / 65535


def test_a_translation_of_another_size_has_no_data_where_its_input_had_none(tmp_path: Path) -> None:
    values = rng.integers(1, 255, (64, 64, 3)).astype(np.uint8)
    values[:32] = 0
    scene(tmp_path / "in" / "x.tif", values, "0")
    converter = negative()
    converter.size, converter.keep_size = 32, False
    assert not converted(tmp_path, converter, max_pixels=10**6).failed
    found = tifffile.imread(tmp_path / "out" / "x.tif")
    assert found.shape == (32, 32, 3) and not found[:16].any() and found[16:].any(2).all()


def test_a_format_without_no_data_says_so(tmp_path: Path) -> None:
    scene(tmp_path / "in" / "x.tif", rng.integers(0, 256, (20, 20, 3)).astype(np.uint8), "0")
    jobs = plan(tmp_path / "in", tmp_path / "out", "png")
    outcome = convert_folder(negative(), jobs, Request.to(1), OutputOptions(max_pixels=10**6))
    assert "its no-data value 0 is left out, as PNG has none" in outcome.noted[0].note


def test_alpha_and_grey_become_what_they_would_in_memory(tmp_path: Path) -> None:
    planes = rng.integers(0, 256, (90, 70, 4)).astype(np.uint8)
    scene(tmp_path / "in" / "clear.tif", planes, extrasamples=["unassalpha"])
    scene(tmp_path / "in" / "grey.tif", planes[..., 0], photometric="minisblack")
    assert not converted(tmp_path, negative()).failed
    by_rows = {name: images.read(tmp_path / "out" / name) for name in ("clear.tif", "grey.tif")}
    assert not converted(tmp_path, negative(), max_pixels=10**6).failed
    for name, rows in by_rows.items():
        whole = images.read(tmp_path / "out" / name)
        assert np.array_equal(rows.pixels, whole.pixels)
        assert (rows.alpha is None) == (whole.alpha is None) == (name == "grey.tif")
        assert rows.alpha is None or np.array_equal(rows.alpha, planes[..., 3])


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"tile": "off"}, "which --tile off forbids; --max-pixels 1600 reads it whole"),
        ({"format": "png"}, "into TIFF only; give --format tiff, or name the output so"),
        ({"size": 16}, "give --size native, or scale it down"),
    ],
)
def test_what_is_not_converted_by_rows_names_the_way(tmp_path: Path, what: dict[str, Any], why: str) -> None:
    scene(tmp_path / "in" / "x.tif", rng.integers(0, 256, (40, 40, 3)).astype(np.uint8))
    converter = negative()
    converter.fitting.tile, converter.size = what.get("tile", "auto"), what.get("size", "auto")
    jobs = plan(tmp_path / "in", tmp_path / "out", what.get("format", "same"))
    outcome = convert_folder(converter, jobs, Request.to(1))
    assert outcome.failed[0].error.endswith(why)
    assert "x.tif: 40 x 40 pixels are converted by rows" in outcome.failed[0].error
    assert not list((tmp_path / "out").glob("*")) or not (tmp_path / "out" / "x.tif").exists()


def test_a_bad_slide_fails_alone_and_leaves_nothing(tmp_path: Path) -> None:
    pixels = rng.integers(0, 256, (300, 100, 3)).astype(np.uint8)
    scene(tmp_path / "in" / "good.tif", pixels)
    place = page(scene(tmp_path / "in" / "bad.tif", pixels)).dataoffsets[-1]
    data = bytearray((tmp_path / "in" / "bad.tif").read_bytes())
    data[place : place + 400] = bytes(400)
    (tmp_path / "in" / "bad.tif").write_bytes(bytes(data))
    images.write(tmp_path / "in" / "small.png", Picture(pixels[:9, :9]))
    outcome = converted(tmp_path, negative())
    assert [record.source.name for record in outcome.failed] == ["bad.tif"]
    assert "bad.tif: its parts cannot be decompressed" in outcome.failed[0].error
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good.tif", "small.png"}


@tried(
    ("inference/slides", "give --size native, or scale it down"),
    ("inference/slides", "into TIFF only; give --format tiff, or name the output so"),
    ("inference/slides", "--max-pixels {} reads it whole"),
)
def test_the_ways_out_of_what_is_not_converted_by_rows_work(user: User) -> None:
    run = user.run("pix2pix")
    scene(user.folder / "in" / "x.tif", rng.integers(0, 256, (90, 90, 3)).astype(np.uint8))

    def convert(*more: str) -> list[str]:
        return ["convert", run, "in", "out", "--device", "cpu", "--overwrite", *more]

    text = " ".join(user.refused(*convert(), code=3).split())
    native = taken(text, "give (--size native), or scale").split()
    text = " ".join(user.refused(*convert(*native, "--format", "png"), code=3).split())
    user.gets(*convert(*native, *taken(text, "give (--format tiff), or").split()))
    text = " ".join(user.refused(*convert(*native, "--tile", "off"), code=3).split())
    user.gets(*convert(*native, "--tile", "off", *taken(text, r"(--max-pixels \d+) reads it whole").split()))


class Room(NamedTuple):
    """Of a disk, as `shutil.disk_usage` says it."""

    free: int


@pytest.mark.parametrize("free", [0, 700_000])
def test_without_room_for_maps_statistics_are_computed_anew_and_the_pixels_are_the_same(
    user: Any, trained_once: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    run = trained_once("cyclegan") / "run-cyclegan"
    scene(tmp_path / "in" / "x.tif", rng.integers(0, 256, (331, 203, 3)).astype(np.uint8))
    common = ["--size", "native", "--to", "B", "--precision", "float32", "--device", "cpu"]
    monkeypatch.setattr("translate.inference.fitting._MAPS", 0)
    said = user.gets("convert", str(run), "in", "files", *common)
    assert "203 x 331 pixels by rows: about" in said and " MB of temporary files" in said and "anew" not in said
    monkeypatch.setattr("translate.inference.tiling.banded.shutil.disk_usage", lambda folder: Room(free))
    monkeypatch.setattr("translate.inference.forecast._LONG", 0)
    said = " ".join(user.gets("convert", str(run), "in", "anew", *common).split())
    assert "computed anew for each of 7 normalisations, as" in said and " MB of memory for rows" in said
    assert ("of temporary files" in said) == (free > 0)
    assert "x.tif: pass 2 of" in said and " left" in said
    files, anew = (images.read(tmp_path / name / "x.tif").pixels.astype(int) for name in ("files", "anew"))
    assert np.abs(files - anew).max() <= 1 and (files != anew).mean() < 0.01 and files.std() > 1


def test_batch_norm_of_running_statistics_needs_one_pass_and_no_disk(tmp_path: Path) -> None:
    network = ResnetGenerator(3, 3, filters=4, blocks=1, normalisation="batch").eval()
    fitting = Fitting(network, 3, 4, CPU)
    bands = []

    def rehearse(given: Bands) -> Plan:
        def work(pixels: RowsOfPixels, height: int, width: int, bands: Bands) -> None:
            convert_rows(network, pixels, height, width, bands, torch.uint8, lambda top, rows: None)

        bands.append(given)
        return rehearsed(work, given, (20_000, 20_000), 4, 3, np.dtype(np.uint8))

    plan = fitting.rows_only(20_000, 20_000, rehearse)
    assert plan.stored == plan.statistics == 0 < plan.held and len(plan.passes) == plan.readings == 1
    assert plan.instead is None and len(bands) == 2


@tried(
    ("inference/fitting", "set TMPDIR to a folder with more, give --tile 1, or cut it into narrower ones"),
    ("inference/forecast", "train with model.generator.normalisation=batch, which needs one pass"),
)
def test_the_ways_out_of_what_has_no_room_work(user: User) -> None:
    run = user.run("cyclegan")
    scene(user.folder / "in" / "x.tif", rng.integers(0, 256, (90, 90, 3)).astype(np.uint8))
    convert = ["convert", run, "in", "out", "--device", "cpu", "--size", "native", "--to", "B", "--overwrite"]
    user.monkeypatch.setattr("translate.inference.fitting._MAPS", 0)
    user.monkeypatch.setattr("translate.inference.tiling.banded.shutil.disk_usage", lambda folder: Room(0))
    free = fitting.free_memory
    user.monkeypatch.setattr(fitting, "free_memory", lambda device: 1000)
    text = " ".join(user.refused(*convert, code=3).split())
    assert "x.tif: its feature maps take" in text and "free for them in" in text
    user.monkeypatch.setattr(fitting, "free_memory", free)
    said = " ".join(user.gets(*convert, *taken(text, "give (--tile 1), or").split()).split())
    batch = taken(said, r"train with (\S+=batch), which needs one pass")
    user.gets(*user.train(user.recipe("cyclegan"), *batch.split(), "--dry-run", data=user.data()))
