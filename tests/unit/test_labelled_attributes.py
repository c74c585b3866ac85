"""Attribute files as labelled sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_files import ATTRIBUTES, attribute_set, real_set, told
from tiny import put

from translate.data.labelled import (
    open_labelled,
    table,
)
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError


@pytest.mark.parametrize("folder", ["images", "img_align_celeba/img_align_celeba", "."])
@pytest.mark.parametrize("counted", [True, False])
def test_attributes_of_images_wherever_they_lie(tmp_path: Path, folder: str, counted: bool) -> None:
    text = ATTRIBUTES if counted else ATTRIBUTES.split("\n", 1)[1]
    opened = open_labelled(attribute_set(tmp_path, text, folder))
    assert opened.domains == ("Bald", "Male", "Young") and opened.groups == (LabelGroup(3, exclusive=False),)
    train, test = opened.splits["train"], opened.splits["test"]
    assert [int(source.path.stem) for source in (*train.sources, *test.sources)] == list(range(8))
    for part in (train, test):
        numbers = np.array([int(source.path.stem) for source in part.sources])
        assert np.array_equal(part.labels, (numbers[:, None] >> np.arange(3) & 1).astype(np.float32))
    assert len(test) == 1 and opened.found[2] == "test: 1 images: 1 Bald, 1 Male, 1 Young (the last of the list)"
    assert opened.warnings == ()


def test_an_eighth_is_tested_on_and_so_many_images_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(200):
        (tmp_path / "images" / f"{number}.png").touch()
        rows.append(f"{number}.png {number % 2}")
    (tmp_path / "attributes.txt").write_text("Odd\n" + "\n".join(rows))
    for limit, first in ((1000, 175), (10, 190)):
        monkeypatch.setattr(table, "TEST_LIMIT", limit)
        test = open_labelled(tmp_path).splits["test"]
        assert [int(source.path.stem) for source in test.sources] == list(range(first, 200))
    (tmp_path / "attributes.txt").write_text("Odd\n" + "\n".join(rows[:80]))
    folder = open_labelled(tmp_path)
    assert [int(source.path.stem) for source in folder.splits["test"].sources] == list(range(70, 80))
    assert folder.warnings == (f"images that attributes.txt does not list are left out: {_few(tmp_path, 80, 120)}",)


def _few(root: Path, first: int, count: int) -> str:
    listed = ", ".join(f"{number}.png" for number in range(first, first + 12))
    return f"{count}: {listed} and {count - 12} more in {root / 'images'}"


def test_attributes_are_chosen_by_name_and_misspelt_ones_answered(tmp_path: Path) -> None:
    root = attribute_set(tmp_path)
    folder = open_labelled(root, domains=["Young", "Bald"])
    assert folder.domains == ("Young", "Bald") and folder.groups == (LabelGroup(2, exclusive=False),)
    assert told(folder)["img_align_celeba/1.jpg"] == ["Bald"] and told(folder)["img_align_celeba/4.jpg"] == ["Young"]
    assert len(folder.splits["train"]) == 7  # those with neither stay
    assert open_labelled(root, domains=["Male"]).domains == ("Male",)
    with pytest.raises(ConfigurationError, match="no domain 'Yuong'; did you mean 'Young'"):
        open_labelled(root, domains=["Yuong"])


def test_no_may_be_0(tmp_path: Path) -> None:
    folder = open_labelled(attribute_set(tmp_path, ATTRIBUTES.replace("-1", "0")))
    assert told(folder)["img_align_celeba/5.jpg"] == ["Bald", "Young"]
    assert set(folder.splits["train"].labels.ravel()) == {0, 1}


def test_the_partition_tells_the_splits(tmp_path: Path) -> None:
    root = attribute_set(tmp_path)
    partition = root / "list_eval_partition.txt"
    partition.write_text("".join(f"{number}.jpg {[0, 0, 2, 1][number % 4]}\n" for number in range(12)))
    folder = open_labelled(root)
    stems = {split: [int(s.path.stem) for s in part.sources] for split, part in folder.splits.items()}
    assert stems == {"train": [0, 1, 4, 5], "test": [2, 6], "validation": [3, 7]}
    assert "(" not in folder.found[2]
    partition.write_text("0.jpg 0\n1.jpg 3\n")
    with pytest.raises(ConfigurationError, match=r"list_eval_partition\.txt, line 2: expected .*not 1\.jpg 3"):
        open_labelled(root)
    partition.write_text("0.jpg 0\n1.jpg 0\n")
    with pytest.raises(ConfigurationError, match=r"no row for 2\.jpg, nor for 5 others"):
        open_labelled(root)


def test_missing_images_are_counted_and_images_without_a_row_left_out(tmp_path: Path) -> None:
    root = attribute_set(tmp_path, count=6)
    put(root, "img_align_celeba/other.png")
    folder = open_labelled(root)
    assert len(folder.splits["train"]) == 6 and "test" not in folder.splits
    assert folder.warnings[0] == "rows of list_attr_celeba.txt whose image is missing: 2: 6.jpg, 7.jpg"
    assert folder.warnings[1].startswith("images that list_attr_celeba.txt does not list are left out: 1: ")
    (root / "list_attr_celeba.txt").write_text("Bald\nx/1.jpg 1\nx/2.jpg -1\n")
    with pytest.raises(ConfigurationError, match=r"none of its 2 images is in .*neither x/1\.jpg nor another"):
        open_labelled(root)


def test_images_of_another_format_than_the_list_says_are_found(tmp_path: Path) -> None:
    (tmp_path / "list_attr.txt").write_text("Bald\n1.jpg 1\n2.jpg -1\n2.png 1\n")
    put(tmp_path, "png/1.png", "png/2.png")
    folder = open_labelled(tmp_path)
    assert told(folder) == {"png/1.png": ["Bald"], "png/2.png": ["Bald"]}
    assert folder.warnings == ("rows of list_attr.txt whose image is missing: 1: 2.jpg",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Bald Male\n1.jpg 1\n", "line 2: 1 values after the file, for 2 attributes"),
        ("2\nBald Male\n0.jpg 1 1\n1.jpg 1 yes\n", "line 4: the value yes; expected 1 or -1"),
        ("Bald\n0.jpg 1\n1.jpg -1\n0.jpg 1\n", r"line 4: 0\.jpg is already in line 2"),
        ("Bald Bald\n0.jpg 1 1\n", "line 1: the attribute Bald is there twice"),
        ("Bald\n0.jpg 1\n1.jpg -1\n\n2.jpg 0\n", "line 5: 0 and -1 in one file"),
        ("Bald\n", "no rows"),
        ("", "no rows"),
    ],
)
def test_mistakes_in_attribute_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"list_attr_celeba\.txt.*{message}"):
        open_labelled(attribute_set(tmp_path, text))


def test_a_wrong_count_is_warned_of_and_other_texts_are_not_taken_for_attributes(tmp_path: Path) -> None:
    root = attribute_set(tmp_path, ATTRIBUTES.replace("8\n", "202599\n", 1))
    (root / "list_landmarks.txt").write_text("x y\n0.jpg 12 30\n")
    (root / "README.txt").write_text("Faces of\nmany people here\n")
    (root / "notes.txt").write_bytes(b"\xff\xfe\x00")
    assert open_labelled(root).warnings == ("list_attr_celeba.txt announces 202599 rows but has 8",)
    (root / "list_attr_more.txt").write_text("Tall\n0.jpg 1\n")
    with pytest.raises(
        ConfigurationError, match=r"more than one attribute file: list_attr_celeba\.txt, list_attr_more"
    ):
        open_labelled(root)


def test_alternatives_are_places_of_the_chosen_attributes(tmp_path: Path) -> None:
    root = attribute_set(tmp_path)
    assert open_labelled(root).alternatives == ()
    wanted = [["Male", "Young"], ["Young", "Bald"]]
    assert open_labelled(root, exclusive=wanted).alternatives == ((1, 2), (2, 0))
    assert open_labelled(root, domains=["Young", "Male"], exclusive=wanted).alternatives == ((1, 0),)
    (root / "dataset.yaml").write_text("alternatives: [[Bald, Male, Tall]]\n")
    assert open_labelled(root).alternatives == ((0, 1),)
    assert open_labelled(root, exclusive=[]).alternatives == ()
    with pytest.raises(ConfigurationError, match="exclusive: no domain 'Mail'; did you mean 'Male'"):
        open_labelled(root, exclusive=[["Mail", "Bald"]])


def test_the_first_faces_of_celeba(real_data: Path) -> None:
    names = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"]
    folder = open_labelled(real_set(real_data, "celeba"), domains=names)
    train, test = folder.splits["train"], folder.splits["test"]
    assert len(train) == 7000 and len(test) == 1000 and folder.warnings == ()
    assert test.sources[0].path.name == "007001.jpg" and test.sources[-1].path.name == "008000.jpg"
    # The first row of the file: brown hair, young, no man.
    assert train.labels[0].tolist() == [0, 0, 1, 0, 1]
    assert train.sources[0].read(3).shape == (109, 89, 3)
