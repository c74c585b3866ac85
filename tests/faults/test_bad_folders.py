"""Faults 36 to 42: names, links, archives and folders as no one would wish for, through the real command."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fixtures_input import trained_tiny, write_recipe  # noqa: F401
from images_child import Child, run_commands, signalled, translate
from PIL import Image
from tiny import unpaired_folder, write_images

from translate.inference import sources
from translate.inference.provenance import MARK

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names or files")
OURS = {MARK, sources.FILE}
"""What a conversion keeps of itself in its folder."""
ODD = {
    "two words.png",
    "line\nbreak.png",
    "tab\tand \x1b[31mred.png",
    "🦓 emoji.png",
    "-x.png",
    "--to.png",
    "100% %s %n {0}.png",
    "$(id) `id` ;&|.png",
    "quote'\"back\\slash.png",
    unicodedata.normalize("NFC", "é.png"),
    unicodedata.normalize("NFD", "é.png"),
    "a" * 251 + ".png",
    os.fsdecode(b"bad \xff\xfe bytes.png"),
    "no more.PNG",
    "CON.png",
}


def _convert(run: Path, folder: Path, source: object = "in", output: object = "out", *more: object):
    return translate("convert", run, source, output, "--to", "zebra", "--device", "cpu", *more, cwd=folder)


def _bytes(folder: Path) -> dict[str, bytes]:
    """Every visible file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _put(path: Path, seed: int = 0, size: int = 9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")
    return path


@linux
def test_odd_names(trained_tiny, tmp_path):  # noqa: F811
    for seed, name in enumerate(sorted(ODD)):
        _put(tmp_path / "in" / name, seed)
    bad = os.fsdecode(b"broken \xff\n.png")
    (tmp_path / "in" / bad).write_bytes(b"words")
    (tmp_path / "in" / ("b" * 251 + ".gif")).write_bytes(_gif())  # its output's name would be too long
    manifest = tmp_path / "rows.jsonl"
    ended = _convert(trained_tiny, tmp_path, "in", "out", "--manifest", manifest).ended_in_words(3)
    assert ended.stdout.strip() == f"{len(ODD)} converted, 0 skipped, 2 failed"
    there = set(os.listdir(tmp_path / "out")) - OURS
    (twin,) = ODD - there  # two spellings of one name: some systems would take them for one file
    assert there - ODD == {f"{twin}.png"} and unicodedata.normalize("NFC", twin) == "é.png"
    assert "failed: in/broken \\xff\\n.png: " in ended.stderr and "File name too long" in ended.stderr
    assert not any(c in ended.stderr for c in ("\x1b", "\udcff")), "names print safely"
    assert len(manifest.read_text().splitlines()) == len(ODD) + 2
    again = _convert(trained_tiny, tmp_path, "in", "out").ended_in_words(3)
    assert again.stdout.strip() == f"0 converted, {len(ODD)} skipped, 2 failed"


@linux
def test_odd_names_of_folders_and_of_training_images(trained_tiny, tmp_path):  # noqa: F811
    data = tmp_path / os.fsdecode(b"set \xff \n%s -- 2")
    for domain in ("trainA", "trainB"):
        for seed, name in enumerate(sorted(ODD)):
            _put(data / domain / name, seed)
        (data / domain / os.fsdecode(b"broken \xff\n.png")).write_bytes(b"words")
    write_recipe(tmp_path / "tiny.yaml", "cyclegan")
    arguments = ["train", "tiny.yaml", "--device", "cpu", "--set", "data.layout=unpaired", "--skip-bad"]
    refused = translate(*arguments, "--data", data, "--out", data / "run", cwd=tmp_path).ended_in_words(2)
    assert "not UTF-8" in refused.stderr and not (data / "run").exists()
    data = data.rename(tmp_path / "set \n%s -- 2 é")
    translate(*arguments, "--data", data, "--out", data / "run", cwd=tmp_path).ended_in_words(0)
    skipped = (data / "run" / "skipped.txt").read_text().splitlines()
    assert len(skipped) == 2 and all("broken \\xff\\n.png: not an image" in line for line in skipped)
    _put(data / "in" / "x.png")
    translate("convert", data / "run", data / "in", data / "out", "--to", "B", cwd=tmp_path).ended_in_words(0)
    assert set(_bytes(data / "out")) == {"x.png"}
    again = translate(*arguments, "--data", data, "--out", data / "run", "--resume", cwd=tmp_path).ended_in_words(0)
    assert "already trained for 2 steps" in again.stderr


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (9, 9)).save(buffer, "GIF")
    return buffer.getvalue()


