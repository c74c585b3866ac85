"""A folder of outputs knows which pictures they were made of, and which folders in it are of other conversions."""

from __future__ import annotations

import json
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from tiny import write_images
from ways_out import tried

from translate.inference.jobs import Job
from translate.inference.sources import FILE, Sources, made_of
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator


@pytest.fixture
def convert(run_cli, tmp_path: Path):
    """Converts by a generator of another project, from which to load takes no training; returns click's result."""
    for name, seed in (("g.pth", 0), ("h.pth", 1)):
        torch.manual_seed(seed)
        torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), tmp_path / name)
    write_images(tmp_path / "photos", ["a.png", "b.png"], size=16)
    write_images(tmp_path / "others", ["b.png", "a.png"], size=16)
    return lambda source, *options, model="g.pth", out="out": run_cli("convert", model, source, out, *options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".png"}


@tried(("inference/sources", "give another output folder, or --overwrite to convert all again"))
def test_outputs_of_other_pictures_are_not_taken_for_those_of_these(convert, tmp_path: Path) -> None:
    assert convert("photos").exit_code == 0
    before = contents(tmp_path / "out")
    other = convert("others", "--gallery", "page.html")
    assert other.exit_code == 3 and other.stdout.startswith("0 converted, 0 skipped, 2 failed")
    assert "others/a.png: its output was made of another picture: give another output folder" in other.stderr
    assert contents(tmp_path / "out") == before and "a.png" not in (tmp_path / "page.html").read_text()
    assert convert("others", out="elsewhere").stdout.startswith("2 converted")
    assert convert("others", "--overwrite").stdout.startswith("2 converted")
    assert convert("others").stdout.startswith("0 converted, 2 skipped")
    assert contents(tmp_path / "out") == contents(tmp_path / "elsewhere") != before
    assert convert("photos").exit_code == 3


def test_a_picture_that_was_changed_is_told_and_what_was_added_is_converted(convert, tmp_path: Path) -> None:
    assert convert("photos").exit_code == 0
    write_images(tmp_path / "photos", ["a.png", "c.png"], size=18)
    changed = convert("photos")
    assert (
        changed.stdout.startswith("1 converted, 1 skipped, 1 failed") and "photos/a.png: its output" in changed.stderr
    )
    (tmp_path / "out/a.png").unlink()
    assert convert("photos").stdout.startswith("1 converted, 2 skipped, 0 failed")


def test_pictures_are_known_wherever_they_lie_and_however_they_are_shared_out(convert, tmp_path: Path) -> None:
    assert convert("photos", "--shard", "1/2").exit_code == 0
    assert convert("photos", "--shard", "2/2").exit_code == 0
    shutil.copytree(tmp_path / "photos", tmp_path / "copied", copy_function=shutil.copy)
    for path in (tmp_path / "copied").iterdir():
        os.utime(path, (1, 1))
    assert convert("copied").stdout.startswith("0 converted, 2 skipped, 0 failed")
    (tmp_path / "photos").rename(tmp_path / "moved")
    assert convert("moved").stdout.startswith("0 converted, 2 skipped, 0 failed")


def test_a_copy_is_read_once_and_what_looks_the_same_never(convert, tmp_path: Path, monkeypatch) -> None:
    from translate.inference import sources

    read: list[Path] = []

    def reading(job: Job) -> object:
        read.append(job.source)
        return made_of(job)

    assert convert("photos").exit_code == 0
    shutil.copytree(tmp_path / "photos", tmp_path / "copied", copy_function=shutil.copy)
    monkeypatch.setattr(sources, "made_of", reading)
    assert convert("photos").exit_code == 0 and not read
    assert convert("copied").exit_code == 0 and len(read) == 2
    assert convert("copied").exit_code == 0 and len(read) == 2


