"""The look through a data set before the first step, and what is left out of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from clip_files import numbered, pictures
from PIL import Image
from tiny import labelled_folder, paired_folder, unpaired_folder, write_images

from translate.data.batch import Labelled, Paired, Plain, SourceLabelled, Unpaired
from translate.data.checks.scan import failures
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.labelled import open_labelled
from translate.data.layouts.folders import open_folder
from translate.errors import ConfigurationError, ImageError
from translate.recipe import DataSettings
from translate.runs.image_sets import scanning
from translate.runs.image_sets.opening import open_data
from translate.runs.image_sets.scanning import in_advance, unreadable


def quiet(line: str) -> None:
    """Tells nobody."""


def settings(root: Path, **more: object) -> DataSettings:
    values = {"set": str(root), "size": 16, "workers": 2, **more}
    return DataSettings.model_validate_json(json.dumps(values))


def names(sources) -> list[str]:
    return [source.path.name for source in sources]


def test_failures_come_in_order_with_their_reasons():
    def attempt(number):
        if number % 3 == 0:
            raise ImageError(f"{number}: broken")

    told = []
    attempts = [(Path(str(number)), lambda number=number: attempt(number)) for number in range(20)]
    found = failures(attempts, 3, lambda: told.append(1))
    assert list(found) == [Path(str(number)) for number in range(0, 20, 3)]
    assert found[Path("6")] == "6: broken" and len(told) == 20


def test_what_is_no_fault_of_an_image_is_raised_at_once():
    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failures([(Path("x"), broken)] * 3, 2, lambda: None)


def test_what_the_scan_decodes_is_not_decoded_again(tmp_path, monkeypatch):
    root = unpaired_folder(tmp_path / "set")
    read = []
    original = images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda path, *more: read.append(path) or original(path, *more))
    found = open_data(settings(root), Unpaired, quiet)
    loader = found.loader(2, 0)
    assert unreadable(found, loader, quiet, quiet=True) == {}
    assert len(read) == len(set(read)) == 16
    for step in range(20):
        loader.batch(step)
    assert len(read) == 16


def test_of_many_images_only_the_headers_are_read(tmp_path, monkeypatch):
    root = unpaired_folder(tmp_path / "set")
    (root / "trainA" / "Atrain1.png").write_bytes(b"words")
    whole = (root / "trainB" / "Btrain2.png").read_bytes()
    (root / "trainB" / "Btrain2.png").write_bytes(whole[: len(whole) // 2])
    found = open_data(settings(root, skip_bad=True), Unpaired, quiet)
    decoded = unreadable(found, found.loader(1, 0), quiet, quiet=True)
    assert [Path(path).name for path in decoded] == ["Atrain1.png", "Btrain2.png"]
    monkeypatch.setattr(scanning, "THOROUGH", 15)
    monkeypatch.setattr(scanning, "SAMPLED", 2)
    sampled, original = [], images.read
    monkeypatch.setattr(images, "read", lambda path, *more, **how: sampled.append(path) or original(path, *more, **how))
    assert [Path(path).name for path in unreadable(found, found.loader(1, 0), quiet, quiet=True)] == ["Atrain1.png"]
    assert len(sampled) == 4, "two of each domain, for their shades; the others are not decoded"
    attempts, how = scanning._attempts(found, found.loader(1, 0))
    assert len(attempts) == 16 and how == "headers only, as there are more than 15"


def test_images_that_hold_no_crop_are_found_too(tmp_path):
    root = unpaired_folder(tmp_path / "set")
    write_images(root / "trainA", ["small.png"], size=9)
    found = open_data(settings(root, resize="none"), Unpaired, quiet)
    with pytest.raises(ConfigurationError, match=r"small\.png: 9 x 9 pixels are too few for a crop of 16"):
        unreadable(found, found.loader(1, 0), quiet, quiet=True)


@pytest.mark.parametrize("thorough", [100, 1])
def test_animated_files_are_told_once_and_their_first_frame_is_used(tmp_path, monkeypatch, thorough):
    monkeypatch.setattr(scanning, "THOROUGH", thorough)
    root = unpaired_folder(tmp_path / "set")
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 100, 200)]
    names = ["x.gif", "x.png", "x.tif", "x.webp"]
    for name in names:
        frames[0].save(root / "trainA" / name, save_all=True, append_images=frames[1:])
        frames[0].save(root / "trainB" / f"still-{name}")
    told = []
    found = open_data(settings(root), Unpaired, quiet)
    assert unreadable(found, found.loader(2, 0), told.append, quiet=True) == {}
    listed = f"{', '.join(names)} in {root / 'trainA'}"
    assert [line for line in told if "animated (" in line] == [
        f"note: {root}: animated (the first frame is used): 4: {listed}"
    ]


@pytest.mark.parametrize("pages", [1, 2])
def test_pages_of_bands_are_told_too(tmp_path, pages):
    tifffile = pytest.importorskip("tifffile")
    root = unpaired_folder(tmp_path / "set")
    for path in sorted(root.rglob("*.png")):
        bands = np.zeros((pages, 16, 16, 5), np.uint8)
        tifffile.imwrite(path.with_suffix(".tif"), bands, photometric="minisblack", planarconfig="contig")
        path.unlink()
    told = []
    found = open_data(settings(root, channels=5), Unpaired, quiet)
    assert unreadable(found, found.loader(2, 0), told.append, quiet=True) == {}
    animated = [line for line in told if "animated (the first frame is used): 16: " in line]
    assert len(animated) == pages - 1


def test_points_are_drawn_and_not_looked_through():
    points = open_data(DataSettings(set="ring"), Plain, quiet)
    assert unreadable(points, points.loader(1, 0), quiet, quiet=True) == {}


def test_one_fault_of_many_files_is_one_line_and_all_are_counted(tmp_path):
    root = unpaired_folder(tmp_path / "set")
    for number in range(30):
        (root / "trainA" / f"bad{number}.png").write_bytes(b"")
    for number in range(3):
        (root / "trainB" / f"words{number}.png").write_bytes(b"words")
    found = open_data(settings(root), Unpaired, quiet)
    with pytest.raises(ConfigurationError) as caught:
        unreadable(found, found.loader(1, 0), quiet, quiet=True)
    text = str(caught.value)
    assert "33 images cannot be used" in text and "--skip-bad" in text
    assert text.count("the file is empty: 30: bad0.png, bad1.png, ") == 1 == text.count("the file is empty")
    assert f" more in {root / 'trainA'}\n" in text and "bad29.png" not in text
    assert all(f"{root / 'trainB' / name}: not an image" in text for name in ("words0.png", "words1.png", "words2.png"))
    told = []
    skipping = open_data(settings(root, skip_bad=True), Unpaired, quiet)
    assert len(unreadable(skipping, skipping.loader(1, 0), told.append, quiet=True)) == 33
    assert "the file is empty: 30: " in told[0]


def test_faults_of_many_kinds_are_cut_at_twenty(tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "NAMED", 4)
    root = unpaired_folder(tmp_path / "set")
    for number in range(6):
        write_images(root / "trainA", [f"small{number}.png"], size=number + 5)
    found = open_data(settings(root, resize="none"), Unpaired, quiet)
    with pytest.raises(ConfigurationError, match="and 2 other faults"):
        unreadable(found, found.loader(1, 0), quiet, quiet=True)


@pytest.mark.parametrize("thorough", [100, 1])
@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (None, ""),
        ([0, 1], "16-bit shades up to 1,000 of 65,535 only, nearly black to a network; set data.range="),
        ([0, 1023], ""),
        (
            [0, 30000],
            "values up to 1,000 only, where data.range ends at 30000: nearly black to a network; set a narrower"
            " data.range",
        ),
    ],
)
def test_training_itself_warns_of_images_that_are_nearly_black(tmp_path, monkeypatch, thorough, span, expected):
    monkeypatch.setattr(scanning, "THOROUGH", thorough)
    for number in range(4):
        ramp = np.linspace(0, 1000, 32 * 32).reshape(32, 32, 1).astype(np.uint16)
        for folder in ("trainA", "testA"):
            (tmp_path / folder).mkdir(exist_ok=True)
            images.write(tmp_path / folder / f"a{number}.png", Picture(np.roll(ramp, number, 0)))
    write_images(tmp_path / "trainB", [f"b{number}.png" for number in range(4)])
    given = {"range": tuple(map(float, span))} if span else {}
    found, told = open_data(settings(tmp_path, resize="none", **given), Unpaired, quiet), []
    assert unreadable(found, found.loader(1, 0), told.append, quiet=True) == {}
    assert len(told) == bool(expected)
    looked = "4 of 4 images looked at have"
    assert not expected or told[0].removesuffix("[0,1023] for all") == f"warning: A: {looked} {expected}"


def test_class_numbers_in_8_bits_are_nearly_black_too(tmp_path):
    for folder, top in (("trainA", 20), ("trainB", 255)):
        (tmp_path / folder).mkdir()
        for number in range(3):
            shades = np.random.default_rng(number).integers(0, top + 1, (24, 24, 1))
            images.write(tmp_path / folder / f"{folder}{number}.png", Picture(shades.astype(np.uint8)))
    found, told = open_data(settings(tmp_path), Unpaired, quiet), []
    assert unreadable(found, found.loader(1, 0), told.append, quiet=True) == {}
    assert len(told) == 1
    assert re.match(
        r"warning: A: 3 of 3 images looked at have 8-bit shades up to \d+ of 255 only, nearly black", told[0]
    )


@pytest.mark.parametrize(("dark", "flat"), [(2, 1), (3, 0), (4, 2)])
def test_a_domain_that_is_mostly_black_or_holds_flat_images_is_named_with_their_number(tmp_path, dark, flat):
    root = unpaired_folder(tmp_path / "set")
    paths = sorted((root / "trainB").iterdir())
    assert len(paths) == 6
    for number, path in enumerate(paths):
        low = np.random.default_rng(number).integers(0, 20 if number < dark else 256, (24, 24, 3))
        images.write(path, Picture(np.uint8(low) if number >= flat else np.full((24, 24, 3), (7, 9, 7), np.uint8)))
    found, told = open_data(settings(root), Unpaired, quiet), []
    assert unreadable(found, found.loader(1, 0), told.append, quiet=True) == {}
    check = f"`translate data check {root}` names them"
    expected = [f"warning: B: {flat} of 6 images looked at are of one colour all over; {check}"] if flat else []
    assert [line for line in told if "one colour" in line] == expected
    assert [line.partition(" have")[0] for line in told if "black" in line] == (
        [f"warning: B: {dark} of 6 images looked at"] if dark > 3 else []
    )


@pytest.mark.parametrize(("size", "expected"), [(48, []), (49, ["A"]), ([96, 24], ["A"])])
def test_images_that_are_enlarged_much_are_told_with_a_size_that_suits(tmp_path, size, expected):
    write_images(tmp_path / "trainA", [f"{number}.png" for number in range(10)], size=24)
    write_images(tmp_path / "trainB", [f"b{number}.png" for number in range(10)], size=200)
    values = {"size": size, "load_size": size, "resize": "short_side"}
    told = list(in_advance(open_data(settings(tmp_path, **values), Unpaired, quiet)))
    assert [line.split(": ")[1] for line in told] == expected, told
    assert all("pixels are enlarged" in line and "set data.size=32" in line for line in told)


def test_frames_of_clips_that_are_enlarged_are_told_in_one_line(tmp_path):
    for number in range(3):
        numbered(tmp_path / f"clip{number}", pictures(8, number, (24, 24)))
    data = settings(tmp_path, frames=3, size=64, load_size=64)
    told = [line for line in in_advance(open_data(data, Paired, quiet)) if "enlarged" in line]
    assert [line.split(": ")[1] for line in told] == ["t-2, t-1, t, next"]


def test_few_images_are_told_before_they_are_tried(tmp_path):
    root = unpaired_folder(tmp_path / "set")
    (line,) = in_advance(open_data(settings(root), Unpaired, quiet))
    assert line.startswith("warning: few training images: 6 of A, 6 of B; fewer than 10 are learned by heart")
    write_images(root / "trainA", [f"more{number}.png" for number in range(4)])
    (line,) = in_advance(open_data(settings(root), Unpaired, quiet))
    assert line.startswith("warning: few training images: 6 of B; ")


def test_classes_with_few_or_no_images_are_told_too(tmp_path):
    root = labelled_folder(tmp_path / "set")
    told = list(in_advance(open_data(settings(root), Labelled, quiet)))
    assert any(line.startswith("note: 4 training images of a, of 12: few to learn from") for line in told), told
    found = open_data(settings(root), Labelled, quiet)
    without = found.without({source.path for source in found.sources() if source.path.parent.name == "b"})
    told = list(in_advance(without))
    assert any(line.startswith("warning: no training image of b: nothing to learn it from") for line in told), told


# What is left out


def test_a_pair_goes_whole_and_unpaired_images_alone(tmp_path):
    root = paired_folder(tmp_path / "set")
    pairs = open_folder(root, wanted="paired").without({root / "trainB" / "train2.png", root / "testA" / "test0.png"})
    expected = [f"train{number}.png" for number in (0, 1, 3, 4, 5)]
    assert [names(column) for column in pairs.splits["train"]] == [expected, expected]
    assert [names(column) for column in pairs.splits["test"]] == [["test1.png"]] * 2
    loose = open_folder(root, wanted="unpaired", layout="unpaired").without({root / "trainB" / "train2.png"})
    assert [len(column) for column in loose.splits["train"]] == [6, 5]


def test_a_test_split_that_is_emptied_goes_and_a_training_split_stays_to_be_refused(tmp_path):
    root = paired_folder(tmp_path / "set")
    folder = open_folder(root, wanted="paired")
    assert folder.test_is_paired
    without = folder.without({root / "testB" / f"test{number}.png" for number in range(2)})
    assert set(without.splits) == {"train"} and not without.test_is_paired
    found = open_data(settings(root), Paired, quiet).without(set((root / "trainA").iterdir()))
    with pytest.raises(ConfigurationError, match="domain 0 holds no images"):
        found.loader(1, 0)


def test_a_labelled_image_goes_with_its_labels(tmp_path):
    root = labelled_folder(tmp_path / "set")
    folder = open_labelled(root)
    gone = {root / "train" / "a" / "a1.png", root / "train" / "c" / "c0.png"}
    split = folder.without(gone).splits["train"]
    assert " ".join(names(split.sources)) == "a0.png a2.png a3.png b0.png b1.png b2.png b3.png c1.png c2.png c3.png"
    classes = [source.path.parent.name for source in split.sources]
    assert ["abc"[row.argmax()] for row in split.labels] == classes and len(split.sets) == 10


def test_what_shows_the_same_in_every_class_goes_too(tmp_path):
    root = tmp_path / "set"
    for split, count in (("train", 3), ("test", 2)):
        for domain in "abc":
            write_images(root / split / domain, [f"{number}.png" for number in range(count)])
    (root / "dataset.yaml").write_text("test_paired: true\n")
    folder = open_labelled(root)
    assert folder.test_is_paired
    test = folder.without({root / "test" / "b" / "0.png"}).splits["test"]
    assert [str(source.path.relative_to(root)) for source in test.sources] == [f"test/{a}/1.png" for a in "abc"]
    assert np.array_equal(test.labels, np.eye(3))


@pytest.mark.parametrize("make", [Labelled, Plain, SourceLabelled])
def test_every_kind_of_set_is_looked_through(tmp_path, make):
    root = labelled_folder(tmp_path / "one")
    if make is SourceLabelled:
        labelled_folder(tmp_path / "other")
        root = tmp_path / "both"
        root.mkdir()
        (root / "dataset.yaml").write_text("a: ../one\nb: ../other\n")
    bad = tmp_path / ("other" if make is SourceLabelled else "one") / "train" / "b" / "b1.png"
    bad.write_bytes(b"words")
    found = open_data(settings(root, skip_bad=True), make, quiet)
    skipped = unreadable(found, found.loader(2, 0), quiet, quiet=True)
    assert [Path(path).name for path in skipped] == ["b1.png"]
    without = found.without(set(map(Path, skipped)))
    assert len(found.sources()) - len(without.sources()) == 1
    for step in range(8):
        without.loader(2, 0).batch(step)
    if make is Plain:
        assert len(without.with_labels().splits["train"]) == 11


# The command


def test_a_resumed_run_leaves_out_what_it_was_begun_without(run_cli, tiny_recipe, tmp_path):
    root = paired_folder(tmp_path / "set")
    bad = root / "trainA" / "train1.png"
    sound = bad.read_bytes()
    constant = ["--set", "training.schedule=constant", "--set", "training.ema=0.9"]
    arguments = ["train", tiny_recipe("pix2pix"), "--data", root, "--device", "cpu", *constant]
    bad.write_bytes(sound[:100])
    refused = run_cli(*arguments, "--out", "refused")
    assert refused.exit_code == 2 and "set: 1 image cannot be used" in refused.stderr
    assert run_cli(*arguments, "--out", "whole", "--skip-bad").exit_code == 0
    assert run_cli(*arguments, "--out", "parts", "--skip-bad", "--set", "training.steps=2").exit_code == 0
    bad.write_bytes(sound)  # mended meanwhile: the order of the run's images must not change
    resumed = run_cli(*arguments, "--out", "parts", "--resume")
    assert resumed.exit_code == 0, resumed.output
    model = "checkpoints/step-00000004/model.safetensors"
    assert (tmp_path / "parts" / model).read_bytes() == (tmp_path / "whole" / model).read_bytes()
    assert str(bad) in (tmp_path / "parts" / "skipped.txt").read_text()
    assert run_cli(*arguments, "--out", "mended").exit_code == 0
    assert (tmp_path / "mended" / model).read_bytes() != (tmp_path / "whole" / model).read_bytes()
    assert not (tmp_path / "mended" / "skipped.txt").exists()


def test_an_evaluation_leaves_out_what_the_run_was_begun_without(run_cli, tiny_recipe, tmp_path):
    root = paired_folder(tmp_path / "set")
    (root / "testB" / "test1.png").write_bytes(b"words")
    trained = run_cli("train", tiny_recipe("pix2pix"), "--data", root, "--out", "run", "--device", "cpu", "--skip-bad")
    assert trained.exit_code == 0, trained.output
    scored = run_cli("evaluate", "run", "--device", "cpu", "-q")
    assert scored.exit_code == 0, scored.output
