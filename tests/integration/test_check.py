"""What `translate data check` says of labelled sets; of those for two domains see test_folders.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import numbered, put

from translate.data.checks.folder import check
from translate.data.checks.labels import tiny
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.labelled import LabelledFolder, LabelledSplit
from translate.data.labels import LabelGroup
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError


def test_images_are_counted_per_domain_and_split(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/a", 60), *numbered("train/b", 3), *numbered("train/c", 55), *numbered("test/a", 2))
    report = check(tmp_path)
    assert "a: 60 of 118 train, 2 of 2 test" in report.facts and "b: 3 of 118 train, 0 of 2 test" in report.facts
    assert "train images: 118 of 8x8; 118 8-bit RGB" in report.facts
    assert [note for note in report.notes if "few to learn from" in note] == [
        "3 training images of b, of 118: few to learn from; set data.balanced=true to show them more often"
    ]
    assert report.problems == ("classes without test images: b, c",)


def test_unreadable_and_leaked_images_of_labelled_sets_are_found(tmp_path: Path) -> None:
    put(
        tmp_path,
        *(name for domain in "abc" for name in (*numbered(f"train/{domain}", 50), *numbered(f"test/{domain}", 2))),
    )
    assert check(tmp_path).problems == () and check(tmp_path).lines()[-1].endswith("ready to train on")
    ramp = Picture(np.add.outer(np.arange(64), 2 * np.arange(64))[..., None].repeat(3, 2).astype(np.uint8))
    images.write(tmp_path / "train" / "a" / "ramp.png", ramp)
    images.write(tmp_path / "test" / "a" / "saved anew.jpg", ramp, quality=90)
    (tmp_path / "test" / "b" / "leak.png").write_bytes((tmp_path / "train" / "b" / "1.png").read_bytes())
    (tmp_path / "train" / "c" / "broken.png").write_bytes(b"words")
    problems = check(tmp_path).problems
    assert len(problems) == 2 and "broken.png" in problems[0]
    says = "test images that are, or look like, training images (in brackets); keep one of each: 2: "
    twins = "test/a/saved anew.jpg (train/a/ramp.png), test/b/leak.png (train/b/1.png)"
    assert problems[1] == f"{says}{twins} in {tmp_path}"


def test_one_image_in_two_classes_is_a_problem_and_twice_in_one_is_not(tmp_path: Path) -> None:
    put(tmp_path, *(name for domain in "abc" for name in numbered(f"train/{domain}", 50)))
    data = (tmp_path / "train" / "a" / "1.png").read_bytes()
    (tmp_path / "train" / "a" / "again.png").write_bytes(data)
    report = check(tmp_path)
    assert report.problems == () and "train images: 1 files repeat another byte for byte" in "\n".join(report.notes)
    (tmp_path / "train" / "c" / "other.png").write_bytes(data)
    (problem,) = check(tmp_path).problems
    assert problem.startswith("files that are the same byte for byte and have different labels; keep one of each: 3: ")
    assert all(name in problem for name in ("a/1.png", "a/again.png", "c/other.png"))


def attribute_set(root: Path, names: str, rows: list[str]) -> Path:
    put(root, *numbered("images", len(rows)))
    lines = [f"{number}.png {row}" for number, row in enumerate(rows)]
    (root / "list_attr_celeba.txt").write_text("\n".join([names, *lines]) + "\n")
    return root


def test_attributes_of_none_of_all_and_of_few(tmp_path: Path) -> None:
    rows = [f"-1 1 {'1' if number < 2 else '-1'} {'1' if number % 2 else '-1'}" for number in range(160)]
    report = check(attribute_set(tmp_path, "Nobody Everybody Few Half", rows))
    assert list(report.problems) == [
        "no training image of Nobody: nothing to learn it from; choose other domains",
        "no training image without Everybody: nothing to learn it from; choose other domains",
    ]
    few = [note for note in report.notes if "few to learn from" in note]
    assert few == [
        "2 training images of Few, of 140: few to learn from; set data.balanced=true to show them more often"
    ]
    assert "Half: 70 of 140 train, 10 of 20 test" in report.facts


@pytest.mark.parametrize(("count", "images", "few"), [(49, 200, 1), (50, 200, 0), (55, 6000, 1), (60, 6000, 0)])
def test_fifty_images_or_a_hundredth_are_few(count: int, images: int, few: int) -> None:
    labels = (np.arange(images) < count).astype(np.float32)[:, None]
    split = LabelledSplit((), labels, np.zeros(images, np.int64))
    folder = LabelledFolder(Path("x"), ("Rare",), (LabelGroup(1, exclusive=False),), {"train": split}, False, (), ())
    assert len(list(tiny(folder))) == few
    assert all(note.startswith(f"{count} training images of Rare, of {images}") for note in tiny(folder))


def test_alternatives_that_stand_together_are_counted(tmp_path: Path) -> None:
    rows = ["1 1 1", "1 -1 -1", "-1 1 -1", "1 1 -1"] * 20
    root = attribute_set(tmp_path / "own", "Black_Hair Blond_Hair Male", rows)
    assert "more than one" not in "\n".join(check(root).notes)
    (root / "dataset.yaml").write_text("alternatives: [[Black_Hair, Blond_Hair, Bald]]\n")
    notes = "\n".join(check(root).notes)
    assert "train images with more than one of Black_Hair, Blond_Hair: 35: " in notes
    assert "test images with more than one of Black_Hair, Blond_Hair: 5: " in notes
    # The card of that name says it too.
    assert "more than one of Black_Hair" in "\n".join(check(root.rename(tmp_path / "celeba")).notes)
    (tmp_path / "celeba" / "dataset.yaml").unlink()
    assert "more than one of Black_Hair" in "\n".join(check(tmp_path / "celeba").notes)


def test_what_is_taken_for_labelled(tmp_path: Path) -> None:
    two = put(tmp_path / "two", *numbered("train/one", 2), *numbered("train/other", 30))
    assert check(two).folder.domains == ("one", "other") and "unpaired images" in check(two).facts[0]
    (two / "dataset.yaml").write_text("layout: labelled\n")
    assert check(two).facts[0] == "class folders: 2 classes"
    (two / "labels.csv").write_text("file,label\n1.png,a\n1.png,b\n")
    with pytest.raises(ConfigurationError, match=r"labels\.csv, line 3"):
        check(two)
    put(tmp_path / "plain", "1.png")
    with pytest.raises(ConfigurationError, match="pairs side by side"):
        check(tmp_path / "plain")


def test_digits_are_checked_in_their_array(real_data: Path) -> None:
    if not (real_data / "usps").is_dir():
        pytest.skip("needs usps below $TRANSLATE_DATA")
    report = check(real_data / "usps")
    assert report.problems == () and "train images: 7291 of 16x16; 7291 8-bit grey" in report.facts
    assert "8: 542 of 7291 train, 166 of 2007 test" in report.facts


def slices(root: Path, count: int, brightest: int) -> None:
    """16-bit slices of a bright round body somewhere on dark ground, no two alike."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    for split, number in [("train", i) for i in range(count)] + [("test", i) for i in range(count)]:
        for domain in "AB":
            across, down, radius = rng.uniform(16, 48), rng.uniform(16, 48), rng.uniform(8, 28)
            shades = np.where(np.hypot(columns - across, rows - down) < radius, brightest * 0.9, brightest * 0.03)
            grain = rng.normal(0, brightest * 0.02, shades.shape)
            path = root / f"{split}{domain}" / f"{domain}{split}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            images.write(path, Picture((shades + grain).clip(0, brightest).astype(np.uint16)[..., None]))