def test_folders_of_earlier_versions_and_torn_lines_tell_nothing(convert, tmp_path: Path) -> None:
    assert convert("photos").exit_code == 0
    file = tmp_path / "out" / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2 - 20])  # as a full disk leaves it: not even the first line is whole
    assert convert("others").stdout.startswith("0 converted, 2 skipped")
    assert convert("photos", "--overwrite").exit_code == 0
    assert convert("others").exit_code == 3, "what is added after a torn line counts"
    file.unlink()
    assert convert("others").stdout.startswith("0 converted, 2 skipped")
    file.unlink()
    file.mkdir()
    refused = convert("photos")
    assert refused.exit_code == 2 and f"out/{FILE}: cannot be read and written" in refused.stderr


def test_further_images_of_a_sample_are_what_it_is_made_of_too(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "mask.png", "out.png"], size=16)
    job = Job(tmp_path / "a.png", tmp_path / "out.png", "a.png", {"mask": tmp_path / "mask.png", "depth": None})
    with Sources(tmp_path) as sources:
        sources.note(job, made_of(job))
    write_images(tmp_path, ["mask.png"], size=18)
    with Sources(tmp_path) as sources:
        assert sources.are_others(job)
        (tmp_path / "mask.png").unlink()
        os.mkfifo(tmp_path / "mask.png")
        assert stat.S_ISFIFO((tmp_path / "mask.png").stat().st_mode)
        assert not sources.are_others(job), "a pipe is told where it is converted, and not waited for"


def test_whatever_stops_a_write_leaves_no_output_without_the_line_of_what_it_is_of(tmp_path: Path) -> None:
    """The line of a new output comes before it, that of a replaced one after it."""
    write_images(tmp_path, ["a.png", "b.png"], size=16)
    of_a, of_b = (Job(tmp_path / name, tmp_path / "out.png", "out.png", {}) for name in ("a.png", "b.png"))
    with Sources(tmp_path) as sources, suppress(KeyboardInterrupt), sources.noting(of_a, made_of(of_a)):
        (tmp_path / "out.png").write_bytes(b"of a")
        raise KeyboardInterrupt
    with Sources(tmp_path) as sources, suppress(KeyboardInterrupt):
        assert not sources.are_others(of_a) and sources.are_others(of_b)
        with sources.noting(of_b, made_of(of_b)):
            raise KeyboardInterrupt
    with Sources(tmp_path) as sources:
        assert not sources.are_others(of_a) and sources.are_others(of_b), "a's output is there still"
        with sources.noting(of_b, made_of(of_b)):
            (tmp_path / "out.png").write_bytes(b"of b")
    with Sources(tmp_path) as sources:
        assert sources.are_others(of_a) and not sources.are_others(of_b)


def test_what_lies_in_marked_folders_neither_hides_nor_takes_what_lies_around_them(convert, tmp_path: Path) -> None:
    assert convert("photos", out="out/one").exit_code == 0
    assert convert("photos").exit_code == 0
    refused = convert("photos", model="h.pth")
    assert refused.exit_code == 2 and "out: holds translations by g.pth" in refused.stderr
    assert convert("photos", "--overwrite", model="h.pth").exit_code == 0
    assert convert("photos", model="h.pth").stdout.startswith("0 converted, 2 skipped"), "out/one is no other of its"
    kept = contents(tmp_path / "out/one")
    write_images(tmp_path / "photos/one", ["a.png"], size=16)
    for options in ((), ("--overwrite",)):
        refused = convert("photos", *options, model="h.pth")
        assert refused.exit_code == 2 and "out/one: holds translations by g.pth" in refused.stderr
        assert "INPUT has a folder of that name" in refused.stderr and contents(tmp_path / "out/one") == kept


def test_a_folder_in_one_of_another_translation_is_not_continued(convert, tmp_path: Path) -> None:
    write_images(tmp_path / "deep/inner", ["a.png", "b.png"], size=16)
    assert convert("deep").exit_code == 0
    refused = convert("deep/inner", model="h.pth", out="out/inner")
    assert refused.exit_code == 2 and "out/inner: holds translations by g.pth" in refused.stderr
    assert convert("deep/inner", out="out/inner").stdout.startswith("0 converted, 2 skipped")
    assert json.loads((tmp_path / "out/.translate.json").read_text())["name"] == "g.pth"
