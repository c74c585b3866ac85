"""Instance maps: found by looking, read as numbers, cached, augmented, and turned into planes on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from instance_files import nuclei, things
from label_files import classes, palette_image, photo
from label_files import scenes as label_scenes
from PIL import Image
from test_domain import opened
from test_folders import DATA

from translate.data.augment import GEOMETRY, Augmentation, Augmenter
from translate.data.batch import Paired
from translate.data.checks.files import Files
from translate.data.checks.finding_instances import instances_in
from translate.data.checks.folder import check
from translate.data.checks.looking import kinds_of
from translate.data.domain import Domain
from translate.data.domain_settings import DomainSettings
from translate.data.instance_maps import MOST, palette
from translate.data.io.images import Picture, display_bands
from translate.data.io.values import UNIT
from translate.data.label_maps import NOTHING
from translate.data.layouts.folders import open_folder
from translate.data.planes import coloured, planes, planes_of, read_as, together
from translate.data.settings import DataSettings
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError
from translate.models.images import ImageSpec
from translate.runs.image_sets import training_stream
from translate.training.runtime import Runtime

MAPS = Domain("maps", 2, dtype="uint16", kind="instances")


def read(path: Path, domain: Domain = MAPS) -> np.ndarray:
    return Source.of(Source(path), domain).read(1)[..., 0]


def written(path: Path, found: np.ndarray) -> Path:
    if found.dtype in (np.uint8, np.uint16):
        Image.fromarray(found).save(path)
    else:
        tifffile.imwrite(path, found)
    return path


def looked(*paths: Path, **said: object) -> Domain | None:
    return instances_in("maps", list(map(Source, paths)), DomainSettings(**said), Files())  # type: ignore[arg-type]


def plain(found: np.ndarray) -> np.ndarray:
    """Planes by the definition, pixel by pixel: (2, height, width), bool."""
    height, width = found.shape
    boundary = np.zeros(found.shape, bool)
    for y, x in np.ndindex(height, width):
        beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        boundary[y, x] = any(
            found[place] != found[y, x] for place in beside if 0 <= place[0] < height and 0 <= place[1] < width
        )
    return np.stack([found != 0, boundary])


def made(held: np.ndarray, domain: Domain = MAPS) -> np.ndarray:
    """Planes of what is held (height, width), by the device's program."""
    return planes(torch.from_numpy(held)[None, None], domain)[0].numpy()


def test_planes_are_what_is_inside_and_where_neighbours_differ() -> None:
    found = np.array([[0, 0, 0, 0], [0, 7, 7, 9], [0, 7, 7, 9]], np.uint16)
    wanted = [
        [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1]],
        [[0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]],
    ]
    assert made(found).tolist() == (2.0 * np.array(wanted) - 1).tolist()
    for seed in range(3):
        found = things(seed, 20)
        np.testing.assert_array_equal(made(found) > 0, plain(found))
    np.testing.assert_array_equal(made(np.full((1, 5), 3, np.uint16)), [[[1.0] * 5], [[-1.0] * 5]])


def test_what_augmentation_uncovers_is_outside(tmp_path: Path) -> None:
    found = things(1, 20).astype(np.uint16)
    uncovered = found.copy()
    uncovered[:20] = NOTHING
    outside = found.copy()
    outside[:20] = 0
    np.testing.assert_array_equal(made(uncovered), made(outside))
    augmenter = Augmenter([Augmentation(name="Rotate", p=1.0, limit=[45, 45], border_mode=0)])
    (turned,) = augmenter([np.full((32, 32, 1), 9, np.uint16)], 0, [True])
    assert set(np.unique(turned)) == {9, NOTHING} and made(turned[..., 0])[0, 0, 0] == -1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "uint32", "float32"])
def test_files_of_any_integers_keep_what_equals_what(tmp_path: Path, dtype: str) -> None:
    found = things(2, 30)
    path = written(tmp_path / f"map.{'png' if dtype in ('uint8', 'uint16') else 'tif'}", found.astype(dtype))
    np.testing.assert_array_equal(read(path), found)
    assert read(path).dtype == np.uint16


