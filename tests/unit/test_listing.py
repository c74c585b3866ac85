"""Which files of a folder are images, and in which order."""

from __future__ import annotations

import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from translate.data.layouts import listing
from translate.errors import ConfigurationError


def test_images_are_found_in_natural_order(tmp_path: Path) -> None:
    names = [
        "a/img.png",
        "a/img2.png",
        "a/img10.PNG",
        "a/img01.Jpeg",
        "b.tif",
        "A10.webp",
        "A9.bmp",
        "img.gif",
    ]
    ignored = [".hidden.png", ".git/x.png", "a/notes.txt", "Thumbs.db", "x.png.part"]
    for name in names + ignored:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in listing.iterate_images(tmp_path)]
    assert found == [
        "A9.bmp",
        "A10.webp",
        "a/img.png",
        "a/img01.Jpeg",
        "a/img2.png",
        "a/img10.PNG",
        "b.tif",
        "img.gif",
    ]


def test_the_order_is_natural_by_whole_paths_across_folders_of_equal_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [
        "1",
        "01",
        "001",
        "2",
        "10",
        "a",
        "a 1",
        "a1",
        "a01",
        "a-1",
        "a1b2",
        "a1b10",
        "aB",
        "b",
        "1.5",
        "0",
        "00",
        "é9",
    ]
    for _ in range(400):
        *folders, stem = rng.choice(parts, rng.integers(1, 4))
        path = tmp_path.joinpath(*folders, f"{stem}{rng.choice(['.png', '.jpg'])}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def reference(path: Path) -> tuple[object, ...]:
        inside = path.relative_to(tmp_path)
        split = [re.split(r"([0-9]+)", part) for part in inside.with_suffix("").parts]
        return [[int(p) if i % 2 else p for i, p in enumerate(part)] for part in split], inside.as_posix()

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert list(listing.iterate_images(tmp_path)) == sorted(files, key=reference) and len(files) > 100


def test_memory_holds_the_names_of_one_folder_not_of_all(tmp_path: Path) -> None:
    def peak(folders: int) -> int:
        root = tmp_path / str(folders)
        for folder in range(folders):
            (root / str(folder)).mkdir(parents=True)
            for number in range(1000):
                os.close(os.open(root / str(folder) / f"{number}.png", os.O_CREAT | os.O_WRONLY))
        # Python's own table of names grows at some moment, once: of two looks the smaller is ours.
        return min(look(root, folders) for _ in range(2))

    def look(root: Path, folders: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in listing.iterate_images(root)) == folders * 1000
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(20) < 1.5 * peak(2)


def test_links_to_files_are_taken_and_neither_loop_nor_lead_to_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "x.png").touch()
    (inside / "loop").symlink_to(inside)
    (inside / "away").symlink_to(outside)
    (inside / "away.png").symlink_to(outside / "x.png")
    (inside / "broken.png").symlink_to(inside / "nothing.png")
    (inside / "again.png").symlink_to(inside / "sub" / "x.png")
    (inside / "self.png").symlink_to("self.png")
    (inside / "chain.png").symlink_to("away.png")
    (inside / "device.png").symlink_to("/dev/zero")
    (inside / "folder.png").symlink_to(outside)
    for follow, expected in (
        (True, ["again.png", "away.png", "chain.png", "sub/x.png"]),
        (False, ["again.png", "sub/x.png"]),
    ):
        seen = listing.ListingReport()
        found = [path.relative_to(inside).as_posix() for path in listing.iterate_images(inside, seen, follow)]
        assert found == expected
        refused = {"away", "broken.png", "loop", "self.png", "device.png", "folder.png"}
        assert {path.name for path in seen.refused} == refused | (set() if follow else {"away.png", "chain.png"})
        assert sorted(Path(path).name for path in seen.away) == (["away.png", "chain.png"] if follow else [])
    (tmp_path / "link").symlink_to(outside)
    assert list(listing.iterate_images(tmp_path / "link")) == [tmp_path / "link" / "x.png"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        list(listing.iterate_images(tmp_path / "none"))


def test_thumbnails_and_hidden_files_are_no_images_whatever_their_case(tmp_path: Path) -> None:
    names = ["@eaDir/p.png/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/p.png", "__MACOSX/._p.png", "#recycle/p.png", "._p.png"]
    for name in [*names, *(f"deep/{name.upper()}" for name in names), "p.png", "deep/Thumbs.db", ".gitignore", "notes"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    seen = listing.ListingReport()
    assert list(listing.iterate_images(tmp_path, seen)) == [tmp_path / "p.png"]
    assert seen.private["._*"] == 2 and seen.private["@eaDir/"] == seen.private["@EADIR/"] == 1
    assert seen.private["Thumbs.db"] == 1 and seen.others == {"": 1} and ".gitignore" not in seen.private