def test_duplicate_stem(trained_tiny, tmp_path):  # noqa: F811
    write_images(tmp_path / "in", ["a.png", "a.jpg", "a.webp", "A.PNG"], size=9)
    (tmp_path / "in" / "a.gif").write_bytes(_gif())
    write_images(tmp_path / "in", ["a.gif.png"], size=12, seed=5)
    names = set(os.listdir(tmp_path / "in"))  # where the system tells A.PNG from a.png
    expected = (names - {"a.gif"}) | {"a.gif.png.png"}
    if {"A.PNG", "a.png"} <= names:
        expected = (expected - {"a.png"}) | {"a.png.png"}
    ended = _convert(trained_tiny, tmp_path).ended_in_words(0)
    assert ended.stdout.strip() == f"{len(names)} converted, 0 skipped, 0 failed"
    assert set(os.listdir(tmp_path / "out")) == OURS | expected
    assert Image.open(tmp_path / "out" / "a.gif.png").size == (12, 12)


def test_output_equals_input(trained_tiny, tmp_path):  # noqa: F811
    _put(tmp_path / "in" / "x.png")
    (tmp_path / "link").symlink_to("in")
    before = _bytes(tmp_path)
    outputs = ["in", "in/out", "./in/../in", "link", "link/deeper"]
    lines = [["convert", trained_tiny, "in", output, "--to", "zebra", "--overwrite"] for output in outputs]
    lines += [["convert", trained_tiny, "in/x.png", output, "--to", "zebra"] for output in ("link", "in/x.png")]
    for line, row in zip(lines, run_commands(lines, tmp_path), strict=True):
        assert row["code"] == 2, (line, row)
        assert ("lies inside it" if line[2] == "in" else "the output is the input") in row["stderr"], (line, row)
    assert _bytes(tmp_path) == before


def test_output_around_the_input_is_not_read_again(trained_tiny, tmp_path):  # noqa: F811
    _put(tmp_path / "photos" / "in" / "x.png")
    _convert(trained_tiny, tmp_path, "photos/in", "photos").ended_in_words(0)
    assert set(_bytes(tmp_path)) == {"photos/in/x.png", "photos/x.png"}


def test_exists(trained_tiny, tmp_path):  # noqa: F811
    for number in range(3):
        _put(tmp_path / "in" / f"{number}.png", number)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_bytes(b"mine")
    ended = _convert(trained_tiny, tmp_path).ended_in_words(0)
    assert ended.stdout.strip() == "2 converted, 1 skipped, 0 failed" and "--overwrite" in ended.stderr
    assert (tmp_path / "out" / "1.png").read_bytes() == b"mine"
    ended = _convert(trained_tiny, tmp_path, "in", "out", "--overwrite").ended_in_words(0)
    assert ended.stdout.strip() == "3 converted, 0 skipped, 0 failed"
    assert Image.open(tmp_path / "out" / "1.png").size == (9, 9)


def test_exists_is_never_half_a_file_whenever_the_command_is_killed(trained_tiny, tmp_path):  # noqa: F811
    for number in range(60):
        _put(tmp_path / "in" / f"{number}.png", number, size=150)
    _convert(trained_tiny, tmp_path, "in", "whole").ended_in_words(0)
    whole = _bytes(tmp_path / "whole")
    output = tmp_path / "out"
    rng = np.random.default_rng()
    arguments = ("convert", trained_tiny, "in", "out", "--to", "zebra", "--device", "cpu")
    for part in range(3):
        delay = 0 if part == 0 else float(rng.uniform(0, 0.02))
        ended = Child(arguments, tmp_path, program=signalled(signal.SIGKILL, rng.integers(1, 8), delay)).end()
        assert ended.code == -signal.SIGKILL, f"part {part} came to its end: {ended}"
        there = _bytes(output)
        assert 0 < len(there) < 60 and there.items() <= whole.items()
    _convert(trained_tiny, tmp_path).ended_in_words(0)
    assert _bytes(output) == whole
    left = [path for path in output.glob(".*") if path.name not in OURS and path.stat().st_size]
    assert not left, "what the killed ones had half written is cleared away"


