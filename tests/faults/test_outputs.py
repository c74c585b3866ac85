"""Paths that users name for writing: nothing of theirs is replaced, added to or mixed up, in any command."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from fixtures_input import trained_tiny, write_recipe  # noqa: F401
from images_child import Child, signalled
from PIL import Image
from tiny import unpaired_folder, write_images

from translate.cli import main
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import Jobs, plan
from translate.inference.manifest import Manifest
from translate.inference.options import OutputOptions
from translate.inference.provenance import LOCK, MARK, Translation, locked_folder
from translate.inference.records import Outcome, Record
from translate.models.base import Request
from translate.utils.outputs import Inputs

linux = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links and files")


@pytest.fixture
def photos(tmp_path) -> Path:
    write_images(tmp_path / "in" / "sub", ["a.png", "b.png"], size=16)
    return tmp_path / "in"


def contents(folder: Path) -> dict[str, bytes]:
    """Every regular file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def require_refused(result, code: int, words: str) -> None:
    assert result.exit_code == code, result.output
    assert words in result.stderr and "Traceback" not in result.output, result.output


# Inputs


def _linked_folder(folder: Path) -> tuple[str, str]:
    (folder / "out").mkdir()
    (folder / "out" / "sub").symlink_to(folder / "in" / "sub", target_is_directory=True)
    return "in", "out"


def _linked_file(folder: Path) -> tuple[str, str]:
    (folder / "out" / "sub").mkdir(parents=True)
    (folder / "out" / "sub" / "b.png").symlink_to(folder / "in" / "sub" / "a.png")
    return "in", "out"


def _hard_link(folder: Path) -> tuple[str, str]:
    (folder / "out" / "sub").mkdir(parents=True)
    os.link(folder / "in" / "sub" / "a.png", folder / "out" / "sub" / "a.png")
    return "in", "out"


def _nested_names(folder: Path) -> tuple[str, str]:
    write_images(folder / "d" / "d" / "d", ["x.png"], size=16)
    write_images(folder / "d" / "d", ["x.png"], size=16)
    return "d/d", "d"


def _single_hard_link(folder: Path) -> tuple[str, str]:
    os.link(folder / "in" / "sub" / "a.png", folder / "b.png")
    return "in/sub/a.png", "b.png"


@linux
@pytest.mark.parametrize("more", [["--overwrite"], []])
@pytest.mark.parametrize("case", [_linked_folder, _linked_file, _hard_link, _nested_names, _single_hard_link])
def test_an_output_that_is_an_input_by_another_name_is_refused(run_cli, generator, photos, tmp_path, case, more):
    source, output = case(tmp_path)
    before = contents(tmp_path)
    result = run_cli("convert", generator, source, output, "-q", *more)
    assert result.exit_code == 2 and "input" in result.stderr, result.output
    assert contents(tmp_path) == before


