"""Several images a sample: found, named, paired, read each in its own way, and refused where they are no samples."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from label_files import classes, photo
from layer_files import DOMAINS, NAMED, pixels, samples
from PIL import Image
from test_diagnostics import patient
from test_domain import opened

from translate.data.batch import Paired, Plain, Unpaired
from translate.data.checks.folder import check
from translate.data.decoding import Decoding
from translate.data.domain import Domain
from translate.data.domain_settings import DomainSettings
from translate.data.io.images import resize
from translate.data.label_maps import planes as one_hot
from translate.data.layers import Layered
from translate.data.layouts.folders import Folder, open_folder, recognise
from translate.data.planes import as_images_of, columns, planes
from translate.data.settings import DataSettings
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError
from translate.evaluation.validation import Direction
from translate.models.base import Translator
from translate.runs.image_sets import training_stream
from translate.runs.image_sets.scanning import unreadable
from translate.training.diagnostics import FIRST, Diagnostics
from translate.training.runtime import Runtime

SIDES = (("photo", "mask"), ("clean",))
GREY, MAPS = Domain("photo", 1, dtype="uint8"), Domain("mask", 3, dtype="uint8", kind="labels")
INPUT = Domain.stacked("input", [GREY, MAPS])


def sample(*paths: Path, domain: Domain = INPUT) -> Layered:
    names = tuple(layer.name for layer in domain.layers)
    return Layered.of(Layered(tuple(map(Source, paths)), names), domain)


def names(folder: Folder, split: str = "train") -> list[list[list[str]]]:
    """The files of each sample, of each domain."""
    return [
        [[file.path.name for file in getattr(one, "sources", [one])] for one in column]
        for column in folder.splits[split]
    ]


# Folders


@pytest.mark.parametrize("where", DOMAINS)
def test_samples_are_found_wherever_folders_of_domains_lie(tmp_path: Path, where: str) -> None:
    root = samples(tmp_path, where)
    folder = open_folder(root, wanted="paired", roles=SIDES)
    assert folder.domains == ("input", "clean") and set(folder.splits) == {"train", "test"}
    assert names(folder)[0] == [[f"{number}.tif", f"{number}.png"] for number in range(4)]
    assert names(folder, "test") == [[["100.tif", "100.png"], ["101.tif", "101.png"]], [["100.bmp"], ["101.bmp"]]]
    assert folder.in_layers().domains == ("photo", "mask", "clean") and not folder.warnings
    if "side" not in DOMAINS[where]:
        return
    alone = open_folder(root, wanted="paired")
    assert alone.domains == ("input", "clean") and names(alone)[0][0] == ["0.png", "0.tif"], "by the names of folders"
    assert recognise(root).splits == alone.splits
    with pytest.raises(ConfigurationError, match="learns more from them"):
        open_folder(root, wanted="unpaired")
    assert open_folder(root, wanted="unpaired", layout="unpaired").domains == ("input", "target")


def test_a_side_without_folders_and_one_of_a_single_folder_are_called_as_they_are(tmp_path: Path) -> None:
    samples(tmp_path, "sides")
    for split in ("train", "test"):
        for path in (tmp_path / split / "target" / "clean").iterdir():
            path.rename(path.parents[1] / path.name)
        (tmp_path / split / "target" / "clean").rmdir()
    assert open_folder(tmp_path, wanted="paired").domains == ("input", "target")
    single = open_folder(tmp_path, wanted="paired", roles=(("photo",), ("target",)))
    assert single.domains == ("photo", "target") and isinstance(single.splits["train"][0][0], Source)
    assert open_folder(tmp_path, wanted="paired", direction="AtoB").domains == ("input", "target")
    with pytest.raises(ConfigurationError, match="one image, and samples of the target have 2, mask and photo"):
        open_folder(tmp_path, wanted="paired", direction="BtoA")


def test_folders_of_equal_names_on_both_sides_are_pairs_and_others_unpaired_as_before(tmp_path: Path) -> None:
    for side in ("input", "target"):
        for year in ("2019", "2020"):
            (tmp_path / "pairs" / side / year).mkdir(parents=True)
            for number in range(3):
                Image.fromarray(photo(classes(number))).save(tmp_path / "pairs" / side / year / f"{number}.png")
    folder = open_folder(tmp_path / "pairs", wanted="paired")
    assert folder.domains == ("input", "target") and isinstance(folder.splits["train"][0][0], Source)
    assert sum(len(columns[0]) for columns in folder.splits.values()) == 6
    for place, first in (("input/2019", 0), ("input/2020", 10), ("target/other", 20)):
        (tmp_path / "loose" / place).mkdir(parents=True)
        for number in range(first, first + 3):
            Image.fromarray(photo(classes(number))).save(tmp_path / "loose" / place / f"{number}.png")
    assert open_folder(tmp_path / "loose", wanted="unpaired").kind == "unpaired"


def test_a_name_that_is_not_in_all_layers_is_left_out_and_named(tmp_path: Path) -> None:
    samples(tmp_path)
    (tmp_path / "mask" / "train" / "2.png").unlink()
    folder = open_folder(tmp_path, wanted="paired", roles=SIDES)
    assert [files for files, *_ in names(folder)[0]] == ["0.tif", "1.tif", "3.tif"]
    assert len(folder.splits["train"][1]) == 3
    (warning,) = folder.warnings
    assert "without a partner of the same name are left out: 2: photo/train/2.tif, clean/train/2.bmp" in warning


def test_names_may_end_as_their_folder_does(tmp_path: Path) -> None:
    samples(tmp_path)
    for path in list((tmp_path / "mask").rglob("*.png")):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    assert names(open_folder(tmp_path, wanted="paired", roles=SIDES))[0][0] == ["0.tif", "0_mask.png"]


def test_what_is_no_sample_is_refused_by_name(tmp_path: Path) -> None:
    root = samples(tmp_path / "set")
    for sides, message in {
        (("photo", "mas"), ("clean",)): r"data\.input: .*no folder 'mas'; did you mean 'mask'",
        (("photo",), ("depth",)): r"data\.target: .*no folder 'depth'; known: clean, mask, photo",
        (("photo",), ("mask", "clean")): r"have 2, mask and clean: train a run for each: 'data\.input=\[photo\]'",
    }.items():
        with pytest.raises(ConfigurationError, match=message):
            open_folder(root, wanted="paired", roles=sides)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="there are no folders of images"):
        open_folder(tmp_path / "empty", wanted="paired", roles=SIDES)
    for path in list((root / "mask").rglob("*.png")):
        path.rename(path.with_name(f"x{path.stem}y.png"))
    with pytest.raises(ConfigurationError, match=r"no samples: .* but 0 of photo/ is not in mask/"):
        open_folder(root, wanted="paired", roles=SIDES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input": ("photo", "mask")}, "set data.target, too"),
        ({"target": ("clean",)}, "set data.input, too"),
        ({"input": ("photo", "clean"), "target": ("clean",)}, "clean is named twice"),
        ({"input": ("photo",), "target": ("clean",), "domains": ("a", "b")}, "leave out data.domains"),
        ({"input": ("photo",), "target": ("clean",), "direction": "BtoA"}, "leave out data.direction"),
        ({"input": (), "target": ("clean",)}, "at least 1 item"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSettings(**settings)


@pytest.mark.parametrize("batch", [Unpaired, Plain])
def test_other_methods_refuse_the_settings(tmp_path: Path, batch: type) -> None:
    from translate.runs.image_sets.opening import refuse_idle

    data = DataSettings(set=str(samples(tmp_path)), input=SIDES[0], target=SIDES[1])
    with pytest.raises(ConfigurationError, match=r"data\.input, data\.target: no effect here"):
        refuse_idle(data, batch)


# Looking


def test_each_layer_is_looked_at_by_itself_and_set_by_its_own_name(tmp_path: Path) -> None:
    images, told = opened(samples(tmp_path), Paired, *NAMED)
    assert images.kinds == (INPUT, Domain("clean", dtype="uint8")) and images.spec.domain(0).channels == 4
    assert images.kinds[0].layers[0].scale == images.kinds[0].scale is not None
    assert any(line.startswith("photo: 8-bit grey (data.domains.photo.channels") for line in told)
    assert any(line.startswith("mask: label maps of 3 classes (data.domains.mask.kind") for line in told)
    changed, _ = opened(tmp_path, Paired, *NAMED, "data.domains={mask: {classes: 5}, photo: {channels: 3}, clean: {}}")
    assert [layer.channels for layer in changed.kinds[0].layers] == [3, 5]
    with pytest.raises(ConfigurationError, match=r"data\.domains\.input: there are the images photo, mask, clean"):
        opened(tmp_path, Paired, *NAMED, "data.domains.input.channels=1")
    facts = json.loads(json.dumps(asdict(images.kinds[0])))
    assert Domain.of(facts) == images.kinds[0] and Domain.of(facts).layers[1].scale == images.kinds[0].scale


def test_data_check_shows_layers_with_their_keys_and_what_is_wrong_with_each(tmp_path: Path) -> None:
    samples(tmp_path)
    Image.fromarray(classes(0)[:, :10]).save(tmp_path / "mask" / "train" / "0.png")
    (tmp_path / "photo" / "train" / "1.tif").write_bytes(b"no image")
    said = DataSettings(set=str(tmp_path), input=SIDES[0], target=SIDES[1])
    text = "\n".join(check(tmp_path, said).lines())
    for line in (
        "samples of photo and mask to clean in photo/test/",
        "train mask: 4 of 10x16 to 16x16",
        "mask: label maps of 3 classes (data.domains.mask.kind=image",
        "problem: train samples whose images differ in proportions; crop them alike: 1: ",
        "1.tif: ",
    ):
        assert line in text, text
    with pytest.raises(ConfigurationError, match="no folder 'mas'"):
        check(tmp_path, said.model_copy(update={"input": ("photo", "mas")}))
    wrong = said.model_copy(update={"domains": {"mask": DomainSettings(classes=2)}})
    assert "value 2 in" in "\n".join(check(tmp_path, wrong).problems)


# Reading


def test_each_layer_is_decoded_in_its_own_way_to_one_size(tmp_path: Path) -> None:
    root = samples(tmp_path, size=16)
    paths = root / "photo" / "train" / "0.tif", root / "mask" / "train" / "0.png"
    shot, found = (pixels(root, layer) for layer in ("photo", "mask"))
    for way in ("square", "centre", "short_side", "none"):
        decoded = Decoding.of(INPUT, 9, way)(sample(*paths))
        side = 16 if way == "none" else 9
        assert decoded.dtype == np.uint8 and decoded.shape == (side, side, 2)
        np.testing.assert_array_equal(decoded[..., :1], resize(shot, side, side, "bicubic"))
        np.testing.assert_array_equal(decoded[..., 1:], resize(found, side, side, "nearest"))
    wide = [np.pad(image, ((0, 0), (4, 4), (0, 0))) for image in (shot, found)]
    Image.fromarray(wide[0][..., 0]).save(tmp_path / "wide.png")
    Image.fromarray(wide[1][..., 0]).save(tmp_path / "map.png")
    middle = Decoding.of(INPUT, 16, "centre")(sample(tmp_path / "wide.png", tmp_path / "map.png"))
    np.testing.assert_array_equal(middle, np.concatenate([shot, found], 2))
    Image.fromarray(found[..., 0]).resize((33, 32), Image.Resampling.NEAREST).save(tmp_path / "larger.png")
    for way in ("square", "centre", "short_side", "none"):
        larger = Decoding.of(INPUT, 8, way)(sample(paths[0], tmp_path / "larger.png"))
        assert larger.shape[:2] == ((16, 16) if way == "none" else (8, 8))
        assert set(np.unique(larger[..., 1])) <= {0, 1, 2}
    np.testing.assert_array_equal(sample(*paths).read(2), np.concatenate([shot, found], 2))
    Image.fromarray(found[:, :12, 0]).save(tmp_path / "narrow.png")
    for way in ("square", "none"):
        with pytest.raises(ImageError, match=r"0\.tif: 16 x 16 pixels and .*narrow\.png 12 x 16: .* differ in pro"):
            Decoding.of(INPUT, 8, way)(sample(paths[0], tmp_path / "narrow.png"))


def test_a_deeper_layer_leaves_the_others_what_they_are(tmp_path: Path) -> None:
    root = samples(tmp_path)
    shades = np.random.default_rng(0).integers(0, 65536, (16, 16), dtype=np.uint16)
    Image.fromarray(shades).save(tmp_path / "deep.png")
    paths = root / "photo" / "train" / "0.tif", root / "mask" / "train" / "0.png", tmp_path / "deep.png"
    domain = Domain.stacked("input", [GREY, MAPS, Domain("deep", 1, dtype="uint16")])
    held = Decoding.of(domain, 16, "none")(sample(*paths, domain=domain))
    assert held.dtype == np.uint16
    made = planes(torch.from_numpy(held).permute(2, 0, 1)[None], domain)[0].numpy()
    np.testing.assert_allclose(made[0], pixels(root, "photo")[..., 0] / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(made[1:4].argmax(0), pixels(root, "mask")[..., 0])
    np.testing.assert_allclose(made[4], shades / 32767.5 - 1, atol=1e-6)
    shallow = Domain.stacked("input", [GREY, Domain("deep", 1, dtype="uint8")])  # its deeper file was not looked at
    again = Decoding.of(shallow, 16, "none")(sample(paths[0], paths[2], domain=shallow))
    assert again.dtype == np.uint8 and np.abs(again[..., 1] - shades / 257).max() <= 0.5


def test_what_a_sample_depends_on_is_every_file_and_what_it_is_read_as(tmp_path: Path) -> None:
    root = samples(tmp_path)
    paths = root / "photo" / "train" / "0.tif", root / "mask" / "train" / "0.png"
    others = [
        Domain.stacked("input", [Domain("photo", 3, dtype="uint8"), MAPS]),
        Domain.stacked("input", [GREY, Domain("mask", 2, dtype="uint8", kind="labels")]),
    ]
    before = {sample(*paths, domain=domain).identity() for domain in (INPUT, *others)}
    Image.fromarray(classes(9)).save(paths[1])
    assert len(before | {sample(*paths).identity()}) == 4


@pytest.mark.parametrize("cache", ["off", "ram", "disk", "device"])
def test_batches_are_the_same_from_every_cache_and_planes_on_the_device(
    tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "home"))
    root = samples(tmp_path / "set")
    overrides = (*NAMED, "data.flip=true", "data.resize=none", "data.size=8")
    plain, _ = opened(root, Paired, *overrides, "data.cache=off")
    images, _ = opened(root, Paired, *overrides, f"data.cache={cache}")
    for _ in range(2):
        stream = training_stream(images.loader(2, 0), images.settings, torch.device("cpu"), lambda line: None)(0, 1)
        batch, wanted = next(stream), plain.loader(2, 0).batch(0)
        stream.close()
        assert torch.equal(batch.input.cpu(), wanted.input) and batch.input.shape == (2, 2, 8, 8)
        assert torch.equal(batch.target.cpu(), wanted.target)
    placed = Runtime(torch.device("cpu")).place(batch)
    assert torch.equal(placed.input[:, 1:], one_hot(wanted.input[:, 1:], 3)) and placed.input.shape[1] == 4
    assert (placed.target.mean() - placed.input[:, :1].mean()).abs() < 1.0


def test_geometry_is_shared_and_photometry_is_for_the_images_of_the_input(tmp_path: Path) -> None:
    augment = 'data.augment=[{"name": "VerticalFlip", "p": 1.0}, {"name": "RandomBrightnessContrast", "p": 1.0}]'
    images, _ = opened(
        samples(tmp_path), Paired, *NAMED, "data.flip=false", "data.resize=none", "data.size=16", augment
    )
    batch = images.loader(1, 0).batch(0)
    shot, found, clean = batch.input[0, 0].numpy(), batch.input[0, 1].numpy(), batch.target[0].permute(1, 2, 0).numpy()
    (number,) = [n for n in range(4) if np.array_equal(pixels(tmp_path, "clean", n)[::-1], clean)]
    np.testing.assert_array_equal(found, pixels(tmp_path, "mask", number)[::-1, :, 0])
    assert (shot != pixels(tmp_path, "photo", number)[::-1, :, 0]).mean() > 0.5


# Trying every file


def test_a_bad_layer_is_named_by_its_own_file_and_leaves_out_the_whole_sample(tmp_path: Path) -> None:
    root = samples(tmp_path / "set")
    bad = root / "mask" / "train" / "1.png"
    bad.write_bytes(bad.read_bytes()[:40])
    numbers = classes(2)
    numbers[:2, :2] = 7
    Image.fromarray(numbers).save(root / "mask" / "train" / "2.png")
    Image.fromarray(classes(3)[:, :9]).save(root / "mask" / "train" / "3.png")
    images, _ = opened(root, Paired, *NAMED, "data.domains.mask.classes=3")
    with pytest.raises(ConfigurationError) as refused:
        unreadable(images, images.loader(1, 0), lambda line: None, quiet=True)
    for text in (
        "mask/train/1.png: ",
        "mask/train/2.png: value 7 in 4 pixels",
        "photo/train/3.tif: 16 x 16 pixels and ",
    ):
        assert text in str(refused.value)
    images, _ = opened(root, Paired, *NAMED, "data.domains.mask.classes=3", "data.skip_bad=true")
    skipped = unreadable(images, images.loader(1, 0), lambda line: None, quiet=True)
    assert sorted(path.removeprefix(f"{root}/") for path in skipped) == [
        "mask/train/1.png", "mask/train/2.png", "photo/train/3.tif"
    ]  # fmt: skip
    left = images.without(set(map(Path, skipped)))
    assert [len(column) for column in left.folder.splits["train"]] == [1, 1]
    assert left.listing() != images.listing() and set(left.listing()) == {"photo", "mask", "clean"}


def test_of_a_large_set_headers_of_all_layers_and_all_label_maps_are_read(tmp_path: Path, monkeypatch) -> None:
    from translate.runs.image_sets import scanning

    monkeypatch.setattr(scanning, "THOROUGH", 3)
    root = samples(tmp_path / "set")
    (root / "photo" / "train" / "0.tif").write_bytes(b"no image")
    numbers = classes(2)
    numbers[:2, :2] = 7
    Image.fromarray(numbers).save(root / "mask" / "train" / "2.png")
    images, _ = opened(root, Paired, *NAMED, "data.domains.mask.classes=3", "data.skip_bad=true")
    skipped = unreadable(images, images.loader(1, 0), lambda line: None, quiet=True)
    assert sorted(Path(path).name for path in skipped) == ["0.tif", "2.png"]


def test_dark_layers_are_told_by_name_and_label_maps_are_not(tmp_path: Path) -> None:
    root = samples(tmp_path / "set")
    for path in (root / "photo").rglob("*.tif"):
        Image.fromarray(np.random.default_rng(0).integers(0, 20, (16, 16), dtype=np.uint8)).save(path)
    for path in (root / "mask").rglob("*.png"):
        found = classes(int(path.stem))
        found[-4:, -4:] = 255
        Image.fromarray(found).save(path)
    images, _ = opened(root, Paired, *NAMED)
    assert images.kinds[0].layers[1].ignore == 255
    told: list[str] = []
    assert unreadable(images, images.loader(1, 0), told.append, quiet=True) == {}
    assert len(told) == 1 and told[0].startswith("warning: photo: 4 of 4 images looked at have 8-bit shades up to")


# Measuring and showing


def test_the_untouched_input_is_the_layer_that_is_like_the_target() -> None:
    target, given = Domain("clean", dtype="uint8"), Domain("photo", dtype="uint8")
    images, truths = torch.rand(2, 6, 4, 4), torch.rand(2, 3, 4, 4)
    with_photo = Domain.stacked("input", [MAPS, given])
    assert torch.equal(as_images_of(images, with_photo, target), images[:, 3:])
    assert as_images_of(images[:, :4], INPUT, target) is None and as_images_of(truths, given, target) is truths
    for domain, inputs, wanted in ((with_photo, images, True), (INPUT, images[:, :4], False)):
        one = Direction(
            "to clean", 1, inputs, truths, torch.zeros(3, inputs.shape[1] + 1).double(), target=target, given=domain
        )
        assert ("untouched input" in one.references(inputs, truths)) is wanted
    # Three planes of labels are no photo, though they are as many.
    one = Direction("to clean", 1, truths, truths, torch.zeros(3, 4).double(), target=target, given=MAPS)
    assert set(one.baselines()) == {"best colour map"}


def test_every_layer_has_a_column_images_first_and_labels_in_colours() -> None:
    images = torch.rand(2, 4, 4, 4) * 2 - 1
    shown = columns("input", images, Domain.stacked("input", [MAPS, GREY]))
    assert list(shown) == ["input: photo", "input: mask"] and shown["input: mask"].shape[1] == 3
    assert torch.equal(shown["input: photo"], images[:, 3:])
    assert list(columns("target", images[:, :3], Domain("clean"))) == ["target"]


def test_diagnostics_compare_an_output_with_the_layer_that_it_could_equal(tmp_path: Path) -> None:
    target = Domain("clean", 1, dtype="uint8")
    shades = torch.rand(4, 1, 8, 8) * 2 - 1
    labels = torch.rand(4, 3, 8, 8) * 2 - 1
    copying = patient(Translator, lambda images, to: images[:, -1:])
    batch = Paired(torch.cat([labels, shades], 1), -shades)
    for given, wanted in ((Domain.stacked("input", [MAPS, GREY]), 1), (Domain.stacked("input", [MAPS, MAPS]), 0)):
        told: list[str] = []
        Diagnostics(copying, batch, None, 0, told.append, (given, target)).examine(FIRST)
        assert len(told) == wanted and all("the output equals the input" in line for line in told)
        batch = Paired(torch.cat([labels, labels], 1), -shades)
    # Three planes of labels and three of colours are as many, and no copy of each other.
    three = patient(Translator, lambda images, to: images)
    Diagnostics(three, Paired(labels, -labels), None, 0, told.append, (MAPS, Domain("clean"))).examine(FIRST)
    assert told == []
