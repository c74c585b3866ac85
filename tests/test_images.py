"""Reading and writing image files, whatever is in them."""

from __future__ import annotations

import os
import re
import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from translate.data import codec, images, listing
from translate.data.folders import Source
from translate.data.images import Picture
from translate.errors import ConfigurationError, ImageError

dice = np.random.default_rng(0)
TOP = {np.uint8: 255, np.uint16: 65535}


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return dice.integers(0, TOP[dtype] + 1, shape).astype(dtype)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, colour: int, *extra: bytes, size: tuple[int, int] | None = None) -> bytes:
    """A PNG of 16-bit samples (H, W, samples) written by hand, so that no library judges itself."""
    height, width = size or pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + data + chunk(b"IEND", b"")


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


# Integers and floats


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


# Reading


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
    values = dice.random((5, 4)).astype(np.float32)
    back = images.read(saved(tmp_path / "x.tif", Image.fromarray(values)))
    assert np.abs(back.pixels[..., 0] / 65535 - values).max() <= 0.5001 / 65535
    for bad, why in (
        (values * 3, "only 0 to 1"),
        (np.where(values == values[2, 3], np.nan, values), "holds 1 values that are not finite"),
    ):
        with pytest.raises(ImageError, match=why):
            images.read(saved(tmp_path / "bad.tif", Image.fromarray(bad.astype(np.float32))))


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


# Files that are none


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
        "text.jpg": (b"these are words\n" * 9, "no image"),
        "cut.jpg": (whole["JPEG"][:-2000], "truncated"),
        "cut.png": (whole["PNG"][:-2000], "truncated"),
        "cut.webp": (whole["WEBP"][:-2000], None),
        "cut.tif": (whole["TIFF"][:4000], None),
        "crc.png": (bytes(flipped), None),
        "deep cut.png": (deep[:-2000], None),
        "deep crc.png": (bytes(deep_flipped), None),
        "page.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image"),
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
    monkeypatch.setattr(codec, "deep_planes", lambda image, data: (pixels, None))
    assert images.decode(png(pixels, 2), "x.png").pixels.shape == (64, 64, 3)
    with pytest.raises(ImageError, match=r"x\.png: cannot be read: image file is truncated"):
        images.decode(png(pixels, 2)[:-2000], "x.png")


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
        for _ in range(dice.integers(1, 9)):
            reach = min(len(data), 100) if number % 2 else len(data)
            changed[dice.integers(reach)] = dice.integers(256)
        mutants.append(bytes(changed[: dice.integers(len(data))] if number % 5 == 0 else changed))
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


# Writing


def test_16_bits_and_alpha_go_where_the_format_holds_them(tmp_path: Path) -> None:
    pixels, alpha = noise(6, 4, 3, dtype=np.uint16), noise(6, 4, dtype=np.uint16)
    images.write(tmp_path / "x.bmp", Picture(pixels, alpha))
    back = images.read(tmp_path / "x.bmp")
    share = alpha[..., None] / 65535.0
    seen = pixels * share + 65535 * (1 - share)
    assert back.alpha is None and np.abs(back.pixels - seen / 257).max() <= 0.5 + 0.5 / 257 + 1e-6
    images.write(tmp_path / "x.webp", Picture(pixels, alpha), quality=100)
    back = images.read(tmp_path / "x.webp")
    assert (back.pixels == np.rint(pixels / 257)).all() and (back.alpha == np.rint(alpha / 257)).all()


def test_jpeg_keeps_colour_at_full_resolution(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2, 0] = 255  # red every other column: 4:2:0 would mix it away
    images.write(tmp_path / "x.jpg", Picture(pixels))
    assert np.abs(images.read(tmp_path / "x.jpg").pixels.astype(int) - pixels).mean() < 6
    with Image.open(tmp_path / "x.jpg") as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}