@linux
def test_symlink_loop(trained_tiny, tmp_path):  # noqa: F811
    _put(tmp_path / "elsewhere" / "secret.png")
    inside = tmp_path / "in"
    _put(inside / "deep" / "x.png")
    (inside / "deep" / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "self.png").symlink_to("self.png")
    (inside / "out.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (inside / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (inside / "dangling.png").symlink_to("nowhere.png")
    (inside / "device.png").symlink_to("/dev/zero")
    os.mkfifo(inside / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(inside)
        server.bind("socket.png")
        ended = _convert(trained_tiny, tmp_path).ended_in_words(0)
    assert ended.stdout.strip() == "2 converted, 0 skipped, 0 failed"
    assert set(_bytes(tmp_path / "out")) == {"deep/x.png", "out.png"}
    assert "in: 1 link to a file elsewhere is followed; --no-links leaves them out" in ended.stderr
    assert "left out: 5: " in ended.stderr and "dangling.png" in ended.stderr
    ended = _convert(trained_tiny, tmp_path, "in", "other", "--no-links").ended_in_words(0)
    assert set(_bytes(tmp_path / "other")) == {"deep/x.png"} and "left out: 6: " in ended.stderr
    special = ["pipe.png", "device.png", "socket.png", "self.png"]  # named outright they are no images either
    lines = [["convert", trained_tiny, f"in/{one}", "one", "--to", "zebra"] for one in special]
    for one, row in zip(special, run_commands(lines, tmp_path), strict=True):
        says = "no such file" if one == "self.png" else "neither a file nor a folder"
        assert row["code"] == 2 and f"in/{one}: {says}" in row["stderr"], row


def _archives(folder: Path) -> list[str]:
    """Archives that would write beside the folder that they are unpacked in, with an image each."""
    image = _put(folder / "x.png").read_bytes()
    outside = str(folder / "outside.png")
    with zipfile.ZipFile(folder / "slip.zip", "w") as file:
        for name in ("trainA/1.png", "../outside.png", outside):
            file.writestr(name, image)
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")):
        with tarfile.open(folder / f"slip{suffix}", mode) as file:
            for name in ("trainA/1.png", "../outside.png", outside):
                member = tarfile.TarInfo(name)
                member.size = len(image)
                file.addfile(member, io.BytesIO(image))
            link = tarfile.TarInfo("trainA/link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            file.addfile(link)
    return ["slip.zip", "slip.tar", "slip.tar.gz", "slip.tgz", "slip.tar.xz"]


def test_archive(trained_tiny, tmp_path):  # noqa: F811
    folder = tmp_path / "a" / "b"
    names = _archives(folder)
    write_recipe(folder / "tiny.yaml", "cyclegan")
    before = set(tmp_path.rglob("*"))
    lines = [["convert", trained_tiny, name, "out", "--to", "zebra"] for name in names]
    lines += [["train", "tiny.yaml", "--data", name, "--device", "cpu", "--out", "run"] for name in names]
    lines += [["data", "check", name] for name in names]
    for line, row in zip(lines, run_commands(lines, folder), strict=True):
        assert row["code"] == 2 and "unpack it first" in row["stderr"], (line, row)
    assert set(tmp_path.rglob("*")) == before, "nothing is written, neither inside nor outside"


def test_vanish_between(trained_tiny, tmp_path):  # noqa: F811
    for number in range(60):
        _put(tmp_path / "in" / f"{number}.png", number, size=100)
    arguments = ("convert", trained_tiny, "in", "out", "--to", "zebra", "--device", "cpu")
    child = Child(arguments, tmp_path, program=signalled(signal.SIGSTOP, 1))
    child.wait_until_stopped()
    (tmp_path / "in" / "58.png").unlink()
    (tmp_path / "in" / "59.png").write_bytes(b"another thing")
    os.kill(child.process.pid, signal.SIGCONT)
    ended = child.end().ended_in_words(3)
    assert ended.stdout.strip() == "58 converted, 0 skipped, 2 failed"
    assert "failed: in/58.png: cannot be read: No such file" in ended.stderr
    assert "failed: in/59.png: not an image" in ended.stderr


def test_vanish_between_the_scan_and_a_step_of_training(tmp_path):
    data = unpaired_folder(tmp_path / "data")
    recipe = write_recipe(tmp_path / "tiny.yaml", "cyclegan", {"cache_gb": 0}, steps=100_000, log_every=1)
    child = Child(("train", recipe, "--data", data, "--device", "cpu", "--out", "run"), tmp_path)
    child.wait_until(lambda: (tmp_path / "run" / "metrics.jsonl").is_file())
    shutil.rmtree(data / "trainB")
    ended = child.end().ended_in_words(1)
    assert "data/trainB/" in ended.stderr and "No such file" in ended.stderr


def test_empty_folder(trained_tiny, tmp_path):  # noqa: F811
    write_recipe(tmp_path / "tiny.yaml", "cyclegan")
    for name in ("empty", "words", "halved/trainA", "halved/trainB"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "words" / "x.txt").write_text("words")
    _put(tmp_path / "halved" / "trainA" / "x.png")
    train = ["train", "tiny.yaml", "--device", "cpu", "--data"]
    cases = {
        "looked for PNG, JPEG": ["convert", trained_tiny, "empty", "out", "--to", "zebra"],
        "no images found": ["convert", trained_tiny, "words", "out", "--to", "zebra"],
        "no such file or folder": ["convert", trained_tiny, "nothing", "out", "--to", "zebra"],
        "Looked for: trainA/": [*train, "empty"],
        "1 other files": [*train, "words"],
        "halved/trainB: no images in it, of .bmp": [*train, "halved"],
    }
    for says, row in zip(cases, run_commands(list(cases.values()), tmp_path), strict=True):
        assert row["code"] == 2 and says in row["stderr"], (says, row)
        assert "Traceback" not in row["stderr"]
    assert not (tmp_path / "out").exists() and not (tmp_path / "runs").exists()
