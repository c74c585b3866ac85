"""Equal names make pairs only of images that could be pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import numbered, put

from translate.data.checks.folder import check
from translate.data.layouts.columns import matched
from translate.data.layouts.folders import open_folder, recognise
from translate.data.layouts.likeness import no_pairs
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError


def smooth(seed: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    """A picture of soft blots, no two alike."""
    grains = (np.random.default_rng(seed).random((6, 6, 3)) * 255).astype(np.uint8)
    return Image.fromarray(grains).resize(size, Image.Resampling.BICUBIC)


def edges(picture: Image.Image) -> Image.Image:
    """What a target may look like: dark lines on white where the shades of the picture cross some heights."""
    bands = np.asarray(picture.convert("L")).astype(int) // 40
    lines = (np.abs(np.diff(bands, axis=0, append=0)) + np.abs(np.diff(bands, axis=1, append=0))) > 0
    return Image.fromarray(np.where(lines, 0, 255).astype(np.uint8)).convert("RGB")


def put_pairs(root: Path, count: int, partner) -> Path:
    for number in range(count):
        picture = smooth(number)
        for folder, image in (("trainA", picture), ("trainB", partner(number, picture))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            image.save(root / folder / f"IMG_{number:04d}.png")
    return root


def test_equal_names_of_other_proportions_are_no_pairs(tmp_path: Path) -> None:
    """Two cameras that count alike."""
    for split in ("train", "test"):
        put(tmp_path, *numbered(f"{split}A", 8), width=80, height=60)
        put(tmp_path, *numbered(f"{split}B", 8), width=60, height=88)
    folder = open_folder(tmp_path, wanted="unpaired")
    assert folder.kind == "unpaired" and not folder.test_is_paired
    assert "no pairs: most differ in proportions, as " in folder.found[0] and "0.png (80 x 60)" in folder.found[0]
    assert check(tmp_path).problems == ()
    # Who asks for pairs gets them, and is told.
    assert "by equal names only: most differ in proportions" in open_folder(tmp_path, wanted="paired").found[0]
    assert recognise(tmp_path, layout="paired").kind == "paired"
    assert "differ in proportions" in "\n".join(check(tmp_path, DataSettings(layout="paired")).problems)
    assert check(tmp_path, DataSettings(layout="unpaired")).problems == ()


@pytest.mark.parametrize(
    "partner",
    [
        lambda number, picture: picture.point(lambda shade: 255 - shade),
        lambda number, picture: edges(picture),
        lambda number, picture: picture.resize((160, 160)),
        lambda number, picture: picture.convert("L").point(lambda shade: 255 * (shade > 128)),
    ],
)
def test_pairs_show_the_same_thing_in_other_ways(tmp_path: Path, partner) -> None:
    folder = recognise(put_pairs(tmp_path, 20, partner))
    assert folder.kind == "paired" and "no pairs" not in folder.found[0]
    with pytest.raises(ConfigurationError, match=r"set data\.layout=unpaired"):
        open_folder(tmp_path, wanted="unpaired")


def test_equal_names_of_other_contents_are_no_pairs(tmp_path: Path) -> None:
    folder = open_folder(put_pairs(tmp_path, 20, lambda number, _: smooth(number + 1000)), wanted="unpaired")
    assert "no more alike than by chance" in folder.found[0]
    assert "no more alike than by chance" in open_folder(tmp_path, wanted="paired").found[0]


@pytest.mark.parametrize("seed", range(8))
def test_chance_is_told_from_pairs_whatever_the_images(tmp_path: Path, seed: int) -> None:
    files = []
    for number in range(32):
        for name, shift in (("a", 0), ("b", 0), ("c", 5000)):
            picture = smooth(100 * seed + number + shift)
            (edges(picture) if name != "a" else picture).save(tmp_path / f"{name}{number}.png")
        files.append(tuple(tmp_path / f"{name}{number}.png" for name in "abc"))
    assert no_pairs([(a, b) for a, b, _ in files]) == "" and no_pairs([(a, c) for a, _, c in files]) != ""


def test_few_or_tiny_images_and_broken_ones_say_nothing(tmp_path: Path) -> None:
    few = put_pairs(tmp_path / "few", 15, lambda number, _: smooth(number + 1000))
    assert recognise(few).kind == "paired"
    tiny = put(tmp_path / "tiny", *numbered("trainA", 30), *numbered("trainB", 30))
    assert recognise(tiny).kind == "paired"
    for path in (tmp_path / "few").rglob("*.png"):
        path.write_bytes(b"words")
    assert no_pairs([(path, path) for path in sorted((few / "trainA").iterdir())]) == "" == no_pairs([])


class Counted(str):
    """A name that counts how often it is looked up."""

    hashed = 0

    def __hash__(self) -> int:
        Counted.hashed += 1
        return super().__hash__()


def test_matching_names_takes_time_in_proportion_to_their_number() -> None:
    Counted.hashed = 0
    names = [Counted(number) for number in range(300)]
    columns = tuple(dict.fromkeys(names[skipped:], Path("x.png")) for skipped in (0, 1))
    warnings: list[str] = []
    assert [len(column) for column in matched("train", columns, warnings)] == [299, 299] and len(warnings) == 1
    assert Counted.hashed < 20 * len(names)
