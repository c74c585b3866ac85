"""`translate augment` and `downstream` as users type them: labels kept, resumed, refused, and the question answered."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_annotated import coco_set, files_in, yolo_set
from tiny import put
from ways_out import User, taken, tried, ways_of

from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator

DOWNSTREAM = ("--seeds", "0,1", "--steps", "2", "--size", "16", "--device", "cpu")


@pytest.fixture(scope="session")
def generators(tmp_path_factory) -> list[Path]:
    """Files of two generators, from which to load takes no training."""
    paths = []
    for seed, name in enumerate(("night.pth", "fog.pth")):
        torch.manual_seed(seed)
        paths.append(tmp_path_factory.mktemp("generators") / name)
        torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), paths[-1])
    return paths


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    return {name: Image.open(folder / name).size for name in files_in(folder) if name.endswith((".jpg", ".png"))}


def shown_of(result, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_a_coco_set_is_augmented_resumed_and_never_added_to_otherwise(run_cli, generators, tmp_path):
    before = files_in(coco_set(tmp_path / "data"))
    command = ["augment", *generators, "data", "out", "--copies", "3", "--device", "cpu"]
    said = shown_of(run_cli(*command, "--with-originals"))
    assert "next: train your detector without and with them" in said
    assert "6 made, 0 there already, 0 failed" in said and "3 training pictures are translated; 1 for tests" in said
    assert "2 different translations of 3 of the pictures, not 3; no duplicates are written" in said
    out = tmp_path / "out"
    pictures = sizes(out)
    assert len(pictures) == 10 and set(pictures.values()) == {(8, 8)}
    content = json.loads((out / "annotations/instances_train2017.json").read_text())
    assert {entry["file_name"] for entry in content["images"]} == {
        Path(name).name for name in pictures if name.startswith("train2017")
    }
    new = [one for one in content["annotations"] if one["bbox"] == [1.5, 2.25, 3.125, 4.0]]
    assert len(new) == 3 and len({one["id"] for one in content["annotations"]}) == 9
    made = rows_of(out)
    assert {(row["picture"], row["run"], row["status"]) for row in made} == {
        (f"train2017/{name}", str(run), "written") for name in ("a.jpg", "b.jpg", "c.png") for run in generators
    }
    assert all((out / row["file"]).is_file() for row in made)
    assert files_in(tmp_path / "data") == before
    first = files_in(out)
    lost = next(row["file"] for row in made)
    (out / lost).unlink()
    (out / "annotations/instances_train2017.json").unlink()
    assert "1 made, 5 there already" in shown_of(run_cli(*command, "--with-originals"))
    again = files_in(out)
    assert {name: again[name] for name in first if name != "manifest.jsonl"} == {
        name: first[name] for name in first if name != "manifest.jsonl"
    }
    assert "repeat the command that began it, or give another folder" in shown_of(run_cli(*command), 2)
    assert files_in(out) == again


def test_a_picture_that_cannot_be_read_gets_no_labels(run_cli, generators, tmp_path):
    coco_set(tmp_path / "data")
    (tmp_path / "data/train2017/a.jpg").write_bytes(b"no picture")
    said = shown_of(run_cli("augment", generators[0], "data", "out", "--device", "cpu"), 3)
    assert "2 made, 0 there already, 1 failed" in said and "a.jpg" in said
    content = json.loads((tmp_path / "out/annotations/instances_train2017.json").read_text())
    assert sorted(entry["file_name"] for entry in content["images"]) == sorted(
        Path(name).name for name in sizes(tmp_path / "out")
    )
    assert {one["image_id"] for one in content["annotations"]} <= {one["id"] for one in content["images"]}


def test_a_yolo_set_keeps_its_layout(run_cli, generators, tmp_path):
    yolo_set(tmp_path / "data")
    shown_of(run_cli("augment", generators[0], "data", "out", "-q", "--device", "cpu"))
    made = {row["picture"]: row["file"] for row in rows_of(tmp_path / "out")}
    assert set(sizes(tmp_path / "out")) == set(made.values())
    labels = made["images/train/a.jpg"].replace("images/", "labels/").replace(".jpg", ".txt")
    assert (tmp_path / "out" / labels).read_bytes() == (tmp_path / "data/labels/train/a.txt").read_bytes()
    said = shown_of(run_cli("downstream", "data", "out", *DOWNSTREAM), 2)
    assert "no detector is trained here" in said


def test_classes_that_the_model_translates_to_get_the_pictures_and_downstream_compares(user):
    run = user.run("stargan")
    said = user.gets("augment", run, "labelled", "out", "--copies", "5", "--device", "cpu")
    assert "24 made" in said and "2 different translations of 12 of the pictures, not 5" in said
    assert "translations to a, b, c, which are classes of the set, go into the folder of their new class" in said
    for row in rows_of(Path("out")):
        target = row["to"][0]
        assert row["file"].split("/")[:2] == ["train", target] and row["picture"].split("/")[1] != target
        assert row["labels"] == {row["picture"].split("/")[1]: False, target: True}
    scores = Path("scores.json")
    said = user.gets("downstream", "labelled", "out", *DOWNSTREAM, "--json", scores)
    assert "2 trainings of 2 steps on 12 real pictures, and as many on these and 24 translations" in said
    assert re.search("the augmented pictures (help|hurt)|not to be told apart at 2 seeds", said)
    rows = {row["name"]: row for row in json.loads(scores.read_text())}
    assert list(rows) == ["without", "with", "difference"] and rows["with"]["images"] == 6
    assert rows["difference"]["value"] == pytest.approx(rows["with"]["value"] - rows["without"]["value"])


def test_translations_of_pictures_that_are_measured_are_left_out(user):
    run = user.run("stargan")
    user.gets("augment", run, "labelled", "out", "-q", "--device", "cpu")
    first = rows_of(Path("out"))[0]
    shutil.move(Path("labelled", first["picture"]), Path("labelled", first["picture"].replace("train", "test", 1)))
    said = user.gets("downstream", "labelled", "out", *DOWNSTREAM)
    assert "1 translations of pictures that are measured, or are not there, are left out" in said
    assert "on 11 real pictures, and as many on these and 11 translations" in said


def masks(root: Path, noise: float = 30) -> Path:
    """Bright squares on dark ground, whose masks say 255 for the square and 0 for the rest."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for number in range(count):
            mask = np.zeros((24, 32), np.uint8)
            top, left = rng.integers(0, 12, 2)
            mask[top : top + 12, left : left + 14] = 255
            picture = np.clip(mask[..., None] * 0.6 + rng.normal(40, noise, (24, 32, 3)), 0, 255).astype(np.uint8)
            for folder, pixels in (("images", picture), ("masks", mask)):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / folder / split / f"{number}.png")
    return root


