"""CSV files as labelled sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled_files import classes_of, csv_set, told
from tiny import numbered, put

from translate.data.labelled import (
    open_labelled,
)
from translate.data.labels import UNKNOWN, LabelGroup
from translate.errors import ConfigurationError


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
        ("file label\n0.png x\n", "line 1: .*separated by commas, semicolons or tabs"),
        ("file,label,label\n", "line 1: the column 'label' is there twice"),
        ("file,Tall,\n", "line 1: column 3 has no name"),
        ("file,split\n0.png,train\n", "line 1: no labels"),
        ("file,label\n", "no rows"),
        ("file,label\n0.png\n", "line 2: 1 fields under 2 columns"),
        ("file,label\n0.png,x\n,y\n", "line 3: no file"),
        ("file,label\n0.png,x\n1.png,\n", "line 3: no label"),
        ("file,label\n0.png,x\n./0.png,y\n", r"line 3: 0\.png is already in line 2"),
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


@pytest.mark.parametrize("first", ["", "Unnamed: 0", "index"])
def test_a_first_column_of_row_numbers_is_passed_over(tmp_path: Path, first: str) -> None:
    text = f"{first},image,label\n0,0.png,x\n1,1.png,y\n2,2.png,x\n3,3.png,y\n"
    folder = open_labelled(csv_set(tmp_path, text, "people.csv"))
    assert folder.domains == ("x", "y") and sum(classes_of(folder, "train").values()) == 2


def test_numbers_with_a_point_and_words_are_yes_no_and_unknown(tmp_path: Path) -> None:
    text = "file,Tall,Old\n0.png,1.0,0.0\n1.png,0.00,True\n2.png,nan,FALSE\n3.png,+1,\n"
    folder = open_labelled(csv_set(tmp_path, text))
    rows = {
        source.path.stem: labels.tolist()
        for part in folder.splits.values()
        for source, labels in zip(part.sources, part.labels, strict=True)
    }
    assert rows == {"0": [1, 0], "1": [0, 1], "2": [UNKNOWN, 0], "3": [1, UNKNOWN]}
    signed = open_labelled(csv_set(tmp_path / "signed", "file,Tall\n0.png,1.0\n1.png,-1.0\n2.png,-1\n3.png,1\n"))
    assert sorted(label for part in signed.splits.values() for label in part.labels[:, 0]) == [0, 0, 1, 1]
    with pytest.raises(ConfigurationError, match="0 and -1 in one file"):
        open_labelled(csv_set(tmp_path / "both", "file,Tall\n0.png,0.0\n1.png,-1.0\n"))
    with pytest.raises(ConfigurationError, match=r"line 2: Tall: '0\.5'"):
        open_labelled(csv_set(tmp_path / "half", "file,Tall\n0.png,0.5\n1.png,1\n"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "path", ["pictures/{}.png", "pictures\\{}.png", '"pictures/{}.png"', ".\\pictures\\{}.png", ' "{}.png"']
)
def test_what_table_programs_write_is_read(tmp_path: Path, delimiter: str, encoding: str, path: str) -> None:
    put(tmp_path, *numbered("pictures", 4))
    rows = [["file", "label", "split"], *([path.format(i), "xy"[i % 2], "train"] for i in range(4))]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    assert told(open_labelled(tmp_path)) == {f"pictures/{i}.png": ["xy"[i % 2]] for i in range(4)}


@pytest.mark.parametrize(("held", "split"), [("test", "test"), ("Validation", "test"), ("val_images", "test")])
def test_images_in_a_folder_named_for_tests_are_the_test_images(tmp_path: Path, held: str, split: str) -> None:
    put(tmp_path, *numbered("train", 6), *numbered(held, 2))
    names = [*(f"train/{i}.png" for i in range(6)), *(f"{held}/{i}.png" for i in range(2))]
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{n},{'xy'[i % 2]}\n" for i, n in enumerate(names)))
    folder = open_labelled(tmp_path)
    assert list(told(folder)) == names[:6] and list(told(folder, split)) == names[6:]
