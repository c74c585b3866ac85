"""Files that are no images, damaged or hostile ones: refused by name, and nothing else happens."""

from __future__ import annotations

import os
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import noise, png, rng
from PIL import Image

from translate.data.io import images
from translate.data.io import png as reading_png
from translate.data.io.images import Picture
from translate.errors import ImageError


def test_what_is_wrong_is_said_after_the_path(tmp_path: Path) -> None:
    noisy = Image.fromarray(noise(64, 64, 3))
    whole = {}
    for format in ("PNG", "JPEG", "WEBP", "TIFF"):
        buffer = BytesIO()
        noisy.save(buffer, format)
        whole[format] = buffer.getvalue()
    deep = png(noise(64, 64, 3, dtype=np.uint16), 2)
    flipped = bytearray(whole["PNG"])
    flipped[len(flipped) // 2] ^= 255
    deep_flipped = bytearray(deep)
    deep_flipped[len(deep) // 2] ^= 255
    cases = {
        "empty.png": (b"", "empty"),
        "text.jpg": (b"these are words\n" * 9, "not an image"),
        "cut.jpg": (whole["JPEG"][:-2000], "truncated"),
        "cut.png": (whole["PNG"][:-2000], "truncated"),
        "cut.webp": (whole["WEBP"][:-2000], None),
        "cut.tif": (whole["TIFF"][:4000], None),
        "crc.png": (bytes(flipped), None),
        "deep cut.png": (deep[:-2000], None),
        "deep crc.png": (bytes(deep_flipped), None),
        "page.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=message) as caught:
            images.read(path)
        assert str(caught.value).startswith(f"{path}: "), name
        assert "\n" not in str(caught.value) and "object at 0x" not in str(caught.value)


def test_damage_in_16_bit_colour_is_found_whatever_opencv_says(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(64, 64, 3, dtype=np.uint16)
    opencv = SimpleNamespace(imdecode=lambda data, how: pixels, IMREAD_UNCHANGED=-1)
    monkeypatch.setattr(reading_png, "_opencv", lambda: opencv)
    whole = png(pixels, 2)
    assert images.decode(whole, "x.png").pixels.shape == (64, 64, 3)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    short = png(pixels[:-1], 2, size=(64, 64))
    for damaged in (whole[:-2000], bytes(flipped), short):
        with pytest.raises(ImageError, match=r"x\.png: (image file is truncated|damaged: )"):
            images.decode(damaged, "x.png")


def test_missing_files_folders_and_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    cases = {"missing.png": "cannot be read: No such file", "pipe.png": "not a file", "": "not a file"}
    for name, message in cases.items():
        for function in (images.read, images.dimensions):
            with pytest.raises(ImageError, match=re.escape(f"{tmp_path / name}: {message}")):
                function(tmp_path / name)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    row = np.zeros((1, 1, 1), np.uint16)
    for side, message in ((10_000, "100,000,000|10000 x 10000"), (50_000, "exceeds limit")):
        path = tmp_path / "bomb.png"
        path.write_bytes(png(row, 0, size=(side, side)))
        with pytest.raises(ImageError, match=message):
            images.read(path)
    with pytest.raises(ImageError, match="5 x 4 pixels are more than the limit of 19"):
        images.decode(png(noise(4, 5, 1, dtype=np.uint16), 0), "x.png", max_pixels=19)
    assert images.decode(png(noise(4, 5, 1, dtype=np.uint16), 0), "x.png", max_pixels=20).pixels.shape == (
        4,
        5,
        1,
    )


def test_names_of_any_bytes_print_on_one_line(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad \xff\n.png"))
    path.write_bytes(b"nothing")
    with pytest.raises(ImageError) as caught:
        images.read(path)
    assert "bad \\xff\\n.png: " in str(caught.value)
    str(caught.value).encode("utf-8")
    assert images.shown("año 画像.png") == "año 画像.png"


def _encoded(format: str, pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[34665] = {36867: "2020:01:01 00:00:00"}
    Image.fromarray(pixels).save(buffer, format, exif=exif.tobytes())
    return buffer.getvalue()


def _mutants(data: bytes, count: int) -> list[bytes]:
    """One to eight bytes changed, some in the first hundred, where the structure is; some cut short."""
    mutants = []
    for number in range(count):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 9)):
            reach = min(len(data), 100) if number % 2 else len(data)
            changed[rng.integers(reach)] = rng.integers(256)
        mutants.append(bytes(changed[: rng.integers(len(data))] if number % 5 == 0 else changed))
    return mutants


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_give_pictures_or_image_errors(tmp_path: Path) -> None:
    colour, grey = noise(24, 24, 3), noise(24, 24, dtype=np.uint16)
    deep_tiff = tmp_path / "deep.tif"
    images.write(deep_tiff, Picture(noise(24, 24, 3, dtype=np.uint16)))
    originals = {
        **{f"x.{format}": _encoded(format, colour) for format in ("PNG", "JPEG", "WEBP", "TIFF")},
        "grey.png": _encoded("PNG", grey),
        "grey.tif": _encoded("TIFF", grey),
        "deep.png": png(noise(24, 24, 3, dtype=np.uint16), 2),
        "deep.tif": deep_tiff.read_bytes(),
    }
    path = tmp_path / "mutant"
    refused = 0
    for name, data in originals.items():
        assert images.decode(data, name).pixels.shape[:2] == (24, 24)
        for mutant in _mutants(data, 100):
            try:
                picture = images.decode(mutant, name)
                assert picture.pixels.ndim == 3 and picture.pixels.dtype in (np.uint8, np.uint16)
            except ImageError as error:
                refused += 1
                assert str(error).startswith(f"{name}: ") or not mutant
            path.write_bytes(mutant)
            try:
                assert len(images.dimensions(path)) == 2
            except ImageError:
                refused += 1
    assert refused > 200
