"""Which folders are taken for which labelled set, what their labels are, and what is refused."""

from __future__ import annotations

import gzip
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny import numbered, put

from translate.data.description import describe
from translate.data.labelled import (
    LabelledFolder,
    buckets,
    join,
    open_jointly,
    open_labelled,
    open_source_labelled,
    table,
    unlabelled,
)
from translate.data.labelled.digits import Digit
from translate.data.labels import UNKNOWN, LabelGroup
from translate.data.shapes import render_set
from translate.errors import ConfigurationError

dice = np.random.default_rng(0)


def told(folder: LabelledFolder, split: str = "train") -> dict[str, list[str]]:
    """The domains of each image, by its path within the root."""
    part = folder.splits[split]
    assert part.labels.shape == (len(part), len(folder.domains)) and part.labels.dtype == np.float32
    return {
        source.path.relative_to(folder.root).as_posix(): [
            name for name, label in zip(folder.domains, labels, strict=True) if label == 1
        ]
        for source, labels in zip(part.sources, part.labels, strict=True)
    }


def classes_of(folder: LabelledFolder, split: str) -> Counter[str]:
    return Counter(names[0] for names in told(folder, split).values())


# Class folders


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
    [(["a", "bb"], "no domain 'bb'; did you mean 'b"), (["a", "a"], "each domain once"), (["a"], "one class only, a")],
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
    with pytest.raises(ConfigurationError, match=r"one class only, a; .*Looked for: train/CLASS/"):
        open_labelled(put(tmp_path / "one", *numbered("a", 3)))


