"""Faults 24 to 35: images that are damaged, none at all, too large, or of a rare kind, through the real command.

One conversion and one training take them all. Where a file of a rare kind has a twin, a plain PNG of what it shows,
worked out without the project's decoder, both must come out the same.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures_input import trained_tiny, write_recipe  # noqa: F401
from images_child import Child, translate
from mutants import chunk, png, png_header, saved
from PIL import Image
from tiny import write_images

rng = np.random.default_rng(0)
COLOUR = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
PHOTO = Image.fromarray(COLOUR)
DEEP = rng.integers(0, 65536, (24, 20, 3), dtype=np.uint16)
CHILD = str(Path(__file__).with_name("images_child.py"))


@cache
def _bad() -> dict[str, bytes]:
    """Files that hold no whole image, by the name of their fault."""
    whole = png(COLOUR, 2)
    place = whole.index(b"IDAT")
    crc, idat = bytearray(whole), bytearray(whole)
    crc[place + 60] ^= 255
    idat[place + 60] ^= 255
    length = int.from_bytes(idat[place - 4 : place], "big")
    idat[place + 4 + length : place + 8 + length] = struct.pack(">I", zlib.crc32(idat[place : place + 4 + length]))
    return {
        "zero_byte.png": b"",
        "zero_byte.jpg": b"",
        "truncated.jpg": saved(PHOTO, "JPEG")[:-300],
        "truncated.png": whole[:-500],
        "truncated.webp": saved(PHOTO, "WEBP", lossless=True)[:-300],
        "truncated.tif": saved(PHOTO, "TIFF")[:900],
        "truncated header.png": whole[:20],
        "bad_crc.png": bytes(crc),
        "bad_idat.png": bytes(idat),
        "text.jpg": b"these are words\n" * 9,
        "page.png": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "script.tif": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }


@cache
def _bombs() -> dict[str, bytes]:
    """Small files of more pixels than the cap, or that unpack to far more than they are."""
    zeros = zlib.compress(bytes(14_000 * (14_000 + 1)), 9)
    grey = png_header(14_000, 14_000, colour=0) + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")
    hundred = png_header(10_000, 10_000, colour=0) + chunk(b"IDAT", zlib.compress(bytes(10_000 * 10_001), 9))
    words = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(65 << 20), 9))
    profile = chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(65 << 20), 9))
    webp = b"VP8L" + struct.pack("<I", 6) + b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + b"\0"
    fields = [(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 32946), (262, 3, 1, 1)]
    fields += [(273, 4, 1, 122), (277, 3, 1, 1), (278, 4, 1, 60_000), (279, 4, 1, 100)]
    entries = b"".join(struct.pack("<HHII", *field) for field in fields)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + entries + bytes(4) + zlib.compress(bytes(1 << 20))
    jpeg = bytearray(saved(PHOTO, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    return {
        "bomb 196 MP.png": grey,
        "bomb 100 MP.png": hundred + chunk(b"IEND", b""),
        "bomb of text.png": png(COLOUR, 2, words),
        "bomb of profile.png": png(COLOUR, 2, profile),
        "bomb.webp": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
        "bomb.tif": tiff,
        "bomb.gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b"\x2c" + bytes(9) + b"\x02\0;",
        "bomb.jpg": bytes(jpeg),
        "bomb.bmp": saved(PHOTO, "BMP")[:18] + struct.pack("<ii", 50_000, 50_000) + saved(PHOTO, "BMP")[26:],
    }


def _upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """What EXIF's table says of each orientation, in numpy's words."""
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}
    turned = np.rot90(stored, turns[orientation])
    return turned[:, ::-1] if orientation in (2, 4, 5, 7) else turned


@cache
def _rare() -> dict[str, tuple[bytes, bytes | None]]:
    """Sound files, and the twin of each where there is one."""
    grey = COLOUR[..., :1]
    alpha = rng.integers(0, 256, (24, 20, 1), dtype=np.uint8)
    clear = Image.fromarray(COLOUR).quantize(16)
    shown = np.array(clear.getpalette()[:48]).reshape(-1, 3)[np.array(clear)].astype(np.uint8)
    one_bit = (COLOUR[..., 0] > 127).astype(np.uint8)[..., None] * 255
    floats = Image.fromarray(DEEP[..., 0] / np.float32(65535))
    cmyk = saved(PHOTO.convert("CMYK"), "JPEG")
    rare: dict[str, tuple[bytes, bytes | None]] = {
        "palette.png": (saved(clear, "PNG"), png(shown, 2)),
        "palette_tRNS.png": (
            saved(clear, "PNG", transparency=3),
            png(np.dstack([shown, np.where(np.array(clear) == 3, 0, 255).astype(np.uint8)]), 6),
        ),
        "one_bit.png": (saved(Image.fromarray(one_bit[..., 0]).convert("1"), "PNG"), png(one_bit, 0)),
        "L.png": (saved(Image.fromarray(grey[..., 0]), "PNG"), png(np.repeat(grey, 3, 2), 2)),
        "LA.png": (png(np.dstack([grey, alpha]), 4), png(np.dstack([np.repeat(grey, 3, 2), alpha]), 6)),
        "RGBA.png": (png(np.dstack([COLOUR, alpha]), 6), None),
        "CMYK.jpg": (cmyk, png(_inverted_cmyk(cmyk), 2)),
        "16_bit_grey.png": (png(DEEP[..., :1], 0), png(np.repeat(DEEP[..., :1], 3, 2), 2)),
        "16_bit.tif": (cv2.imencode(".tif", DEEP[..., ::-1])[1].tobytes(), png(DEEP, 2)),
        "float.tif": (saved(floats, "TIFF"), png(np.repeat(DEEP[..., :1], 3, 2), 2)),
        "1x1.png": (png(COLOUR[:1, :1], 2), None),
        "3x10000.png": (png(rng.integers(0, 256, (3, 10_000, 3), dtype=np.uint8), 2), None),
        "10000x3.png": (png(rng.integers(0, 256, (10_000, 3, 3), dtype=np.uint8), 2), None),
        "odd.png": (png(rng.integers(0, 256, (23, 37, 3), dtype=np.uint8), 2), None),
    }  # fmt: skip
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        photo = saved(PHOTO, "JPEG", exif=exif.tobytes())
        rare[f"turned_{orientation}.jpg"] = (photo, png(_upright(_decoded(photo), orientation), 2))
    frames = [PHOTO.quantize(16), PHOTO.rotate(90).quantize(16)]
    options = {"save_all": True, "append_images": frames[1:]}
    first = np.array(frames[0].convert("RGB"))
    pages = {"save_all": True, "append_images": [PHOTO.rotate(180)]}
    rare["animated.gif"] = (saved(frames[0], "GIF", **options), png(first, 2))
    rare["animated.png"] = (saved(PHOTO, "PNG", **pages), png(COLOUR, 2))
    still = saved(PHOTO, "WEBP", lossless=True)  # as a PNG of that name its output would lose something
    rare["animated.webp"] = (saved(PHOTO, "WEBP", lossless=True, **pages), still)
    rare["animated.tif"] = (saved(PHOTO, "TIFF", **pages), png(COLOUR, 2))
    return rare


def _decoded(jpeg: bytes) -> np.ndarray:
    """As it is stored: the orientation is asked for by nobody."""
    return np.array(Image.open(BytesIO(jpeg)).convert("RGB"))


def _inverted_cmyk(jpeg: bytes) -> np.ndarray:
    """Adobe stores ink inverted; Pillow's rule for ink is (255 - ink) (255 - black) / 255, rounded."""
    ink = np.array(Image.open(BytesIO(jpeg))).astype(int)
    product = (255 - ink[..., :3]) * (255 - ink[..., 3:])
    return np.array((product + 127) // 255, np.uint8)


@pytest.fixture(scope="module")
def converted(trained_tiny, tmp_path_factory):  # noqa: F811
    """The folder of one conversion of everything, and how it ended."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "in").mkdir()
    (folder / "in" / "twins").mkdir()
    for name, data in {**_bad(), **_bombs()}.items():
        (folder / "in" / name).write_bytes(data)
    for name, (data, twin) in _rare().items():
        (folder / "in" / name).write_bytes(data)
        if twin:
            (folder / "in" / "twins" / name).write_bytes(twin)
    as_they_came = ("--depth", "same")
    words = ("convert", trained_tiny, "in", "out", "--to", "zebra", "--device", "cpu", *as_they_came)
    return folder, translate(*words, cwd=folder)


def _require_failed(converted, name: str) -> str:
    """The line that names it."""
    folder, ended = converted
    ended.ended_in_words(3)
    assert not list((folder / "out").glob(f"{name}*"))
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith(f"failed: in/{name}: ")]
    return line


def _pixels(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    assert pixels is not None, path
    return pixels


def _output(folder: Path, name: str) -> Path:
    return folder / "out" / (f"{name}.png" if name.endswith(".gif") else name)


def _require_twins(converted, name: str) -> np.ndarray:
    """The output, which is its twin's."""
    folder, _ = converted
    pixels = _pixels(_output(folder, name))
    assert np.array_equal(pixels, _pixels(_output(folder, f"twins/{name}")))
    return pixels


def test_all_sound_files_are_converted_and_all_others_listed_with_exit_3(converted):
    folder, ended = converted
    ended.ended_in_words(3)
    sound, bad = _rare(), {**_bad(), **_bombs()}
    twins = sum(twin is not None for _, twin in sound.values())
    assert ended.stdout.strip() == f"{len(sound) + twins} converted, 0 skipped, {len(bad)} failed"
    assert len([path for path in (folder / "out").rglob("[!.]*") if path.is_file()]) == len(sound) + twins


@pytest.mark.parametrize("name", ["zero_byte.png", "zero_byte.jpg"])
def test_zero_byte(converted, name):
    assert _require_failed(converted, name).endswith("the file is empty")


@pytest.mark.parametrize("name", [name for name in _bad() if name.startswith("truncated")])
def test_truncated(converted, name):
    _require_failed(converted, name)


@pytest.mark.parametrize("name", ["bad_crc.png", "bad_idat.png"])
def test_bad_png(converted, name):
    _require_failed(converted, name)


@pytest.mark.parametrize("name", ["text.jpg", "page.png", "script.tif"])
def test_text_renamed(converted, name):
    assert "not an image of a supported kind" in _require_failed(converted, name)


def test_bomb_is_refused_before_it_is_decoded_and_memory_stays_small(converted, tmp_path):
    bombs = _bombs()
    for name in bombs:
        _require_failed(converted, name)
    assert len(bombs["bomb 196 MP.png"]) < 200_000
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    ended = Child(["read"], tmp_path, json.dumps(list(bombs)), program=CHILD).end().ended_in_words(0)
    for name, row in zip(bombs, json.loads(ended.stdout), strict=True):
        assert row["outcome"].startswith(f"{name}: "), row
        assert row["grown_mb"] < 100, (name, row)
    assert "100,000,000" in ended.stdout.replace("10000 x 10000", "100,000,000")


def test_the_largest_image_that_is_read_needs_memory_by_its_pixels(tmp_path):
    side = 9_459  # 89,472,681 pixels, just below the cap
    rows = zlib.compress(bytes(side * (3 * side + 1)), 9)
    (tmp_path / "large.png").write_bytes(png_header(side, side) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    ended = Child(["read"], tmp_path, json.dumps(["large.png"]), program=CHILD).end().ended_in_words(0)
    (row,) = json.loads(ended.stdout)
    assert row["outcome"] == f"{side}x{side}x3"
    assert row["grown_mb"] < 12 * side * side / 2**20, row


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(converted, orientation):
    folder, _ = converted
    name = f"turned_{orientation}.jpg"
    pixels = _require_twins(converted, name)
    assert pixels.shape[:2] == ((20, 24) if orientation >= 5 else (24, 20))
    assert 274 not in Image.open(folder / "out" / name).getexif()
    assert np.array_equal(pixels, cv2.imread(str(folder / "out" / name)))  # which would obey a stale tag


@pytest.mark.parametrize("name", ["palette.png", "palette_tRNS.png", "one_bit.png", "L.png", "LA.png", "RGBA.png"])
def test_palette(converted, name):
    folder, _ = converted
    if name != "RGBA.png":
        _require_twins(converted, name)
    before, after = _pixels(folder / "in" / name), _pixels(folder / "out" / name)
    has_alpha = name in ("palette_tRNS.png", "LA.png", "RGBA.png")
    assert after.shape == (24, 20, 4 if has_alpha else 3)
    if has_alpha:
        assert np.array_equal(after[..., 3], before[..., 3])


def test_cmyk(converted):
    folder, _ = converted
    _require_twins(converted, "CMYK.jpg")
    assert Image.open(folder / "out" / "CMYK.jpg").mode == "RGB"


@pytest.mark.parametrize("name", ["16_bit_grey.png", "16_bit.tif", "float.tif"])
def test_16_bit(converted, name):
    folder, _ = converted
    pixels = _pixels(folder / "out" / name)
    twin = _pixels(folder / "out" / "twins" / name)
    assert twin.dtype == np.uint16 and pixels.shape == (24, 20, 3)
    if pixels.dtype == np.float32:  # floating point stays so, between 0 and 1
        pixels = np.rint(pixels * 65535).astype(np.uint16)
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, twin)
    assert len(np.unique(pixels)) > 256, "16 bits in, 16 bits out, if that is wanted"


@pytest.mark.parametrize("name", ["animated.gif", "animated.png", "animated.webp", "animated.tif"])
def test_animated(converted, name):
    folder, ended = converted
    _require_twins(converted, name)
    assert not getattr(Image.open(_output(folder, name)), "is_animated", False)
    (note,) = [
        line for line in ended.stderr.splitlines() if "holds more frames or pages; the first was converted" in line
    ]
    assert note.startswith("note: ") and name in note


@pytest.mark.parametrize("name", ["1x1.png", "3x10000.png", "10000x3.png", "odd.png"])
def test_1x1(converted, name):
    folder, _ = converted
    assert _pixels(folder / "out" / name).shape == _pixels(folder / "in" / name).shape


# Training


@pytest.fixture(scope="module")
def bad_set(tmp_path_factory):
    """A data set with every bad file in it, five sound ones in each domain, and a recipe."""
    folder = tmp_path_factory.mktemp("training")
    for name in ("trainA", "trainB", "testA", "testB"):
        write_images(folder / "data" / name, [f"{name}{number}.png" for number in range(5)])
    for name, data in {**_bad(), **_bombs()}.items():
        (folder / "data" / "trainA" / name).write_bytes(data)
    (folder / "data" / "testB" / "cut.png").write_bytes(png(COLOUR, 2)[:-500])
    write_recipe(folder / "tiny.yaml", "cyclegan", {"workers": 2})
    return folder


def _train(folder: Path, *more: object):
    return translate("train", "tiny.yaml", "--data", "data", "--device", "cpu", *more, cwd=folder)


def test_text_renamed_and_all_other_bad_files_are_listed_at_once_before_training(bad_set):
    ended = _train(bad_set, "--out", "refused").ended_in_words(2)
    count = len(_bad()) + len(_bombs()) + 1
    assert f"data: {count} images cannot be used:" in ended.stderr
    listed = [line for line in ended.stderr.splitlines() if line.startswith("  data/")]
    folded = [int(number) for number in re.findall(r"^  [^/]*: (\d+): .* in data", ended.stderr, re.MULTILINE)]
    assert listed and len(listed) + sum(folded) <= count and min(folded, default=4) > 3
    assert len(listed) + sum(folded) == count or re.search(r"^  and \d+ other faults$", ended.stderr, re.MULTILINE)
    assert "--skip-bad" in ended.stderr
    assert not (bad_set / "refused").exists()


def test_text_renamed_and_all_other_bad_files_are_left_out_by_skip_bad(bad_set):
    ended = _train(bad_set, "--out", "skipped", "--skip-bad").ended_in_words(0)
    count = len(_bad()) + len(_bombs()) + 1
    assert f"data: {count} images cannot be used:" in ended.stderr
    named = (bad_set / "skipped" / "skipped.txt").read_text().splitlines()
    assert len(named) == count
    assert {line.split(": ")[0] for line in named} >= {f"data/trainA/{name}" for name in _bad()}


def test_sound_files_of_every_kind_are_trained_on(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for name, (data, _) in _rare().items():
        (tmp_path / "data" / "trainA" / name).write_bytes(data)
        (tmp_path / "data" / "trainB" / f"other {name}").write_bytes(data)
    write_recipe(tmp_path / "tiny.yaml", "cyclegan", steps=None, epochs=1, log_every=100)
    _train(tmp_path, "--out", "run").ended_in_words(0)
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert row["step"] == len(_rare())