def test_a_failed_write_leaves_nothing_and_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Picture(noise(4, 4, 3)), Picture(noise(4, 4, 3))
    path = tmp_path / "x.png"
    images.write(path, old)

    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ImageError, match=r"x\.png: cannot be written: No space left"):
        images.write(path, new)
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
    assert (images.read(path).pixels == old.pixels).all()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"x\.gif: cannot write '.gif'; use .png"):
        images.write(tmp_path / "x.gif", Picture(noise(4, 4, 3)))
    with pytest.raises(ImageError, match="No such file or directory"):
        images.write(tmp_path / "none" / "x.png", Picture(noise(4, 4, 3)))
    with pytest.raises(ImageError, match=r"x\.webp: cannot be written"):
        images.write(tmp_path / "x.webp", Picture(noise(1, 17_000, 3)))
    with pytest.raises(ImageError, match=r"x\.png: 4 bands go into TIFF only"):
        images.write(tmp_path / "x.png", Picture(noise(4, 4, 4)))
    with pytest.raises(ValueError, match="height, width, channels"):
        images.write(tmp_path / "x.png", Picture(noise(4, 4)))
    assert list(tmp_path.iterdir()) == []


def test_written_files_obey_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        images.write(tmp_path / "x.png", Picture(noise(4, 4, 3)))
    finally:
        os.umask(mask)
    assert (tmp_path / "x.png").stat().st_mode & 0o777 == 0o640


# Channels and sizes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_channels_by_rule(dtype: type) -> None:
    top = TOP[dtype]
    rgb, grey, alpha = (noise(8, 8, *c, dtype=dtype) for c in ((3,), (1,), ()))
    assert (images.with_channels(Picture(grey), 3) == grey).all()
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(images.with_channels(Picture(rgb), 1)[..., 0] - luma).max() <= 0.5 + top / 65536
    opaque = images.with_channels(Picture(rgb), 4)
    assert (opaque[..., :3] == rgb).all() and (opaque[..., 3] == top).all()
    both = images.with_channels(Picture(grey, alpha), 4)
    assert both.shape == (8, 8, 4) and (both[..., 3] == alpha).all() and (both[..., :3] == grey).all()
    share = alpha[..., None] / np.float64(top)
    on_white = images.with_channels(Picture(rgb, alpha), 3)
    assert np.abs(on_white - (rgb * share + top * (1 - share))).max() <= 0.5 + 1e-6
    assert on_white.dtype == dtype
    with pytest.raises(ValueError, match="do not become 2"):
        images.with_channels(Picture(rgb), 2)


def test_luma_is_pillows() -> None:
    rgb = noise(64, 64, 3)
    assert (images.luma(rgb)[..., 0] == np.asarray(Image.fromarray(rgb).convert("L"))).all()


@pytest.mark.parametrize("size", [(5, 40), (31, 7), (16, 16)])
def test_resize_is_pillows(size: tuple[int, int]) -> None:
    rgba = noise(16, 16, 4)
    wanted = (size[1], size[0])
    colour = np.asarray(Image.fromarray(rgba[..., :3]).resize(wanted, Image.Resampling.BICUBIC))
    assert (images.resize(rgba[..., :3], *size) == colour).all()
    assert (images.resize(rgba, *size)[..., :3] == colour).all()
    alone = np.asarray(Image.fromarray(rgba[..., 3]).resize(wanted, Image.Resampling.BICUBIC))
    assert (images.resize(rgba, *size)[..., 3] == alone).all()
    deep = images.resize(rgba.astype(np.uint16) * 257, *size)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - images.resize(rgba, *size)).max() <= 1.01


