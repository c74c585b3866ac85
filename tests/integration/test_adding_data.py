"""What is added to data/ from outside, as one function or line in one table, works through the commands."""

from pathlib import Path

import numpy as np
from tiny import put

from translate.data.augment import PHOTOMETRY, Augmentation, Augmenter
from translate.data.labelled import classes, open_labelled, opening
from translate.data.labelled.labelling import LabelledSplit, Labelling, one_hot
from translate.data.layouts import two_domains
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.two_domains import Layout
from translate.data.source_file import Source


def shots(root: Path, wanted=None) -> Layout | None:
    """camera/before/ and camera/after/, below a folder that tells nothing."""
    before, after = root / "camera" / "before", root / "camera" / "after"
    return Layout({WHOLE: (before, after)}, ("before", "after")) if before.is_dir() and after.is_dir() else None


def test_a_folder_layout_is_one_function_in_one_table(run_cli, monkeypatch, tmp_path, tiny_recipe):
    put(tmp_path / "data", *(f"camera/{side}/{number}.png" for side in ("before", "after") for number in range(4)))
    refused = run_cli("data", "check", tmp_path / "data")
    assert refused.exit_code == 2 and "camera/before" not in refused.output
    monkeypatch.setitem(two_domains.LAYOUTS, "camera/before camera/after", shots)
    checked = run_cli("data", "check", tmp_path / "data")
    assert checked.exit_code == 0 and "camera/before/ camera/after/" in checked.output
    trained = run_cli("train", tiny_recipe("pix2pix"), "--data", tmp_path / "data", "--device", "cpu", "--out", "run")
    assert trained.exit_code == 0 and "pairs of before and after" in trained.output
    (tmp_path / "other").mkdir()
    assert "Looked for: camera/before camera/after; trainA/" in run_cli("data", "check", tmp_path / "other").output


def test_a_layout_of_classes_is_one_function_in_one_table(monkeypatch, tmp_path):
    put(tmp_path, *(f"by class/{name}/{number}.png" for name in ("cats", "dogs") for number in range(4)))

    def by_class(root: Path):
        return {WHOLE: {folder.name: folder for folder in (root / "by class").iterdir()}}

    monkeypatch.setitem(classes.LAYOUTS, "by class/CLASS/", by_class)
    assert open_labelled(tmp_path).domains == ("cats", "dogs")


def test_a_reader_of_labels_is_one_function_in_one_table(monkeypatch, tmp_path):
    put(tmp_path, *(f"{name}{number}.png" for name in ("cat", "dog") for number in range(4)))

    def by_name(root: Path, follow_links: bool) -> Labelling:
        files = sorted(root.glob("*.png"))
        labels = one_hot([int(path.name.startswith("dog")) for path in files], 2)
        return Labelling("file names", ("cat", "dog"), True, {"train": LabelledSplit.of(map(Source, files), labels)})

    monkeypatch.setitem(opening.READERS, "cat1.png dog1.png", by_name)
    folder = open_labelled(tmp_path)
    assert folder.found[0] == "file names: 2 classes" and folder.splits["train"].labels.sum(0).tolist() == [4, 4]


def test_an_augmentation_is_one_line_in_one_table(monkeypatch):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    monkeypatch.setattr("translate.data.augment.PHOTOMETRY", (*PHOTOMETRY, "InvertImg"))
    (inverted,) = Augmenter([Augmentation(name="InvertImg", p=1)])([image], seed=0)
    assert np.array_equal(inverted, 255 - image)
