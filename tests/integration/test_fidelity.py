"""What a conversion keeps of a file, read back by another library than wrote it (benchmarks/fidelity.py)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from translate.data.io.images import Picture, read, write

tifffile = pytest.importorskip("tifffile", reason="files are read back by tifffile")


def test_format_depth_channels_alpha_profile_and_notes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    from fidelity import Case, table

    rows = table()
    assert len(rows) == 22
    assert [row.case.name for row in rows if not row.kept] == []
    # A level lost, a profile forgotten or a form changed would be seen.
    lossless = [row for row in rows if row.case.suffix in (".png", ".tiff", ".bmp")]
    assert {row.error for row in lossless} == {0} and Case(".png", 16, 3, True) in [row.case for row in lossless]


def test_deep_colour_tiff_keeps_camera_and_place(tmp_path: Path) -> None:
    notes = Image.Exif()
    notes[271], notes[305] = "Camera", "x"  # one that fits its entry and one that does not
    notes.get_ifd(34665)[33434] = IFDRational(1, 250)
    notes.get_ifd(34853)[1] = "N"
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    write(tmp_path / "x.tif", Picture(pixels, exif=notes.tobytes()))
    with tifffile.TiffFile(io.BytesIO((tmp_path / "x.tif").read_bytes())) as file:
        tags = file.pages[0].tags
        assert tags["Make"].value == "Camera" and tags["Software"].value == "x"
        assert tags["ExifTag"].value["ExposureTime"] == (1, 250) and tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert (file.asarray() == pixels).all()
    back = read(tmp_path / "x.tif")
    assert (back.pixels == pixels).all()
    again = Image.Exif()
    again.load(back.exif)
    assert again[271] == "Camera" and float(again.get_ifd(34665)[33434]) == 1 / 250


PLACE = {
    33550: (0.5, 0.5, 0.0),
    33922: (0.0, 0.0, 0.0, 440720.0, 3751320.25, 0.0),
    34735: (1, 1, 0, 1, 1024, 0, 1, 1),
    34736: (6378137.0, 298.257223563),
    34737: "WGS 84 / UTM zone 11N|",
}


@pytest.mark.parametrize(
    ("bands", "dtype"), [(3, np.uint8), (1, np.uint16), (3, np.uint16), (5, np.uint8), (1, np.float32), (4, np.int16)]
)
def test_place_on_earth_and_resolution_stay_from_tiff_to_tiff(tmp_path: Path, bands: int, dtype: type) -> None:
    planes = np.random.default_rng(0).integers(0, 2, (5, 7, bands)).astype(dtype)
    kinds = {str: "s", float: "d", int: "H"}
    extra = [
        (tag, kinds[type(value if isinstance(value, str) else value[0])], len(value), value, True)
        for tag, value in PLACE.items()
    ]
    extra.append((42113, "s", 3, "255", True))
    several = {} if bands == 1 else {"planarconfig": "contig"}
    tifffile.imwrite(
        tmp_path / "x.tif", planes.squeeze(), photometric="rgb" if bands == 3 else "minisblack", extratags=extra,
        resolution=(300.5, 72), resolutionunit="CENTIMETER", software="scanner", metadata=None, **several,
    )  # fmt: skip
    write(tmp_path / "y.tif", read(tmp_path / "x.tif"))
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        tags = file.pages[0].tags
        assert (file.asarray() == planes.squeeze()).all()
        assert {tag: tags.valueof(tag) for tag in PLACE} == PLACE
        across, down = tags["XResolution"].value, tags["YResolution"].value
        assert across[0] / across[1] == 300.5 and down[0] / down[1] == 72
        assert tags["ResolutionUnit"].value.name == "CENTIMETER" and tags["Software"].value == "scanner"
        assert tags[42113].value == "255"


def test_a_turned_picture_lies_elsewhere(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "x.tif", np.zeros((5, 7), np.uint8), metadata=None,
        extratags=[(33550, "d", 3, PLACE[33550], True), (274, "H", 1, 6, True)],
    )  # fmt: skip
    write(tmp_path / "y.tif", read(tmp_path / "x.tif"))
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.pages[0].shape == (7, 5) and 33550 not in file.pages[0].tags


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"metadata": {"axes": "YX"}}, {}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_tells_of_a_stack_is_dropped_and_other_words_stay(tmp_path: Path, options: dict, dtype: type) -> None:
    said = {} if options else {"description": "Fields by the river", "metadata": None}
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((5, 7), dtype), **options, **said)
    write(tmp_path / "y.tif", read(tmp_path / "x.tif"))
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.pages[0].description == ("" if options else "Fields by the river")
