"""Class folders as labelled sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled_files import classes_of, told
from tiny import numbered, put

from translate.data.catalog.description import describe
from translate.data.labelled import open_jointly, open_labelled, unlabelled
from translate.data.labels import LabelGroup
from translate.data.synthetic.shapes import render_set
from translate.errors import ConfigurationError


def test_class_folders_within_splits(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/c10", 3), *numbered("train/c9", 2), *numbered("train/a", 1))
    put(tmp_path, *numbered("test/c9", 1), *numbered("test/a/deep", 1), *numbered("val/c10", 2))
    folder = open_labelled(tmp_path)
    assert folder.domains == ("a", "c9", "c10") and folder.groups == (LabelGroup(3, exclusive=True),)
    for split in ("train", "test", "validation"):
        for path, names in told(folder, split).items():
            assert names == [path.split("/")[1]]
    counts = {split: len(part) for split, part in folder.splits.items()}
    assert counts == {"train": 6, "test": 2, "validation": 2}
    assert folder.found == (
        "class folders: 3 classes",
        "train: 6 images: 1 a, 2 c9, 3 c10",
        "test: 2 images: 1 a, 1 c9, 0 c10",
        "validation: 2 images: 0 a, 0 c9, 2 c10",
    )
    assert folder.warnings == ("classes without test images: c10", "classes without validation images: a, c9")


def test_flat_class_folders_hold_out_a_tenth_of_each_class_by_name(tmp_path: Path) -> None:
    put(tmp_path, *numbered("cat", 20), *numbered("dog", 40), *numbered("fox", 10), "loose.png")
    folder = open_labelled(tmp_path)
    assert classes_of(folder, "train") == {"cat": 18, "dog": 36, "fox": 9}
    assert classes_of(folder, "test") == {"cat": 2, "dog": 4, "fox": 1}
    assert folder.found[2].endswith("(held out of each class, chosen by a hash of the names)")
    assert "belong to no class" in folder.warnings[0] and "loose.png" in folder.warnings[0]
    again = told(open_labelled(tmp_path), "test")
    assert list(again) == list(told(folder, "test"))
    (tmp_path / "dog" / "40.png").write_bytes((tmp_path / "dog" / "0.png").read_bytes())
    assert [path for path in told(open_labelled(tmp_path), "test") if "cat" in path] == [p for p in again if "cat" in p]


def test_domains_choose_classes_and_their_order(tmp_path: Path) -> None:
    put(
        tmp_path,
        *(name for domain in "abc" for split in ("train", "test") for name in numbered(f"{split}/{domain}", 2)),
    )
    folder = open_labelled(tmp_path, domains=["c", "a"])
    assert folder.domains == ("c", "a") and folder.groups == (LabelGroup(2, exclusive=True),)
    assert list(told(folder).items()) == [
        ("train/c/0.png", ["c"]),
        ("train/c/1.png", ["c"]),
        ("train/a/0.png", ["a"]),
        ("train/a/1.png", ["a"]),
    ]
    assert folder.found[0] == "class folders: 2 of 3 classes"
    (tmp_path / "dataset.yaml").write_text("layout: labelled\ndomains: [b, a, c]\n")
    assert open_labelled(tmp_path).domains == ("b", "a", "c")
    assert open_labelled(tmp_path, domains=["a", "b"]).domains == ("a", "b")


@pytest.mark.parametrize(
    ("domains", "message"),
    [(["a", "bb"], "no domain 'bb'; did you mean 'b"), (["a", "a"], "each domain once"), (["a"], "only one class, a")],
)
def test_a_wrong_choice_of_classes_is_refused(tmp_path: Path, domains: list[str], message: str) -> None:
    put(tmp_path, *numbered("a", 2), *numbered("bbb", 2))
    with pytest.raises(ConfigurationError, match=message):
        open_labelled(tmp_path, domains=domains)


def test_classes_around_splits_and_two_lettered_domains(tmp_path: Path) -> None:
    around = put(tmp_path / "around", *(name for domain in "abc" for name in numbered(f"{domain}/train", 3)))
    put(around, *(name for domain in "abc" for name in numbered(f"{domain}/test", 2)))
    tested = [f"{domain}/test/{number}.png" for domain in "abc" for number in range(2)]
    assert told(open_labelled(around), "test") == {path: [path[0]] for path in tested}
    lettered = put(tmp_path / "horse2zebra", "trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png")
    folder = open_labelled(lettered)
    assert told(folder) == {"trainA/1.png": ["horse"], "trainB/2.png": ["zebra"]}
    assert told(folder, "test") == {"testA/3.png": ["horse"], "testB/4.png": ["zebra"]}


def test_odd_class_folders(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/a", 2), *numbered("train/b", 2), *numbered("test/b", 1), *numbered("test/new", 1))
    (tmp_path / "train" / "bare").mkdir()
    folder = open_labelled(tmp_path)
    assert folder.domains == ("a", "b") and list(told(folder, "test")) == ["test/b/0.png"]
    warnings = "\n".join(folder.warnings)
    assert "classes without images to train on are left out: bare" in folder.warnings
    assert "test classes without images to train on are left out: new" in warnings
    with pytest.raises(ConfigurationError, match="no domain 'bare'"):
        open_labelled(tmp_path, domains=["a", "bare"])
    with pytest.raises(ConfigurationError, match=r"only one class, a; .*Looked for: .*train/CLASS/"):
        open_labelled(put(tmp_path / "one", *numbered("a", 3)))


def test_the_split_that_is_measured_is_known_of_labelled_unlabelled_and_joint_sets(tmp_path: Path) -> None:
    val = put(tmp_path / "val", *numbered("train/a", 2), *numbered("train/b", 2), *numbered("val/a", 1))
    tested = put(tmp_path / "tested", *numbered("train/c", 2), *numbered("train/d", 2), *numbered("test/c", 1))
    for opened in (open_labelled, unlabelled):
        assert (opened(val).test_split, opened(tested).test_split) == ("validation", "test")
    assert open_jointly([tested, val]).test_split == "validation", "though not of the first"


def test_validation_images_stand_in_for_test_images(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/a", 2), *numbered("train/b", 2), *numbered("val/a", 1), *numbered("val/b", 1))
    folder = open_labelled(tmp_path)
    assert set(folder.splits) == {"train", "test"} and folder.found[2].endswith("as there are no test images)")
    assert folder.test_split == "validation"
    for path in (tmp_path / "val").rglob("*.png"):
        path.unlink()
    assert open_labelled(tmp_path).found[-1] == "no test images, so nothing can be measured"


def test_paired_test_images_stand_class_by_class(tmp_path: Path) -> None:
    root = render_set(
        tmp_path / "set", view="labelled", styles=("outlined", "flat", "banded"), size=32, train=2, test=3
    )
    assert describe(root).test_paired and describe(root).layout == "labelled"
    folder = open_labelled(root)
    assert folder.domains == ("outlined", "flat", "banded") and folder.test_is_paired
    test = folder.splits["test"]
    assert test.labels.argmax(1).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    names = [source.path.name for source in test.sources]
    assert names[:3] == names[3:6] == names[6:]
    chosen = open_labelled(root, domains=["banded", "outlined"])
    assert chosen.test_is_paired and [s.path.parent.name for s in chosen.splits["test"].sources][::3] == [
        "banded",
        "outlined",
    ]
    next((root / "test" / "flat").iterdir()).unlink()
    folder = open_labelled(root)
    assert folder.test_is_paired and len(folder.splits["test"]) == 6 and "without a partner" in folder.warnings[0]
    for path in (root / "test" / "flat").iterdir():
        path.unlink()
    folder = open_labelled(root)
    assert not folder.test_is_paired and "no name is in all classes" in folder.warnings[0]


def test_names_that_are_equal_by_chance_are_no_pairs(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/a", 2), *numbered("train/b", 2), *numbered("test/a", 2), *numbered("test/b", 2))
    assert not open_labelled(tmp_path).test_is_paired
