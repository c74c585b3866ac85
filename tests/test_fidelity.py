"""What a conversion keeps of a file, read back by another library than wrote it (benchmarks/fidelity.py)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from translate.data.images import Picture, read, write

tifffile = pytest.importorskip("tifffile", reason="files are read back by tifffile")


def test_format_depth_channels_alpha_profile_and_notes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
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
