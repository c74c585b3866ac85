"""Label maps: found by looking, read as numbers, checked, cached, augmented, and turned into planes on the device."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from label_files import COLOURS, classes, palette_image, photo, scenes
from PIL import Image
from test_domain import opened

from translate.data.augment import GEOMETRY, Augmentation, Augmenter
from translate.data.batch import Paired, Unpaired
from translate.data.checks.files import Files
from translate.data.checks.finding_labels import colours_in, labels_in
from translate.data.checks.folder import check
from translate.data.domain import Domain
from translate.data.domain_settings import DomainSettings
from translate.data.io.images import Picture
from translate.data.io.values import UNIT
from translate.data.label_maps import NOTHING, classes_of, palette
from translate.data.planes import coloured, planes, planes_of, read_as, together
from translate.data.settings import DataSettings
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError
from translate.runs.image_sets import training_stream
from translate.runs.image_sets.scanning import unreadable
from translate.training.runtime import Runtime

THREE = Domain("maps", 3, dtype="uint8", kind="labels")
BY_COLOUR = Domain("maps", 4, dtype="uint8", kind="labels", colours=COLOURS)


def read(path: Path, domain: Domain = THREE) -> np.ndarray:
    return Source.of(Source(path), domain).read(1)[..., 0]


def written(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def looked(*paths: Path, **said: object) -> Domain | None:
    return labels_in("maps", list(map(Source, paths)), DomainSettings(**said), Files())  # type: ignore[arg-type]


def test_numbers_are_read_and_never_the_colours_of_a_palette(tmp_path: Path) -> None:
    wanted = classes(1)
    two_bits = palette_image(wanted)
    files = [
        written(tmp_path / "grey.png", Image.fromarray(wanted)),
        written(tmp_path / "palette.png", palette_image(wanted)),
        written(tmp_path / "2-bits.png", two_bits, bits=2),
        written(tmp_path / "palette.tif", palette_image(wanted)),
        written(tmp_path / "grey.tif", Image.fromarray(wanted)),
        written(tmp_path / "alpha.png", Image.merge("LA", [Image.fromarray(wanted), Image.new("L", (16, 16), 9)])),
        written(tmp_path / "rgb.png", Image.fromarray(np.repeat(wanted[..., None], 3, 2))),
        written(tmp_path / "16.png", Image.fromarray(wanted.astype(np.uint16))),
    ]
    tifffile.imwrite(tmp_path / "int32.tif", wanted.astype(np.int32))
    for path in [*files, tmp_path / "int32.tif"]:
        np.testing.assert_array_equal(read(path), wanted, err_msg=path.name)
    one_bit = written(tmp_path / "1.png", Image.fromarray(wanted > 0))
    np.testing.assert_array_equal(read(one_bit), wanted > 0)


@pytest.mark.parametrize("bits", [2, 4])
def test_numbers_of_few_grey_bits_are_not_shades(tmp_path: Path, bits: int) -> None:
    import cv2

    wanted = classes(2, 4)
    path = tmp_path / "few.png"
    packed = np.packbits(np.unpackbits(wanted[..., None], axis=2)[..., -bits:].reshape(16, -1), axis=1)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", 16, 16, bits, 0, 0, 0, 0)
    ends = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ends)
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).max() == 3 * (255 // (2**bits - 1)), "as shades"
    np.testing.assert_array_equal(read(path, Domain("maps", 4, kind="labels")), wanted)


def test_what_is_no_class_is_named_with_its_number_and_count(tmp_path: Path) -> None:
    found = classes(3)
    found[5, :7], found[9, 2] = 77, 200
    path = written(tmp_path / "bad.png", Image.fromarray(found))
    with pytest.raises(
        ImageError, match=r"bad\.png: value 77 in 7 pixels, and 1 other values, where maps has .*0 to 2.*: give th"
    ):
        read(path)
    with pytest.raises(ImageError, match="value 200 in 1 pixels"):
        read(path, Domain("maps", 3, kind="labels", ignore=77))
    found[9, 2] = 0
    again = read(written(path, Image.fromarray(found)), Domain("maps", 3, kind="labels", ignore=77))
    assert (again[5, :7] == NOTHING).all() and (again == NOTHING).sum() == 7
    shot = written(tmp_path / "photo.png", Image.fromarray(photo(classes(3))))
    with pytest.raises(ImageError, match=r"give a file of one band, or .*train with data\.domains\.maps\.colours"):
        read(shot)


def test_colours_become_classes_by_their_table(tmp_path: Path) -> None:
    wanted = classes(4, 4, size=64)
    exact = np.array(COLOURS, np.uint8)[wanted]
    path = written(tmp_path / "exact.png", Image.fromarray(exact))
    np.testing.assert_array_equal(read(path, BY_COLOUR), wanted)
    np.testing.assert_array_equal(read(written(tmp_path / "p.png", palette_image(wanted)), BY_COLOUR), wanted)
    lossy = read(written(tmp_path / "lossy.jpg", Image.fromarray(exact), quality=85, subsampling=0), BY_COLOUR)
    assert (lossy == wanted).mean() > 0.97, "of the nearest colour"
    exact[3, :5] = (9, 9, 9)
    written(path, Image.fromarray(exact))
    with pytest.raises(ImageError, match=r"exact\.png: colour \[9, 9, 9\] in 5 pixels, which is none of the"):
        read(path, BY_COLOUR)
    half = np.hstack([np.array(COLOURS, np.uint8)[wanted], photo(wanted)])
    beside = written(tmp_path / "beside.png", Image.fromarray(half))
    np.testing.assert_array_equal(Source.of(Source(beside, "left"), BY_COLOUR).read(1)[..., 0], wanted)


def test_few_small_numbers_in_areas_are_found_to_be_labels(tmp_path: Path) -> None:
    grey = [written(tmp_path / f"g{n}.png", Image.fromarray(classes(n, 5, 64))) for n in range(3)]
    coloured_ones = [written(tmp_path / f"p{n}.png", palette_image(classes(n, 3, 64))) for n in range(3)]
    assert looked(*grey) == Domain("maps", 5, dtype="uint8", kind="labels")
    assert looked(*coloured_ones) == THREE
    void = classes(9, 5, 64)
    void[:9, :9] = 255
    found = looked(*grey, written(tmp_path / "void.png", Image.fromarray(void)))
    assert found is not None and (found.classes, found.ignore) == (5, 255)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert looked(tmp_path / "broken.png", *grey) is not None, "what cannot be read says nothing"


def test_what_may_be_pictures_is_never_found_to_be_labels(tmp_path: Path) -> None:
    labels = [written(tmp_path / f"g{n}.png", Image.fromarray(classes(n, 5, 64))) for n in range(9)]
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
    )
    other_palette = palette_image(classes(0, 4, 64), ((9, 9, 9), *COLOURS[1:]))
    pictures = {
        "photo.png": Image.fromarray(photo(classes(0, 4, 64))),
        "scan.png": Image.fromarray(smooth),
        "dark.png": Image.fromarray(smooth // 8),
        "mask.png": Image.fromarray(np.uint8(classes(0, 2, 64) * 255)),
        "bits.png": Image.fromarray(classes(0, 2, 64) > 0),
        "greys.png": palette_image(classes(0, 3, 64), ((0, 0, 0), (90, 90, 90), (255, 255, 255))),
        "flat.png": Image.new("L", (64, 64), 7),
        "numbers.jpg": Image.fromarray(classes(0, 5, 64)),
        "deep.png": Image.fromarray(classes(0, 5, 64).astype(np.uint16) * 900),
    }
    for name, image in pictures.items():
        path = written(tmp_path / name, image)
        assert looked(path, path) is None, name
        if name not in ("flat.png", "mask.png"):  # which could as well be the map of a single class
            assert looked(*labels[:3], path) is None, f"one {name} among three label maps"
            assert looked(*labels, path, path) is None, f"two {name} among label maps"
    drawings = [
        written(tmp_path / "d.png", other_palette),
        written(tmp_path / "e.png", palette_image(classes(1, 4, 64))),
    ]
    assert looked(*drawings) is None, "each has a palette of its own"
    assert looked(*drawings, kind="labels") is not None, "unless settings say so"


@pytest.mark.parametrize("place", [0, 4])
def test_one_broken_file_among_label_maps_is_refused_by_name_instead_of_making_pictures_of_them(
    tmp_path: Path, place: int
) -> None:
    labels = [written(tmp_path / f"g{n}.png", Image.fromarray(classes(n, 5, 64))) for n in range(8)]
    found, deep = classes(1, 5, 64), classes(0, 5, 64).astype(np.uint16) * 900
    found[3, 3] = 200
    for broken in (Image.fromarray(photo(classes(0, 4, 64))), Image.fromarray(deep), Image.fromarray(found)):
        path = written(tmp_path / "broken.png", broken)
        domain = looked(*labels[:place], path, *labels[place:])
        assert domain == Domain("maps", 5, dtype="uint8", kind="labels")
        with pytest.raises(ImageError, match=r"broken\.png: (its pixels are colours|value \d+ in)"):
            read(path, domain)
    many = [*labels * 5, path, path]
    assert looked(*many) == domain and looked(*many, path) is None, "one in twenty"


def test_settings_of_labels_go_before_what_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "scan.png", Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16) // 4))
    assert looked(path, kind="labels") == Domain("maps", 64, dtype="uint8", kind="labels")
    assert looked(path, classes=70, ignore=9) == Domain("maps", 70, dtype="uint8", kind="labels", ignore=9)
    assert looked(path, kind="labels", ignore=63) == Domain("maps", 63, dtype="uint8", kind="labels", ignore=63)
    assert looked(path, colours=COLOURS) == BY_COLOUR
    for wrong in (
        {"kind": "image", "classes": 3},
        {"classes": 3, "channels": 3},
        {"kind": "labels", "unit": "HU"},
        {"classes": 3, "colours": COLOURS},
        {"classes": 300},
        {"colours": ((1, 2, 256), (1, 2, 3))},
    ):
        with pytest.raises(ValueError, match=r"for kind: |leave classes out|less than or equal"):
            DomainSettings.model_validate(wrong)


def test_sets_say_what_was_found_and_which_keys_say_otherwise(tmp_path: Path) -> None:
    images, told = opened(scenes(tmp_path), Paired)
    *some, last = (f"data.domains.maps.{key}" for key in ("kind=image or instances", "classes", "ignore", "colours"))
    assert f"maps: label maps of 3 classes ({', '.join(some)} and {last} say otherwise)" in told
    assert images.kinds == (THREE, Domain("photos", 3, UNIT, "uint8")) and images.spec.channels == 3
    images, _ = opened(tmp_path, Paired, "data.domains.maps.kind=image")
    assert images.kinds[0] == Domain("maps", 1, UNIT, "uint8")
    images, _ = opened(tmp_path, Paired, "data.channels=3")
    assert not images.kinds[0].classes, "channels are those of images"


@pytest.mark.parametrize("where", ["off", "ram", "disk", "device"])
def test_batches_hold_a_byte_a_pixel_and_become_planes_where_they_are_placed(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "home"))
    scenes(tmp_path, ignored=9)
    images, _ = opened(tmp_path, Paired, f"data.cache={where}", "data.domains.maps.ignore=9", "data.load_size=24")
    for _ in range(2):  # decoded, then from the cache
        stream = training_stream(images.loader(2, 0), images.settings, torch.device("cpu"), print)(0, 1)
        batch = next(stream)
        stream.close()
        assert [domain.classes for domain in batch.held] == [3, 0]
        assert batch.input.shape == (2, 1, 16, 16) and batch.input.dtype == torch.uint8
        assert set(batch.input.unique().tolist()) <= {0, 1, 2, NOTHING}, "nothing between the classes"
        placed = Runtime(torch.device("cpu"), channels_last=True).place(batch)
        assert placed.input.shape == (2, 3, 16, 16) and placed.target.shape == (2, 3, 16, 16)
        assert placed.input.dtype == torch.float32 and set(placed.input.unique().tolist()) == {-1.0, 1.0}
        assert placed.input.is_contiguous(memory_format=torch.channels_last)
        for number in range(3):
            assert torch.equal(placed.input[:, number] == 1, batch.input[:, 0] == number)
        assert (placed.input.amax(1)[batch.input[:, 0] == NOTHING] == -1).all()
        assert placed.held == () and len(placed.split(2)) == 2


def test_label_maps_are_cropped_and_mirrored_as_their_photos_are(tmp_path: Path) -> None:
    images, _ = opened(scenes(tmp_path), Paired, "data.load_size=24", "data.interpolation=nearest")
    loader = images.loader(2, 0)
    for step in range(6):
        batch = loader.batch(step)
        shades = torch.tensor(COLOURS)[batch.input[:, 0].long()].permute(0, 3, 1, 2)
        assert ((batch.target.int() - shades).abs() <= 20).all()


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("first", [True, False])
def test_geometry_moves_label_maps_with_their_photos_and_makes_no_new_classes(name: str, first: bool) -> None:
    options = {"Affine": {"rotate": [-30, 30]}, "ElasticTransform": {"alpha": 60}}.get(name, {})
    augmenter = Augmenter([Augmentation(name=name, p=1.0, **options), Augmentation(name="RandomGamma", p=1.0)])
    found = np.kron(classes(5, 3, 8), np.ones((8, 8), np.uint8))[..., None] * 40
    shot = np.repeat(found, 3, 2)
    moved = 0
    for seed in range(6):
        given, labels = ([found, shot], [True, False]) if first else ([shot, found], [False, True])
        warped = augmenter(given, seed, labels)
        maps, other = warped if first else warped[::-1]
        assert maps.shape == found.shape and set(np.unique(maps)) <= {0, 40, 80}
        moved += not np.array_equal(maps, found)
        if first:  # a target is moved and nothing else: it stays near the map
            assert np.abs(other[..., :1].astype(int) - maps).mean() < 8
    assert moved


def test_what_rotation_uncovers_without_mirroring_is_of_no_class() -> None:
    augmenter = Augmenter([Augmentation(name="Rotate", p=1.0, limit=[45, 45], border_mode=0)])
    (maps,) = augmenter([np.ones((32, 32, 1), np.uint8)], 0, [True])
    assert set(np.unique(maps)) == {1, NOTHING}


def test_all_wrong_files_are_named_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = classes(7)
    found[:2, :3] = 50
    images, _ = opened(scenes(tmp_path), Paired, "data.domains.maps.classes=3")
    Image.fromarray(found).save(tmp_path / "maps" / "train" / "2.png")
    told: list[str] = []
    with pytest.raises(ConfigurationError, match=r"2\.png: value 50 in 6 pixels"):
        unreadable(images, images.loader(2, 0), told.append, quiet=True)
    monkeypatch.setattr("translate.runs.image_sets.scanning.THOROUGH", 1)
    with pytest.raises(ConfigurationError, match=r"2\.png: value 50 in 6 pixels"):
        unreadable(images, images.loader(2, 0), told.append, quiet=True)
    Image.fromarray(classes(7)).save(tmp_path / "maps" / "train" / "2.png")
    assert unreadable(images, images.loader(2, 0), told.append, quiet=True) == {}
    assert not any("black" in line for line in told), "numbers are not shades"


def test_check_reports_wrong_numbers_and_shows_colours(tmp_path: Path) -> None:
    root = scenes(tmp_path / "numbers")
    report = check(root)
    assert any(fact.startswith("maps: label maps of 3 classes") for fact in report.facts)
    assert not any("black" in note for note in report.notes) and report.problems == ()
    settings = DataSettings.model_validate_json('{"domains": {"maps": {"classes": 2}, "photos": {}}}')
    assert any(
        "value 2 in" in problem and "maps has the classes 0 to 1" in problem
        for problem in check(root, settings).problems
    )
    for path in root.glob("maps/*/*.png"):
        wanted = np.array(COLOURS, np.uint8)[classes(int(path.stem), 4, 64)]
        Image.fromarray(wanted).save(path)
    (line,) = [fact for fact in check(root).facts if "colours in flat areas" in fact]
    assert line.startswith("maps: 4 colours") and "data.domains.maps.colours=[[" in line
    maps = [Source(path) for path in root.glob("maps/*/*.png")]
    assert sorted(colours_in(maps)) == sorted(map(list, COLOURS))
    assert colours_in([Source(path) for path in root.glob("photos/*/*.png")]) == []
    assert colours_in([]) == []


def test_planes_classes_and_colours_agree(tmp_path: Path) -> None:
    found = torch.from_numpy(classes(8)).clone()
    found[3, 3] = NOTHING
    made = planes(found[None, None], THREE)
    assert torch.equal(classes_of(made)[0], found.long())
    shown = coloured(made, THREE)
    table = torch.from_numpy(palette(THREE)).float() / 127.5 - 1
    assert torch.equal(shown[0].permute(1, 2, 0), table[found.long()]) and (shown[0, :, 3, 3] == 1).all()
    assert len({tuple(colour) for colour in palette(THREE).tolist()}) > 200, "colours tell classes apart"
    assert palette(BY_COLOUR)[:4].tolist() == list(map(list, COLOURS))
    photos = torch.zeros(1, 3, 4, 4)
    assert coloured(photos, Domain("photos")) is photos
    path = written(tmp_path / "map.png", palette_image(classes(8)))
    picture = read_as(path, THREE)
    expected = torch.from_numpy(planes_of(picture, THREE)).permute(2, 0, 1)[None] / 127.5 - 1
    assert torch.equal(expected, planes(torch.from_numpy(classes(8))[None, None], THREE))


def test_unpaired_sets_hold_label_maps_too(tmp_path: Path) -> None:
    images, _ = opened(scenes(tmp_path), Unpaired, "data.layout=unpaired")
    batch = images.loader(2, 0).batch(0)
    assert [domain.classes for domain in batch.held] == [3, 0] and batch.a.shape[1] == 1


def test_what_was_cached_for_other_classes_is_checked_anew(tmp_path: Path) -> None:
    source = Source(written(tmp_path / "map.png", Image.fromarray(classes(1))))
    others = [THREE, Domain("maps", 2, kind="labels"), Domain("maps", 3, kind="labels", ignore=1), BY_COLOUR]
    assert len({Source.of(source, domain).identity() for domain in [*others, Domain("maps")]}) == 5
    assert Source.of(source, Domain("maps")) is source


def test_the_images_of_a_sample_are_held_as_one_and_become_planes_one_after_another() -> None:
    deep = Domain("depth", 1, dtype="uint16")
    domain = Domain.stacked("input", [Domain("photo", dtype="uint8"), THREE, deep])
    photo = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    shades = photo[..., :1] * np.uint16(211)
    numbers = np.where(photo[..., :1] > 200, NOTHING, photo[..., :1] % 3).astype(np.uint8)
    held = together([photo, numbers, shades], domain)
    assert held.dtype == np.uint16 and held.shape == (6, 5, domain.stored_channels)
    made = planes(torch.from_numpy(held).permute(2, 0, 1)[None], domain)[0].permute(1, 2, 0).numpy()
    wanted = [photo / 127.5 - 1, 2.0 * (numbers == np.arange(3)) - 1, shades / 32767.5 - 1]
    np.testing.assert_allclose(made, np.concatenate(wanted, 2), atol=1e-6)
    ready = planes_of(Picture(held), domain)
    np.testing.assert_allclose(ready / 32767.5 - 1, made, atol=1e-4)
    assert ready.dtype == np.uint16 and domain.channels == 7
    bytes_only = Domain.stacked("input", [Domain("photo", dtype="uint8"), THREE])
    assert together([photo, numbers], bytes_only).dtype == np.uint8
    with pytest.raises(ValueError):
        together([photo[1:], numbers], bytes_only)