def test_masks_are_kept_and_a_segmenter_is_trained_without_and_with_them(run_cli, generators, tmp_path):
    masks(tmp_path / "data")
    shown_of(run_cli("augment", *generators, "data", "out", "--copies", "2", "-q", "--device", "cpu"))
    for row in rows_of(tmp_path / "out"):
        names = [row[key].replace("images/", "masks/") for key in ("picture", "file")]
        assert (tmp_path / "data" / names[0]).read_bytes() == (tmp_path / "out" / names[1]).read_bytes()
    said = shown_of(run_cli("downstream", "data", "out", "--flip", *DOWNSTREAM, "--json", "scores.json"))
    assert "on 6 real pictures, and as many on these and 12 translations" in said and "mean IoU" in said
    rows = json.loads((tmp_path / "scores.json").read_text())
    assert [row["images"] for row in rows] == [3] * 3 and all(0 <= row["value"] <= 1 for row in rows[:2])


REFUSED = {
    "one seed": ("downstream data out --seeds 3", "--seeds: give two or more"),
    "no manifest": ("downstream data data", "manifest.jsonl: cannot be read"),
    "inside": ("augment {g} data data/more", "would lie in the labelled set, or around it"),
    "around": ("augment {g} data .", "would lie in the labelled set, or around it"),
    "others": ("augment {g} data notes", "holds other files, such as"),
    "twice": ("augment {g} {g} data out2", "the same weights"),
    "no set": ("augment {g} notes out2", "no labelled set here"),
    "a target": ("augment {g} data out2 --to fog", "--to fog"),
    "a missing set": ("augment {g} nowhere/at/all out2", "no such folder"),
    "a sampler": ("augment {run} data out2", "generates images from noise"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_written(user, generators, case):
    command, words = REFUSED[case]
    run = user.run("gan") if "{run}" in command else ""
    masks(Path("data"))
    put(Path("notes"), "a.png")
    if case == "one seed":
        user.gets("augment", generators[0], "data", "out", "-q")
    before = files_in(Path())
    said = user.refused(*command.format(g=generators[0], run=run).split())
    assert words in said
    assert files_in(Path()) == before


@tried(("runs/augmenting/downstream", "--seeds: give two or more, such as 0..4"))
def one_seed(user: User) -> None:
    run = user.run("stargan")
    user.gets("augment", run, "labelled", "out", "-q", "--device", "cpu")
    command = ["downstream", "labelled", "out", "--steps", "1", "--size", "16", "--device", "cpu"]
    text = user.refused(*command, "--seeds", "3")
    assert "5 seeds" in user.gets(*command, "--seeds", taken(text, r"such as (\S+);"))


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user):
    trial(user)
