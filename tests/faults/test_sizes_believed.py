"""Files that say more than they hold, or are none: nothing is built, read or waited for because a file says so."""

from __future__ import annotations

import gzip
import json
import os
import resource
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from file_mutants import originals
from tiny import CPU, SPEC, put, tiny_model, write_images

from translate.data.catalog.description import describe
from translate.data.catalog.unpack import unpack
from translate.data.labelled.opening import open_labelled
from translate.data.layouts.listing import iterate_images
from translate.errors import ConfigurationError, TranslateError
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.foreign import read_generator
from translate.inference.formats.hub import FILES, write_hub
from translate.inference.formats.port import write_port
from translate.inference.formats.source import placed
from translate.inference.formats.torch_export import write as write_torch
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.inference.provenance import MARK, Translation, begin_translation
from translate.models.base import ImageTranslator, Request
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator
from translate.recipe import load_recipe
from translate.reporting.report import write_report
from translate.runs.folder import claimed
from translate.runs.loading import load_model
from translate.training.checkpoint import load_checkpoint
from translate.utils.atomic_files import clear_leftovers

unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of Unix")


def _named(name: str) -> str:
    """The part of a message that names the file, or the folder that is nothing without it."""
    return {"step-00000001": "step-00000001", "hub": "hub"}.get(Path(name).parent.name, Path(name).name)


