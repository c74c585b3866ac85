"""Tiled TIFFs written by rows: read back by tifffile, pyramids against means of float64, no data against both."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import noise
from PIL import Image

from translate.data.io import images, tiff_tiled
from translate.data.io.nodata import marked, missing_in, value_for
from translate.data.io.tiff_tiled import TiledWriter

tifffile = pytest.importorskip("tifffile", reason="files are read back by tifffile")


def _written(pixels: np.ndarray, steps: tuple[int, ...] = (7,), bands: int | None = None, **more: Any) -> bytes:
    file, top, turn = BytesIO(), 0, 0
    writer = TiledWriter(file, pixels.shape, pixels.dtype, bands or pixels.shape[2], **more)
    while top < len(pixels):
        writer.write(pixels[top : top + steps[turn % len(steps)]])
        top, turn = top + steps[turn % len(steps)], turn + 1
    writer.close()
    return file.getvalue()


def _pages(data: bytes) -> list[Any]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        return [page.asarray() for page in file.pages]


def _means(pixels: np.ndarray) -> np.ndarray:
    """Halved by the definition, pixel by pixel: the mean of those of the 2 x 2 that exist, half up."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels.astype(np.float64), ((0, height % 2), (0, width % 2), (0, 0)), constant_values=np.nan)
    four = np.stack([padded[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    mean = np.nanmean(four, 0)
    return mean.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.floor(mean + 0.5).astype(pixels.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int16])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (256, 257), (700, 531), (513, 300)])
def test_every_pixel_and_every_level_of_the_pyramid(height: int, width: int, dtype: type) -> None:
    pixels = noise(height, width, 3).astype(dtype)
    pages = _pages(_written(pixels, (1, 40, 300)))
    expected = pixels
    for page in pages:
        assert page.dtype == dtype and np.array_equal(page.reshape(expected.shape), expected)
        expected = _means(expected)
    assert max(pages[-1].shape[:2]) <= 256 and all(max(page.shape[:2]) > 256 for page in pages[:-1])


