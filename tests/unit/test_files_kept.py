"""What files say beside their pixels is kept where it stays true, and what is not kept is said."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import warm
from pictures import chunk, noise, png, saved
from PIL import Image, ImageCms
from test_converter import Negative
from tiny import CPU

from translate.data.io import images
from translate.data.io.images import Picture
from translate.errors import ImageError
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.forms import array_of
from translate.inference.jobs import plan
from translate.models.base import ImageSpec, Request

tifffile = pytest.importorskip("tifffile", reason="the judge of TIFF")

GAMMA = chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"cHRM", struct.pack(">8I", *range(1, 9)))
RPC = tuple(float(number) for number in range(92))


def late(whole: bytes, added: bytes) -> bytes:
    """A PNG with chunks behind its image."""
    return whole[:-12] + added + whole[-12:]


def with_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("bits", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["exif", "xmp", "packed xmp"])
def test_what_stands_behind_the_image_of_a_png_is_read_like_what_stands_before(
    tmp_path: Path, kind: str, bits: type
) -> None:
    text = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    added = {
        "exif": chunk(b"eXIf", with_exif(6)),
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text),
        "packed xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text)),
    }[kind]
    pixels = noise(6, 4, 3)
    plain = tmp_path / "plain.png"
    Image.fromarray(pixels).save(plain)
    whole = plain.read_bytes() if bits == np.uint8 else png(pixels.astype(np.uint16) * 257, 2)
    path = tmp_path / "late.png"
    path.write_bytes(late(whole, added))
    picture = images.read(path)
    upright = np.rot90(pixels, 3)
    assert (images.to_8_bits(picture.pixels) if bits == np.uint16 else picture.pixels).shape == upright.shape
    assert ((picture.pixels if bits == np.uint8 else images.to_8_bits(picture.pixels)) == upright).all()
    assert images.dimensions(path) == (4, 6)
    if bits == np.uint8:
        with Image.open(path) as opened:
            assert (array_of(opened) == upright).all(), "the Python interface reads it in the same way"
        assert images.read_stretched(path, 6, 6) is None, "not as it is stored"
    if kind == "exif":
        kept = Image.Exif()
        kept.load(picture.exif)
        assert dict(kept) == {271: "Maker"}


def test_words_of_any_language_stay_in_exif(tmp_path: Path) -> None:
    words = "© Jürgen 画像".encode()
    data = struct.pack("<HHI", 0x8298, 2, len(words) + 1) + struct.pack("<I", 26)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + data + bytes(4) + words + b"\0"
    Image.fromarray(noise(6, 4, 3)).save(tmp_path / "x.jpg", exif=b"Exif\0\0" + block)
    for suffix in ("jpg", "png", "webp", "tif"):
        images.write(tmp_path / f"y.{suffix}", images.read(tmp_path / "x.jpg"))
        assert words in (tmp_path / f"y.{suffix}").read_bytes(), suffix


@pytest.mark.parametrize("deep", [False, True])
def test_gamma_and_primaries_of_a_png_stay_and_their_loss_is_said(tmp_path: Path, deep: bool) -> None:
    whole = png(noise(6, 4, 3, dtype=np.uint16), 2, GAMMA)
    if not deep:
        Image.fromarray(noise(6, 4, 3)).save(tmp_path / "plain.png")
        plain = (tmp_path / "plain.png").read_bytes()
        whole = plain[:33] + GAMMA + plain[33:]
    (tmp_path / "x.png").write_bytes(whole)
    picture = images.read(tmp_path / "x.png")
    images.write(tmp_path / "y.png", picture)
    with Image.open(tmp_path / "y.png") as back:
        assert back.info["gamma"] == 1 and back.info["chromaticity"][7] == 8e-5
    assert not images.lost(tmp_path / "y.png", picture)
    assert any("gamma" in reason for reason in images.lost(tmp_path / "y.tif", picture))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images.write(tmp_path / "z.png", Picture(picture.pixels, icc=profile, colour=picture.colour))
    with Image.open(tmp_path / "z.png") as back:
        assert back.info["icc_profile"] == profile and "gamma" not in back.info, "a profile says more"


def test_position_and_meaning_of_the_values_stay_and_statistics_go(tmp_path: Path) -> None:
    meta = (
        '<GDALMetadata><Item name="SCALE" sample="0" role="scale">0.1</Item>'
        '<Item name="OFFSET" sample="0" role="offset">-5</Item><Item name="STATISTICS_MEAN" sample="0">7</Item>'
        '<Item name="UNITTYPE" sample="0" role="unittype">m</Item></GDALMetadata>'
    )
    tags = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (50844, "d", 92, RPC, True), (42112, "s", 0, meta, True)]
    values = noise(6, 4).astype(np.int16)
    tifffile.imwrite(tmp_path / "x.tif", values, extratags=[*tags, (42113, "s", 0, "-9999", True)], metadata=None)
    picture = images.read(tmp_path / "x.tif", span=(0, 255))
    images.write(tmp_path / "y.tif", picture)
    with tifffile.TiffFile(tmp_path / "y.tif") as back:
        found = back.pages[0].tags
        assert found.valueof(33550) == (10, 10, 0) and found.valueof(50844) == RPC
        assert "STATISTICS" not in found.valueof(42112)
        assert all(f'role="{role}"' in found.valueof(42112) for role in ("scale", "offset", "unittype"))
        assert found.valueof(42113) == "-9999" and (back.asarray() == values).all()
    assert picture.remarks == ()


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_are_written_in_the_precision_that_was_read(tmp_path: Path, kind: str) -> None:
    values = (np.random.default_rng(0).random((6, 4)) * 8 - 3).astype(kind)
    tifffile.imwrite(tmp_path / "x.tif", values, metadata=None)
    images.write(tmp_path / "y.tif", images.read(tmp_path / "x.tif", span=(-3, 5)))
    back = tifffile.imread(tmp_path / "y.tif")
    assert back.dtype == values.dtype
    assert np.abs(back.astype(float) - values).max() <= 0.51 * 8 / 65535 + np.spacing(np.float64(5).astype(kind))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "animated"])
def test_webp_without_loss_stays_so(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(noise(16, 16, 4 if mode == "RGBA" else 3))
    more = {"save_all": True, "append_images": [image.rotate(90)]} if mode == "animated" else {}
    lossless = saved(tmp_path / "x.webp", image, lossless=True, exact=True, **more)
    picture = images.read(lossless)
    images.write(tmp_path / "y.webp", picture)
    back = images.read(tmp_path / "y.webp")
    assert (back.pixels == picture.pixels).all() and (back.pixels == np.asarray(image)[..., :3]).all()
    images.write(tmp_path / "z.webp", images.read(saved(tmp_path / "lossy.webp", image)))
    assert not images.read(tmp_path / "z.webp").lossless, "what has lost already is not stored twice as large"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_bmp_keeps_its_alpha(tmp_path: Path, channels: int) -> None:
    pixels, alpha = noise(5, 3, channels), noise(5, 3)
    images.write(tmp_path / "x.bmp", Picture(pixels, alpha))
    with Image.open(tmp_path / "x.bmp") as back:
        assert back.mode == "RGBA" and (np.asarray(back)[..., :3] == pixels).all()
        assert (np.asarray(back)[..., 3] == alpha).all()


def test_what_a_format_cannot_hold_is_said_for_each_file(tmp_path: Path) -> None:
    deep, clear = noise(6, 4, 3, dtype=np.uint16), noise(6, 4, dtype=np.uint16)
    floats = Picture(deep, span=(-3, 5))
    assert images.lost(Path("x.png"), Picture(deep, clear)) == () == images.lost(Path("x.tif"), floats)
    assert images.lost(Path("x.jpg"), Picture(deep, clear)) == (
        "16 bits became 8, as JPEG has no more",
        "alpha was laid on white, as JPEG has none",
    )
    assert images.lost(Path("x.png"), floats) == ("floating-point values became 16-bit shades",)
    assert "BMP has none" in images.lost(Path("x.bmp"), Picture(deep, icc=b"profile"))[-1]
    assert "JPEG takes no more" in images.lost(Path("x.jpg"), Picture(deep, exif=bytes(70_000)))[-1]
    (tmp_path / "in").mkdir()
    images.write(tmp_path / "in" / "x.png", Picture(deep, clear))
    converter = Converter(Negative(), ImageSpec(3, 16, ("a", "b")), CPU)
    (record,) = convert_folder(converter, plan(tmp_path / "in", tmp_path / "out", "jpeg"), Request.to(1)).noted
    assert record.note.endswith(
        "x.png: 16 bits became 8, as JPEG has no more; alpha was laid on white, as JPEG has none"
    )


def test_bands_that_are_no_alpha_are_written_as_what_they_were(tmp_path: Path) -> None:
    for name, extra in (("infrared", 0), ("alpha", 2)):
        planes = noise(6, 4, 4)
        tifffile.imwrite(tmp_path / f"{name}.tif", planes, photometric="rgb", extrasamples=[extra], metadata=None)
        images.write(tmp_path / f"{name} again.tif", images.read(tmp_path / f"{name}.tif"))
        page = tifffile.TiffFile(tmp_path / f"{name} again.tif").pages[0]
        assert int(page.photometric) == 2 and tuple(page.extrasamples) == (extra,)
        assert (page.asarray() == planes).all()


def test_alpha_beyond_opaque_is_refused_and_not_cut(tmp_path: Path) -> None:
    planes = np.full((6, 4, 4), 0.5, np.float32)
    planes[2, 3, 3] = 7
    tifffile.imwrite(tmp_path / "x.tif", planes, photometric="rgb", extrasamples=[2], metadata=None)
    with pytest.raises(ImageError, match=r"x\.tif: alpha from 0\.5 to 7, where 1 is opaque"):
        images.read(tmp_path / "x.tif")


def test_no_library_writes_to_stderr_about_damaged_files(tmp_path: Path) -> None:
    """They do so past Python: each file is tried in a process of its own, whose stderr is looked at."""
    damaged = []
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd", "jpeg"):
        for mode in ("RGB", "P"):
            if (compression, mode) == ("jpeg", "P"):
                continue
            image = Image.fromarray(noise(64, 64, 3)).convert(mode)
            path = saved(tmp_path / f"{compression} {mode}.tif", image, compression=compression)
            whole = bytearray(path.read_bytes())
            whole[300:500] = bytes(byte ^ 255 for byte in whole[300:500])
            path.write_bytes(whole)
            damaged.append(path)
    deep = png(noise(64, 64, 3, dtype=np.uint16), 2, chunk(b"iCCP", b"odd\0\0" + zlib.compress(b"no profile")))
    for name, data in {"cut": deep[:-3000], "odd": deep, "end": deep[:-4] + b"1234"}.items():
        (tmp_path / f"{name}.png").write_bytes(data)
        damaged.append(tmp_path / f"{name}.png")
    code = (
        "import sys; from pathlib import Path; from translate.data.io import images\n"
        "for name in sys.argv[1:]:\n"
        "    try: images.read(Path(name))\n"
        "    except images.ImageError as error: print(error)\n"
    )
    found = warm.run([sys.executable, "-c", code, *map(str, damaged)])
    assert found.returncode == 0 and found.stderr == "" and "lzw RGB.tif" in found.stdout and "cut.png" in found.stdout