def test_validation_images_stand_in_for_test_images(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/a", 2), *numbered("train/b", 2), *numbered("val/a", 1), *numbered("val/b", 1))
    folder = open_labelled(tmp_path)
    assert set(folder.splits) == {"train", "test"} and folder.found[2].endswith("as there are no test images)")
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
    assert not folder.test_is_paired and "no name stands in all classes" in folder.warnings[0]


def test_names_that_are_equal_by_chance_are_no_pairs(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train/a", 2), *numbered("train/b", 2), *numbered("test/a", 2), *numbered("test/b", 2))
    assert not open_labelled(tmp_path).test_is_paired


# Attribute files

ATTRIBUTES = "8\nBald Male Young\n" + "".join(
    f"{number}.jpg {' '.join('1' if number >> bit & 1 else '-1' for bit in range(3))}\n" for number in range(8)
)


def attribute_set(root: Path, text: str = ATTRIBUTES, folder: str = "img_align_celeba", count: int = 8) -> Path:
    put(root, *(f"{folder}/{number}.jpg" for number in range(count)))
    (root / "list_attr_celeba.txt").write_text(text)
    return root


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
    return f"{count}: {', '.join(str(root / 'images' / f'{number}.png') for number in range(first, first + 10))}, ..."


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
        ("Bald\n0.jpg 1\n1.jpg -1\n0.jpg 1\n", r"line 4: 0\.jpg stands in line 2 already"),
        ("Bald Bald\n0.jpg 1 1\n", "line 1: the attribute Bald stands there twice"),
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
    assert open_labelled(root).warnings == ("list_attr_celeba.txt announces 202599 rows and holds 8",)
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


# CSV files


def csv_set(root: Path, text: str, name: str = "labels.csv", count: int = 4) -> Path:
    put(root, *numbered("pictures", count))
    (root / name).write_text(text, encoding="utf-8-sig")
    return root


def test_csv_with_a_label_column(tmp_path: Path) -> None:
    text = "file,label,split\n0.png,c10,train\n1.png, c9 ,TEST\n2.png,c9,train\n\n3.png,c10,val\n"
    folder = open_labelled(csv_set(tmp_path, text))
    assert folder.domains == ("c9", "c10") and folder.groups == (LabelGroup(2, exclusive=True),)
    assert told(folder) == {"pictures/0.png": ["c10"], "pictures/2.png": ["c9"]}
    assert told(folder, "test") == {"pictures/1.png": ["c9"]}
    assert told(folder, "validation") == {"pictures/3.png": ["c10"]}


def test_csv_with_a_column_for_each_attribute(tmp_path: Path) -> None:
    text = "image_id,Tall,Old\npictures/0.png,1,no\npictures/1.png,,TRUE\npictures/2.png,false,0\npictures/3.png,yes,\n"
    folder = open_labelled(csv_set(tmp_path, text, "people.csv"))
    assert folder.groups == (LabelGroup(2, exclusive=False),)
    rows = {
        source.path.stem: labels.tolist()
        for part in folder.splits.values()
        for source, labels in zip(part.sources, part.labels, strict=True)
    }
    assert rows == {"0": [1, 0], "1": [UNKNOWN, 1], "2": [0, 0], "3": [1, UNKNOWN]}
    assert folder.found[2].endswith("(held out, chosen by a hash of the names)")


def test_a_name_is_the_same_however_its_accents_are_spelt(tmp_path: Path) -> None:
    put(tmp_path, "caf\u00e9.png", "1.png")
    (tmp_path / "labels.csv").write_text("file,label\ncafe\u0301.png,x\n1.png,y\n", encoding="utf-8")
    assert told(open_labelled(tmp_path)) == {"caf\u00e9.png": ["x"], "1.png": ["y"]}


def test_csv_classes_are_held_out_of_each_class(tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,{'rare' if number < 10 else 'common'}\n" for number in range(50))
    folder = open_labelled(csv_set(tmp_path, "file,label\n" + rows, count=50))
    assert classes_of(folder, "test") == {"rare": 1, "common": 4}
    assert classes_of(folder, "train") == {"rare": 9, "common": 36}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("label,file\nx,0.png\n", "line 1: label,file: expected"),
        ("file;label\n0.png;x\n", "line 1: .*separated by commas"),
        ("file,label,label\n", "line 1: the column 'label' stands there twice"),
        ("file,Tall,\n", "line 1: column 3 has no name"),
        ("file,split\n0.png,train\n", "line 1: no labels"),
        ("file,label\n", "no rows"),
        ("file,label\n0.png\n", "line 2: 1 fields under 2 columns"),
        ("file,label\n0.png,x\n,y\n", "line 3: no file"),
        ("file,label\n0.png,x\n1.png,\n", "line 3: no label"),
        ("file,label\n0.png,x\n./0.png,y\n", r"line 3: 0\.png stands in line 2 already"),
        ("file,label,split\n0.png,x,train\n1.png,y,tset\n", "line 3: no split 'tset'; did you mean 'test'"),
        ("file,Tall\n0.png,1\n1.png,maybe\n", "line 3: Tall: 'maybe'; expected 1 or 0"),
        ("file,Tall,Old\n0.png,1,0\n1.png,-1,1\n", "line 3: 0 and -1 in one file"),
        ('file,label\n0.png,"x\n', "cannot be read as CSV"),
    ],
)
def test_mistakes_in_csv_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"labels\.csv.*{message}"):
        open_labelled(csv_set(tmp_path, text))


def test_other_columns_are_ignored_and_other_tables_no_labels(tmp_path: Path) -> None:
    root = csv_set(tmp_path / "a", "file,label,width\n0.png,x,4\n1.png,y,4\n")
    assert "columns beside file, label and split are ignored: width" in open_labelled(root).warnings[0]
    for text in ("image_id,width\n0.png,4\n", "name,rank\nx,1\n", "file,domain\n0.png,A (Horse)\n"):
        put(tmp_path / "b", *numbered("x", 2), *numbered("y", 2))
        (tmp_path / "b" / "metadata.csv").write_text(text)
        assert open_labelled(tmp_path / "b").found[0] == "class folders: 2 classes"


# Digits


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def digit_set(root: Path, packed: bool = True, splits: tuple[str, ...] = ("train", "t10k")) -> np.ndarray:
    root.mkdir(exist_ok=True)
    pixels = dice.integers(0, 256, (20, 5, 7)).astype(np.uint8)
    for split in splits:
        for kind, values in (("images-idx3", pixels), ("labels-idx1", np.arange(20, dtype=np.uint8) % 10)):
            data = idx(values)
            path = root / f"{split}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return pixels


