"""Image files read: every bit, every kind, orientation, profiles; integers to floats and back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import chunk, noise, png, rng, saved
from PIL import Image, ImageCms

from translate.data.io import images
from translate.data.io.images import Picture
from translate.errors import ImageError


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_every_integer_survives_the_way_to_float_and_back(dtype: torch.dtype) -> None:
    top = torch.iinfo(dtype).max
    every = torch.arange(top + 1, dtype=torch.int32).to(dtype)
    floats = images.to_float(every)
    assert floats.dtype == torch.float32
    expected = torch.arange(top + 1, dtype=torch.float64) * 2 / top - 1
    assert (floats.double() - expected).abs().max() < 1e-7
    assert floats[0] == -1 and floats[-1] == 1
    assert torch.equal(images.to_pixels(floats, dtype).int(), every.int())


def test_to_pixels_rounds_to_nearest_and_clamps() -> None:
    step = 2 / 255
    floats = torch.tensor([-7.0, -1 + 0.49 * step, -1 + 0.51 * step, 1 - 0.49 * step, 7.0])
    assert images.to_pixels(floats).tolist() == [0, 0, 1, 255, 255]
    assert images.to_pixels(floats.bfloat16()).dtype == torch.uint8


def test_only_pixels_are_taken_for_pixels() -> None:
    with pytest.raises(TypeError, match="int64"):
        images.to_float(torch.tensor([1]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".TIF"])
def test_lossless_formats_keep_every_bit(tmp_path: Path, suffix: str, dtype: type, alpha: bool, channels: int) -> None:
    picture = Picture(noise(9, 7, channels, dtype=dtype), noise(9, 7, dtype=dtype) if alpha else None)
    images.write(tmp_path / f"x{suffix}", picture)
    back = images.read(tmp_path / f"x{suffix}")
    assert back.pixels.dtype == dtype
    assert (back.pixels == picture.pixels).all() and back.pixels.shape[2] == channels
    assert (back.alpha is None) if picture.alpha is None else (back.alpha == picture.alpha).all()
    assert images.dimensions(tmp_path / f"x{suffix}") == (9, 7)


def test_16_bit_png_is_read_as_the_file_has_it(tmp_path: Path) -> None:
    for colour, samples in ((0, 1), (2, 3), (4, 2), (6, 4)):
        pixels = noise(5, 4, samples, dtype=np.uint16)
        back = images.decode(png(pixels, colour), "x.png")
        with_alpha = samples in (2, 4)
        assert (back.pixels == pixels[..., : samples - with_alpha]).all()
        assert (back.alpha == pixels[..., -1]).all() if with_alpha else back.alpha is None


@pytest.mark.parametrize(("colour", "samples"), [(0, 1), (2, 3)])
def test_transparent_colour_of_a_16_bit_png_becomes_alpha(colour: int, samples: int) -> None:
    pixels = noise(5, 4, samples, dtype=np.uint16)
    back = images.decode(png(pixels, colour, chunk(b"tRNS", pixels[2, 3].astype(">u2").tobytes())), "x.png")
    assert (back.pixels == pixels).all()
    assert back.alpha[2, 3] == 0 and np.count_nonzero(back.alpha == 0) == 1 and back.alpha.max() == 65535


def test_tiff_of_floats_is_scaled_and_other_ranges_are_refused(tmp_path: Path) -> None:
    values = rng.random((5, 4)).astype(np.float32)
    back = images.read(saved(tmp_path / "x.tif", Image.fromarray(values)))
    assert np.abs(back.pixels[..., 0] / 65535 - values).max() <= 0.5001 / 65535
    for bad, why in (
        (values * 3, "only 0 to 1"),
        (np.where(values == values[2, 3], np.nan, values), "holds 1 values that are not finite"),
    ):
        with pytest.raises(ImageError, match=why):
            images.read(saved(tmp_path / "bad.tif", Image.fromarray(bad.astype(np.float32))))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_bytes_of_a_large_tiff_are_not_counted_as_pixels(tmp_path: Path, monkeypatch, dtype: type) -> None:
    pixels = noise(8, 10, 3, dtype=dtype)
    images.write(tmp_path / "x.tif", Picture(pixels))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80)
    assert np.array_equal(images.read(tmp_path / "x.tif").pixels, pixels)


def test_white_is_zero_tiff_is_not_read_as_a_negative(tmp_path: Path) -> None:
    pixels = noise(5, 4, dtype=np.uint16)
    path = saved(tmp_path / "x.tif", Image.fromarray(pixels), tiffinfo={262: 0})
    assert (images.read(path).pixels[..., 0] == 65535 - pixels).all()


def test_whole_number_tiff_without_a_range_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.tif", Image.fromarray(noise(5, 4).astype(np.int32)))
    with pytest.raises(ImageError, match=r"signed 32-bit pixels from .*; only 0 to 1 .* data\.range"):
        images.read(path)


def test_every_kind_of_8_bit_file_becomes_grey_or_rgb(tmp_path: Path) -> None:
    rgb = Image.fromarray(noise(6, 5, 3))
    palette = rgb.quantize(16)
    clear = palette.copy()
    clear.info["transparency"] = int(np.asarray(clear)[0, 0])
    cases = {
        "bit.png": (rgb.convert("1"), 1, False),
        "grey.png": (rgb.convert("L"), 1, False),
        "grey alpha.png": (rgb.convert("LA"), 1, True),
        "palette.png": (palette, 3, False),
        "clear palette.png": (clear, 3, True),
        "palette.gif": (palette, 3, False),
        "rgba.webp": (Image.fromarray(noise(6, 5, 4)), 3, True),
        "cmyk.jpg": (rgb.convert("CMYK"), 3, False),
        "cmyk.tif": (rgb.convert("CMYK"), 3, False),
        "grey.jpg": (rgb.convert("L"), 1, False),
        "rgb.bmp": (rgb, 3, False),
    }
    for name, (image, channels, alpha) in cases.items():
        options = {"transparency": clear.info["transparency"]} if name.startswith("clear") else {}
        back = images.read(saved(tmp_path / name, image, **options))
        assert back.pixels.shape == (6, 5, channels) and back.pixels.dtype == np.uint8, name
        assert (back.alpha is not None) == alpha, name
    cleared = images.read(tmp_path / "clear palette.png")
    assert cleared.alpha[0, 0] == 0
    assert (images.read(tmp_path / "palette.png").pixels == np.asarray(palette.convert("RGB"))).all()
    assert (images.read(tmp_path / "cmyk.tif").pixels == np.asarray(rgb.convert("CMYK").convert("RGB"))).all()


ORIENTED = {  # EXIF 2.3, figure "orientation": what a camera did, told by PIL's own words for undoing it
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".png", "RGB"), (".tif", "RGB"), (".webp", "RGB"), (".png", "I;16"), (".tif", "I;16")],
)
def test_orientation_is_undone_and_its_tag_gone(tmp_path: Path, orientation: int, suffix: str, mode: str) -> None:
    stored = Image.fromarray(noise(6, 4, 3) if mode == "RGB" else noise(6, 4, dtype=np.uint16))
    exif = Image.Exif()
    exif[274], exif[271] = orientation, "Maker"
    path = saved(tmp_path / f"x{suffix}", stored, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    step = ORIENTED[orientation]
    upright = np.asarray(stored if step is None else stored.transpose(step))
    back = images.read(path)
    assert (back.pixels.squeeze() == upright).all()
    assert images.dimensions(path) == upright.shape[:2]
    kept = Image.Exif()
    kept.load(back.exif)
    assert 274 not in kept and kept[271] == "Maker"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_colour_is_undone(tmp_path: Path, orientation: int) -> None:
    pixels = noise(6, 4, 3, dtype=np.uint16)
    exif = Image.Exif()
    exif[274] = orientation
    data = png(pixels, 2, chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    step = ORIENTED[orientation]
    planes = [Image.fromarray(pixels[..., i]) for i in range(3)]
    upright = np.dstack([p if step is None else p.transpose(step) for p in planes])
    assert (images.decode(data, "x.png").pixels == upright).all()


def test_profile_and_notes_travel_and_the_thumbnail_does_not(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[34665] = {36867: "2020:01:01 00:00:00", 40962: 999}
    source = saved(tmp_path / "x.jpg", Image.fromarray(noise(6, 4, 3)), exif=exif, icc_profile=profile)
    picture = images.read(source)
    assert picture.icc == profile
    deep = Picture(noise(6, 4, 3, dtype=np.uint16), None, picture.icc, picture.exif)
    for name, written in {
        "y.jpg": picture,
        "y.png": picture,
        "y.webp": picture,
        "y.tif": picture,
        "z.png": deep,
    }.items():
        images.write(tmp_path / name, written)
        back = images.read(tmp_path / name)
        assert back.icc == profile, name
        kept = Image.Exif()
        kept.load(back.exif)
        assert kept[271] == "Maker" and kept.get_ifd(34665) == {36867: "2020:01:01 00:00:00"}, name


def test_a_profile_of_other_colours_is_dropped(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images.write(tmp_path / "x.png", Picture(noise(4, 4, 1), None, profile))
    assert images.read(tmp_path / "x.png").icc is None


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 5, 3), 60 * i, np.uint8)) for i in range(3)]
    for suffix in (".gif", ".webp", ".png", ".tif"):
        path = saved(tmp_path / f"x{suffix}", frames[0], save_all=True, append_images=frames[1:])
        picture = images.read(path)
        assert picture.animated and picture.pixels.max() < 10, suffix
        assert not images.read(saved(tmp_path / f"one{suffix}", frames[0])).animated, suffix


def test_nothing_reads_images_through_torchvision_io() -> None:
    """Its PNG decoder dies on a flipped byte."""
    package = Path(images.__file__).parents[1]
    sources = list(package.rglob("*.py"))
    assert len(sources) > 10
    pattern = re.compile(r"torchvision\s*\.\s*io|from\s+torchvision\s+import[^#\n]*\bio\b|read_image\(|decode_image\(")
    assert [path for path in sources if pattern.search(path.read_text())] == []
