"""Labelled sets: what is none, without labels, several together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_files import attribute_set, digit_set
from tiny import numbered, put

from translate.data.labelled import (
    buckets,
    join,
    open_jointly,
    open_labelled,
    open_source_labelled,
    unlabelled,
)
from translate.data.labels import UNKNOWN, LabelGroup
from translate.errors import ConfigurationError


def test_what_is_no_labelled_set_is_told_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "plain", "1.png", "2.png")
    put(tmp_path / "split", *numbered("train", 2), *numbered("test", 1))
    (tmp_path / "bare").mkdir()
    for name, found in (("plain", "2 images"), ("split", "test/, train/"), ("bare", "nothing")):
        with pytest.raises(
            ConfigurationError,
            match=r"no labelled images here\. Looked for: train_CLASS/; trainA/ trainB/; train/CLASS/ ",
        ) as caught:
            open_labelled(tmp_path / name)
        assert str(caught.value).endswith(f"Found: {found}")
        assert all(word in str(caught.value) for word in ("list_attr", "labels.csv", "idx3"))
    with pytest.raises(ConfigurationError, match="no such folder"):
        open_labelled(tmp_path / "missing")


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