@linux
def test_an_input_that_comes_to_lie_in_an_outputs_place_is_not_replaced(generator, photos, tmp_path):
    import translate

    jobs = plan(photos, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(photos / "sub", target_is_directory=True)
    before = contents(photos)
    converter: Converter = translate.load(generator, device="cpu")
    outcome = convert_folder(converter, jobs, Request.to(0), OutputOptions(overwrite=True), inputs=jobs.inputs)
    assert outcome.counts == {"failed": 2} and "is one of the inputs" in outcome.failed[0].error
    assert contents(photos) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux mounts so")
def test_another_mount_of_the_input_is_refused(generator, photos, tmp_path):
    (tmp_path / "out").mkdir()
    script = 'mount --bind in out && exec "$@"'
    under = ["unshare", "-rm", "sh", "-c", script, "sh"]
    if subprocess.run([*under, "true"], cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    before = contents(photos)
    command = [sys.executable, "-m", "translate", "convert", generator, "in", "out", "--overwrite", "--format", "jpeg"]
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [*under, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2 and "the output folder is the input folder" in ended.stderr, ended.stderr
    assert contents(photos) == before


@linux
def test_a_link_that_leads_nowhere_is_not_replaced_unasked(run_cli, generator, photos, tmp_path):
    """As git-annex keeps files that are elsewhere."""
    (tmp_path / "out" / "sub").mkdir(parents=True)
    link = tmp_path / "out" / "sub" / "a.png"
    link.symlink_to("objects/elsewhere")
    result = run_cli("convert", generator, "in", "out", "-q")
    assert result.exit_code == 0 and result.stdout.startswith("1 converted, 1 skipped")
    assert link.is_symlink()


# Every path for writing, of every command

READ = {
    ("augment", "runs"), ("compare", "runs"), ("convert", "run"), ("convert", "source"), ("convert", "truth"),
    ("evaluate", "run"), ("export", "run"), ("report", "run"), ("sample", "run"), ("serve", "runs"), ("sweep", "file"),
    ("watch", "runs"), ("downstream", "augmented"), ("evaluate", "clips"),
} | {(command, "plugin") for command in
     ("augment", "convert", "downstream", "data check", "evaluate", "explain", "export", "recipes", "sample", "schema",
      "serve", "train")}  # fmt: skip
WRITTEN = {
    ("augment", "output"), ("downstream", "json_file"),
    ("compare", "json_file"), ("convert", "compare"), ("convert", "gallery"), ("convert", "manifest"),
    ("convert", "output"), ("data fetch", "into"), ("evaluate", "json_file"), ("export", "out"),
    ("quickstart", "out"), ("sample", "output"), ("train", "out"), ("compare", "page"), ("sweep", "out"),
}  # fmt: skip


def test_every_path_that_a_command_takes_is_tried_here():
    def paths(group: click.Group, before: str = ""):
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from paths(command, f"{name} ")
            yield from (
                (before + name, option.name) for option in command.params if isinstance(option.type, click.Path)
            )

    assert set(paths(main)) == READ | WRITTEN


@pytest.fixture(scope="module")
def run(trained_tiny, tmp_path_factory) -> Path:  # noqa: F811
    """A copy of a run that may be spoilt."""
    folder = tmp_path_factory.mktemp("copied") / "run"
    shutil.copytree(trained_tiny, folder)
    return folder


IN_RUN = {
    ("augment", "output"): "augment {g} data {run}/samples/more",
    ("downstream", "json_file"): "downstream data out --json {run}/checkpoints/scores.json",
    ("convert", "output"): "convert {g} in {run}/samples/out",
    ("convert", "manifest"): "convert {g} in out --manifest {run}/rows.jsonl",
    ("convert", "gallery"): "convert {g} in out --gallery {run}/report.html --overwrite",
    ("convert", "compare"): "convert {g} in out --compare {run}/samples",
    ("train", "out"): "train tiny.yaml --data data --out {run}/checkpoints/again",
    ("export", "out"): "export {run} {run}/checkpoints/model --format hub --to zebra",
    ("sample", "output"): "sample {sampler} {sampler}/drawn",
    ("evaluate", "json_file"): "evaluate {run} --json {run}/checkpoints/scores.json",
    ("compare", "json_file"): "compare {run} --json {run}/compared.json",
    ("compare", "page"): "compare {run} --html {run}/checkpoints/compared.html",
    ("quickstart", "out"): "quickstart --out {run}/quick",
    ("sweep", "out"): "sweep sweep.yaml --out {run}/points",
    ("data fetch", "into"): "data fetch facades --into {run}/data",
}


@pytest.fixture(scope="module")
def sampler(tmp_path_factory) -> Path:
    import translate

    folder = tmp_path_factory.mktemp("sampler")
    recipe = write_recipe(folder / "gan.yaml", "gan", {"set": str(unpaired_folder(folder / "data") / "trainA")})
    return translate.train(str(recipe), out=folder / "run", device="cpu", tracking="disabled", quiet=True)


@pytest.mark.parametrize("case", sorted(WRITTEN), ids=" ".join)
def test_nothing_is_written_into_a_run_that_has_another_place(run_cli, generator, photos, tmp_path, run, sampler, case):
    unpaired_folder(tmp_path / "data")
    write_recipe(tmp_path / "tiny.yaml", "cyclegan")
    command = "command: [translate, train, tiny.yaml, --data, data, '${args_no_hyphens}']"
    points = "parameters: {training.lr: {values: [0.001, 0.002]}}"
    (tmp_path / "sweep.yaml").write_text(f"method: grid\n{points}\n{command}\n")
    line = IN_RUN[case].format(g=generator, run=run, sampler=sampler)
    before = contents(run), contents(sampler)
    require_refused(run_cli(*line.split()), 2, "lies in the run")
    assert (contents(run), contents(sampler)) == before


FOREIGN = {
    "manifest, an input": ("convert {g} in out --manifest in/sub/a.png --overwrite", "named like an image"),
    "manifest, an input without a suffix": ("convert {g} photo.png one.png --manifest link", "one of the inputs"),
    "manifest, a model": ("convert {g} in out --manifest copy.pth --overwrite", "is not one that this command wrote"),
    "manifest, notes": ("convert {g} in out --manifest notes.txt --overwrite", "is not one that this command wrote"),
    "manifest, a mark": ("convert {g} in out --manifest mark.json", "is not one that this command wrote"),
    "manifest, a pipe": ("convert {g} in out --manifest pipe", "a device, a pipe or a socket"),
    "manifest, a device": ("convert {g} in out --manifest /dev/full", "a device, a pipe or a socket"),
    "manifest and gallery": ("convert {g} in out --manifest both.html --gallery both.html", "is the manifest, too"),
    "gallery, notes": ("convert {g} in out --gallery notes.txt --overwrite", "end its name in .html"),
    "gallery, a page": ("convert {g} in out --gallery page.html", "or add --overwrite"),
    "gallery, the model": ("convert copy.pth in out --gallery model.html --overwrite", "one of the inputs"),
    "gallery, a pipe": ("convert {g} in out --gallery pipe.html --overwrite", "a device, a pipe or a socket"),
    "sheet": ("convert {g} in out --compare sheets", "sheet-00001.png: exists and is not one"),
    "export": ("export {g} notes.txt --format onnx", "--overwrite"),
    "export, the model": ("export copy.pth copy.pth --format onnx --overwrite", "one of the inputs"),
    "export, a pipe": ("export {g} pipe --format onnx --overwrite", "a device, a pipe or a socket"),
    "sample": ("sample {sampler} drawn", "--overwrite"),
    "sample, a pipe": ("sample {sampler} piped --overwrite", "a device, a pipe or a socket"),
    "evaluate": ("evaluate {run} --json notes.txt", "is not one that this command wrote"),
    "evaluate, the run's own": ("evaluate {run} --json {run}/recipe.yaml", "is not one that this command wrote"),
    "compare": ("compare {run} --json notes.txt", "is not one that this command wrote"),
    "compare, a pipe": ("compare {run} --json pipe", "a device, a pipe or a socket"),
    "train": ("train tiny.yaml --data data --out notes.txt", "is a file"),
    "train, a folder of photos": ("train tiny.yaml --data data --out in --resume", "holds other files but no run"),
    "quickstart": ("quickstart --out quick", "not a quickstart; give another --out"),
    "data fetch": ("data fetch facades --into in", "exists; use it, or remove it"),
}


@linux
@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_that_the_command_did_not_write_stays(run_cli, generator, photos, tmp_path, run, sampler, case):
    unpaired_folder(tmp_path / "data")
    write_recipe(tmp_path / "tiny.yaml", "cyclegan")
    (tmp_path / "notes.txt").write_text("mine\n")
    (tmp_path / "page.html").write_text("<!doctype html><p>mine</p>")
    (tmp_path / "mark.json").write_text('{"model": "0", "to": ["b"]}')
    shutil.copy(generator, tmp_path / "copy.pth")
    shutil.copy(photos / "sub" / "a.png", tmp_path / "photo.png")
    (tmp_path / "link").symlink_to("photo.png")
    write_images(tmp_path / "sheets", ["sheet-00001.png"])
    write_images(tmp_path / "drawn", ["00003.png"])
    write_images(tmp_path / "quick", ["comparison.png"])
    (tmp_path / "piped").mkdir()
    (tmp_path / "model.html").symlink_to("copy.pth")
    for pipe in ("pipe", "pipe.html", "piped/00000.png"):
        os.mkfifo(tmp_path / pipe)
    before = contents(tmp_path), contents(run)
    line, words = FOREIGN[case]
    require_refused(run_cli(*line.format(g=generator, run=run, sampler=sampler).split()), 2, words)
    assert (contents(tmp_path), contents(run)) == before
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


def test_what_these_commands_wrote_is_replaced_and_added_to(run_cli, generator, photos, tmp_path, run):
    (tmp_path / "rows.jsonl").touch()
    line = ("convert", run, "in", "out", "--to", "zebra", "--manifest", "rows.jsonl", "-q")
    line += ("--gallery", "page.html", "--compare", "sheets", "--cycle-error", "--device", "cpu")
    for count in (2, 4):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert run_cli(*line).exit_code == 0
        rows = (tmp_path / "rows.jsonl").read_text().splitlines()
        assert len(rows) == count and {json.loads(row)["status"] for row in rows} == {"written"}
    (tmp_path / "out" / "sub" / "a.png").unlink()  # its picture of the cycle error is there, and ours
    result = run_cli(*line)
    assert result.exit_code == 0 and result.stdout.startswith("1 converted")
    for _ in range(2):
        assert run_cli("compare", run, "--json", "compared.json").exit_code == 0


def test_a_picture_named_like_a_cycle_error_is_replaced_by_overwrite_only(run_cli, photos, tmp_path, run):
    write_images(tmp_path / "out" / "sub", ["a.png.cycle-error.png"], size=40)
    before = contents(tmp_path / "out")
    line = ("convert", run, "in", "out", "--to", "zebra", "--cycle-error", "-q", "--device", "cpu")
    result = run_cli(*line)
    require_refused(result, 3, "a.png.cycle-error.png: exists and is not one that this command wrote")
    assert result.stdout.startswith("2 converted") and before.items() <= contents(tmp_path / "out").items()
    assert run_cli(*line, "--overwrite").exit_code == 0
    assert Image.open(tmp_path / "out" / "sub" / "a.png.cycle-error.png").size == (16, 16)


# The manifest, sheets and galleries that cannot be written


@contextmanager
def files_up_to(size: int):
    """No file may grow beyond `size` bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@linux
def test_a_manifest_that_cannot_be_written_ends_nothing(run_cli, generator, tmp_path):
    write_images(tmp_path / "in", [f"{number}.png" for number in range(12)], size=8)
    line = ("convert", generator, "in", "out", "--manifest", "rows.jsonl", "-q")
    with files_up_to(1000):
        result = run_cli(*line)
    require_refused(result, 3, "missing: --manifest rows.jsonl: ")
    assert "rows could not be written: File too large" in result.stderr
    assert result.stdout.startswith("12 converted, 0 skipped, 0 failed")
    assert len(list((tmp_path / "out").glob("*.png"))) == 12
    whole, _, torn = (tmp_path / "rows.jsonl").read_text().rpartition("\n")
    before = [json.loads(row) for row in whole.splitlines()]
    assert before and torn
    assert run_cli(*line).exit_code == 0
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert len(lines) == len(before) + 1 + 12 and lines[len(before)] == torn
    there = {row["output"] for row in before}
    for row in map(json.loads, lines[len(before) + 1 :]):
        assert row["status"] == ("skipped" if row["output"] in there else "written")


@linux
def test_rows_that_could_not_be_written_are_written_once_they_can(tmp_path):
    records = [Record(Path(f"{number}.png"), Path(f"out/{number}.png"), "written") for number in range(9)]
    manifest = Manifest(tmp_path / "rows.jsonl")
    with files_up_to(500):
        for record in records[:8]:
            manifest.add(record, {})
    manifest.add(records[8], {})
    assert manifest.close() == []
    rows = [json.loads(row) for row in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["source"] for row in rows] == [str(record.source) for record in records]


@linux
def test_a_sheet_or_gallery_that_cannot_be_written_is_told_after_all_else(run_cli, generator, tmp_path):
    write_images(tmp_path / "in", [f"{number}.png" for number in range(9)], size=8)
    with files_up_to(1500):
        result = run_cli("convert", generator, "in", "out", "--compare", "sheets", "--gallery", "page.html", "-q")
    require_refused(result, 3, "missing: sheets/sheet-00001.png: File too large")
    assert "missing: page.html: File too large" in result.stderr and result.stdout.startswith("9 converted")
    assert not (tmp_path / "page.html").exists()


def test_names_of_the_greatest_length_are_shown_like_others(run_cli, run, tmp_path):
    names = [f"{'a' * length}{end}.png" for length in (234, 235, 240, 249) for end in "xy"] + ["é" * 125 + ".png"]
    write_images(tmp_path / "in", names, size=16)
    line = ("convert", run, "in", "out", "--to", "zebra", "--cycle-error", "-q", "--device", "cpu")
    result = run_cli(*line, "--compare", "sheets", "--gallery", "page.html")
    assert result.exit_code == 0, result.output
    pictures = [path.name for path in (tmp_path / "out").glob("*.cycle-error.png")]
    assert len(pictures) == len(names) and max(len(os.fsencode(name)) for name in pictures) <= 255
    assert (tmp_path / "page.html").read_text().count("cycle error</i>") == len(names)
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == {"sheet-00001.png", "sheet-00002.png"}
    assert run_cli(*line).stdout.startswith(f"0 converted, {len(names)} skipped")


# Two conversions at once


@linux
def test_two_directions_at_once_never_share_a_folder(run_cli, trained_tiny, tmp_path):  # noqa: F811
    write_images(tmp_path / "in", [f"{number}.png" for number in range(12)], size=40)
    line = ("convert", trained_tiny, "in", "out", "-q", "--device", "cpu", "--to")
    first = Child((*line, "zebra"), tmp_path, program=signalled(signal.SIGSTOP, 1))
    first.wait_until_stopped()
    try:
        for more in ((), ("--overwrite",)):
            result = run_cli(*line, "horse", *more)
            require_refused(result, 2, "another process is converting into it")
        shared = run_cli(*line, "zebra", "--shard", "1/2")
        assert shared.exit_code == 0, shared.output
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
    first.end().ended_in_words(0)
    assert json.loads((tmp_path / "out" / MARK).read_text())["to"] == ["zebra"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 12 and not (tmp_path / "out" / LOCK).exists()
    assert run_cli(*line, "zebra").exit_code == 0


def test_what_a_killed_process_left_locked_binds_nobody(tmp_path):
    rose, lily = (Translation("0" * 64, [to], False, "run") for to in ("rose", "lily"))
    folder = tmp_path / "out"
    with locked_folder(folder, rose, False):
        left = (folder / LOCK).read_bytes()
    (folder / LOCK).write_bytes(left)
    with locked_folder(folder, lily, False):
        assert json.loads((folder / LOCK).read_text())["to"] == ["lily"]
    assert not (folder / LOCK).exists()


def test_a_folder_is_whole_again_when_the_last_has_converted_it_anew(tmp_path):
    rose, lily = (Translation("0" * 64, [to], False, "run") for to in ("rose", "lily"))
    folder = tmp_path / "out"
    with locked_folder(folder, rose, False):
        write_images(folder, ["a.png"])
    with locked_folder(folder, lily, True) as one, locked_folder(folder, lily, True) as two:
        one.settle(Outcome())
        assert json.loads((folder / MARK).read_text())["mixed"], "the other has not ended yet"
        two.settle(Outcome(failed=[Record(Path("a.png"), folder / "a.png", "failed")]))
        assert json.loads((folder / MARK).read_text())["mixed"], "a.png is still the other translation's"
        two.settle(Outcome())
    assert not json.loads((folder / MARK).read_text())["mixed"] and not (folder / LOCK).exists()


def test_inputs_are_looked_at_only_if_an_output_is_there(tmp_path):
    looked = []
    names = [f"{number}.png" for number in range(2000)]
    jobs = Jobs(tmp_path / "in", tmp_path / "out", names, lambda name: name)
    jobs.inputs = Inputs(lambda: looked.append(1) or [])
    jobs.refuse_inputs()
    (tmp_path / "out").mkdir()
    jobs.refuse_inputs()
    assert not looked
    (tmp_path / "out" / "7.png").write_bytes(b"")
    jobs.refuse_inputs()
    assert looked == [1]