@pytest.mark.parametrize("packed", [True, False])
def test_idx_digits(tmp_path: Path, packed: bool) -> None:
    pixels = digit_set(tmp_path, packed)
    folder = open_labelled(tmp_path)
    assert folder.domains == tuple("0123456789") and folder.groups == (LabelGroup(10, exclusive=True),)
    train = folder.splits["train"]
    assert len(train) == len(folder.splits["test"]) == 20
    assert train.labels.argmax(1).tolist() == [number % 10 for number in range(20)] and (train.labels.sum(1) == 1).all()
    for source, expected in zip(train.sources, pixels, strict=True):
        assert np.array_equal(source.read(1)[..., 0], expected)
    assert train.sources[3].read(3).shape == (5, 7, 3) and train.sources[3].path.name.endswith("#3")
    threes = open_labelled(tmp_path, domains=["8", "3"]).splits["train"]
    assert threes.labels.tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]
    assert np.array_equal(threes.sources[1].read(1)[..., 0], pixels[8])


def test_damaged_idx_files_are_named(tmp_path: Path) -> None:
    digit_set(tmp_path, packed=False)
    images_file, labels_file = (tmp_path / f"train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    whole, labels = images_file.read_bytes(), labels_file.read_bytes()
    for path, data, message in (
        (images_file, whole[:-1], "images.* announces 700 bytes and holds 699"),
        (images_file, whole + b"1", "images.* announces 700 bytes and holds more"),
        (images_file, whole[:10], "no idx file of unsigned bytes in 3 dimensions"),
        (images_file, b"\0\0\x0d\3" + whole[4:], "no idx file of unsigned bytes"),
        (images_file, whole[:4] + b"\xff" * 12, r"announces 79,.* bytes; 1 to"),
        (labels_file, idx(np.zeros(3, np.uint8)), "3 labels for the 20 images of train-images-idx3-ubyte"),
        (labels_file, labels[:-1] + b"\x0a", "label 10 of image 19; digits are 0 to 9"),
    ):
        images_file.write_bytes(whole)
        labels_file.write_bytes(labels)
        path.write_bytes(data)
        with pytest.raises(ConfigurationError, match=message):
            open_labelled(tmp_path)
    images_file.unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(whole)[:-20])
    with pytest.raises(ConfigurationError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        open_labelled(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(ConfigurationError, match="no images of the train split"):
        open_labelled(tmp_path)


def test_digits_as_rows_of_numbers(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 256)
    for split, digits in (("train", [6, 0]), ("test", [9])):
        rows = "".join(f"{digit}.0000 " + " ".join(f"{v:.4f}" for v in values) + " \n" for digit in digits)
        (tmp_path / f"zip.{split}.gz").write_bytes(gzip.compress(rows.encode()))
    folder = open_labelled(tmp_path)
    assert folder.splits["train"].labels.argmax(1).tolist() == [6, 0]
    assert folder.splits["test"].labels.argmax(1).tolist() == [9]
    expected = np.round((values.round(4) + 1) * 127.5).reshape(16, 16)
    assert np.abs(folder.splits["train"].sources[0].read(1)[..., 0] - expected).max() == 0
    (tmp_path / "zip.test.gz").write_bytes(gzip.compress(b"1 2 3\n"))
    with pytest.raises(ConfigurationError, match=r"zip\.test\.gz: expected rows of a digit and 256 values"):
        open_labelled(tmp_path)


# What is no labelled set


def test_what_is_no_labelled_set_is_told_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "plain", "1.png", "2.png")
    put(tmp_path / "split", *numbered("train", 2), *numbered("test", 1))
    (tmp_path / "bare").mkdir()
    for name, found in (("plain", "2 images"), ("split", "test/, train/"), ("bare", "nothing")):
        with pytest.raises(ConfigurationError, match=r"no labelled images here\. Looked for: train/CLASS/") as caught:
            open_labelled(tmp_path / name)
        assert str(caught.value).endswith(f"Found: {found}")
        assert all(word in str(caught.value) for word in ("list_attr", "labels.csv", "idx3"))
    with pytest.raises(ConfigurationError, match="no such folder"):
        open_labelled(tmp_path / "missing")


# Without labels


def test_images_without_labels(tmp_path: Path) -> None:
    flat = put(tmp_path / "flat", *(f"{number}.png" for number in range(20)), "sub/x.png")
    split = put(tmp_path / "split", *numbered("train", 3), *numbered("test/deep", 2))
    classes = put(tmp_path / "classes", *numbered("train/a", 2), *numbered("train/b", 2), *numbered("test/a", 1))
    digit_set(tmp_path / "digits")
    attributes = attribute_set(tmp_path / "attributes")
    one = put(tmp_path / "one", *numbered("only", 10))
    for root, train, test in (
        (flat, 19, 2),
        (split, 3, 2),
        (classes, 4, 1),
        (tmp_path / "digits", 20, 20),
        (attributes, 7, 1),
        (one, 9, 1),
    ):
        folder = unlabelled(root)
        assert folder.domains == (root.name,) and folder.groups == () and not folder.test_is_paired
        assert [len(folder.splits[name]) for name in ("train", "test")] == [train, test], root.name
        for part in folder.splits.values():
            assert part.labels.shape == (len(part), 0) and part.sets.shape == (len(part),)
            assert part.sources[0].read(3).dtype == np.uint8
    assert {s.path for part in unlabelled(flat).splits.values() for s in part.sources} == set(flat.rglob("*.png"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(ConfigurationError, match=r"bare: no images to train on, of \.bmp"):
        unlabelled(tmp_path / "bare")


# Several sets


def test_joined_sets_know_nothing_of_one_another(tmp_path: Path) -> None:
    faces = open_labelled(attribute_set(tmp_path / "faces"), exclusive=[["Male", "Young"]])
    moods = put(tmp_path / "moods", *numbered("train/sad", 2), *numbered("train/Young", 1))
    joined = join([faces, open_labelled(moods, exclusive=[["sad", "Young"]])])
    assert joined.domains == ("Bald", "Male", "faces_Young", "moods_Young", "sad")
    assert joined.groups == (LabelGroup(3, exclusive=False), LabelGroup(2, exclusive=True))
    assert joined.alternatives == ((1, 2), (4, 3))
    train = joined.splits["train"]
    assert train.sets.tolist() == [0] * 7 + [1] * 3
    assert (train.labels[:7, 3:] == UNKNOWN).all() and (train.labels[7:, :3] == UNKNOWN).all()
    assert np.array_equal(train.labels[:7, :3], faces.splits["train"].labels)
    assert train.labels[7:, 3:].tolist() == [[1, 0], [0, 1], [0, 1]]
    assert len(joined.splits["test"]) == 1 and joined.splits["test"].labels[0, 3:].tolist() == [UNKNOWN] * 2
    assert joined.found[0] == "faces: list_attr_celeba.txt: 3 attributes"
    twin = put(tmp_path / "other" / "moods", *numbered("train/sad", 2), *numbered("train/x", 1))
    with pytest.raises(ConfigurationError, match="different domains or folder names; twice: moods_sad"):
        join([open_labelled(moods), open_labelled(twin)])


def test_domains_are_chosen_among_all_sets(tmp_path: Path) -> None:
    faces = attribute_set(tmp_path / "faces")
    moods = put(tmp_path / "moods", *(name for mood in ("sad", "glad", "mad") for name in numbered(f"train/{mood}", 1)))
    assert open_jointly([faces, moods], domains=["mad", "Young", "sad"]).domains == ("Young", "mad", "sad")
    assert open_jointly([faces, moods], domains=["Male"]).domains == ("Male", "glad", "mad", "sad")
    with pytest.raises(ConfigurationError, match="no domain 'Mael' in any of the sets; did you mean 'Male'"):
        open_jointly([faces, moods], domains=["Mael", "sad"])


def test_buckets_of_sets_classes_and_attributes(tmp_path: Path) -> None:
    faces = open_labelled(attribute_set(tmp_path / "faces"), domains=["Bald", "Young"])
    moods = open_labelled(put(tmp_path / "moods", *numbered("train/sad", 2), *numbered("train/glad", 1)))
    joined = join([faces, moods])

    def stems(balanced: bool) -> list[list[str]]:
        sources, labels = buckets(joined.splits["train"], joined.groups, balanced)
        train = joined.splits["train"]
        rows = {source.path: known for source, known in zip(train.sources, train.labels, strict=True)}
        for bucket, known in zip(sources, labels, strict=True):
            assert np.array_equal([rows[source.path] for source in bucket], known)
        return [[f"{s.path.parent.name[:1]}{s.path.stem}" for s in bucket] for bucket in sources]

    assert stems(balanced=False) == [[f"i{number}" for number in range(7)], ["g0", "s0", "s1"]]
    assert stems(balanced=True) == [
        ["i1", "i3", "i5"],
        ["i0", "i2", "i4", "i6"],
        ["i4", "i5", "i6"],
        ["i0", "i1", "i2", "i3"],
        ["g0"],
        ["s0", "s1"],
    ]
    plain = unlabelled(put(tmp_path / "plain", *numbered(".", 4)))
    assert len(buckets(plain.splits["train"], plain.groups, balanced=True)[0]) == 1


def test_a_folder_may_name_a_labelled_source_and_a_target(tmp_path: Path) -> None:
    root = tmp_path / "set"
    digit_set(tmp_path / "first")
    digit_set(tmp_path / "second")
    put(tmp_path / "plain", *numbered(".", 4))
    root.mkdir()
    for target, labelled in (("second", True), ("plain", False)):
        (root / "dataset.yaml").write_text(f"a: ../first\nb: ../{target}\n")
        a, b = open_source_labelled(str(root))
        assert a.root.resolve() == tmp_path / "first" and b.root.resolve() == tmp_path / target
        assert b.groups == (a.groups if labelled else ())
    put(tmp_path / "foldered", *numbered("images", 4))
    (root / "dataset.yaml").write_text("a: ../first\nb: ../foldered\n")
    assert open_source_labelled(str(root))[1].groups == ()
    (root / "dataset.yaml").write_text("a: ../first\n")
    with pytest.raises(ConfigurationError, match=r"labelled source and a target.*mnist2usps"):
        open_source_labelled(str(root))
    put(tmp_path / "classes", *numbered("x", 2), *numbered("y", 2))
    (root / "dataset.yaml").write_text("a: ../first\nb: ../classes\n")
    with pytest.raises(ConfigurationError, match="classes: no domain '0'"):
        open_source_labelled(str(root))


# Real data


def _real(real_data: Path, name: str) -> Path:
    if not (real_data / name).is_dir():
        pytest.skip(f"needs {name} below $TRANSLATE_DATA")
    return real_data / name


def test_the_first_faces_of_celeba(real_data: Path) -> None:
    names = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"]
    folder = open_labelled(_real(real_data, "celeba"), domains=names)
    train, test = folder.splits["train"], folder.splits["test"]
    assert len(train) == 7000 and len(test) == 1000 and folder.warnings == ()
    assert test.sources[0].path.name == "007001.jpg" and test.sources[-1].path.name == "008000.jpg"
    # The first row of the file: brown hair, young, no man.
    assert train.labels[0].tolist() == [0, 0, 1, 0, 1]
    assert train.sources[0].read(3).shape == (109, 89, 3)


@pytest.mark.parametrize(
    ("name", "size", "train", "test"),
    [
        # http://yann.lecun.com/exdb/mnist and The Elements of Statistical Learning, zip.info
        ("mnist", 28, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
         [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("usps", 16, [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644],
         [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]),
    ],
)  # fmt: skip
def test_digits_as_published(real_data: Path, name: str, size: int, train: list[int], test: list[int]) -> None:
    folder = open_labelled(_real(real_data, name))
    assert folder.splits["train"].labels.sum(0).tolist() == train
    assert folder.splits["test"].labels.sum(0).tolist() == test
    digits = [source.read(1) for source in folder.splits["test"].sources[:100]]
    assert isinstance(folder.splits["test"].sources[0], Digit) and digits[0].shape == (size, size, 1)
    assert np.mean(digits) < 80 and all(digit.max() > 200 for digit in digits)  # bright ink on dark ground