def test_dark_slices_are_compared_after_stretching_and_the_twin_is_named(tmp_path: Path) -> None:
    slices(tmp_path, 12, 1000)
    report = check(tmp_path)
    assert report.problems == ()
    assert not any("black" in note for note in report.notes), "they are stretched"
    keys = "data.domains.B.channels and data.domains.B.span"
    assert f"B: 16-bit grey, 0 to 1023 ({keys} say otherwise)" in report.facts
    twin = images.read(tmp_path / "trainB" / "Btrain5.png").pixels
    images.write(tmp_path / "testB" / "again.png", Picture((twin * 1.001).astype(np.uint16)))
    (problem,) = check(tmp_path).problems
    assert problem.endswith(f"keep one of each: 1: testB/again.png (trainB/Btrain5.png) in {tmp_path}")


def test_a_range_is_read_as_the_recipe_would(tmp_path: Path) -> None:
    slices(tmp_path, 4, 1000)
    stretched = check(tmp_path, DataSettings(range=(0, 1023)))
    assert stretched.problems == () and not any("black" in note or "range" in note for note in stretched.notes)
    notes = "\n".join(check(tmp_path, DataSettings(range=(0, 20000))).notes)
    assert "where data.range ends at 20000: nearly black" in notes
    problems = "\n".join(check(tmp_path, DataSettings(range=(0, 500))).problems)
    for name in "AB":
        key = f"data.domains.{name}.span"
        assert f"values outside {key}, 0 to 500; set a wider {key}: 8: " in problems