def test_resize_of_16_bits_neither_wraps_nor_shifts() -> None:
    edge = np.zeros((8, 8, 1), np.uint16)
    edge[:, 4:] = 65535
    wide = images.resize(edge, 8, 64)  # bicubic overshoots on both sides of an edge
    assert (wide[:, :16] < 6000).all() and (wide[:, -16:] > 59_000).all()
    assert (images.resize(np.full((8, 8, 1), 12_345, np.uint16), 3, 21) == 12_345).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "kind", ["jpeg", "turned", "progressive", "cmyk", "png", "alpha", "key", "palette", "deep", "webp"]
)
def test_a_square_is_the_image_read_and_resized(tmp_path: Path, kind: str, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[274] = 6
    path = tmp_path / (
        "x.jpg" if kind in ("jpeg", "turned", "progressive", "cmyk") else f"x.{'webp' if kind == 'webp' else 'png'}"
    )
    options = {
        "turned": {"exif": exif},
        "progressive": {"progressive": True},
        "key": {"transparency": tuple(pixels[3, 3].tolist())},
    }
    if kind == "deep":
        images.write(path, Picture(pixels.astype(np.uint16) * 257))
    else:
        mode = {"cmyk": "CMYK", "alpha": "RGBA", "palette": "P"}.get(kind, "RGB")
        image.convert(mode).save(path, **options.get(kind, {}))
    for side in (16, 23, 40):
        square = Source(path).square(channels, side)
        expected = images.resize(images.with_channels(images.read(path), channels), side, side)
        assert square.dtype == expected.dtype and np.array_equal(square, expected)


def test_a_square_of_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    images.write(path, Picture(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ImageError, match=r"x\.jpg: cannot be read"):
        Source(path).square(3, 16)


# Finding


def test_images_are_found_in_natural_order(tmp_path: Path) -> None:
    names = [
        "a/img.png",
        "a/img2.png",
        "a/img10.PNG",
        "a/img01.Jpeg",
        "b.tif",
        "A10.webp",
        "A9.bmp",
        "img.gif",
    ]
    ignored = [".hidden.png", ".git/x.png", "a/notes.txt", "Thumbs.db", "x.png.part"]
    for name in names + ignored:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in listing.find_images(tmp_path)]
    assert found == [
        "A9.bmp",
        "A10.webp",
        "a/img.png",
        "a/img01.Jpeg",
        "a/img2.png",
        "a/img10.PNG",
        "b.tif",
        "img.gif",
    ]


def test_the_order_is_natural_by_whole_paths_across_folders_of_equal_numbers(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    parts = [
        "1",
        "01",
        "001",
        "2",
        "10",
        "a",
        "a 1",
        "a1",
        "a01",
        "a-1",
        "a1b2",
        "a1b10",
        "aB",
        "b",
        "1.5",
        "0",
        "00",
        "é9",
    ]
    for _ in range(400):
        *folders, stem = dice.choice(parts, dice.integers(1, 4))
        path = tmp_path.joinpath(*folders, f"{stem}{dice.choice(['.png', '.jpg'])}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def reference(path: Path) -> tuple[object, ...]:
        inside = path.relative_to(tmp_path)
        split = [re.split(r"([0-9]+)", part) for part in inside.with_suffix("").parts]
        return [[int(p) if i % 2 else p for i, p in enumerate(part)] for part in split], inside.as_posix()

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert listing.find_images(tmp_path) == sorted(files, key=reference) and len(files) > 100


def test_memory_holds_the_names_of_one_folder_not_of_all(tmp_path: Path) -> None:
    def peak(folders: int) -> int:
        root = tmp_path / str(folders)
        for folder in range(folders):
            (root / str(folder)).mkdir(parents=True)
            for number in range(1000):
                os.close(os.open(root / str(folder) / f"{number}.png", os.O_CREAT | os.O_WRONLY))
        # Python's own table of names grows at some moment, once: of two looks the smaller is ours.
        return min(look(root, folders) for _ in range(2))

    def look(root: Path, folders: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in listing.iterate_images(root)) == folders * 1000
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(20) < 1.5 * peak(2)


def test_links_neither_loop_nor_lead_out(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "x.png").touch()
    (inside / "loop").symlink_to(inside)
    (inside / "away").symlink_to(outside)
    (inside / "away.png").symlink_to(outside / "x.png")
    (inside / "broken.png").symlink_to(inside / "nothing.png")
    (inside / "again.png").symlink_to(inside / "sub" / "x.png")
    found, links = listing.scan(inside)
    assert [path.relative_to(inside).as_posix() for path in found] == ["again.png", "sub/x.png"]
    assert sorted(path.name for path in links) == ["away", "away.png", "broken.png", "loop"]
    (tmp_path / "link").symlink_to(outside)
    assert listing.find_images(tmp_path / "link") == [tmp_path / "link" / "x.png"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        listing.find_images(tmp_path / "none")


def test_nothing_reads_images_through_torchvision_io() -> None:
    """Its PNG decoder dies on a flipped byte."""
    package = Path(images.__file__).parents[1]
    sources = list(package.rglob("*.py"))
    assert len(sources) > 10
    pattern = re.compile(r"torchvision\s*\.\s*io|from\s+torchvision\s+import[^#\n]*\bio\b|read_image\(|decode_image\(")
    assert [path for path in sources if pattern.search(path.read_text())] == []
