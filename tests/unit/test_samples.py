"""Samples of several images, converted: read together, by folder and in Python; delivered as the first image is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from label_files import classes, palette_image, photo
from PIL import Image
from sample_files import CLEAN, MASK, PHOTO, model_of, photos_and_masks, pixels, spec_of
from test_converter import Negative
from tiny import CPU, SPEC

from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.layers import proportional
from translate.data.planes import planes, planes_of, together
from translate.data.scale import Scale
from translate.errors import ConfigurationError, ImageError
from translate.inference.converter import Converter
from translate.inference.delivery import delivered
from translate.inference.extras import ExtrasWriter, Looks
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import Extras, OutputOptions
from translate.inference.samples import sample_of
from translate.inference.video import convert_video
from translate.models.base import Request

DEPTH = Domain("depth", 1, (0, 10), "float32", "m")
GIVEN = Domain.stacked("input", [PHOTO, MASK])
TO = Request.to(1)


class Marked(Negative):
    """The photo, in negative where the mask has class 2; planes of further layers do not count."""

    def convert(self, images: torch.Tensor, to: int = 1) -> torch.Tensor:
        return images[:, :3] * -images[:, 5:6]


class Unchanged(Negative):
    """The first three planes."""

    def convert(self, images: torch.Tensor, to: int = 1) -> torch.Tensor:
        return images[:, :3]


class Last(Negative):
    """The last three planes."""

    def convert(self, images: torch.Tensor, to: int = 1) -> torch.Tensor:
        return images[:, -3:]


def converter(model: type[Negative] = Marked, *layers: Domain, target: Domain = CLEAN) -> Converter:
    return Converter(model(), spec_of(layers or (PHOTO, MASK), target), CPU)


def marked(shot: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.where(found[..., None] == 2, 255 - shot, shot)


def write(path: Path, image: np.ndarray | Image.Image, **options: object) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(path, **options)
    return np.asarray(image)


def converted(root: Path, model: Converter, **options: object):
    """What becomes of photos/ with masks/, and of the folders of further layers."""
    further = model.images.to_translate(TO).layers[1:]
    jobs = plan(root / "photos", root / "out", beside={layer.name: root / f"{layer.name}s" for layer in further})
    return convert_folder(model, jobs, TO, OutputOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [None, 3])
def test_files_are_translated_with_their_partners(tmp_path: Path, batch: int | None) -> None:
    shots = {}
    for number, name in enumerate(["a", "sub/b", "sub/b.v2", "ü"]):
        found = classes(number, size=20)
        shots[name] = write(tmp_path / "photos" / f"{name}.png", photo(found)), found
        mask = palette_image(found) if number % 2 else Image.fromarray(found)
        write(tmp_path / "masks" / f"{name}.{'tif' if number else 'png'}", mask)
    (tmp_path / "masks" / "ü.tif").rename(tmp_path / "masks" / "u\u0308.tif")  # as macOS spells it
    outcome = converted(tmp_path, converter(), batch=batch)
    assert outcome.counts == {"written": 4} and not outcome.noted
    for name, of in shots.items():
        assert np.array_equal(pixels(tmp_path / "out" / f"{name}.png"), marked(*of)), name


def test_a_file_without_partner_fails_alone_and_says_of_which_layer(tmp_path: Path) -> None:
    photos_and_masks(tmp_path)
    (tmp_path / "masks" / "two.png").rename(tmp_path / "masks" / "three.png")
    outcome = converted(tmp_path, converter())
    (failed,) = outcome.failed
    assert outcome.counts == {"written": 1, "failed": 1}
    assert failed.error == f"{tmp_path / 'photos' / 'two.jpg'}: there is no mask of its name"
    write(tmp_path / "masks" / "two.png", np.full((16, 16), 77, np.uint8))
    (failed,) = converted(tmp_path, converter()).failed
    assert failed.error.startswith(f"{tmp_path / 'masks' / 'two.png'}: value 77 in 256 pixels")


def test_layers_of_other_sizes_are_brought_to_the_firsts_or_refused_with_both_names(tmp_path: Path) -> None:
    found = classes(1, size=20)
    large = found.repeat(2, 0).repeat(2, 1)
    shot = write(tmp_path / "photos" / "a.png", photo(large))
    write(tmp_path / "masks" / "a.png", found)
    write(tmp_path / "photos" / "b.png", shot)
    write(tmp_path / "masks" / "b.png", large[:, :30])
    (failed,) = converted(tmp_path, converter()).failed
    assert np.array_equal(pixels(tmp_path / "out" / "a.png"), marked(shot, large)), "by the nearest class"
    assert failed.error == (
        f"{tmp_path / 'masks' / 'b.png'}: 30 x 40 pixels, where {tmp_path / 'photos' / 'b.png'} has 40 x 40: give "
        "images of the same proportions"
    )


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ((10, 20), (10, 20), True),
        ((10, 20), (30, 60), True),
        ((333, 501), (166, 250), True),
        ((1000, 1500), (67, 100), True),
        ((10, 20), (20, 10), False),
        ((100, 100), (100, 90), False),
        ((480, 640), (480, 630), False),
    ],
)
def test_sizes_are_in_proportion_but_for_rounding(one: tuple[int, int], other: tuple[int, int], alike: bool) -> None:
    assert proportional(one, other) == proportional(other, one) == alike


def test_place_alpha_and_type_are_those_of_the_first(tmp_path: Path) -> None:
    found = classes(0)
    rgba = np.dstack([photo(found), np.full((16, 16), 255, np.uint8)])
    rgba[3, 4, 3] = 7
    exif = Image.Exif()
    exif[0x010E] = "of the photo"
    write(tmp_path / "photos" / "a.png", rgba, exif=exif)
    exif[0x010E] = "of the mask"
    write(tmp_path / "masks" / "a.tif", Image.merge("LA", [Image.fromarray(found)] * 2), exif=exif)
    model = converter(Marked, PHOTO, MASK, DEPTH, target=replace(CLEAN, dtype="uint16"))
    (tmp_path / "depths").mkdir()
    tifffile.imwrite(tmp_path / "depths" / "a.tif", np.linspace(0, 10, 256, dtype=np.float32).reshape(16, 16))
    assert model.images.to_translate(TO).held == np.uint16, "as the depth is"
    for depth, wanted in (("same", np.uint8), ("target", np.uint16)):
        model.depth = depth  # type: ignore[assignment]
        assert not converted(tmp_path, model, overwrite=True).failed
        written = images.read(tmp_path / "out" / "a.png")
        assert written.pixels.dtype == wanted and written.alpha is not None
        assert written.alpha[3, 4] == 7 * (257 if wanted == np.uint16 else 1)
        with Image.open(tmp_path / "out" / "a.png") as image:
            assert image.getexif()[0x010E] == "of the photo"
        shades = written.pixels if wanted == np.uint8 else written.pixels // 257
        opaque = np.ones((16, 16), bool)
        opaque[3, 4] = False
        assert np.array_equal(shades[opaque], marked(rgba[..., :3], found)[opaque])


def test_what_is_to_be_known_of_each_layer_is_said(tmp_path: Path) -> None:
    found = classes(0)
    write(tmp_path / "photos" / "a.png", photo(found))
    mask = Image.fromarray(found)
    write(tmp_path / "masks" / "a.tif", mask, save_all=True, append_images=[mask])
    write(tmp_path / "depths" / "a.png", found * 100)
    outcome = converted(tmp_path, converter(Unchanged, PHOTO, replace(MASK, kind="image", channels=1), DEPTH))
    (record,) = outcome.noted
    assert "mask: holds more frames or pages" in record.note
    assert "depth: its 8-bit shades were taken for 0 (black) to 10 m (white)" in record.note


def test_a_deeper_file_is_held_as_the_domain_is() -> None:
    deep, found = np.full((4, 4, 3), 257 * 9, np.uint16), np.ones((4, 4, 1), np.uint8)
    assert together([deep, found], GIVEN).tolist() == together([np.full((4, 4, 3), 9, np.uint8), found], GIVEN).tolist()


def test_planes_are_those_of_training_and_each_layer_is_resized_by_its_own_filter() -> None:
    given = Domain.stacked("input", [PHOTO, MASK, DEPTH])
    shot, found = photo(classes(3, size=20)), classes(3, size=20)[..., None]
    held = together([shot, found, np.full((20, 20, 1), 999, np.uint16)], given)
    made = planes_of(Picture(held), given)
    wanted = planes(torch.from_numpy(held.astype(np.int32)).to(torch.uint16).permute(2, 0, 1)[None], given)
    assert made.dtype == np.uint16 and made.shape == (20, 20, 7)
    np.testing.assert_allclose(made / 32767.5 - 1, wanted[0].permute(1, 2, 0), atol=1e-6)
    for array in (held, made):
        small = given.resized(array, 7, 9)
        assert small.shape == (7, 9, array.shape[2]) and small.dtype == array.dtype
        assert np.array_equal(small[..., :3], images.resize(array[..., :3], 7, 9))
        assert np.array_equal(small[..., 3:-1], images.resize(array[..., 3:-1], 7, 9, "nearest"))
    bilinear = given.at(Scale(20, 20, 7, interpolation="bilinear")).resized(held, 7, 9)
    assert np.array_equal(bilinear[..., :3], images.resize(held[..., :3], 7, 9, "bilinear"))


def test_at_another_size_the_first_keeps_its_detail_as_a_single_image_does() -> None:
    shot, found = photo(classes(0, size=40), 5), classes(0, size=40)
    single = Converter(Unchanged(), replace(SPEC, each=(CLEAN,)), CPU)
    both = converter(Unchanged)
    single.size = both.size = 24
    wanted, made = single.convert(shot), both.convert({"photo": shot, "mask": found})
    assert np.array_equal(made, wanted) and np.abs(made.astype(int) - shot).mean() < 3
    other = converter(Last, MASK, PHOTO)
    other.size = 24
    assert np.array_equal(other.convert({"photo": shot, "mask": found}), wanted), "of the one that is like the target"
    chosen = converter()
    chosen.size, chosen.keep_size = 20, False
    small = images.resize(shot, 20, 20)
    assert np.array_equal(chosen.convert({"photo": shot, "mask": found}), marked(small, found[1::2, 1::2]))
    tensor = torch.cat([torch.from_numpy(shot).permute(2, 0, 1)[None] / 127.5 - 1, torch.zeros(1, 3, 40, 40) - 1], 1)
    back = both.convert(tensor)
    assert back.shape == (1, 3, 40, 40)
    assert np.abs(((back[0] + 1) * 127.5).round().permute(1, 2, 0).numpy() - wanted).max() <= 1


def test_a_large_sample_is_converted_in_bands() -> None:
    spec = spec_of()
    shot, found = photo(classes(7, size=64)), classes(7, size=64)
    whole, banded = (Converter(model_of(spec), spec, CPU) for _ in range(2))
    banded.fitting.tile = 8
    one, other = (each.convert({"photo": shot, "mask": found}).astype(int) for each in (whole, banded))
    assert one.std() > 5 and np.abs(one - other).max() <= 1
    changed = whole.convert({"photo": shot, "mask": np.zeros_like(found)}).astype(int)
    assert np.abs(changed - one).max() > 5, "the mask counts"


def test_dicts_of_arrays_and_of_pil_images_give_what_files_give(tmp_path: Path) -> None:
    found = classes(1)
    shot = write(tmp_path / "photos" / "a.png", photo(found))
    write(tmp_path / "masks" / "a.png", found)
    model = converter()
    assert not converted(tmp_path, model).failed
    wanted = pixels(tmp_path / "out" / "a.png")
    sample = {"photo": shot, "mask": found}
    assert np.array_equal(model.convert(sample), wanted)
    assert np.array_equal(model.convert({"mask": found[..., None].astype(np.int64), "photo": shot}), wanted)
    pictured = model.convert({"photo": Image.fromarray(shot), "mask": palette_image(found)})
    assert pictured.mode == "RGB" and np.array_equal(np.asarray(pictured), wanted)
    mixed = model.convert({"photo": shot, "mask": palette_image(found)})
    assert isinstance(mixed, np.ndarray) and np.array_equal(mixed, wanted)
    large = {"mask": palette_image(found.repeat(2, 0).repeat(2, 1)), "photo": shot}
    assert model.convert(large).size == (32, 32), "a PIL image of that size, as the one given first is"
    assert all(np.array_equal(one, wanted) for one in model.convert([sample, sample]))
    lazy = model.convert(iter([sample]))
    assert np.array_equal(next(lazy), wanted)
    held = torch.from_numpy(together([shot, found[..., None]], GIVEN)).permute(2, 0, 1)[None]
    assert torch.equal(model.convert(planes(held, GIVEN))[0], model.convert(planes(held, GIVEN)[0]))


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((8, 8, 3), np.uint8), r'samples are photo \(.*\) \+ mask \(.*give a dict \{"photo": array, "mask"'),
        (Image.new("RGB", (8, 8)), 'give a dict {"photo": array'),
        ({"photo": np.zeros((8, 8, 3), np.uint8)}, "a dict of photo: give a dict"),
        ({"photo": 1, "mask": 2, "depth": 3}, "a dict of photo, mask, depth: give"),
        ({}, "a dict of nothing: "),
        ({"photo": np.zeros((8, 8, 3)), "mask": np.full((8, 8), 9)}, "mask: the array: value 9 in 64 pixels"),
        ({"photo": np.zeros((8, 8, 5), np.uint8), "mask": np.zeros((8, 8))}, "photo: expected 3 channels"),
        ({"photo": np.zeros((8, 8, 3), np.uint8), "mask": np.zeros((8, 12))}, "mask: 12 x 8 pixels, where photo has 8"),
    ],
)
def test_what_is_no_sample_is_refused_with_the_names_of_layers(images: object, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("{", r"\{") if "\\" not in told else told):
        converter().convert(images)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^mask: a tensor in a dict: give a dict .* or a tensor of all 6 planes"):
        converter().convert({"photo": np.zeros((8, 8, 3), np.uint8), "mask": torch.zeros(1, 8, 8)})
    with pytest.raises(TypeError, match="not dict"):
        Converter(Negative(), SPEC, CPU).convert({"photo": np.zeros((8, 8, 3), np.uint8)})
    with pytest.raises(ValueError, match="trained on 6 channels, the images have 3"):
        converter().convert(torch.zeros(1, 3, 8, 8))
    both = Converter(Negative(), replace(SPEC, each=(CLEAN, GIVEN)), CPU)
    with pytest.raises(ConfigurationError, match=r"translations are samples of photo \(.*give a tensor of all planes"):
        both.convert(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ConfigurationError, match=r"clip\.mp4: the model takes photo \(8-bit RGB\) \+ mask"):
        convert_video(converter(), tmp_path / "clip.mp4", tmp_path / "out.mp4", TO)
    with pytest.raises(ImageError, match=r"b: 2 bands, where images of the domain have 3"):
        sample_of([Picture(np.zeros((8, 8, 3), np.uint8)), Picture(np.zeros((8, 8, 2), np.uint8))],
                  Domain.stacked("input", [PHOTO, replace(PHOTO, name="b")]), ["a", "b"])  # fmt: skip


def test_sheets_show_every_layer_and_labels_in_their_colours(tmp_path: Path) -> None:
    photos_and_masks(tmp_path)
    model, found = converter(), []
    jobs = plan(tmp_path / "photos", tmp_path / "out", beside={"mask": tmp_path / "masks"})
    convert_folder(model, jobs, TO, done=found.append)
    extras = Extras(compare=tmp_path / "sheets", gallery=tmp_path / "all.html")
    writer = ExtrasWriter(extras, model, TO, False)
    for record in found:
        writer.add(record)
    looks = Looks(extras)
    looks.add(writer.rows(jobs.source), {})
    assert writer.close() == looks.write("out", 2) == []
    page = (tmp_path / "all.html").read_text()
    assert page.count("input: photo") >= 2 and page.count("input: mask") >= 2
    sheet = pixels(tmp_path / "sheets" / "sheet-00001.png")
    assert (sheet == (128, 0, 0)).all(2).any() and (sheet == (0, 128, 0)).all(2).any(), "classes 1 and 2"


class Both(Negative):
    """Three planes from four, and four from three; the same on the way back."""

    def targets(self):
        return [0, 1]

    def convert(self, images: torch.Tensor, to: int) -> torch.Tensor:
        return images[:, :3] if to == 1 else torch.cat([images, images[:, :1]], 1)

    def way_back(self, request: Request):
        return lambda images: Request.to(0)


def test_cycle_errors_are_of_all_planes(tmp_path: Path) -> None:
    shot = write(tmp_path / "photos" / "a.png", photo(classes(0)))
    edge = write(tmp_path / "edges" / "a.png", 255 - shot[..., 0])
    model, found = converter(Both, PHOTO, Domain("edge", 1, dtype="uint8")), []
    convert_folder(
        model, jobs := plan(tmp_path / "photos", tmp_path / "out", beside={"edge": tmp_path / "edges"}), TO,
        done=found.append,
    )  # fmt: skip
    writer = ExtrasWriter(Extras(manifest=tmp_path / "rows.jsonl", cycle_error=True), model, TO, False)
    writer.add(found[0])
    looks = Looks(Extras())
    looks.add(writer.rows(jobs.source), {})
    assert writer.close() == looks.write("out", 2) == []
    wanted = np.abs(edge.astype(float) - shot[..., 0]).mean() / 4 / 255
    row = json.loads((tmp_path / "rows.jsonl").read_text())
    assert row["cycle_error"] == pytest.approx(wanted, abs=1e-3) and wanted > 0.05
    assert row["with"] == {"edge": str(tmp_path / "edges" / "a.png")}


def test_a_translation_that_is_a_sample_is_held_as_one() -> None:
    target = Domain.stacked("both", [PHOTO, replace(MASK, channels=2), DEPTH])
    made = np.zeros((2, 2, 6), np.uint16)
    made[..., 4], made[..., 5] = 65535, 9
    found = delivered(Picture(np.zeros((2, 2, 3), np.uint8)), made, target)
    assert found.pixels.tolist() == [[[0, 0, 0, 1, 9]] * 2] * 2
    assert np.array_equal(planes_of(found, target), made)