def test_many_alike_remarks_are_one(tmp_path: Path) -> None:
    put(tmp_path, *(name for domain in range(12) for name in numbered(f"train/class{domain}", 3)))
    few = [note for note in check(tmp_path).notes if "few to learn from" in note]
    assert len(few) == 1 and few[0].startswith("12 kinds of training images are few to learn from: ")
    assert "3 of class0, 3 of class1, " in few[0] and few[0].endswith(" more")


# The command


def test_a_folder_is_checked_as_training_would_read_it(run_cli, tmp_path: Path) -> None:
    put(tmp_path / "set", *numbered("trainA", 4), *numbered("trainB", 4), *numbered("trainC", 4))
    classes = run_cli("data", "check", "set")
    assert classes.exit_code == 0 and "class folders: 3 classes" in classes.stdout
    pairs = run_cli("data", "check", "set", "--domains", "C,A")
    assert pairs.exit_code == 0 and "train: 4 pairs of C and A" in pairs.stdout
    loose = run_cli("data", "check", "set", "data.layout=unpaired", "--set", "data.domains=[A,B]")
    assert "train: 4 A, 4 B" in loose.stdout
    going_on = "`translate train cyclegan --data set data.layout=unpaired --domains A,B`"
    loose = run_cli("data", "check", "set", "data.layout=unpaired", "--domains", "A,B")
    assert sorted(loose.stderr.split("`")[1].split()) == sorted(going_on.strip("`").split())
    recipe = run_cli("data", "check", "set", "--recipe", "cyclegan", "--domains", "A,B", "training.batch_size=2")
    assert recipe.exit_code == 2 and "set data.layout=unpaired" in recipe.stderr, "as training would say"
    stargan = run_cli("data", "check", "set", "--recipe", "stargan")
    assert stargan.exit_code == 0 and "class folders: 3 classes" in stargan.stdout
    plain = run_cli("data", "check", "set", "--recipe", "gan")
    assert plain.exit_code == 0 and "images of class folders" in plain.stdout and plain.stdout.endswith("train on\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["training.lr=1"], "training.lr=1: no effect without a recipe; leave it out, or give --recipe, too"),
        (["cyclegan"], "cyclegan: expected KEY=VALUE after the folder"),
        (["data.layuot=paired"], "data.layuot"),
        (["data.direction=AtoB", "--recipe", "cyclegan"], "data.direction: no effect here"),
        (["--recipe", "nothing"], "nothing"),
    ],
)
def test_settings_that_cannot_act_on_a_check_are_refused(run_cli, tmp_path: Path, arguments, says: str) -> None:
    put(tmp_path / "set", *numbered("trainA", 4), *(f"trainB/b{i}.png" for i in range(4)))
    refused = run_cli("data", "check", "set", *arguments)
    assert refused.exit_code == 2 and says in refused.stderr, refused.output
