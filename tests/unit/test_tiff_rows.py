"""Rows of large TIFFs: the same pixels as tifffile's, of the file only the parts that hold them, and one clear line for
what is no slide."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import noise

from translate.data.io import images
from translate.data.io.tiff_rows import TiffRows, pixels_of_tiff
from translate.errors import ImageError

tifffile = pytest.importorskip("tifffile", reason="files are written by tifffile")

KINDS: dict[str, dict[str, Any]] = {
    "one strip": {"rowsperstrip": 333},
    "strips": {"rowsperstrip": 30, "compression": "lzw", "predictor": True},
    "tiles": {"tile": (64, 48), "compression": "deflate", "predictor": True},
    "planes": {"tile": (32, 32), "planarconfig": "separate", "compression": "packbits"},
    "planes in strips": {"rowsperstrip": 333, "planarconfig": "separate"},
    "strips of 200": {"rowsperstrip": 200},
    "strips of 192": {"rowsperstrip": 192},
    "big": {"tile": (64, 64), "bigtiff": True, "byteorder": ">"},
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_that_were_written(tmp_path: Path, kind: str, dtype: type) -> None:
    pixels = noise(333, 101, 3, dtype=dtype)
    tifffile.imwrite(tmp_path / "x.tif", _laid_out(pixels, kind), photometric="rgb", **KINDS[kind])
    with TiffRows(tmp_path / "x.tif") as file:
        assert (file.height, file.width, file.page.bands) == (333, 101, 3)
        for top, bottom in ((0, 1), (0, 333), (60, 70), (63, 65), (332, 333), (5, 300), (0, 2)):
            assert np.array_equal(file.rows(top, bottom).pixels, pixels[top:bottom]), (top, bottom)


def test_values_keep_their_type(tmp_path: Path) -> None:
    pixels = noise(70, 41, 5).astype(np.float32) / 7
    tifffile.imwrite(
        tmp_path / "x.tif",
        pixels,
        tile=(32, 32),
        compression="zlib",
        predictor=True,
        planarconfig="contig",
        photometric="minisblack",
    )
    with TiffRows(tmp_path / "x.tif") as file:
        rows = file.rows(30, 68).pixels
    assert rows.dtype == np.float32 and np.array_equal(rows, pixels[30:68])


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2)])
@pytest.mark.parametrize("parts", [{"tile": (64, 64)}, {"rowsperstrip": 64}])
def test_rows_of_jpeg_tiles_are_those_of_the_file_read_whole(tmp_path: Path, subsampling, parts) -> None:
    pixels = np.kron(noise(20, 12, 3), np.ones((16, 16, 1), np.uint8))
    tifffile.imwrite(
        tmp_path / "x.tif", pixels, compression="jpeg", photometric="rgb", subsampling=subsampling,
        compressionargs={"outcolorspace": "ycbcr"}, **parts,
    )  # fmt: skip
    whole = images.read(tmp_path / "x.tif").pixels
    with TiffRows(tmp_path / "x.tif") as file:
        assert file.page.photometric == 6
        for top, bottom in ((0, 320), (60, 70), (319, 320)):
            assert np.array_equal(file.rows(top, bottom).pixels, whole[top:bottom])
    assert abs(whole.astype(int) - pixels).mean() < 30


def test_of_the_file_only_the_parts_of_the_rows_are_read_and_kept(tmp_path: Path, monkeypatch) -> None:
    tifffile.imwrite(tmp_path / "x.tif", noise(1024, 256, 3), tile=(64, 64), photometric="rgb")
    with TiffRows(tmp_path / "x.tif") as file:
        read: list[int] = []
        of_file = file._bytes
        monkeypatch.setattr(file, "_bytes", lambda place, size: read.append(size) or of_file(place, size))
        file.rows(100, 130)
        assert sum(read) == 2 * 64 * 256 * 3  # two rows of tiles
        file.rows(140, 200)
        assert sum(read) == 3 * 64 * 256 * 3  # none of them twice, and one more
        assert list(file._held) == [2, 3]


def test_a_cut_file_is_named_before_it_is_read_for_hours(tmp_path: Path) -> None:
    path = _deflated(tmp_path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match=r"x\.tif: the file is truncated: it ends before its pixels do"):
        TiffRows(path)


def test_a_damaged_tile_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = _deflated(tmp_path)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].dataoffsets[-1]
    data = bytearray(path.read_bytes())
    data[place : place + 400] = bytes(400)
    path.write_bytes(bytes(data))
    with TiffRows(path) as file:
        file.rows(0, 192)
        with pytest.raises(ImageError, match=r"x\.tif: its parts cannot be decompressed; the file is truncated"):
            file.rows(0, 256)


@pytest.mark.parametrize("compression", [None, "deflate", "jpeg"])
def test_a_tile_that_is_missing_is_named_by_its_number(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(256, 256, 3), tile=(64, 64), compression=compression, photometric="rgb")
    with tifffile.TiffFile(path) as file:
        places, sizes = (file.pages[0].tags[tag].valueoffset for tag in (324, 325))
        wide = struct.calcsize({3: "H", 4: "I"}[int(file.pages[0].tags[325].dtype)])
    data = bytearray(path.read_bytes())
    data[places + 20 : places + 24] = bytes(4)
    data[sizes + 5 * wide : sizes + 6 * wide] = bytes(wide)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match=r"x\.tif: its tile 5 is missing.*save it whole"):
        TiffRows(path)


@pytest.mark.parametrize(
    ("side", "why"), [(1_000_000, "more than the limit of 17,179,869,184"), (100_000, "truncated or damaged")]
)
def test_a_claim_of_many_pixels_is_refused_before_any_is_made(tmp_path: Path, side: int, why: str) -> None:
    path = _deflated(tmp_path)
    with tifffile.TiffFile(path) as file:
        places = [file.pages[0].tags[tag].valueoffset for tag in (256, 257)]
    data = bytearray(path.read_bytes())
    for place in places:
        data[place - 6 : place + 4] = struct.pack("<HII", 4, 1, side)
    path.write_bytes(bytes(data))
    assert pixels_of_tiff(path) == side * side
    with pytest.raises(ImageError, match=rf"x\.tif: .*{why}"):
        TiffRows(path)


def test_kinds_that_are_not_read_by_rows_say_what_to_save(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", noise(64, 64)[..., 0], compression="jpeg2000")
    with pytest.raises(ImageError, match=r"x\.tif: TIFF compression .* is not read; save it with"):
        TiffRows(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "y.tif", noise(64, 64), photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    with pytest.raises(ImageError, match=r"y\.tif: .*not read by rows; save it in tiles"):
        TiffRows(tmp_path / "y.tif")
    images.write(tmp_path / "z.png", images.Picture(noise(4, 4, 3)))
    with pytest.raises(ImageError, match=r"z\.png: no TIFF: .*save it as TIFF in tiles"):
        TiffRows(tmp_path / "z.png")


def test_a_strip_that_holds_all_is_refused_where_it_is_too_much(tmp_path: Path, monkeypatch) -> None:
    tifffile.imwrite(tmp_path / "x.tif", noise(256, 64, 3), rowsperstrip=256, compression="lzw", photometric="rgb")
    monkeypatch.setattr("translate.data.io.tiff_rows._PART", 256 * 64 * 3 - 1)
    with pytest.raises(ImageError, match=r"a strip is 49,152 bytes once decoded.*tiles of 256"):
        TiffRows(tmp_path / "x.tif")


def _laid_out(pixels: np.ndarray, kind: str) -> np.ndarray:
    return np.moveaxis(pixels, 2, 0).copy() if "planarconfig" in KINDS[kind] else pixels


def _deflated(folder: Path) -> Path:
    tifffile.imwrite(folder / "x.tif", noise(256, 256, 3), tile=(64, 64), compression="deflate", photometric="rgb")
    return folder / "x.tif"