def test_large_and_negative_numbers_are_numbered_anew(tmp_path: Path) -> None:
    found = things(3, 30).astype(np.int64)
    for strange in (
        found * 70_000,
        np.where(found == 4, -65_535, found),
        found * 255,
        np.where(found == 0, 0, found + 65_500),
    ):
        held = read(written(tmp_path / "map.tif", strange.astype(np.int32)))
        pairs = set(zip(strange.ravel().tolist(), held.ravel().tolist(), strict=True))
        assert len(pairs) == len(np.unique(strange)) == len(np.unique(held)), "one number for each"
        assert (0, 0) in pairs and (held != NOTHING).all()
        np.testing.assert_array_equal(made(held) > 0, plain(strange))
    many = np.arange(260 * 260).reshape(260, 260).astype(np.int32)
    with pytest.raises(ImageError, match=rf"map\.tif: 67,599 things, and {MOST:,} at most"):
        read(written(tmp_path / "map.tif", many))
    assert len(np.unique(read(written(tmp_path / "map.tif", np.minimum(many, MOST) * 3)))) == MOST + 1


def test_palettes_greys_as_rgb_and_halves_are_read_as_numbers(tmp_path: Path) -> None:
    found = things(4, 30).astype(np.uint8)
    palette_image(found, [(n, 255 - n, 7) for n in range(256)]).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read(tmp_path / "palette.png"), found)
    Image.fromarray(np.repeat(found[..., None], 3, 2)).save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read(tmp_path / "rgb.png"), found)
    both = written(tmp_path / "both.png", np.hstack([found, found[::-1]]))
    np.testing.assert_array_equal(Source.of(Source(both, "right"), MAPS).read(1)[..., 0], found[::-1])


def test_what_holds_no_numbers_is_refused(tmp_path: Path) -> None:
    Image.fromarray(photo(classes(1))).save(tmp_path / "photo.png")
    Image.fromarray(things(1, 20).astype(np.uint8)).save(tmp_path / "map.jpg")
    for name in ("photo.png", "map.jpg"):
        with pytest.raises(
            ImageError, match=rf"{name}: holds colours, or .* train with data\.domains\.maps\.kind=image"
        ):
            read(tmp_path / name)
    with pytest.raises(ImageError, match=r"holds fractions"):
        read(written(tmp_path / "map.tif", np.full((4, 4), 0.5, np.float32)))


def test_an_ignored_number_is_outside(tmp_path: Path) -> None:
    found = things(5, 20)
    path = written(tmp_path / "map.png", np.where(found == 3, 65535, found).astype(np.uint16))
    ignoring = Domain("maps", 2, dtype="uint16", kind="instances", ignore=65535)
    np.testing.assert_array_equal(read(path, ignoring), np.where(found == 3, 0, found))
    assert str(ignoring) == "instance maps, 65535 ignored"