@pytest.mark.parametrize("big", [False, True])
def test_pages_say_what_they_are(big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if big:
        monkeypatch.setattr(tiff_tiled, "_CLASSIC", 1000)
    data = _written(noise(600, 300, 4), bands=3, rgb=True)
    with tifffile.TiffFile(BytesIO(data)) as file:
        assert file.is_bigtiff == big
        assert [page.shape for page in file.pages] == [(600, 300, 4), (300, 150, 4), (150, 75, 4)]
        assert [int(page.subfiletype) for page in file.pages] == [0, 1, 1]
        assert {(page.tilewidth, page.tilelength, int(page.compression)) for page in file.pages} == {(256, 256, 8)}
        assert all([int(extra) for extra in page.extrasamples] == [2] for page in file.pages)
    assert images.decode(data, "x.tif").alpha is not None


def test_our_own_reader_and_pillow_read_it(tmp_path: Path) -> None:
    from PIL import Image

    pixels = noise(300, 290, 3)
    (tmp_path / "x.tif").write_bytes(_written(pixels))
    assert np.array_equal(images.read(tmp_path / "x.tif").pixels, pixels)
    with Image.open(tmp_path / "x.tif") as image:
        assert image.n_frames == 2 and np.array_equal(np.asarray(image), pixels)


def test_rows_that_lack_are_an_error_not_a_black_end() -> None:
    writer = TiledWriter(BytesIO(), (100, 10, 1), np.dtype(np.uint8), 1)
    writer.write(noise(99, 10, 1))
    with pytest.raises(ValueError, match="99 rows were written of 100"):
        writer.close()


@pytest.mark.parametrize(("dtype", "nodata"), [(np.uint8, 0.0), (np.float32, float("nan")), (np.int16, -9999.0)])
def test_pixels_without_data_do_not_count_in_smaller_pages(dtype: type, nodata: float) -> None:
    pixels = noise(512, 400, 1).astype(dtype) // 2 + dtype(1)
    void = noise(512, 400, 1) < 90
    void[:8, :8] = True
    held = np.where(void, np.nan, pixels.astype(np.float64))
    pages = _pages(_written(np.where(void, dtype(nodata), pixels), nodata=nodata))
    four = np.stack([held[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    some = ~np.isnan(four).all(0)
    mean = np.nanmean(np.where(some, four, 0), 0)
    mean = mean if np.dtype(dtype).kind == "f" else np.floor(mean + 0.5)
    expected = np.where(some, mean, nodata).astype(dtype)
    assert not some[:4, :4].any()
    assert np.array_equal(pages[1].reshape(expected.shape), expected, equal_nan=np.isnan(nodata))
    with tifffile.TiffFile(BytesIO(_written(pixels, nodata=nodata))) as file:
        assert all(np.array_equal(page.nodata, nodata, equal_nan=True) for page in file.pages)


def test_clear_pixels_lend_no_colour_to_smaller_pages() -> None:
    pixels = noise(512, 300, 4)
    pixels[..., 3][noise(512, 300, 1)[..., 0] < 120] = 0
    pixels[:8, :8, 3] = 0
    found = _pages(_written(pixels, bands=3, rgb=True))[1].astype(int)
    four = np.stack([pixels[i::2, j::2].astype(np.float64) for i in (0, 1) for j in (0, 1)])
    alpha = four[..., 3:]
    clear = alpha.sum(0) == 0
    colour = np.where(clear, four[..., :3].mean(0), (four[..., :3] * alpha).sum(0) / np.where(clear, 1, alpha.sum(0)))
    assert clear.any() and not clear.all()
    assert np.array_equal(found[..., :3], np.floor(colour + 0.5)) and np.array_equal(
        found[..., 3:], _means(pixels[..., 3:])
    )


def test_every_page_says_its_own_resolution_and_only_the_first_the_rest() -> None:
    exif = Image.Exif()
    exif[282], exif[283], exif[296], exif[271] = 40000.0, 20000.0, 3, "Maker"
    with tifffile.TiffFile(BytesIO(_written(noise(600, 301, 3), exif=exif.tobytes()))) as file:
        assert [page.get_resolution(unit=3) for page in file.pages] == [(40000 / n, 20000 / n) for n in (1, 2, 4)]
        assert [271 in page.tags for page in file.pages] == [True, False, False]
        assert [len(level.shape) and level.shape[0] for level in file.series[0].levels] == [600, 300, 150]


def test_shades_lack_data_where_all_bands_do_values_where_any_does() -> None:
    shades = np.array([[[0, 0, 0], [0, 9, 0]]], np.uint8)
    assert missing_in(shades, "0").tolist() == [[True, False]]  # type: ignore[union-attr]
    assert missing_in(shades.astype(np.float32), "0").tolist() == [[True, True]]  # type: ignore[union-attr]
    assert missing_in(shades, "-9999") is None and missing_in(shades, "unknown") is None
    assert missing_in(np.array([[[np.nan], [1]]], np.float32), "nan").tolist() == [[True, False]]  # type: ignore[union-attr]


def test_the_value_stays_where_the_type_holds_it() -> None:
    assert value_for("0", np.dtype(np.uint8)) == 0 and value_for("255", np.dtype(np.uint8)) == 255
    assert value_for("-9999", np.dtype(np.uint8)) == 0 and value_for("-9999", np.dtype(np.float32)) == -9999
    assert value_for("1e300", np.dtype(np.int16)) == -32768 and np.isnan(value_for("1e300", np.dtype(np.float32)))  # type: ignore[arg-type]
    assert value_for("", np.dtype(np.uint8)) is None


def test_no_pixel_with_data_is_taken_for_missing() -> None:
    pixels = np.array([[[0, 0], [0, 5], [7, 7]]], np.uint8)
    made = marked(pixels, np.array([[False, False, True]]), 0)
    assert made.tolist() == [[[1, 0], [0, 5], [0, 0]]]
    assert pixels.tolist() == [[[0, 0], [0, 5], [7, 7]]]
    assert marked(np.full((1, 1, 1), 255, np.uint8), None, 255).item() == 254
