"""Image files written whole, and what becomes of channels, bits and sizes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pictures import TOP, noise
from PIL import Image

from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.source_file import Source
from translate.errors import ImageError


def test_16_bits_and_alpha_go_where_the_format_holds_them(tmp_path: Path) -> None:
    pixels, alpha = noise(6, 4, 3, dtype=np.uint16), noise(6, 4, dtype=np.uint16)
    flat = Picture(np.full((6, 4, 3), 10_000, np.uint16), np.full((6, 4), 30_000, np.uint16))
    images.write(tmp_path / "x.jpg", flat)
    back = images.read(tmp_path / "x.jpg")
    seen = (10_000 * 30_000 + 65535 * (65535 - 30_000)) / 65535 / 257
    assert back.alpha is None and np.abs(back.pixels - seen).max() <= 1.5
    for suffix in ("bmp", "webp"):
        images.write(tmp_path / f"x.{suffix}", Picture(pixels, alpha), quality=100)
        back = images.read(tmp_path / f"x.{suffix}")
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
    with pytest.raises(ValueError, match="cannot become 2"):
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
    # At 8 bits Pillow rounds after either direction: half a level, weighted by up to 1.25, and half a level.
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - images.resize(rgba, *size)).max() <= 1.13


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
    for sides in ((16, 16), (23, 40), (40, 40)):
        stretched = Source(path).stretched(channels, *sides)
        expected = images.resize(images.with_channels(images.read(path), channels), *sides)
        assert stretched.dtype == expected.dtype and np.array_equal(stretched, expected)


def test_a_stretched_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    images.write(path, Picture(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ImageError, match=r"x\.jpg: cannot be read"):
        Source(path).stretched(3, 16, 16)