def test_things_that_differ_in_number_are_found(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        files = [written(tmp_path / f"{n}.png", things(n, 30 - 5 * n).astype(dtype)) for n in range(4)]
        assert looked(*files) == MAPS
    nothing = written(tmp_path / "nothing.png", np.zeros((40, 40), np.uint16))
    gap = np.where(things(9, 28) == 5, 0, things(9, 28)).astype(np.uint16)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert looked(*files, nothing, written(tmp_path / "gap.png", gap), tmp_path / "broken.png") == MAPS
    void = things(8, 25)
    void[:5, :5] = 65535
    assert looked(*files, written(tmp_path / "void.png", void)) is None
    assert looked(*files, tmp_path / "void.png", ignore=65535).ignore == 65535


def test_what_may_be_something_else_is_never_found_to_be_instances(tmp_path: Path) -> None:
    maps = [written(tmp_path / f"{n}.png", things(n, 30 - n)) for n in range(9)]
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8))
    smooth = np.asarray(small.resize((96, 96), Image.Resampling.BICUBIC))
    stripes = (np.add.outer(np.arange(96) // 4, np.arange(96) // 4) % 20).astype(np.uint8)
    ground = np.where(things(1, 30) == 0, 31, things(1, 30)).astype(np.uint16)
    ground[:4, :4] = 0
    others = {
        "labels.png": classes(1, 5, 96),
        "many classes.png": np.kron(rng.permutation(64).reshape(8, 8), np.ones((12, 12))).astype(np.uint8),
        "scan.png": smooth,
        "deep.png": smooth.astype(np.uint16) * 199,
        "depth.png": things(1, 30) * 400,
        "gaps.png": things(1, 30) * 3,
        "ground.png": ground,
        "mask.png": np.uint8(classes(0, 2, 64) * 255),
        "stripes.png": np.where(stripes < 9, 0, stripes - 8).astype(np.uint8),
        "photo.png": photo(classes(0, 4, 64)),
    }
    for name, found in others.items():
        path = written(tmp_path / name, found)
        assert looked(path, path) is None, name
        if name not in ("labels.png", "many classes.png"):  # which could as well be the map of a few, or of many things
            assert looked(*maps[:3], path) is None, f"one {name} among three instance maps"
            assert looked(*maps, path) == (MAPS if name == "photo.png" else None), f"one {name} among instance maps"
    assert looked(*maps, path, path) is None, "two photos"
    with pytest.raises(ImageError, match=r"photo\.png: holds colours"):
        read(path)
    assert looked(maps[0], maps[0]) is None, "all of equally many things: perhaps classes"
    few = [written(tmp_path / f"few{n}.png", things(n, 3 + n)) for n in range(6)]
    assert looked(*few) is None, "perhaps classes that hold each other"
    assert looked(*few, kind="instances") == MAPS, "unless settings say so"


def test_settings_say_what_goes_with_the_kind() -> None:
    assert DomainSettings.model_validate({"kind": "instances", "ignore": 9}).said == "instances"
    for wrong, why in (
        ({"classes": 3}, "classes is for kind: labels, and not for instances"),
        ({"colours": ((0, 0, 0), (1, 1, 1))}, "colours is for kind: labels"),
        ({"span": (0, 9)}, "span is for kind: image, and not for instances"),
        ({"channels": 2}, "channels is for kind: image"),
        ({"unit": "m"}, "unit is for kind: image"),
    ):
        with pytest.raises(ValueError, match=why):
            DomainSettings.model_validate({"kind": "instances"} | wrong)
    with pytest.raises(ValueError, match=r"no kind 'instance'; did you mean 'instances'"):
        DomainSettings(kind="instance")


def test_sets_say_what_was_found_and_which_keys_say_otherwise(tmp_path: Path) -> None:
    images, told = opened(nuclei(tmp_path), Paired)
    keys = "data.domains.instances.kind=image or labels and data.domains.instances.ignore say otherwise"
    assert f"instances: instance maps ({keys})" in told
    assert images.kinds == (
        Domain("instances", 2, UNIT, "uint16", kind="instances"),
        Domain("microscopy", 3, UNIT, "uint8"),
    )
    images, _ = opened(tmp_path, Paired, "data.domains.instances.kind=image")
    assert images.kinds[0].kind == "image" and images.kinds[0].channels == 1
    report = check(tmp_path)
    assert any(fact.startswith("instances: instance maps (") for fact in report.facts) and report.problems == ()
    assert not any("black" in note for note in report.notes), "numbers are not shades"
    images, told = opened(label_scenes(tmp_path / "labels"), Paired)
    assert images.kinds[0].kind == "labels"


@pytest.mark.parametrize("where", ["off", "ram", "disk", "device"])
def test_batches_hold_numbers_and_become_planes_where_they_are_placed(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "home"))
    images, _ = opened(nuclei(tmp_path), Paired, f"data.cache={where}", "data.load_size=24")
    for _ in range(2):  # decoded, then from the cache
        stream = training_stream(images.loader(2, 0), images.settings, torch.device("cpu"), print)(0, 1)
        batch = next(stream)
        stream.close()
        assert batch.input.shape == (2, 1, 16, 16) and batch.input.dtype == torch.uint16
        placed = Runtime(torch.device("cpu"), channels_last=True).place(batch)
        assert placed.input.shape == (2, 2, 16, 16) and placed.input.dtype == torch.float32
        for numbers, found in zip(batch.input, placed.input, strict=True):
            np.testing.assert_array_equal(found.numpy() > 0, plain(numbers[0].numpy().astype(int)))


def test_a_cache_tells_the_kinds_apart(tmp_path: Path) -> None:
    source = Source(written(tmp_path / "map.png", things(1, 2)))
    others = [MAPS, Domain("maps", 2, kind="labels"), Domain("maps", 2, dtype="uint16", kind="instances", ignore=1)]
    assert len({Source.of(source, domain).identity() for domain in [*others, Domain("maps")]}) == 4


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_makes_no_new_numbers_and_photometry_changes_none(name: str) -> None:
    options = {"Affine": {"rotate": [-30, 30]}, "ElasticTransform": {"alpha": 60}}.get(name, {})
    augmenter = Augmenter([Augmentation(name=name, p=1.0, **options), Augmentation(name="RandomGamma", p=1.0)])
    found = (things(6, 30).astype(np.uint16) * np.uint16(1999))[..., None]
    numbers = set(np.unique(found).tolist())
    for seed in range(3):
        warped, _ = augmenter([found, np.zeros((96, 96, 3), np.uint8)], seed, [True, False])
        assert warped.dtype == np.uint16 and set(np.unique(warped).tolist()) <= numbers


def test_what_is_shown_tells_things_apart() -> None:
    table = palette().astype(int)
    assert (table[[0, NOTHING]] == 0).all() and (np.delete(table, [0, NOTHING], 0).max(1) > 100).all()
    for apart in range(1, 8):
        first, second = table[1:200], table[1 + apart : 200 + apart]
        assert np.abs(first - second).max(1).min() > 25, "numbers near each other"
    found = things(7, 30)
    shown = display_bands(Picture(found[..., None], palette=palette())).pixels
    assert shown.shape == (96, 96, 3) and (shown[found == 0] == 0).all()
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 31


def test_grids_show_boundaries_and_a_colour_for_each_area() -> None:
    found = things(7, 30)
    shown = coloured(planes(torch.from_numpy(found)[None, None], MAPS), MAPS)[0].permute(1, 2, 0).numpy()
    inside, boundary = plain(found)
    assert (shown[boundary] == 1).all() and (shown[~inside & ~boundary] == -1).all()
    colours = {number: np.unique(shown[(found == number) & ~boundary], axis=0) for number in range(1, 31)}
    assert all(len(of) == 1 and (of > -1).any() for of in colours.values())
    assert len({tuple(of[0]) for of in colours.values()}) == 30


def test_instance_maps_are_layers_beside_label_maps_and_photos(tmp_path: Path) -> None:
    labels = Domain("labels", 3, dtype="uint8", kind="labels")
    domain = Domain.stacked("input", [Domain("photo", dtype="uint8"), labels, MAPS])
    assert (domain.channels, domain.stored_channels, domain.held) == (8, 5, np.uint16)
    found = things(8, 30)
    numbers = (found % 3).astype(np.uint8)
    numbers[:4] = NOTHING
    shot = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    held = together([shot, numbers[..., None], found[..., None]], domain)
    stacked = planes(torch.from_numpy(held).permute(2, 0, 1)[None], domain)[0].numpy()
    np.testing.assert_allclose(stacked[:3].transpose(1, 2, 0), shot / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(stacked[3:6] > 0, numbers == np.arange(3)[:, None, None])
    np.testing.assert_array_equal(stacked[6:] > 0, plain(found))
    np.testing.assert_allclose(planes_of(Picture(held), domain) / 32767.5 - 1, stacked.transpose(1, 2, 0), atol=1e-4)
    assert "maps (instance maps)" in str(domain)


def test_conversion_sees_the_planes_that_training_sees(tmp_path: Path) -> None:
    found = things(9, 30)
    path = written(tmp_path / "map.png", found)
    picture = read_as(path, MAPS)
    np.testing.assert_array_equal(planes_of(picture, MAPS).transpose(2, 0, 1) > 0, plain(found))
    assert planes_of(picture, MAPS).dtype == np.uint8, "which bf16 takes as they are"


def test_as_a_target_they_are_refused_by_name() -> None:
    spec = ImageSpec(3, 16, ("photos", "maps"), each=(Domain("photos"), MAPS))
    with pytest.raises(ConfigurationError, match="maps holds instance maps, which can be the input only: set"):
        spec.require_targets([1], "BtoA")
    spec.require_targets([0], "BtoA")


@pytest.mark.skipif(not (DATA / "nuclei").is_dir(), reason="needs nuclei, camvid and facades below $TRANSLATE_DATA")
def test_published_sets_are_found_to_be_what_they_are() -> None:
    kinds = {
        name: [
            kind.kind for kind in kinds_of(open_folder(DATA / name, wanted="paired").columns(), DataSettings(), Files())
        ]
        for name in ("nuclei", "camvid", "facades")
    }
    assert kinds == {"nuclei": ["instances", "image"], "camvid": ["labels", "image"], "facades": ["image", "image"]}
