"""Files are seen whole or not at all, and what a killed process leaves is cleared by the next conversion, no more."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_converter import Negative
from tiny import CPU, SPEC, tiny_model, write_images

from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.sampling import sample_folder
from translate.models.base import Request
from translate.utils import atomic_files as whole_file
from translate.utils.atomic_files import atomic_file, atomic_folder, clear_leftovers, write_atomic

PACKAGE = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from translate.utils.atomic_files import atomic_file

with atomic_file(Path(sys.argv[1])) as working:
    working.write_text("half")
    print(flush=True)
    sys.stdin.readline()
    working.write_text("whole")
"""
unix = pytest.mark.skipif(sys.platform == "win32", reason="nothing is cleared where there are no such locks")


class Writer:
    """A process in the middle of writing `path`."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path], cwd=PACKAGE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline(), "it has begun"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def finish(self) -> int:
        self.process.communicate(b"\n")
        return self.process.returncode


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _convert(tmp_path: Path) -> None:
    jobs = plan(tmp_path / "photos", tmp_path / "out")
    convert_folder(Converter(Negative(), SPEC, CPU), jobs, Request.to(1))


def test_what_is_half_written_is_hidden_and_gone_after_a_failure(tmp_path):
    path = tmp_path / "x.txt"
    write_atomic(path, "ä")
    with pytest.raises(KeyError), atomic_file(path, ".txt") as working:
        working.write_text("half")
        assert working.name.startswith(".") and working.suffix == ".txt" and working.parent == tmp_path
        raise KeyError
    assert _names(tmp_path) == {"x.txt"} and path.read_text(encoding="utf-8") == "ä"


def test_a_name_of_any_length_is_written(tmp_path):
    name = 251 * "x" + ".txt"
    write_atomic(tmp_path / name, "whole")
    assert (tmp_path / name).read_text() == "whole"


@unix
def test_a_conversion_clears_what_a_killed_one_left_in_its_folders(tmp_path):
    write_images(tmp_path / "photos", ["1.png"])
    write_images(tmp_path / "photos" / "deep", ["1.png"])
    for folder in (tmp_path / "out", tmp_path / "out" / "deep", tmp_path / "out" / "elsewhere"):
        folder.mkdir()
        Writer(folder / "1.png").kill()
    _convert(tmp_path)
    assert _names(tmp_path / "out") == {"1.png", "deep", "elsewhere"}
    assert _names(tmp_path / "out" / "deep") == {"1.png"}
    assert len(_names(tmp_path / "out" / "elsewhere")) == 1, "no output lies there: not looked into"


@unix
def test_a_conversion_leaves_alone_what_a_running_process_writes(tmp_path):
    write_images(tmp_path / "photos", ["1.png"])
    (tmp_path / "out").mkdir()
    writer = Writer(tmp_path / "out" / "of another part.png")
    _convert(tmp_path)
    assert len(_names(tmp_path / "out")) == 2
    assert writer.finish() == 0
    assert (tmp_path / "out" / "of another part.png").read_text() == "whole"
    assert _names(tmp_path / "out") == {"1.png", "of another part.png"}


@unix
def test_only_files_that_are_surely_ours_are_cleared(tmp_path):
    Writer(tmp_path / "x.png").kill()
    (ours,) = _names(tmp_path)
    assert re.fullmatch(r"\.translate-[0-9a-f]{8}-[0-9a-f]{16}\.part", ours)
    machine, token = ours.removesuffix(".part").split("-")[1:]
    of_another_machine = f".translate-{machine[::-1]}x-{token}.part"
    others = {of_another_machine, f".{token}.part", f"{ours}.txt", ours[1:], "x.part", ".translate"}
    for name in others:
        (tmp_path / name).write_text("of somebody")
    link, folder = ours.replace(token, 16 * "a"), ours.replace(token, 16 * "b")
    (tmp_path / link).symlink_to(tmp_path / "x.part")
    (tmp_path / folder).mkdir()
    (tmp_path / ours.replace(token, 16 * "c")).touch()
    clear_leftovers(tmp_path)
    assert _names(tmp_path) == others | {link}
    clear_leftovers(tmp_path / "nowhere")


@unix
@pytest.mark.parametrize("makes", [atomic_file, atomic_folder])
def test_what_is_cleared_before_it_is_locked_is_made_again(tmp_path, monkeypatch, makes):
    lock, cleared = whole_file._lock, []

    def late(descriptor, path):
        if not cleared:
            clear_leftovers(tmp_path)
            cleared.append(path.exists())
        return lock(descriptor, path)

    monkeypatch.setattr(whole_file, "_lock", late)
    with makes(tmp_path / "x") as working:
        clear_leftovers(tmp_path)
        assert working.exists(), "it is locked now"
    assert cleared == [False] and _names(tmp_path) == {"x"}


@unix
def test_a_text_and_samples_clear_what_a_killed_process_left_beside_them(tmp_path):
    for folder in (tmp_path, tmp_path / "drawn"):
        folder.mkdir(exist_ok=True)
        Writer(folder / "x.json").kill()
    write_atomic(tmp_path / "x.json", "{}")
    assert _names(tmp_path) == {"x.json", "drawn"}
    sample_folder(tiny_model("cgan"), tmp_path / "drawn", 1)
    assert not list((tmp_path / "drawn").rglob(".*"))