@contextmanager
def in_bounds(seconds: float = 10, megabytes: float = 300) -> Iterator[None]:
    """Context that fails if this process takes more of its own time, or grows by more."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - began < seconds
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < megabytes


@pytest.fixture
def files(tmp_path: Path) -> Path:
    originals(tmp_path / "ours")
    return tmp_path / "ours"


HUGE = {
    "filters": {"generator": {"filters": 2000}},
    "filters beyond 64 bits": {"generator": {"filters": 10**17}},
    "blocks": {"generator": {"blocks": 10**7}},
    "a discriminator": {"discriminator": {"filters": 50_000}},
    "a pool": {"pool": 10**7},
    "another kind": {"generator": {"kind": "unet", "filters": 4000, "levels": 4, "blocks": None}},
}


@pytest.mark.parametrize("fault", HUGE)
def test_a_hub_folder_that_describes_more_than_its_weights_is_refused_before_it_is_built(files, fault):
    path = files / "hub" / "config.json"
    config = json.loads(path.read_text())
    for key, value in HUGE[fault].items():
        section = config["recipe"]["model"]
        section[key] = {**section[key], **value} if isinstance(value, dict) else value
    if fault == "another kind":
        config["recipe"]["model"]["generator"] = {"kind": "unet", "filters": 4000, "levels": 4}
    path.write_text(json.dumps(config))
    with in_bounds(), pytest.raises(TranslateError, match=r"hub: it describes a network (far larger|too large)"):
        load_model(files / "hub")


@pytest.mark.parametrize("change", [{"format": 2}, {"size": 10**9}, {"domains": "ab"}, {"groups": [{"size": 5}]}])
def test_a_hub_folder_of_a_later_format_or_another_type_is_refused(files, change):
    path = files / "hub" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TranslateError, match=rf"config\.json: .*{next(iter(change))}"):
        load_model(files / "hub")


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return port_state(ResnetGenerator(3, 3, filters=2, blocks=1, downsamplings=1))


def test_a_published_file_with_a_stride_of_0_is_refused(tmp_path):
    state = _state()
    state["model.1.weight"] = torch.zeros(1).expand(30_000, 30_000, 7, 7)
    torch.save(state, tmp_path / "stride.pth")
    with in_bounds(), pytest.raises(ConfigurationError, match=r"model\.1\.weight is \(30000, .*does not hold so many"):
        read_generator(tmp_path / "stride.pth")


def test_a_published_file_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    torch.save({"a": torch.zeros(3_000_000)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w", 8) as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    with pytest.raises(ConfigurationError, match="it unpacks to 12,"):
        read_generator(tmp_path / "bomb.pth")


def test_a_published_file_whose_keys_name_a_network_without_end_is_refused(tmp_path):
    for name, keys in {
        "deep": {"model.99999999.conv_block.1.weight": torch.zeros(2, 2, 3, 3)},
        "flat": {"model.1.weight": torch.zeros(3)},
    }.items():
        state = {key: value for key, value in _state().items() if "conv_block" not in key or name == "flat"} | keys
        torch.save(state, tmp_path / f"{name}.pth")
        with in_bounds(), pytest.raises(ConfigurationError, match=rf"{name}\.pth: neither a run of ours nor"):
            read_generator(tmp_path / f"{name}.pth")


def test_weights_that_are_not_finite_are_refused_by_name_wherever_they_come_from(files, tmp_path):
    state = _state()
    state["model.1.weight"][0, 0, 0, 0] = float("inf")
    torch.save(state, tmp_path / "spoilt.pth")
    with pytest.raises(ConfigurationError, match=r"spoilt\.pth: .*weight is not finite"):
        read_generator(tmp_path / "spoilt.pth")


class _Spoiling(ImageTranslator):
    """Gives no finite output for images that are not grey."""

    stride = 1

    def translate(self, images, request):
        colourful = (images.amax(1) > images.amin(1)).flatten(1).any(1)
        return torch.where(colourful[:, None, None, None], float("nan"), -images)

    def targets(self):
        return [1]


def test_a_picture_that_is_not_finite_is_a_failed_item_and_no_black_file(tmp_path):
    write_images(tmp_path / "photos", ["colourful.png"], size=8)
    from PIL import Image

    for name in ("a", "b"):
        Image.new("L", (8, 8), 200).save(tmp_path / "photos" / f"{name}.png")
    jobs = plan(tmp_path / "photos", tmp_path / "out")
    outcome = convert_folder(Converter(_Spoiling(), SPEC, CPU), jobs, Request.to(1), OutputOptions(batch=3))
    assert outcome.counts == {"written": 2, "failed": 1}
    assert "colourful.png: the network's output has numbers that are not finite" in outcome.failed[0].error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_digits_that_inflate_are_refused_before_they_do(tmp_path):
    header = bytes([0, 0, 8, 3]) + struct.pack(">III", 10**6, 28, 28)
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(header + bytes(10_000_000))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 1) + b"\0")
    with in_bounds(), pytest.raises(ConfigurationError, match=r"train-images-idx3-ubyte\.gz: announces 784,000,000"):
        open_labelled(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with gzip.open(tmp_path / "zip.train.gz", "wb") as file:
        file.write(b"0 " * 20_000_000)
    with in_bounds(), pytest.raises(ConfigurationError, match=r"zip\.train\.gz: .*unpacks to far more"):
        open_labelled(tmp_path)


def test_two_hundred_thousand_labels_are_refused_in_seconds(tmp_path):
    put(tmp_path, "0.png")
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{n}.png,name{n}\n" for n in range(200_000)))
    with in_bounds(), pytest.raises(ConfigurationError, match=r"labels\.csv: column label: 200,000 different labels"):
        open_labelled(tmp_path)
    (tmp_path / "labels.csv").write_text("file," + ",".join(f"a{n}" for n in range(20_000)) + "\n0.png,1\n")
    with in_bounds(), pytest.raises(ConfigurationError, match=r"labels\.csv, line 1: 20,001 different labels"):
        open_labelled(tmp_path)
    (tmp_path / "labels.csv").unlink()
    names = " ".join(f"a{n}" for n in range(20_000))
    (tmp_path / "list_attr.txt").write_text(f"{names}\n0.png 1\n")
    with in_bounds(), pytest.raises(ConfigurationError, match=r"list_attr\.txt, line 1: 20,000 different labels"):
        open_labelled(tmp_path)


def test_a_description_or_a_table_of_gigabytes_is_refused_unread(tmp_path):
    put(tmp_path, "0.png")
    for name in ("dataset.yaml", "labels.csv", "mine.yaml"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(3 << 30)
    for read in (lambda: describe(tmp_path), lambda: load_recipe(tmp_path / "mine.yaml")):
        with in_bounds(), pytest.raises(ConfigurationError, match="larger than 32768 bytes"):
            read()
    (tmp_path / "dataset.yaml").unlink()
    with in_bounds(), pytest.raises(ConfigurationError, match="the most that is read"):
        open_labelled(tmp_path)


@unix
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("run/checkpoints/latest", lambda home: load_model(home / "run")),
        ("run/checkpoints/step-00000001/manifest.json", lambda home: load_model(home / "run")),
        ("run/checkpoints/step-00000001/checkpoint.json", lambda home: load_model(home / "run")),
        ("run/checkpoints/step-00000001/model.safetensors", lambda home: load_model(home / "run")),
        ("run/summary.json", lambda home: write_report(home / "run")),
        ("run/metrics.jsonl", lambda home: write_report(home / "run")),
        ("run/doctor.jsonl", lambda home: write_report(home / "run")),
        ("hub/config.json", lambda home: load_model(home / "hub")),
        ("hub/model.safetensors", lambda home: load_model(home / "hub")),
        ("out/" + MARK, lambda home: begin_translation(home / "out", Translation("0", ["a"], False, "x"), False)),
        ("set/dataset.yaml", lambda home: describe(home / "set")),
        ("mine.yaml", lambda home: load_recipe(home / "mine.yaml")),
        ("a.pth", lambda home: read_generator(home / "a.pth")),
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_a_files_place_is_refused_and_not_waited_for(files, name, read, kind):
    (files / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(files / name)
    else:
        (files / name).symlink_to("/dev/zero")
    with in_bounds(), pytest.raises(TranslateError, match=_named(name)):
        read(files)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """1,100 folders, each in the one before; removed again, for nothing that removes folders can."""
    root, home = tmp_path / "deep", os.getcwd()
    root.mkdir()
    try:
        os.chdir(root)
        for _ in range(1100):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(home)
    yield root
    while (root / "d").exists():
        if (root / "d" / "d").exists():
            (root / "d" / "d").rename(root / "next")
        (root / "d").rmdir()
        if (root / "next").exists():
            (root / "next").rename(root / "d")


def test_folders_far_too_deep_are_named(deep, tmp_path):
    with pytest.raises(ConfigurationError, match="more than 200 folders within folders"):
        list(iterate_images(deep))
    put(tmp_path / "fine" / "/".join("d" * 150), "x.png")
    assert len(list(iterate_images(tmp_path / "fine"))) == 1


@contextmanager
def no_room(limit: int) -> Iterator[None]:
    """Context in which no file can grow beyond `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@unix
def test_an_export_that_finds_no_room_is_said_and_leaves_nothing(tmp_path):
    program = torch.export.export(torch.nn.Linear(300, 300), (torch.zeros(2, 300),))

    class Nothing:
        def to_metadata(self):
            return {}

    def graph():
        with placed(tmp_path / "x.pt2") as path:
            write_torch(program, path, Nothing())

    for name, export in {
        "x.pth": lambda: write_port(tmp_path / "x.pth", {"a": torch.zeros(100_000)}),
        "x.pt2": graph,
    }.items():
        with no_room(20_000), pytest.raises(TranslateError, match=rf"{name}: cannot be written: "):
            export()
    assert not list(tmp_path.iterdir())


@unix
@pytest.mark.parametrize("before", [True, False])
def test_a_hub_folder_that_finds_no_room_is_as_it_was(tmp_path, before):
    facts = {"recipe": {"name": "x" * 30_000, "model": {"name": "unit"}, "data": {}, "training": {}}}
    facts |= {"step": 1, "size": 8, "channels": 3}
    if before:
        (tmp_path / "new" / "hub").mkdir(parents=True)
        for name in FILES:
            (tmp_path / "new" / "hub" / name).write_text("of an earlier export")
    held = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with no_room(20_000), pytest.raises(TranslateError, match=r"hub/config\.json: cannot be written: "):
        write_hub(tmp_path / "new" / "hub", {"a": torch.zeros(10)}, facts, ["b"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == held
    assert before or not list(tmp_path.iterdir())


def test_what_killed_processes_left_is_cleared_in_runs_samples_and_fetched_data(tmp_path):
    recipe, run = load_recipe("cyclegan"), tmp_path / "run"
    left = ".translate-0123abcd-0123456789abcdef.part"
    for folder in (run, run / "samples"):
        folder.mkdir()
        (folder / left).write_bytes(b"")
        (folder / "step.png").write_bytes(b"kept")
    for name in ("recipe.yaml", "metrics.jsonl"):  # as of a run
        (run / name).touch()
    with claimed(run, recipe, True):
        assert not (run / left).exists() and not (run / "samples" / left).exists()
    assert (run / "step.png").exists() and (run / "samples" / "step.png").exists()


@unix
def test_a_killed_fetch_is_cleared_by_the_next_and_a_running_one_is_let_be(tmp_path):
    import signal

    put(tmp_path / "src", "a.png")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "src" / "a.png", "set/a.png")
        archive.writestr("set/b.png", b"x")
    data = tmp_path / "data"
    data.mkdir()
    if (child := os.fork()) == 0:
        import translate.data.catalog.unpack as module

        module._copy = lambda content, file, *_: (
            file.write(b"half"),
            file.flush(),
            os.kill(os.getpid(), signal.SIGKILL),
        )
        try:
            unpack(tmp_path / "set.zip", data / "one", {})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [path.suffix for path in data.iterdir()] == [".tmp"]
    unpack(tmp_path / "set.zip", data / "two", {"dataset.yaml": "title: x\n"})
    assert [path.name for path in data.iterdir()] == ["two"]
    from translate.utils.atomic_files import hidden_folder

    with hidden_folder(data / "three") as working:
        (working / "x").write_text("x")
        clear_leftovers(data)
        assert working.exists(), "it is locked by this process"


def test_the_model_that_is_loaded_is_the_one_that_was_saved(files):
    """What refuses too much refuses nothing that is right."""
    loaded = load_model(files / "run")
    wanted = load_checkpoint(files / "run" / "checkpoints").weights()
    assert all(torch.equal(value, loaded.model.state_dict()[key]) for key, value in wanted.items())
    assert load_model(files / "hub").recipe.model == loaded.recipe.model
    assert tiny_model("cyclegan").state_dict().keys() == loaded.model.state_dict().keys()
    assert np.isfinite(loaded.images.span).all()
