"""Files of digits as labelled sets."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from labelled_files import digit_set, idx, real_set

from translate.data.labelled import (
    open_labelled,
)
from translate.data.labelled.digits import Digit
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError


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
        (images_file, whole[:-1], "images.* announces 700 bytes but has 699"),
        (images_file, whole + b"1", "images.* announces 700 bytes but has more"),
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
    folder = open_labelled(real_set(real_data, name))
    assert folder.splits["train"].labels.sum(0).tolist() == train
    assert folder.splits["test"].labels.sum(0).tolist() == test
    digits = [source.read(1) for source in folder.splits["test"].sources[:100]]
    assert isinstance(folder.splits["test"].sources[0], Digit) and digits[0].shape == (size, size, 1)
    assert np.mean(digits) < 80 and all(digit.max() > 200 for digit in digits)  # bright ink on dark ground
