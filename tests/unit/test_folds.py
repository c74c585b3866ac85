"""Folds: every training sample is measured once and never trained on then, by names alone; nothing leaks."""

import shutil
import unicodedata
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_files import attribute_set, classes_of, digit_set
from tiny import numbered, put

from translate.data.folds import Fold, folded
from translate.data.labelled import open_labelled
from translate.data.layouts.folders import open_folder
from translate.errors import ConfigurationError
from translate.recipe import load_recipe

ALL = [f"{number}/3" for number in (1, 2, 3)]


@pytest.fixture
def pairs(tmp_path):
    return put(tmp_path / "pairs", *(f"{split}{side}/{n}.png" for side in "AB" for split, n in PLACES))


PLACES = [*(("train", f"scene-{n}") for n in range(10)), ("test", "seen-1"), ("test", "seen-2")]


def _paths(columns):
    return [{one.path for one in column} for column in columns]


def test_every_pair_is_held_out_in_one_fold_whole_and_never_trained_on_there(pairs):
    whole = open_folder(pairs, wanted="paired")
    held = Counter()
    for fold in ALL:
        part = folded(whole, fold, 0)
        train, test = part.splits["train"], part.splits["test"]
        assert part.test_is_paired and part.splits.keys() == {"train", "test"}
        assert [a.path.name for a in test[0]] == [b.path.name for b in test[1]], "pairs stay together, in order"
        for trained, tested, of_all in zip(_paths(train), _paths(test), _paths(whole.splits["train"]), strict=True):
            assert not trained & tested and trained | tested == of_all
        held.update(one.path.name for one in test[0])
    assert len(held) == 10 and set(held.values()) == {1}
    assert max(len(folded(whole, fold, 0).splits["test"][0]) for fold in ALL) == 4


def test_a_set_that_lies_elsewhere_or_is_turned_around_has_the_same_folds(pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "some where" / "else")

    def held(root, **more):
        found = folded(open_folder(root, wanted="paired", **more), "2/3", 7)
        return sorted(one.path.name for one in found.splits["test"][0])

    assert held(pairs) == held(tmp_path / "some where" / "else") == held(pairs, direction="BtoA")
    others = {tuple(one.path.name for one in folded(open_folder(pairs, wanted="paired"), "2/3", s).splits["test"][0])
              for s in range(5)}  # fmt: skip
    assert len(others) > 1, "the seed deals them"


def test_unpaired_images_of_one_name_are_held_out_together(tmp_path):
    root = put(tmp_path / "set", *(f"trainA/{n}.png" for n in range(8)), *(f"trainB/{n}.jpg" for n in range(4, 16)))
    whole = open_folder(root, wanted="unpaired", layout="unpaired")
    for fold in ALL:
        part = folded(whole, fold, 0)
        (train_a, train_b), (test_a, test_b) = ([{p.stem for p in side} for side in _paths(part.splits[split])]
                                                for split in ("train", "test"))  # fmt: skip
        assert not train_a & test_b and not train_b & test_a and not part.test_is_paired
        assert 2 <= len(test_a) <= 4 and 3 <= len(test_b) <= 5


def test_pairs_whose_names_differ_are_held_out_whole_and_alike_in_both_directions(pairs):
    whole = open_folder(pairs, wanted="paired")
    a, b = whole.splits["train"]
    for fold in ALL:
        forth, back = (
            folded(replace(whole, splits={"train": sides}), fold, 0).splits["test"]
            for sides in ((a, b[::-1]), (b[::-1], a))
        )
        assert forth == back[::-1] and len(forth[0]) == len(forth[1])
        assert all((one, other) in zip(a, b[::-1], strict=True) for one, other in zip(*forth, strict=True))


@given(st.integers(2, 9), st.integers(0, 50))
def test_folds_differ_by_one_in_size_and_cover_all(count, seed):
    from translate.data.folds import dealt

    names = [f"{n}.png" for n in range(20)]
    each = [dealt(names, Fold(number, count), seed) for number in range(1, count + 1)]
    assert sorted(name for fold in each for name in fold) == sorted(names)
    assert max(map(len, each)) - min(map(len, each)) <= 1


def test_names_in_composed_and_decomposed_letters_are_in_the_same_fold():
    from translate.data.folds import _names

    both = [[unicodedata.normalize(form, f"/x/{word}.png") for word in ("fläche", "é")] for form in ("NFC", "NFD")]
    assert _names([Path(path) for path in both[0]]) == _names([Path(path) for path in both[1]])


def test_classes_are_dealt_alike_and_a_file_is_trained_on_or_measured(tmp_path):
    root = put(tmp_path / "set", *numbered("train/rare", 3), *numbered("train/common", 30), *numbered("test/rare", 2))
    whole = open_labelled(put(root, *numbered("test/common", 2)))
    for fold, seed in product(ALL, range(4)):
        part = folded(whole, fold, seed)
        assert classes_of(part, "test") == {"rare": 1, "common": 10} and not part.test_is_paired
        assert not {s.path for s in part.splits["test"].sources} & {s.path for s in part.splits["train"].sources}
        assert part.found[-1].startswith(f"fold {fold[0]} of 3: trained on 22 files, measured on 11 others")
        assert part.found[-1].endswith("4 test images of the set are left out")


def test_attributes_and_digits_are_dealt_too(tmp_path):
    for whole in (open_labelled(attribute_set(tmp_path / "faces")), _digits(tmp_path / "digits")):
        trained = [one.path for one in whole.splits["train"].sources]
        held = [one.path for fold in ALL for one in folded(whole, fold, 0).splits["test"].sources]
        assert sorted(held) == sorted(trained)


def _digits(root):
    digit_set(root)
    return open_labelled(root)


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "2", "2/", "x/5", "1/5/2", "-1/5", "²/5"])
def test_what_is_no_fold_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Fold.of(text)


def test_more_folds_than_samples_are_refused(pairs):
    with pytest.raises(ConfigurationError, match="10 samples to train on"):
        folded(open_folder(pairs, wanted="paired"), "1/11", 0)


def test_a_mistaken_fold_is_said_once():
    with pytest.raises(ConfigurationError, match=r'expected a fold, such as 1/5, the first of five, got "9/3"$'):
        load_recipe("pix2pix", ["data.fold=9/3"])
