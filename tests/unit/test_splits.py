"""Split words in the names of folders: read alike by all methods, and test images are never trained on."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest
from tiny import numbered, put

from translate.data.batch import Labelled, Paired, Plain, SourceLabelled, Unpaired
from translate.data.catalog import cards as catalog
from translate.data.labelled import open_labelled, unlabelled
from translate.data.layouts import splits
from translate.data.layouts.folders import open_folder, recognise
from translate.data.layouts.splits import held_out_as, sort_out
from translate.errors import ConfigurationError
from translate.recipe import DataSettings
from translate.runs.image_sets.opening import open_data

WORDS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}


def folders_of(*names: str) -> dict[str, dict[str, str]]:
    return sort_out(list(names)).by_domain


@pytest.mark.parametrize("word", ["test", "val", "valid", "validation", "testing"])
@pytest.mark.parametrize("joint", ["-", "_", "", " "])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("behind", [False, True])
def test_a_split_word_is_read_before_and_behind_any_name(word: str, joint: str, case, behind: bool) -> None:
    def name(split: str, domain: str) -> str:
        return case(joint.join((domain, split) if behind else (split, domain)))

    found = folders_of(*(name(split, domain) for split in ("train", word) for domain in ("summer", "winter")))
    split = "test" if word.startswith("test") else "validation"
    assert {domain.lower(): set(splits) for domain, splits in found.items()} == {
        "summer": {"train", split},
        "winter": {"train", split},
    }


def test_words_that_only_sound_like_splits_are_names() -> None:
    for names in (
        ["valley", "hill", "contest", "protest", "Oval", "interval", "trains", "latest"],
        ["train_station", "bus_station", "airport"],
        ["test1", "test2"],
    ):
        assert sort_out(names) == sort_out(names) and sort_out(names).plain == tuple(names)
    assert set(folders_of("trainA", "trainB", "run", "notes", "in")) == {"A", "B"}
    assert set(folders_of("train_summer", "train_winter", "run")) == {"summer", "winter"}
    assert folders_of("valley", "trainley") == {"ley": {"train": "trainley", "validation": "valley"}}


def test_plain_names_beside_their_tests_are_for_training() -> None:
    found = folders_of("horses", "zebras", "test_horses", "zebras-val")
    assert found == {
        "horses": {"train": "horses", "test": "test_horses"},
        "zebras": {"train": "zebras", "validation": "zebras-val"},
    }
    assert sort_out(["cats", "dogs", "test_birds"]).held_out == ("test_birds",)
    assert sort_out(["train", "val", "valid", "training"]).held_out == ("valid",)


@pytest.mark.parametrize(
    ("folders", "split"),
    [
        (("a", "test"), "test"),
        (("Validation", "x"), "validation"),
        (("test-images",), "test"),
        (("valley",), None),
        (("train",), None),
        ((), None),
    ],
)
def test_a_folder_by_itself_holds_out(folders: tuple[str, ...], split: str | None) -> None:
    assert held_out_as(folders) == split


# The cases


def test_named_splits_are_two_domains(tmp_path: Path) -> None:
    for split, count in (("train", 8), ("test", 2), ("val", 3)):
        put(tmp_path, *(f"{split}_{name}/{name}{split}{i}.png" for name in ("summer", "winter") for i in range(count)))
    folder = open_folder(tmp_path, wanted="unpaired")
    assert folder.domains == ("summer", "winter") and folder.warnings == () == folder.notes
    assert folder.found[1:] == (
        "train: 8 summer, 8 winter",
        "test: 2 summer, 2 winter",
        "validation: 3 summer, 3 winter",
    )
    classes = open_labelled(tmp_path)
    assert classes.domains == ("summer", "winter")
    assert [len(classes.splits[split]) for split in ("train", "test", "validation")] == [16, 4, 6]


def test_four_letters_are_four_classes_with_tests_of_their_own(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("test", 2)):
        put(tmp_path, *(f"{split}{letter}/{letter}{split}{i}.png" for letter in "ABCD" for i in range(count)))
    folder = open_labelled(tmp_path)
    assert folder.domains == ("A", "B", "C", "D") and folder.warnings == ()
    assert folder.found == (
        "class folders: 4 classes",
        "train: 16 images: 4 A, 4 B, 4 C, 4 D",
        "test: 8 images: 2 A, 2 B, 2 C, 2 D",
    )
    with pytest.raises(ConfigurationError, match=r"found 4: A/, B/, C/, D/\. To take two .*--domains A,B"):
        open_folder(tmp_path, wanted="unpaired")
    two = open_folder(tmp_path, wanted="unpaired", domains=("D", "B"))
    assert two.domains == ("D", "B") and two.warnings == ()
    assert {source.path.parent.name for source in two.splits["test"][0]} == {"testD"}


def test_tests_within_a_domain_are_its_tests(tmp_path: Path) -> None:
    put(tmp_path, *numbered("horses", 5), *numbered("horses/test", 2), *(f"zebras/z{i}.png" for i in range(5)))
    put(tmp_path, "zebras/Validation/v.png")
    folder = open_folder(tmp_path, wanted="unpaired")
    assert [len(column) for column in folder.splits["train"]] == [5, 5]
    assert any("test images are left out: one domain has none" in line for line in folder.warnings)
    flat = unlabelled(tmp_path / "horses")
    assert {split: len(part) for split, part in flat.splits.items()} == {"train": 5, "test": 2}


def test_what_is_held_out_of_training_below_a_domain_is_told(tmp_path: Path) -> None:
    put(tmp_path, *numbered("trainA", 3), "trainA/test/x.png", *(f"trainB/b{i}.png" for i in range(3)))
    (warning,) = open_folder(tmp_path, wanted="unpaired").warnings
    assert warning == (
        f"images in folders named for tests or validation are not trained on: 1: {tmp_path / 'trainA/test/x.png'}"
    )


# The promise

LAYOUTS = {
    "folders before": "{split}/{domain}/{name}.png",
    "folders behind": "{domain}/{split}/{name}.png",
    "before": "{split}_{domain}/{name}.png",
    "behind": "{domain}-{split}/{name}.png",
    "joined": "{split}{domain}/{name}.png",
    "capitals": "{SPLIT}{DOMAIN}/{name}.png",
    "deep": "{domain}/more/{split}/{name}.png",
    "one": "{split}/{name}.png",
    "images": "{split}_images/{name}.png",
}
PLAIN = {
    "loose": ("{name}.png", "{split}/{name}.png"),
    "domains": ("{domain}/{name}.png", "{domain}/{split}/{name}.png"),
    "named": ("{domain}/{name}.png", "{split}_{domain}/{name}.png"),
    "together": ("{domain}/{name}.png", "{split}/{domain}/{name}.png"),
}
"""Training images that stand in no folder of their own, and where the held-out ones stand."""
KINDS = (Unpaired, Paired, Labelled, Plain)


def _written(root: Path, trained: str, held: str, word: str, domains: str) -> None:
    """Images of noise, of the same names in both domains; the held-out ones say so in their names."""
    wide = "domain" not in trained.lower() and "domain" not in held.lower()
    image = put(root.parent, f"{root.name}-image.png", width=16 if wide else 8) / f"{root.name}-image.png"
    for domain, (pattern, split, number) in product(
        domains, [*((trained, "train", i) for i in range(5)), *((held, word, i) for i in range(2))]
    ):
        name = f"{'held' if split == word else 'kept'}{number}"
        path = root / pattern.format(split=split, domain=domain, SPLIT=split.upper(), DOMAIN=domain.upper(), name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, path)


def _trained_on(root: Path, kind: type) -> set[str] | None:
    """Names of the training images; None if the method refuses the layout."""
    settings = DataSettings(set=str(root), layout="auto" if kind not in (Unpaired, Paired) else kind.__name__.lower())
    try:
        found = open_data(settings, kind, lambda line: None)
    except ConfigurationError:
        return None
    loader = found.loader(1, 0)
    return {source.path.stem for images in loader.images for source in images.sources}


@pytest.mark.parametrize(
    ("word", "domains"), [("test", "ab"), ("val", "abc"), ("valid", "ab"), ("validation", "ab"), ("Testing", "abc")]
)
def test_images_under_a_split_word_of_tests_are_never_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, domains: str
) -> None:
    monkeypatch.setattr(catalog, "cards", dict)  # reading them takes most of the time
    patterns = {**{name: (pattern, pattern) for name, pattern in LAYOUTS.items()}, **PLAIN}
    opened = {}
    for name, (trained, held) in patterns.items():
        root = tmp_path / name
        _written(root, trained, held, word, domains)
        for kind in KINDS:
            names = _trained_on(root, kind)
            opened[name, kind] = names is not None
            assert not {one for one in names or () if one.startswith("held")}, (name, kind)
            assert names is None or any(one.startswith("kept") for one in names), (name, kind)
    # Two domains suit every method, three those with classes; no domains those for pairs and without labels.
    ways = [name for name in patterns if "domain" in patterns[name][0].lower() and name != "deep"]
    methods = KINDS if len(domains) == 2 else (Labelled, Plain)
    assert [key for key in product(ways, methods) if not opened[key]] == []
    assert all(opened[name, kind] for name in ("one", "images", "loose") for kind in (Plain, Paired))


def test_tables_and_targets_keep_tests_out_of_training_too(tmp_path: Path) -> None:
    names = [*(f"train/{i}.png" for i in range(9)), *(f"test/held{i}.png" for i in range(3))]
    for kind in ("table.csv", "list_attr.txt"):
        root = put(tmp_path / kind, *names)
        rows = [f"{name},{i % 2}" for i, name in enumerate(names)]
        text = "\n".join(["file,tall", *rows]) if kind == "table.csv" else "\n".join(["tall", *rows]).replace(",", " ")
        (root / kind).write_text(text)
        for batch in (Labelled, Plain):
            assert _trained_on(root, batch) == {str(i) for i in range(9)}
    put(tmp_path / "target", *numbered(".", 5), *(f"Test/held{i}.png" for i in range(3)))
    put(tmp_path / "source", *(f"{c}_{s}/{s}{c}{i}.png" for c in "xy" for s in ("train", "held_val") for i in range(3)))
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "dataset.yaml").write_text("a: ../source\nb: ../target\n")
    found = _trained_on(tmp_path / "both", SourceLabelled)
    assert found == {*map(str, range(5)), *(f"train{c}{i}" for c in "xy" for i in range(3))}


def test_a_folder_is_read_once_for_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(splits, "readings", lambda name: names.append(name) or [])
    root = put(tmp_path, *(f"{side}/{inside}/{number}.png" for side in "ab" for inside in "xy" for number in range(20)))
    recognise(root)
    assert len(names) < 40
