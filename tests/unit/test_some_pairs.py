"""Some pairs among unpaired images: which files they are, and how batches are made of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from loaders import make_loader
from test_loader import Held, numbered, numbers, places
from test_pairing import put_pairs, smooth
from tiny import put

from translate.data.augment import Augmentation
from translate.data.batch import AllPaired, SomePaired
from translate.data.cache.choice import stream_of
from translate.data.checks.folder import check
from translate.data.checks.some_pairs import require_some_pairs
from translate.data.layouts.folders import open_folder
from translate.data.order import KnownPairs
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError, ImageError
from translate.models.some_pairs import l1_where
from translate.runs.image_sets import share_of

SOME = DataSettings(pairs="some")
PAIRS = ((0, 2), (3, 0), (5, 1))
"""Places in domains of seven and five images."""


def loader_of(batch_size=4, share=0.5, seed=0, split=None, **settings):
    split = split or (numbered(7), numbered(5, first=100))
    known = KnownPairs(PAIRS, share)
    settings = {"channels": 1, "size": 4, **settings}
    return make_loader(split, make=SomePaired, batch_size=batch_size, seed=seed, known=known, **settings)


def drawn(loader, steps):
    """The numbers of the images of each row, and whether it is known as a pair."""
    batches = [loader.batch(step) for step in range(steps)]
    return [row for one in batches for row in zip(numbers(one.a), numbers(one.b), one.known.tolist(), strict=True)]


@pytest.mark.parametrize(("share", "batch", "each"), [(0.5, 4, 2), (0.25, 4, 1), (0.2, 5, 1), (0.7, 10, 7)])
def test_every_batch_holds_its_share_of_pairs_and_they_are_the_known_ones(share, batch, each):
    loader = loader_of(batch, share)
    assert {int(loader.batch(step).known.sum()) for step in range(20)} == {each}
    assert loader.batch(0).known.dtype == torch.bool
    wanted = {(a, 100 + b) for a, b in PAIRS}
    assert {(a, b) for a, b, known in drawn(loader, 20) if known} == wanted


def test_pairs_and_images_go_round_in_passes_of_their_own():
    rows = drawn(loader_of(), 105)
    pairs, others = [row[:2] for row in rows if row[2]], [row[:2] for row in rows if not row[2]]
    assert all(len(set(pairs[start : start + 3])) == 3 for start in range(0, 210, 3))
    assert len({tuple(pairs[start : start + 3]) for start in range(0, 210, 3)}) > 3
    for domain, count in enumerate((7, 5)):
        each = [row[domain] for row in others]
        assert all(set(each[start : start + count]) == set(each) for start in range(0, 210 - count, count))
    met = Counter(others)
    assert len(met) > 30, "images of the others are paired by chance"


def test_an_epoch_shows_every_image_of_the_larger_domain_and_pairs_on_top():
    loader = loader_of(batch_size=2)
    assert loader.steps_per_epoch == 7
    assert {a for a, _, known in drawn(loader, 7) if not known} == set(range(7))
    assert loader_of(batch_size=2, share=0.9).steps_per_epoch == 35


def test_crops_flips_and_geometry_are_shared_by_known_pairs_alone():
    turns = Augmentation(name="Rotate", p=1, limit=90)
    for augment in ((), (turns,)):
        split = (places(7, 20, 20), places(5, 20, 20))
        loader = loader_of(share=0.5, split=split, channels=3, size=8, load_size=20, augment=augment)
        equal = Counter()
        for step in range(40):
            batch = loader.batch(step)
            for a, b, known in zip(batch.a, batch.b, batch.known.tolist(), strict=True):
                equal[known, torch.equal(a[1:], b[1:])] += 1
        assert equal[True, True] == 80 and equal[True, False] == 0
        assert equal[False, True] <= 3 and equal[False, False] >= 77


def test_batches_follow_from_seed_and_step_whatever_the_threads_the_start_and_the_device():
    plain = [loader_of(seed=3).batch(step) for step in range(9)]
    for workers, start in ((0, 0), (2, 4)):
        with_threads = loader_of(seed=3, workers=workers)
        on_device = stream_of(with_threads, "device", None, torch.device("cpu"), lambda line: None)
        for stream in (with_threads.stream(start), on_device(start, 1)):
            for step in range(start, 9):
                batch = next(stream)
                assert type(batch) is SomePaired
                for mine, theirs in zip(batch.tensors(), plain[step].tensors(), strict=True):
                    assert torch.equal(mine, theirs)
            stream.close()
    assert not all(torch.equal(loader_of(seed=4).batch(step).a, plain[step].a) for step in range(9))


def test_the_shares_of_ranks_are_one_process_with_all_images():
    streams = [share_of(loader_of(2).stream, rank, 3)(5) for rank in range(3)]
    for step in range(5, 9):
        parts = zip(*(next(stream).tensors() for stream in streams), strict=True)
        for mine, theirs in zip(parts, loader_of(6).batch(step).tensors(), strict=True):
            assert torch.equal(torch.cat(mine), theirs)


def test_a_pair_of_other_proportions_is_named_before_training_and_others_may_be_so():
    split = tuple(
        tuple(
            Held(np.zeros((8, 8 + 4 * (place == odd), 1), np.uint8), Path(f"{name}{place}.png")) for place in range(6)
        )
        for name, odd in (("a", 3), ("b", 4))
    )
    (found,) = [
        error for _, attempt in loader_of(split=split, resize="none").attempts_at_pairs() if (error := _fault(attempt))
    ]
    assert found.startswith("a3.png and b0.png: the images of this pair differ in proportions: set data.resize: square")
    assert not list(filter(None, map(_fault, (one for _, one in loader_of(split=split).attempts_at_pairs()))))


def _fault(attempt):
    try:
        attempt()
    except ImageError as error:
        return str(error)
    return ""


def test_all_pairs_are_known_where_all_are():
    batch = make_loader((numbered(5), numbered(5, first=100)), make=AllPaired, channels=1, size=4, batch_size=3).batch(
        2
    )
    assert (
        batch.known.tolist() == [True] * 3
        and [b - a for a, b in zip(numbers(batch.a), numbers(batch.b), strict=True)] == [100] * 3
    )


def test_the_masked_mean_is_l1_over_known_images_with_no_gradient_to_others():
    images = torch.rand(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    wanted = torch.rand(3, 2, 4, 4, dtype=torch.float64)
    loss = l1_where(torch.tensor([True, False, True]), images, wanted)
    loss.backward()
    by_hand = sum((images[place] - wanted[place]).abs().mean() for place in (0, 2)) / 2
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-12)
    assert images.grad[1].abs().max() == 0 and images.grad[[0, 2]].abs().min() > 0
    assert l1_where(torch.tensor([False] * 3), images, wanted).item() == 0
    half = l1_where(torch.tensor([True] * 3), images.bfloat16(), wanted.bfloat16())
    assert half.dtype == torch.float32


def opened(root, **more):
    return open_folder(root, wanted="unpaired", some_pairs=True, **more)


def names(folder, split="train"):
    a, b = folder.splits[split]
    return [(a[one].path.name, b[other].path.name) for one, other in folder.known(split)]


def test_pairs_are_found_by_name_and_the_others_stay(tmp_path):
    put(tmp_path, "trainA/x.png", "trainA/deep/y.png", "trainA/1.png", "testA/t.png", "testA/u.png")
    put(tmp_path, "trainB/x.png", "trainB/deep/y.png", "trainB/2.png", "trainB/3.png", "testB/t.png", "testB/v.png")
    folder = opened(tmp_path)
    assert folder.kind == "unpaired" and sorted(names(folder)) == [("x.png", "x.png"), ("y.png", "y.png")]
    assert names(folder, "test") == [("t.png", "t.png")] and not folder.test_is_paired
    assert [len(column) for column in folder.splits["train"]] == [3, 4]
    assert "train: 3 A, 4 B, among them 2 pairs of the same names" in folder.found
    assert "test: 2 A, 2 B, among them 1 pair of the same names" in folder.found
    fewer = folder.without({tmp_path / "trainA/x.png", tmp_path / "trainB/2.png"})
    assert names(fewer) == [("y.png", "y.png")] and [len(column) for column in fewer.splits["train"]] == [2, 3]


def test_names_may_end_in_what_all_of_their_folder_end_in(tmp_path):
    put(tmp_path, *(f"trainA/{number}_photo.png" for number in range(4)))
    put(tmp_path, *(f"trainB/{number}_map.png" for number in range(2, 9)))
    assert sorted(names(opened(tmp_path))) == [("2_photo.png", "2_map.png"), ("3_photo.png", "3_map.png")]


def test_pairs_stay_together_where_nothing_is_split(tmp_path):
    put(tmp_path, *(f"a/{number}.png" for number in range(40)))
    put(tmp_path, *(f"b/{number}.png" for number in range(20, 90)))
    folder = opened(tmp_path)
    assert (len(folder.known("train")), len(folder.known("test"))) == (18, 2)
    assert [len(column) for column in folder.splits["test"]] == [4, 7]
    trained, tested = (
        {one.path.stem for column in folder.splits[split] for one in column} for split in ("train", "test")
    )
    assert not trained & tested


def test_what_is_no_set_with_some_pairs_is_refused_with_a_way_on(tmp_path):
    put(tmp_path / "none", "trainA/1.png", "trainA/2.png", "trainB/3.png", "trainB/4.png")
    told = r"no pairs: .*trainA/1\.png .* name pairs so, or leave data\.pairs out"
    for refused in (lambda: require_some_pairs(opened(tmp_path / "none")), lambda: check(tmp_path / "none", SOME)):
        with pytest.raises(ConfigurationError, match=told):
            refused()
    put(tmp_path / "all", "trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png")
    with pytest.raises(
        ConfigurationError, match=r"all 2 to train on are pairs: set data\.pairs=all, or train with pix2p"
    ):
        require_some_pairs(opened(tmp_path / "all"))
    put(tmp_path / "beside", "train/1.png", "train/2.png", width=16)
    with pytest.raises(ConfigurationError, match=r"each file holds a pair, side by side: set data\.pairs=all"):
        opened(tmp_path / "beside")
    put(tmp_path / "some", "trainA/1.png", "trainA/2.png", "trainB/1.png")
    some = opened(tmp_path / "some")
    assert require_some_pairs(some) == [(0, 0)]
    with pytest.raises(ConfigurationError, match=r"none of the pairs is left"):
        require_some_pairs(some.without({tmp_path / "some/trainA/1.png"}))


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (
            ["x.png", "x.jpg", "1.png"],
            ["x.png"],
            r"trainA/x\.jpg and .*trainA/x\.png: which .* pair of .*trainB/x\.png\?",
        ),
        (
            ["x.png", "1.png"],
            ["x.bmp", "x.jpg"],
            r"trainB/x\.bmp and .*trainB/x\.jpg: which .* pair of .*trainA/x\.png\?",
        ),
        (["x.png", "x.jpg", "1.png"], ["x.png", "x.jpg"], ""),
        (["x.png", "1.png", "1.jpg"], ["x.jpg"], ""),
    ],
)
def test_two_files_of_a_name_are_told_apart_or_refused(tmp_path, a, b, said):
    put(tmp_path, *(f"trainA/{name}" for name in a), *(f"trainB/{name}" for name in b))
    if said:
        with pytest.raises(ConfigurationError, match=said):
            opened(tmp_path)
    else:
        pairs = [("x.jpg", "x.jpg"), ("x.png", "x.png")] if len(b) == 2 else [("x.png", "x.jpg")]
        assert sorted(names(opened(tmp_path))) == pairs


def test_equal_names_that_seem_no_pairs_are_told(tmp_path):
    put_pairs(tmp_path, 20, lambda number, _: smooth(number + 1000))
    put(tmp_path, "trainA/alone.png")
    assert "rename those that are none, or leave data.pairs out" in opened(tmp_path).warnings[0]
    put_pairs(tmp_path, 20, lambda number, picture: picture.point(lambda shade: 255 - shade))
    assert opened(tmp_path).warnings == ()


def test_a_check_tells_pairs_and_those_whose_images_are_not_alike(tmp_path):
    put(tmp_path, "trainA/x.png", "trainA/y.png", "trainA/1.png", "trainB/x.png", "trainB/2.png")
    put(tmp_path, "trainB/y.png", width=12)
    report = check(tmp_path, SOME)
    assert "train: 3 A, 3 B, among them 2 pairs of the same names" in report.facts
    assert [
        line for line in report.problems if "pairs whose two images differ in proportions" in line and "y.png" in line
    ]
    assert not [line for line in check(tmp_path).problems if "proportions" in line]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pair_share": 0.3}, r"pair_share .* set data\.pairs=some"),
        ({"pair_share": 0.3, "pairs": "all"}, r"pair_share .* set data\.pairs=some"),
        ({"pairs": "some", "layout": "unpaired"}, r"leave data\.layout out"),
        ({"pairs": "some", "pair_share": 1.0}, r"less than 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        DataSettings(**given)
