"""Checkpoints: whole or not at all, verified, and free of code."""

import errno
import json
import os

import pytest
import torch

from translate.errors import ConfigurationError, TranslateError
from translate.training import checkpoint as module
from translate.training.checkpoint import (
    load_checkpoint,
    newest_good,
    point,
    pointed,
    prune,
    save_checkpoint,
    saved_steps,
    verify,
)

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.zeros(2)}


def _save(folder, step, **facts):
    return save_checkpoint(folder, step, {"model": WEIGHTS, "average": {}}, facts)


def test_what_is_saved_is_loaded(tmp_path):
    channels_last = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path, 7, {"model": {**WEIGHTS, "conv": channels_last}}, {"domains": ["a", "b"]})
    loaded = load_checkpoint(tmp_path)
    assert loaded.step == 7 and loaded.facts["domains"] == ["a", "b"]
    assert torch.equal(loaded.tensors("model")["layer.weight"], WEIGHTS["layer.weight"])
    assert torch.equal(loaded.tensors("model")["conv"], channels_last)
    assert loaded.tensors("average") == {}
    assert pointed(tmp_path, "latest") == 7


def test_a_flipped_bit_a_cut_file_and_a_missing_one_are_found(tmp_path):
    _save(tmp_path, 1)
    path = tmp_path / "step-00000001" / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], b""):
        path.write_bytes(damaged)
        with pytest.raises(TranslateError, match=r"model\.safetensors: damaged"):
            load_checkpoint(tmp_path)
    path.unlink()
    with pytest.raises(TranslateError, match="incomplete or damaged checkpoint"):
        load_checkpoint(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "step-00000001" / "manifest.json").write_text("{")
    with pytest.raises(TranslateError, match="incomplete or damaged checkpoint"):
        verify(tmp_path / "step-00000001")


def test_the_newest_good_one_is_found_by_number_not_by_time(tmp_path):
    for step in (5, 100, 20):
        _save(tmp_path, step)
    os.utime(tmp_path / "step-00000100", (0, 0))
    assert newest_good(tmp_path)[0].step == 100
    (tmp_path / "step-00000100" / "model.safetensors").write_bytes(b"")
    found, damaged = newest_good(tmp_path)
    assert found.step == 20 and "step-00000100" in damaged[0]


def test_a_saving_that_is_cut_off_leaves_the_last_one(tmp_path, monkeypatch):
    _save(tmp_path, 1)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        _save(tmp_path, 2)
    monkeypatch.undo()
    assert saved_steps(tmp_path) == [1] and load_checkpoint(tmp_path).step == 1
    _save(tmp_path, 3)
    prune(tmp_path, keep=5)
    assert not list(tmp_path.glob(".*.tmp")), "what the killed saving left is cleared away"


def test_a_full_disk_is_named_and_leaves_the_last_one(tmp_path, monkeypatch):
    _save(tmp_path, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(TranslateError, match="the disk is full"):
        _save(tmp_path, 2)
    assert saved_steps(tmp_path) == [1]
    assert not list(tmp_path.glob(".*.tmp"))


def test_pruning_keeps_the_newest_and_the_best(tmp_path):
    for step in range(1, 7):
        _save(tmp_path, step)
    point(tmp_path, "best", 2)
    prune(tmp_path, keep=2)
    assert saved_steps(tmp_path) == [2, 5, 6]


def test_pruning_keeps_every_nth_and_what_latest_names(tmp_path):
    for step in range(1, 8):
        _save(tmp_path, step)
    point(tmp_path, "latest", 4)
    prune(tmp_path, keep=1, every=3)
    assert saved_steps(tmp_path) == [3, 4, 6, 7]


def test_what_converts_is_averaged_where_there_is_an_average(tmp_path):
    averaged = {"layer.bias": torch.ones(2)}
    save_checkpoint(tmp_path, 1, {"model": WEIGHTS, "average": averaged}, {})
    weights = load_checkpoint(tmp_path).weights()
    assert torch.equal(weights["layer.weight"], WEIGHTS["layer.weight"]) and torch.equal(
        weights["layer.bias"], torch.ones(2)
    )


def test_all_is_on_the_disk_before_a_name_points_to_it(tmp_path, monkeypatch):
    """Else a machine that loses its power keeps the name and loses what it names."""
    flushed, renamed = set(), []
    fsync, replace = os.fsync, os.replace

    def noting_flush(file):
        flushed.add(os.fstat(file).st_ino)
        fsync(file)

    def noting_rename(source, target):
        inside = [source, *(source.iterdir() if source.is_dir() else [])]
        renamed.append((target.name, [path.name for path in inside if path.stat().st_ino not in flushed]))
        flushed.clear()
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_flush)
    monkeypatch.setattr(os, "replace", noting_rename)
    _save(tmp_path, 1)
    assert renamed == [("step-00000001", []), ("latest", [])]


def test_the_rename_itself_is_on_the_disk_before_latest_names_the_folder(tmp_path, monkeypatch):
    flushed, point_to = [], module.point
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino) or fsync(file))
    before = []
    monkeypatch.setattr(module, "point", lambda *names: before.extend(flushed) or point_to(*names))
    _save(tmp_path, 1)
    assert before[-1] == tmp_path.stat().st_ino


def test_nothing_is_removed_while_the_newest_is_damaged(tmp_path):
    for step in (1, 2, 3):
        _save(tmp_path, step)
    (tmp_path / "step-00000003" / "model.safetensors").write_bytes(b"")
    with pytest.raises(TranslateError):
        prune(tmp_path, keep=1)
    assert saved_steps(tmp_path) == [1, 2, 3]


def test_a_missing_checkpoint_says_which_there_are(tmp_path):
    _save(tmp_path, 3)
    for which in ("9", "best"):
        with pytest.raises(ConfigurationError, match="saved steps: 3"):
            load_checkpoint(tmp_path, which)


def test_a_checkpoint_holds_no_pickle(tmp_path):
    folder = _save(tmp_path, 1, recipe={"name": "x"})
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
    assert json.loads((folder / "checkpoint.json").read_text())["recipe"] == {"name": "x"}
