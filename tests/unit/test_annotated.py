"""Labelled sets that translations are added to: each format comes back as plain parsers of it read it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from labelled_files import attribute_set, csv_set, digit_set
from tiny import put

from translate.data.annotated import Made, open_annotated
from translate.data.annotated.coco import CocoSet
from translate.data.annotated.masks import MaskSet
from translate.data.annotated.yolo import YoloSet
from translate.data.labelled import open_labelled
from translate.errors import ConfigurationError

BOXES = {
    1: [{"bbox": [1.5, 2.25, 3.125, 4.0], "segmentation": [[1.5, 2.25, 4.6, 2.25, 4.6, 6.25]], "iscrowd": 0}],
    2: [
        {"bbox": [0, 0, 8, 8], "segmentation": {"size": [8, 8], "counts": "0l00"}, "iscrowd": 1},
        {"bbox": [2, 2, 1, 1], "keypoints": [2, 2, 2], "num_keypoints": 1, "iscrowd": 0},
    ],
}


def coco(images: dict[object, str], **more: object) -> dict[str, object]:
    entries = [{"id": number, "file_name": name, "width": 8, "height": 8} for number, name in images.items()]
    annotations = [
        {"id": 10 * place + number, "image_id": image, "category_id": 7, "area": 2.5, **box}
        for place, (image, name) in enumerate(images.items())
        for number, box in enumerate(BOXES.get(image, []))
    ]
    kept = {"info": {"year": 2026}, "licenses": [{"id": 1, "name": "ours"}], "categories": [{"id": 7, "name": "cat"}]}
    return {**kept, "images": entries, "annotations": annotations, **more}


def coco_set(root: Path) -> Path:
    """Two pictures to train on, of which one has no box, and one to test on; the names of both folders overlap."""
    put(root, "train2017/a.jpg", "train2017/b.jpg", "train2017/c.png", "val2017/a.jpg")
    folder = root / "annotations"
    folder.mkdir()
    training = coco({1: "a.jpg", 2: "b.jpg", 3: "c.png"})
    training["images"][0] |= {"coco_url": "http://somewhere.org/a.jpg", "date_captured": "2013"}
    (folder / "instances_train2017.json").write_text(json.dumps(training))
    (folder / "instances_val2017.json").write_text(json.dumps(coco({1: "a.jpg"})))
    return root


def translations(labelled, tag: str = "zebra", changes: dict[str, bool] | None = None) -> list[Made]:
    made = []
    for original in labelled.originals:
        if original.training:
            folder, path = labelled.folder_of(original, changes or {}), Path(original.name)
            made.append(Made(original, (Path(folder) / f"{path.stem}-{tag}{path.suffix}").as_posix(), changes or {}))
    return made


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# COCO


@pytest.mark.parametrize("originals", [False, True])
def test_coco_gets_new_entries_with_new_ids_and_the_boxes_of_their_pictures(tmp_path, originals):
    labelled = open_annotated(coco_set(tmp_path / "data"))
    assert isinstance(labelled, CocoSet) and labelled.categories == ("cat",)
    assert {one.name: one.training for one in labelled.originals} == {
        "train2017/a.jpg": True, "train2017/b.jpg": True, "train2017/c.png": True, "val2017/a.jpg": False,
    }  # fmt: skip
    labelled.write(tmp_path / "out", translations(labelled), originals)
    before = json.loads((tmp_path / "data/annotations/instances_train2017.json").read_text())
    after = json.loads((tmp_path / "out/annotations/instances_train2017.json").read_text())
    for name in ("info", "licenses", "categories"):
        assert after[name] == before[name]
    for name in ("images", "annotations"):
        ids = [one["id"] for one in after[name]]
        assert (len(set(ids)) == len(ids) and after[name][: len(before[name])] == before[name]) or not originals
        assert not {one["id"] for one in after[name][len(before[name]) * originals :]} & {
            one["id"] for one in before[name]
        }
    new = after["images"][3 * originals :]
    assert [one["file_name"] for one in new] == ["a-zebra.jpg", "b-zebra.jpg", "c-zebra.png"]
    assert "coco_url" not in new[0] and new[0]["date_captured"] == "2013"
    of_picture = {entry["file_name"].replace("-zebra", ""): entry["id"] for entry in new}
    for entry in before["images"]:
        was, now = (
            [
                {key: value for key, value in one.items() if key not in ("id", "image_id")}
                for one in content["annotations"]
                if one["image_id"] == number
            ]
            for content, number in ((before, entry["id"]), (after, of_picture[entry["file_name"]]))
        )
        assert was == now and len(was) == len(BOXES.get(entry["id"], []))
    val = "annotations/instances_val2017.json"
    assert (tmp_path / "out" / val).exists() == originals
    if originals:
        assert (tmp_path / "out" / val).read_bytes() == (tmp_path / "data" / val).read_bytes()


def test_one_picture_in_two_coco_files_gets_one_id(tmp_path):
    root = coco_set(tmp_path / "data")
    captions = {**coco({1: "a.jpg"}), "annotations": [{"id": 500, "image_id": 1, "caption": "a cat"}]}
    (root / "annotations" / "captions_train2017.json").write_text(json.dumps(captions))
    labelled = open_annotated(root)
    assert len(labelled.originals) == 4
    labelled.write(tmp_path / "out", translations(labelled), False)
    read = [json.loads((tmp_path / f"out/annotations/{name}_train2017.json").read_text()) for name in
            ("captions", "instances")]  # fmt: skip
    assert read[0]["images"][0]["id"] == read[1]["images"][0]["id"] and len(read[0]["images"]) == 1
    assert read[0]["annotations"][0]["caption"] == "a cat"
    assert read[0]["annotations"][0]["id"] not in {one["id"] for one in read[1]["annotations"]} | {500}


def test_coco_files_beside_their_pictures_and_ids_that_are_words(tmp_path):
    for split in ("train", "valid"):
        put(tmp_path / "data", f"{split}/x.png")
        content = coco({"x1": "x.png"})
        content["annotations"] = [{"id": "b1", "image_id": "x1", "category_id": 7, "bbox": [0, 0, 1, 1]}]
        (tmp_path / "data" / split / "_annotations.coco.json").write_text(json.dumps(content))
    labelled = open_annotated(tmp_path / "data")
    assert [(one.name, one.training) for one in labelled.originals] == [("train/x.png", True), ("valid/x.png", False)]
    labelled.write(tmp_path / "out", translations(labelled), True)
    after = json.loads((tmp_path / "out/train/_annotations.coco.json").read_text())
    assert len({one["id"] for one in after["images"]}) == 2 == len({one["id"] for one in after["annotations"]})
    assert after["annotations"][1]["image_id"] == after["images"][1]["id"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": [{"id": 1, "file_name": "a.jpg"}] * 2}, "the id 1 is there 2 times"),
        ({"images": [{"id": 1}]}, "images.0: expected id and file_name"),
        ({"annotations": [{"id": 1}]}, "annotations.0: expected id and image_id"),
        ({"annotations": [{"image_id": 1, "segments_info": []}]}, "panoptic"),
        ({"images": [{"id": 1, "file_name": "../a.jpg"}]}, "leads out of its folder"),
        ({"images": [{"id": 1, "file_name": "/etc/a.jpg"}]}, "leads out of its folder"),
        ({"images": [{"id": 1, "file_name": "z.jpg"}]}, "none of its 1 pictures"),
        ({"images": {}}, "images: expected a list"),
        ({"info": float("nan")}, "NaN is no number of JSON"),
    ],
)
def test_a_bad_coco_file_is_refused_by_name(tmp_path, change, words):
    root = coco_set(tmp_path)
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps({**coco({1: "a.jpg"}), **change}))
    with pytest.raises(ConfigurationError, match=words) as caught:
        open_annotated(root)
    assert "instances_train2017.json" in str(caught.value)


def test_pictures_of_coco_that_are_not_there_are_told(tmp_path):
    root = coco_set(tmp_path)
    (root / "train2017" / "b.jpg").unlink()
    labelled = open_annotated(root)
    assert len(labelled.originals) == 3 and "b.jpg" in labelled.warnings[0]


def test_other_json_files_are_no_coco_files(tmp_path):
    put(tmp_path, "cat/a.png", "cat/b.png", "dog/c.png")
    (tmp_path / "cat" / "a.json").write_text('{"shapes": [], "imagePath": "a.png"}')
    assert open_annotated(tmp_path).called == "class folders"


# YOLO


YAML = "path: {root}  # where\ntrain: images/train\nval: images/val\n\nnc: 2\nnames:\n  0: cat  # a pet\n  1: no\n"


def yolo_set(root: Path, text: str = YAML) -> Path:
    put(root, "images/train/a.jpg", "images/train/b.jpg", "images/val/v.jpg")
    for name, labels in {
        "train/a": "0 0.5 0.5 0.25 0.125\n1 .1 .1 .2 .2 .3 .1\n",
        "val/v": "1 0.5 0.5 1 1\r\n",
    }.items():
        path = root / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True)
        path.write_bytes(labels.encode())
    (root / "data.yaml").write_text(text.replace("{root}", str(root)))
    return root


@pytest.mark.parametrize("originals", [False, True])
def test_yolo_labels_are_copied_byte_for_byte_and_the_description_finds_the_new_pictures(tmp_path, originals):
    labelled = open_annotated(yolo_set(tmp_path / "data"))
    assert isinstance(labelled, YoloSet) and labelled.categories == ("cat", "no")
    out = tmp_path / "out"
    labelled.write(out, translations(labelled), originals)
    labels = (tmp_path / "data/labels/train/a.txt").read_bytes()
    assert (out / "labels/train/a-zebra.txt").read_bytes() == labels
    assert not (out / "labels/train/b-zebra.txt").exists()  # a picture that shows nothing
    assert (out / "labels/val/v.txt").exists() == (out / "labels/train/a.txt").exists() == originals
    said = yaml.safe_load((out / "data.yaml").read_text())
    val = "images/val" if originals else str(tmp_path / "data/images/val")
    before = yaml.safe_load((tmp_path / "data/data.yaml").read_text())
    assert said == {"train": "images/train", "val": val, "nc": 2, "names": before["names"]}


@pytest.mark.parametrize(
    "text",
    [
        "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n",
        "names: [cat]\ntrain:\n  - train/images\nval:\n- valid/images\n",
        "train: train/images\nval: valid/images\nnames: [cat]",
    ],
)
def test_yolo_folders_in_other_words(tmp_path, text):
    put(tmp_path / "data", "train/images/a.jpg", "valid/images/v.jpg")
    (tmp_path / "data/train/labels").mkdir()
    (tmp_path / "data/train/labels/a.txt").write_text("0 .5 .5 1 1")
    (tmp_path / "data/data.yaml").write_text(text)
    labelled = open_annotated(tmp_path / "data")
    labelled.write(tmp_path / "out", translations(labelled), True)
    assert (tmp_path / "out/train/labels/a-zebra.txt").read_text() == "0 .5 .5 1 1"
    said = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert said.pop("nc", 1) == 1
    assert said == {"train": "train/images", "val": "valid/images", "names": ["cat"]}


def test_yolo_pictures_without_any_labels_are_told(tmp_path):
    root = yolo_set(tmp_path)
    (root / "labels" / "train" / "a.txt").unlink()
    assert "no training picture has a file of labels" in open_annotated(root).warnings[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: train.txt\nnames: [cat]\n", "train.txt: a list of files"),
        ("train: images/nowhere\nnames: [cat]\n", "images/nowhere: no such folder"),
        ("train: /tmp\nnames: [cat]\n", "/tmp: no such folder in"),
    ],
)
def test_a_bad_description_of_yolo_is_refused(tmp_path, text, words):
    root = yolo_set(tmp_path / "data", text)
    (root / "train.txt").write_text("images/train/a.jpg")
    with pytest.raises(ConfigurationError, match=words):
        open_annotated(root)


# Masks


@pytest.mark.parametrize("form", ["images/{}/{}", "{}/images/{}"])
def test_masks_are_copied_byte_for_byte_under_the_new_names(tmp_path, form):
    masks = form.replace("images", "masks")
    for split in ("train", "val"):
        put(tmp_path / "data", form.format(split, "a.jpg"), masks.format(split, "a.png"))
    put(tmp_path / "data", form.format("train", "alone.jpg"))
    labelled = open_annotated(tmp_path / "data")
    assert isinstance(labelled, MaskSet) and "alone.jpg" in labelled.warnings[0]
    labelled.write(tmp_path / "out", translations(labelled), False)
    mask = (tmp_path / "data" / masks.format("train", "a.png")).read_bytes()
    assert files_in(tmp_path / "out") == {masks.format("train", "a-zebra.png"): mask}
    labelled.write(tmp_path / "all", translations(labelled), True)
    assert len(files_in(tmp_path / "all")) == 3


def test_two_masks_of_one_name_are_refused(tmp_path):
    put(tmp_path, "images/a.png", "masks/a.png", "masks/a.tif")
    with pytest.raises(ConfigurationError, match="the same but for the suffix"):
        open_annotated(tmp_path)


# Tables


def test_rows_of_attributes_are_their_pictures_with_what_the_model_changed(tmp_path):
    root = attribute_set(tmp_path / "data")
    (root / "list_eval_partition.txt").write_text("".join(f"{n}.jpg {int(n > 5)}\n" for n in range(8)))
    labelled = open_annotated(root)
    assert labelled.domains == ("Bald", "Male", "Young") and not labelled.exclusive
    assert [one.training for one in labelled.originals] == [True] * 6 + [False] * 2
    labelled.write(tmp_path / "out", translations(labelled, changes={"Male": True, "Bald": False}), True)
    lines = (tmp_path / "out/list_attr_celeba.txt").read_text().splitlines()
    before = (root / "list_attr_celeba.txt").read_text().splitlines()
    assert lines[0] == "14" and lines[1:10] == before[1:]
    for number, line in enumerate(lines[10:]):
        name, *values = line.split()
        assert name == f"{number}-zebra.jpg"
        assert values == ["-1", "1", before[2 + number].split()[3]]
    parts = dict(line.split() for line in (tmp_path / "out/list_eval_partition.txt").read_text().splitlines())
    assert len(parts) == 14 and parts["7.jpg"] == "1" and parts["0-zebra.jpg"] == "0"
    put(tmp_path / "out", *(f"img_align_celeba/{line.split()[0]}" for line in lines[2:]))
    again = open_labelled(tmp_path / "out")
    assert len(again.splits["train"]) == 12


@pytest.mark.parametrize(
    ("text", "changes", "row"),
    [
        ("file,label,split\n0.png,cat,train\n1.png,dog,test\n", {"dog": True, "cat": False}, ["dog", "train"]),
        ("file,label,split\n0.png,cat,train\n1.png,dog,test\n", {}, ["cat", "train"]),
        ("file;label;more\n0.png;cat;x, y\n1.png;dog;z\n", {"dog": True, "cat": False}, ["dog", "x, y"]),
        ("file,old,hat\n0.png,yes,no\n1.png,no,no\n", {"hat": True, "old": False}, ["no", "yes"]),
        ("file,old,hat\n0.png,1,0\n1.png,0,0\n", {"hat": True}, ["1", "1"]),
    ],
)
def test_rows_of_csv_are_written_in_the_words_of_the_file(tmp_path, text, changes, row):
    root = csv_set(tmp_path / "data", text, count=2)
    labelled = open_annotated(root)
    made = [one for one in translations(labelled, changes=changes) if one.original.name == "pictures/0.png"]
    labelled.write(tmp_path / "out", made, True)
    delimiter = ";" if ";" in text else ","
    with (tmp_path / "out/labels.csv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter=delimiter))
    assert rows[:3] == [line.split(delimiter) for line in text.splitlines()]
    assert rows[3:] == [["0-zebra.png", *row]]


# Class folders


@pytest.mark.parametrize(
    ("files", "name", "moved"),
    [
        (("horse/a.png", "zebra/b.png"), "horse/a.png", "zebra"),
        (("horse/sub/a.png", "zebra/b.png"), "horse/sub/a.png", "zebra/sub"),
        (("train/horse/a.png", "train/zebra/b.png", "test/horse/c.png"), "train/horse/a.png", "train/zebra"),
        (("horse/train/a.png", "zebra/train/b.png"), "horse/train/a.png", "zebra/train"),
        (("train_horse/a.png", "train_zebra/b.png"), "train_horse/a.png", "train_zebra"),
    ],
)
def test_a_translation_to_another_class_lies_in_its_folder(tmp_path, files, name, moved):
    put(tmp_path, *files)
    labelled = open_annotated(tmp_path)
    assert labelled.domains == ("horse", "zebra") and labelled.exclusive
    (original,) = [one for one in labelled.originals if one.name == name]
    assert original.training and original.labels == {"horse": 1, "zebra": 0}
    assert labelled.folder_of(original, {"horse": False, "zebra": True}) == moved
    assert labelled.folder_of(original, {}) == str(Path(name).parent)


def test_pictures_for_tests_are_not_for_training_and_unsplit_ones_all_are(tmp_path):
    put(tmp_path / "split", "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/3.png")
    training = {one.name: one.training for one in open_annotated(tmp_path / "split").originals}
    assert training == {"train/a/1.png": True, "train/b/1.png": True, "val/a/2.png": False, "val/b/3.png": False}
    put(tmp_path / "whole", *(f"{name}/{number}.png" for name in "ab" for number in range(20)))
    assert all(one.training for one in open_annotated(tmp_path / "whole").originals)


# Refusals


def test_what_is_no_labelled_set_is_refused(tmp_path):
    digit_set(tmp_path / "digits")
    with pytest.raises(ConfigurationError, match="digits in one large file"):
        open_annotated(tmp_path / "digits")
    put(tmp_path / "loose", "a.png")
    with pytest.raises(ConfigurationError, match=r"no labelled set here\. Looked for: COCO"):
        open_annotated(tmp_path / "loose")
    put(tmp_path / "tests", "images/test/a.png", "masks/test/a.png")
    with pytest.raises(ConfigurationError, match="all 1 pictures are for tests"):
        open_annotated(tmp_path / "tests")
