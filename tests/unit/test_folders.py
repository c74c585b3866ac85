"""Which folders are taken for which data set, and what `translate data check` says of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tiny import put

from translate.data.checks.folder import check
from translate.data.io import images
from translate.data.io.images import Picture
from translate.data.layouts.columns import held_out
from translate.data.layouts.folders import Folder, open_folder, recognise
from translate.errors import ConfigurationError, ImageError


def numbered(folder: str, *names: object) -> list[str]:
    return [f"{folder}/{name}.png" for name in names]


def stems(folder: Folder, split: str) -> list[list[str]]:
    return [[source.path.stem for source in column] for column in folder.splits[split]]


def unpaired(root: Path) -> Path:
    put(root, *numbered("trainA", "h1", "h2", "h10"), *numbered("trainB", "z1", "z2"))
    return put(root, *numbered("testA", "t1"), *numbered("testB", "u1", "u2"))


def paired(root: Path) -> Path:
    return put(root, *(f"{d}/{i}.png" for d in ("trainA", "trainB", "valA", "valB") for i in range(1, 12)))


def test_unpaired_letters(tmp_path: Path) -> None:
    folder = open_folder(unpaired(tmp_path / "horse2zebra"), wanted="unpaired")
    assert (folder.kind, folder.domains, folder.test_is_paired) == ("unpaired", ("horse", "zebra"), False)
    assert stems(folder, "train") == [["h1", "h2", "h10"], ["z1", "z2"]]
    assert stems(folder, "test") == [["t1"], ["u1", "u2"]]
    assert folder.found == (
        "unpaired images in testA/ testB/ trainA/ trainB/",
        "train: 3 horse, 2 zebra",
        "test: 1 horse, 2 zebra",
    )
    assert folder.warnings == ()


def test_paired_letters_by_equal_names_and_validation_for_test(tmp_path: Path) -> None:
    folder = open_folder(paired(tmp_path), wanted="paired", domains=("photo", "labels"))
    assert folder.kind == "paired" and folder.test_is_paired
    assert stems(folder, "train") == [[str(i) for i in range(1, 12)]] * 2
    assert {source.path.parent.name for source in folder.splits["train"][0]} == {"trainA"}
    assert set(folder.splits) == {"train", "test"} and len(folder.splits["test"][0]) == 11
    assert folder.found[2] == "test: 11 pairs of photo and labels (the validation images, as there are no test images)"
    assert folder.test_split == "validation"


def test_validation_stays_where_there_is_a_test(tmp_path: Path) -> None:
    put(paired(tmp_path), *numbered("testA", 1, 2), *numbered("testB", 1, 2))
    folder = open_folder(tmp_path, wanted="paired")
    assert {split: len(columns[0]) for split, columns in folder.splits.items()} == {
        "train": 11,
        "test": 2,
        "validation": 11,
    }


def test_direction_swaps_pairs_with_their_names(tmp_path: Path) -> None:
    folder = open_folder(paired(tmp_path), wanted="paired", direction="BtoA", domains=("photo", "labels"))
    assert folder.domains == ("labels", "photo")
    for split in folder.splits.values():
        assert {source.path.parent.name[-1] for source in split[0]} == {"B"}
        assert {source.path.parent.name[-1] for source in split[1]} == {"A"}
    kept = open_folder(unpaired(tmp_path / "u"), wanted="unpaired", direction="BtoA")
    assert stems(kept, "train")[0][0] == "h1"


def test_partners_that_are_missing_are_listed(tmp_path: Path) -> None:
    put(paired(tmp_path), "trainA/alone.png")
    (tmp_path / "valB" / "3.png").unlink()
    folder = open_folder(tmp_path, wanted="paired")
    assert len(folder.splits["train"][0]) == len(folder.splits["train"][1]) == 11
    assert "3" not in stems(folder, "test")[0] and stems(folder, "test")[0] == stems(folder, "test")[1]
    assert len(folder.warnings) == 2
    assert folder.warnings[0].endswith("alone.png") and "train images without a partner" in folder.warnings[0]
    assert "1: " in folder.warnings[1] and folder.warnings[1].endswith("valA/3.png")


def test_nine_in_ten_equal_names_are_pairs_and_fewer_are_not(tmp_path: Path) -> None:
    put(tmp_path / "p", *numbered("trainA", *range(10)), *numbered("trainB", *range(9), "other"))
    assert recognise(tmp_path / "p").kind == "paired"
    put(tmp_path / "u", *numbered("trainA", *range(10)), *numbered("trainB", *range(8), "x", "y"))
    assert recognise(tmp_path / "u").kind == "unpaired"
    assert recognise(tmp_path / "u", layout="paired").kind == "paired"
    assert len(recognise(tmp_path / "u", layout="paired").splits["train"][0]) == 8


def test_equal_names_of_other_suffix_and_spelling_pair(tmp_path: Path) -> None:
    put(tmp_path, "trainA/caf\u00e9.png", "trainA/sub/1.png", "trainA/a.jpg", "trainA/a.png")
    put(tmp_path, "trainB/cafe\u0301.jpg", "trainB/sub/1.bmp", "trainB/a.jpg", "trainB/a.png")
    folder = open_folder(tmp_path, wanted="paired")
    pairs = [(a.path.name, b.path.name) for a, b in zip(*folder.splits["train"], strict=True)]
    assert pairs == [
        ("a.jpg", "a.jpg"),
        ("a.png", "a.png"),
        ("café.png", "cafe\u0301.jpg"),
        ("1.png", "1.bmp"),
    ]


def test_pairs_stay_together_where_spelling_gives_the_folders_another_order(tmp_path: Path) -> None:
    """A letter of two code points sorts before z, of one behind it."""
    put(tmp_path, "trainA/caf\u00e9.png", "trainA/cafz.png", "trainB/cafe\u0301.png", "trainB/cafz.png")
    folder = open_folder(tmp_path, wanted="paired")
    pairs = {(a.path.stem, b.path.stem) for a, b in zip(*folder.splits["train"], strict=True)}
    assert pairs == {("caf\u00e9", "cafe\u0301"), ("cafz", "cafz")}


@pytest.mark.parametrize(
    ("split", "names"),
    [("train", ("train", "training")), ("test", ("test", "testing")), ("validation", ("val", "valid", "validation"))],
)
def test_splits_are_known_by_the_names_people_give_them(tmp_path: Path, split: str, names: tuple[str, ...]) -> None:
    others = {"train": "train", "test": "test", "validation": "val"}
    for name in names:
        for number, called in enumerate(({**others, split: name}).values(), start=2):
            put(tmp_path / name, *numbered(f"{called}A", *range(number)), *numbered(f"{called}B", *range(number)))
        counts = {
            found: len(columns[0]) for found, columns in open_folder(tmp_path / name, wanted="paired").splits.items()
        }
        assert counts == {"train": 2, "test": 3, "validation": 4}


def test_pairs_side_by_side(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train", 1, 2), *numbered("val", 3), width=32, height=16)
    folder = open_folder(tmp_path, wanted="paired")
    assert folder.kind == "paired" and stems(folder, "train") == [["1", "2"]] * 2
    left, right = (column[0] for column in folder.splits["train"])
    whole = images.read(left.path).pixels
    assert (left.read(3) == whole[:, :16]).all() and (right.read(3) == whole[:, 16:]).all()
    assert left.read(1).shape == (16, 16, 1)
    swapped = open_folder(tmp_path, wanted="paired", direction="BtoA")
    assert swapped.splits["train"][0][0].half == "right" and swapped.domains == ("B", "A")


def test_an_odd_width_cannot_be_halved(tmp_path: Path) -> None:
    put(tmp_path, *numbered("train", 1), width=32, height=16)
    source = open_folder(tmp_path, wanted="paired").splits["train"][0][0]
    put(tmp_path, *numbered("train", 1), width=31, height=16)
    with pytest.raises(ImageError, match=r"train/1\.png: its width of 31 cannot be halved"):
        source.read(3)


@pytest.mark.parametrize("layout", ["{domain}/{split}", "{split}/{domain}", "{split}_{domain}"])
def test_other_ways_to_arrange_two_domains(tmp_path: Path, layout: str) -> None:
    for domain in "AB":
        for split in ("train", "test"):
            put(tmp_path, *numbered(layout.format(domain=domain, split=split), f"{domain}{split}"))
    folder = open_folder(tmp_path, wanted="unpaired")
    assert folder.domains == ("A", "B")
    assert stems(folder, "train") == [["Atrain"], ["Btrain"]] and stems(folder, "test") == [
        ["Atest"],
        ["Btest"],
    ]


def test_two_folders_of_any_name_are_split_by_their_names(tmp_path: Path) -> None:
    put(tmp_path, *numbered("zebras", *range(40)), *numbered("horses", *(f"h{i}" for i in range(30))))
    (tmp_path / "notes").mkdir()
    folder = open_folder(tmp_path, wanted="unpaired")
    assert folder.domains == ("horses", "zebras")
    counts = {split: [len(column) for column in columns] for split, columns in folder.splits.items()}
    assert counts == {"train": [27, 36], "test": [3, 4]}
    assert "held out" in folder.found[2]
    again = open_folder(tmp_path, wanted="unpaired")
    assert again == folder
    everything = [set(a) | set(b) for a, b in zip(stems(folder, "train"), stems(folder, "test"), strict=True)]
    assert [len(names) for names in everything] == [30, 40]


def test_a_split_keeps_pairs_together(tmp_path: Path) -> None:
    put(tmp_path, *numbered("A", *range(30)), *numbered("B", *range(30)))
    folder = open_folder(tmp_path, wanted="paired")
    assert len(folder.splits["test"][0]) == 3
    assert stems(folder, "test")[0] == stems(folder, "test")[1]
    # By SHA-256 of the names: the same on every system, and for ever.
    assert stems(folder, "test")[0] == ["8", "9", "29"]


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 1), (30, 3), (4990, 499), (6000, 500)])
def test_a_tenth_is_held_out_and_500_at_most(count: int, held: int) -> None:
    column = {str(number): Path(f"{number}.png") for number in range(count)}
    training, test = held_out(column)
    assert len(test) == held and {**training, **test} == column and len(training) == count - held
    assert list(training) == [name for name in column if name in training]


def test_names_of_domains_in_order_of_precedence(tmp_path: Path) -> None:
    root = put(tmp_path / "cat2dog", *numbered("cats", "a", "b"), *numbered("dogs", "c", "d"))
    assert recognise(root).domains == ("cats", "dogs")
    (root / "dataset.yaml").write_text("domains: [cat, dog]\n")
    assert recognise(root).domains == ("cat", "dog")
    assert recognise(root, domains=("x", "y")).domains == ("x", "y")
    with pytest.raises(ConfigurationError, match="two different names"):
        recognise(root, domains=("x", "x"))


def test_dataset_yaml_tells_layout_direction_and_paired_tests(tmp_path: Path) -> None:
    root = paired(tmp_path)
    put(root, *numbered("testA", 1, 2, 3), *numbered("testB", 3, 2, 1))
    (root / "dataset.yaml").write_text("layout: unpaired\ntest_paired: true\ndomains: [flat, outlined]\n")
    folder = open_folder(root, wanted="unpaired")
    assert folder.kind == "unpaired" and folder.test_is_paired and folder.domains == ("flat", "outlined")
    assert stems(folder, "test") == [["1", "2", "3"]] * 2
    (root / "dataset.yaml").write_text("layout: paired\ndirection: BtoA\n")
    assert open_folder(root, wanted="paired").domains == ("B", "A")
    assert open_folder(root, wanted="paired", direction="AtoB").domains == ("A", "B")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout: pared\n", r"dataset\.yaml, line 1: layout: Input should be 'paired', 'unpaired' or 'labelled'"),
        ("name: x\ndomain: [a, b]\n", r"dataset\.yaml, line 2: domain: Extra inputs"),
        ("domains: [a]\n", r"dataset\.yaml, line 1: domains"),
        ("domains: !!python/object/apply:os.getcwd []\n", "tag"),
    ],
)
def test_mistakes_in_dataset_yaml_are_found(tmp_path: Path, text: str, message: str) -> None:
    (unpaired(tmp_path) / "dataset.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        recognise(tmp_path)


def test_the_other_kind_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"learns from pairs.*CycleGAN"):
        open_folder(unpaired(tmp_path / "u"), wanted="paired")
    with pytest.raises(ConfigurationError, match=r"pix2pix.*set data.layout=unpaired"):
        open_folder(paired(tmp_path / "p"), wanted="unpaired")
    folder = open_folder(tmp_path / "p", wanted="unpaired", layout="unpaired")
    assert folder.kind == "unpaired" and not folder.test_is_paired
    sides = put(tmp_path / "s", *numbered("train", 1, 2), width=32, height=16)
    for layout in ("auto", "unpaired"):
        with pytest.raises(ConfigurationError, match=r"both images of a pair, side by side.*split them"):
            open_folder(sides, wanted="unpaired", layout=layout)
    with pytest.raises(ConfigurationError, match=r"no pairs.*the same file name"):
        open_folder(tmp_path / "u", wanted="paired", layout="paired")


def test_folders_that_are_no_data_set_are_told_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "set.zip").write_bytes(b"PK")
    (tmp_path / "words.txt").write_text("words")
    put(tmp_path / "one", *numbered("trainA", 1))
    put(tmp_path / "lone", *numbered("horses", 1))
    put(tmp_path / "three", *numbered("a", 1), *numbered("b", 2), *numbered("c", 3))
    put(tmp_path / "flat", "1.png", "2.png")
    put(tmp_path / "square", *numbered("train", 1))
    put(tmp_path / "bare", *numbered("trainA", 1))
    (tmp_path / "bare" / "trainB").mkdir()
    unpaired(tmp_path / "nested" / "horse2zebra")
    cases = {
        "empty": "Looked for: trainA/ trainB/.* Found: nothing",
        "missing": "no such folder",
        "set.zip": "an archive; unpack it first",
        "words.txt": "a file; give the folder",
        "one": "there is trainA/ but no folder of the other domain",
        "lone": "expected two folders with images.*found 1: horses/",
        "three": "found 3: a/, b/, c/",
        "flat": "twice as wide as high; 1.png is 8 x 8",
        "square": "twice as wide as high; 1.png is 8 x 8",
        "bare": r"trainB: no images in it, of \.bmp",
        "nested": "Did you mean .*nested/horse2zebra",
    }
    for name, message in cases.items():
        with pytest.raises(ConfigurationError, match=message):
            open_folder(tmp_path / name, wanted="unpaired")


def test_a_test_split_of_one_domain_is_left_out_with_a_warning(tmp_path: Path) -> None:
    put(tmp_path, *numbered("trainA", "a"), *numbered("trainB", "b"), *numbered("testA", "c"))
    folder = open_folder(tmp_path, wanted="unpaired")
    assert set(folder.splits) == {"train"} and "test images are left out" in folder.warnings[0]
    assert folder.found[-1] == "no test images, so nothing can be measured"


def test_links_to_files_are_followed_and_counted_or_left_out_if_so_wanted(tmp_path: Path) -> None:
    """As hub caches lay out their files: links to nameless blobs."""
    store, root = tmp_path / "store", tmp_path / "set"
    for number, folder in enumerate(("trainA", "trainB", "testA", "testB")):
        (root / folder).mkdir(parents=True)
        for index in range(3):
            blob = put(store, f"{number}{index}.png") / f"{number}{index}.png"
            blob.rename(blob.with_suffix(""))
            (root / folder / f"{folder}{index}.png").symlink_to(os.path.relpath(blob.with_suffix(""), root / folder))
    folder = open_folder(root, wanted="unpaired")
    assert [len(column) for split in folder.splits.values() for column in split] == [3, 3, 3, 3]
    assert folder.splits["train"][0][0].read(3).shape == (8, 8, 3) and folder.warnings == ()
    expected = f"{root}: 12 links to files elsewhere are followed; data.follow_links: false leaves them out"
    assert folder.notes == (expected,)
    assert check(root).problems == () and expected in check(root).notes
    put(root, *numbered("trainA", "own"), *numbered("trainB", "mine"))
    (root / "trainA" / "broken.png").symlink_to("nowhere.png")
    folder = open_folder(root, wanted="unpaired", follow_links=False)
    assert stems(folder, "train") == [["own"], ["mine"]] and set(folder.splits) == {"train"} and folder.notes == ()
    assert "are left out: 13: " in folder.warnings[-1]
    folder = open_folder(root, wanted="unpaired")
    assert len(folder.splits["train"][0]) == 4 and folder.warnings[-1].endswith(f"1: {root}/trainA/broken.png")


def test_what_systems_keep_for_themselves_is_left_out_and_said_once(tmp_path: Path) -> None:
    root = unpaired(tmp_path / "set")
    for folder in ("trainA", "trainB", "testA"):
        put(root, f"{folder}/@eaDir/x.png/SYNOPHOTO_THUMB_M.jpg", f"{folder}/.thumbnails/x.png", f"{folder}/._h1.png")
        (root / folder / "Thumbs.db").write_bytes(b"x")
    put(root, "@eaDir/trainA/x.jpg", "__MACOSX/trainA/._h1.png", ".hidden/y.png")
    folder = open_folder(root, wanted="unpaired")
    assert stems(folder, "train") == [["h1", "h2", "h10"], ["z1", "z2"]] and folder.warnings == ()
    (note,) = folder.notes
    assert note.startswith(f"{root}: hidden and system files are left out: ")
    assert note.endswith("._* 3, .hidden/ 1, .thumbnails/ 3, @eaDir/ 4, Thumbs.db 3, __MACOSX/ 1")
    assert check(root).problems == ()


def test_domains_choose_among_folders_or_rename_them(tmp_path: Path) -> None:
    put(tmp_path, *(f"train_{name}/{name}{i}.png" for name in ("label", "img", "inst") for i in range(4)))
    with pytest.raises(
        ConfigurationError, match=r"found 3: img/, inst/, label/\. These are pix2pixHD's folders: .*label,img"
    ):
        open_folder(tmp_path, wanted="unpaired")
    folder = open_folder(tmp_path, wanted="unpaired", domains=("label", "img"))
    assert folder.domains == ("label", "img") and stems(folder, "train")[0][0] == "label0" and folder.warnings == ()
    two = put(tmp_path / "two", *numbered("summer", "s0", "s1"), *numbered("winter", "w0", "w1"))
    assert stems(open_folder(two, wanted="unpaired", domains=("winter", "summer")), "train")[0][0].startswith("w")
    renamed = open_folder(two, wanted="unpaired", domains=("warm", "cold"))
    assert renamed.domains == ("warm", "cold") and stems(renamed, "train")[0][0].startswith("s")
    with pytest.raises(ConfigurationError, match=r"no domain 'summr'; did you mean 'summer'\?"):
        open_folder(two, wanted="unpaired", domains=("winter", "summr"))  # half a choice swapped the two
    put(two, *numbered("autumn", "a0", "a1"))
    with pytest.raises(ConfigurationError, match=r"no domain 'Q'; known: autumn, summer, winter$"):
        open_folder(two, wanted="unpaired", domains=("winter", "Q"))
    with pytest.raises(ConfigurationError, match=r"found 3: autumn/, .* say which: --domains autumn,summer"):
        open_folder(two, wanted="unpaired", domains=("warm", "cold"))


def test_pix2pixhds_folders_are_pairs_by_names_without_their_tails(tmp_path: Path) -> None:
    for split, numbers in (("train", range(4)), ("test", [7])):
        put(tmp_path, *(f"{split}_label/aachen_{i}_gtFine_labelIds.png" for i in numbers))
        put(tmp_path, *(f"{split}_img/aachen_{i}_leftImg8bit.png" for i in numbers))
    folder = open_folder(tmp_path, wanted="paired", domains=("label", "img"), layout="paired")
    assert stems(folder, "train")[1] == [f"aachen_{i}_leftImg8bit" for i in range(4)]
    assert [column[0].path.parent.name for column in folder.splits["test"]] == ["test_label", "test_img"]
    assert folder.warnings == () and recognise(tmp_path, domains=("label", "img")).kind == "unpaired"


def test_a_domain_may_be_a_link_to_elsewhere_but_not_to_where_it_lies(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "1.png", "2.png")
    root = put(tmp_path / "set", *numbered("trainA", "x"))
    (root / "trainB").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert stems(open_folder(root, wanted="unpaired"), "train") == [["x"], ["1", "2"]]
    (root / "trainB").unlink()
    for leads_to in (root, tmp_path):
        (root / "trainB").symlink_to(leads_to, target_is_directory=True)
        with pytest.raises(ConfigurationError, match=r"set/trainB: a link to a folder that it lies in; remove it"):
            open_folder(root, wanted="unpaired")
        (root / "trainB").unlink()


def test_folders_with_images_that_are_no_part_of_the_set_are_named(tmp_path: Path) -> None:
    put(tmp_path, *numbered("a/train", 1, 2), *numbered("b/train", 3, 4), *numbered("a/more", 8))
    put(tmp_path, *numbered("two/trainA", 5), *numbered("unp/deep", 6))
    (tmp_path / "notes").mkdir()
    (warning,) = recognise(tmp_path).warnings
    assert warning.startswith("folders with images that are no part of the data set are left out: 3: ")
    assert warning.endswith(f"3: two, unp, a/more in {tmp_path}")
    report = check(tmp_path)
    assert any("no part of the data set" in problem for problem in report.problems)
    put(tmp_path / "sides", "1.png", "more/2.png", width=32, height=16)
    assert recognise(tmp_path / "sides").warnings == ()  # found below the folder of pairs, and taken


def test_pairs_of_which_some_lack_a_partner_are_named_with_the_way_out(tmp_path: Path) -> None:
    put(tmp_path, *numbered("A/train", *range(1, 6)), *numbered("B/train", *range(1, 5)))
    says = r"4 names are in both domains, without a partner are 1: .*A/train/5\.png; .*data\.layout=paired"
    with pytest.raises(ConfigurationError, match=says):
        open_folder(tmp_path, wanted="paired")
    assert "A/train/5.png" in open_folder(tmp_path, wanted="unpaired").found[0]
    assert "partner" not in open_folder(tmp_path, wanted="unpaired", layout="unpaired").found[0]
    assert len(open_folder(tmp_path, wanted="paired", layout="paired").splits["train"][0]) == 4
    put(tmp_path, *numbered("B/train", *range(6, 9)))  # 4 of 7 agree; then 4 of 8
    assert "without a partner are 4" in recognise(tmp_path).found[0]
    put(tmp_path, *numbered("B/train", 9))
    assert "partner" not in recognise(tmp_path).found[0]


# Checking


def test_check_finds_what_is_wrong(tmp_path: Path) -> None:
    root = tmp_path / "set"
    put(root, *numbered("trainA", "a", "b"), *numbered("trainB", "c", "d"), *numbered("testA", "e"))
    put(root, *numbered("testB", "f"))
    put(root, "trainB/odd.png", width=7, height=30)
    (root / "trainA" / "b copy.png").write_bytes((root / "trainA" / "b.png").read_bytes())
    (root / "testA" / "leak.png").write_bytes((root / "trainB" / "c.png").read_bytes())
    ramp = np.add.outer(np.arange(64), 2 * np.arange(64))[..., None].repeat(3, 2).astype(np.uint8)
    images.write(root / "trainB" / "d.png", Picture(ramp))
    images.write(root / "testB" / "saved anew.jpg", Picture(ramp), quality=90)
    (root / "trainB" / "broken.jpg").write_bytes(b"words")
    images.write(root / "trainA" / "flat.png", Picture(np.full((8, 8, 1), 9, np.uint16)))
    report = check(root)
    lines = report.lines()
    assert "train A: 4 of 8x8; 3 8-bit RGB, 1 16-bit grey" in lines
    assert "train B: 3 of 8x8 to 64x64, median 7x30, 3 sizes; 3 8-bit RGB" in lines
    notes, problems = "\n".join(report.notes), "\n".join(report.problems)
    assert "train A: 1 files repeat another byte for byte" in notes and "b copy.png" in notes
    assert "train A: one colour all over" in notes
    assert len(report.problems) == 2
    assert "broken.jpg: not an image" in problems
    assert "leak.png" in problems.split("test images that are, or look like, training images")[1]
    assert "saved anew.jpg (trainB/d.png)" in problems and "e.png" not in problems
    assert lines[-1].endswith("problems found: 2")


def test_check_of_a_sound_set_finds_nothing(tmp_path: Path) -> None:
    report = check(unpaired(tmp_path))
    assert report.problems == ()
    assert [note.partition(":")[0] for note in report.notes] == ["few training images"]
    assert report.lines()[-1].endswith("ready to train on")


def test_check_of_pairs(tmp_path: Path) -> None:
    paired(tmp_path)
    (tmp_path / "trainB" / "1.png").unlink()
    put(tmp_path, "trainA/2.png", width=16)
    problems = "\n".join(check(tmp_path).problems)
    assert "without a partner" in problems and "1.png" in problems
    assert "differ in proportions" in problems and "trainA/2.png" in problems


# Real data


DATA = Path(os.environ.get("TRANSLATE_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.skipif(not (DATA / "horse2zebra").is_dir(), reason="needs horse2zebra below $TRANSLATE_DATA")
def test_horse2zebra_as_published() -> None:
    folder = open_folder(DATA / "horse2zebra", wanted="unpaired")
    assert [len(column) for column in folder.splits["train"]] == [1067, 1334]
    assert [len(column) for column in folder.splits["test"]] == [120, 140]
    assert folder.domains == ("horse", "zebra")


@pytest.mark.skipif(not (DATA / "horse2zebra").is_dir(), reason="needs horse2zebra below $TRANSLATE_DATA")
def test_repetitions_in_horse2zebra_are_found() -> None:
    report = check(DATA / "horse2zebra")
    notes = "\n".join(report.notes)
    assert "train horse: 8 files repeat" in notes and "train zebra: 16 files repeat" in notes
    assert len(report.problems) == 1 and "testA/n02381460_1160.jpg" in report.problems[0]


@pytest.mark.skipif(not (DATA / "facades").is_dir(), reason="needs facades below $TRANSLATE_DATA")
def test_facades_as_published() -> None:
    folder = open_folder(DATA / "facades", wanted="paired", direction="BtoA", domains=("photo", "labels"))
    assert len(folder.splits["train"][0]) == 400 and len(folder.splits["test"][1]) == 100
    labels, photo = (column[0].read(3) for column in folder.splits["train"])
    assert labels.shape == photo.shape == (256, 256, 3)
    # A label map is flat: most neighbours are all but equal. A photograph is not.
    flat, rough = ((np.abs(np.diff(p.astype(int), axis=1)).max(-1) < 4).mean() for p in (labels, photo))
    assert flat > rough + 0.1


def test_images_of_kinds_that_are_not_read_are_told_and_never_left_out_silently(tmp_path: Path) -> None:
    put(tmp_path / "some", *numbered("trainA", 2), *numbered("trainB", 3))
    for name in ("scan.DCM", "brain.nii.gz", "notes.txt", "Thumbs.db"):
        (tmp_path / "some" / "trainA" / name).write_bytes(b"x")
    (warning,) = recognise(tmp_path / "some").warnings
    assert "trainA: images of kinds that are not read here are left out (.dcm 1, .gz 1)" in warning
    (tmp_path / "none" / "ct").mkdir(parents=True)
    (tmp_path / "none" / "mr").mkdir()
    for name in ("ct/1.npy", "mr/1.npy"):
        (tmp_path / "none" / name).write_bytes(b"x")
    with pytest.raises(ConfigurationError, match=r"Found: ct/, mr/; images of kinds .* \(\.npy 2\): save them as TIFF"):
        recognise(tmp_path / "none")
