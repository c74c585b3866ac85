"""Checkpoints that were cut off, damaged, forged, or had no room."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from child import STEPS, Workplace, hashes, kill_at_backward, limited, steps

MOMENTS = {
    "in the tensors": ("import safetensors.torch as place", "save_file", "training.safetensors", ""),
    "before the rename": ("import os as place", "replace", "step-00000006", ""),
    "after it": ("import os as place", "replace", "step-00000006", "original(*args, **kwargs)"),
}


@pytest.mark.parametrize(
    "moment", ["in the tensors", "after it", pytest.param("before the rename", marks=pytest.mark.slow)]
)
def test_kill9_during_save_leaves_the_checkpoint_before(place: Workplace, undisturbed: Path, moment: str) -> None:
    module, function, name, first = MOMENTS[moment]
    hook = f"""
        import os, signal
        {module}
        original, calls = place.{function}, 0

        def fatal(*args, **kwargs):
            global calls
            calls += str(args[1]).endswith({name!r})
            if calls == (3 if {name!r} == "training.safetensors" else 1):
                {first or "pass"}
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        place.{function} = fatal
    """
    recipe = place.recipe("pix2pix")
    assert place.train(recipe, hook=hook).code == -9
    run = place.folder / "run"
    whole = 6 if moment == "after it" else 4
    assert steps(run) == list(range(2, whole + 1, 2))
    assert bool(list((run / "checkpoints").glob(".*.tmp"))) == (moment != "after it")
    resumed = place.train(recipe, "run", "--resume")
    assert resumed.code == 0 and f"resuming after step {whole}" in resumed.err, resumed.err
    assert not list((run / "checkpoints").glob(".*.tmp")), "what the killed saving left is cleared away"
    assert hashes(run) == hashes(undisturbed)


def _truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _empty(content: bytes) -> bytes:
    return b""


def _flip_bit(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    ("fault", "damage"),
    [
        ("truncated_ckpt", _truncate),
        pytest.param("zero_byte_ckpt", _empty, marks=pytest.mark.slow),
        ("bitflip_ckpt", _flip_bit),
    ],
)
def test_truncated_ckpt_zero_byte_ckpt_bitflip_ckpt(place, trained, undisturbed, fault: str, damage) -> None:
    """Named; the one before is used with --resume; asked for by name it ends the command with exit code 1."""
    path = trained / "checkpoints" / f"step-{STEPS:08d}" / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    given = place.run("convert", path.parent, place.photos(), "out", "--device", "cpu")
    assert given.code == 1 and f"{path.relative_to(place.folder)}: damaged" in given.err, given.err
    resumed = place.train("pix2pix.yaml", "run", "--resume")
    assert resumed.code == 0, resumed.err
    assert f"warning: {path.relative_to(place.folder)}: damaged" in resumed.err
    assert "resuming after step 6" in resumed.err
    assert hashes(trained) == hashes(undisturbed)


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_malicious_pickle_zip_and_raw_are_refused_by_name(place: Workplace, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.save({"model.1.weight": _Evil(marker)}, tmp_path / "zip.pth")
    torch.save({"model.1.weight": _Evil(marker)}, tmp_path / "raw.pth", _use_new_zipfile_serialization=False)
    assert zipfile.is_zipfile(tmp_path / "zip.pth") and not zipfile.is_zipfile(tmp_path / "raw.pth")
    recipe = place.recipe("unit", perceptual=1.0, perceptual_weights="raw.pth")
    tried = [place.run("convert", name, place.photos(), "out") for name in ("zip.pth", "raw.pth")]
    tried.append(place.train(recipe))
    for ended, name in zip(tried, ("zip.pth", "raw.pth", "raw.pth"), strict=True):
        assert ended.code == 1, ended.err
        assert f"{name}: not a file of weights: loading it would call {os.system.__module__}.system," in ended.err
        assert "Traceback" not in ended.err and "weights_only=False" not in ended.err
    assert not marker.exists()


def test_wrong_arch_is_told_by_its_keys(place: Workplace, trained: Path) -> None:
    """The weights of a pix2pix in a checkpoint that says CycleGAN."""
    other = place.train(place.recipe("cyclegan", {"steps": 1, "checkpoint_every": 1}), "other")
    assert other.code == 0, other.err
    folder = place.folder / "other" / "checkpoints" / "step-00000001"
    source = trained / "checkpoints" / f"step-{STEPS:08d}"
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("model.safetensors", "average.safetensors"):
        content = (source / name).read_bytes()
        (folder / name).write_bytes(content)
        manifest[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for ended in (
        place.run("convert", "other", place.photos(), "out", "--to", "flat", "--device", "cpu"),
        place.train("cyclegan.yaml", "other", "--resume", "--set", "training.steps=2"),
    ):
        assert ended.code == 1 and "made by another model" in ended.err and "generator_a" in ended.err, ended.err
    refused = place.train("cyclegan.yaml", "run", "--resume")
    assert refused.code == 2 and "model.name" in refused.err, "a run is not continued by another method"


def test_disk_full_ckpt_keeps_the_last_good_one(place: Workplace, undisturbed: Path) -> None:
    """No file may be as large as the optimizers' moments."""
    recipe = place.recipe("pix2pix")
    others = ("metrics.jsonl", "model.safetensors", "average.safetensors", "step-*.png")
    sizes = [path.stat().st_size for name in others for path in undisturbed.rglob(name)]
    assert place.train(recipe, "run", hook=kill_at_backward(5)).code == -9  # after the first checkpoint
    limit = (undisturbed / "checkpoints" / f"step-{STEPS:08d}" / "training.safetensors").stat().st_size - 1
    assert limit > max(sizes), "only the optimizers' file is to find no room"
    full = place.train(recipe, "run", "--resume", hook=limited(limit))
    run = place.folder / "run"
    assert full.code == 1 and "could not be saved (the disk is full)" in full.err, full.err
    assert "Make room" in full.err and "Traceback" not in full.err
    assert steps(run) == [2] and not list((run / "checkpoints").glob(".*"))
    resumed = place.train(recipe, "run", "--resume")
    assert resumed.code == 0 and hashes(run) == hashes(undisturbed), resumed.err


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of Unix")
def test_readonly_out_is_found_before_training(place: Workplace) -> None:
    """As root, whom permissions do not stop, a folder below a file stands in."""
    recipe = place.recipe("pix2pix")
    locked = place.folder / "locked"
    if os.geteuid():
        locked.mkdir(mode=0o555)
    else:
        locked.write_text("a file")
    ended = place.train(recipe, "locked/run")
    assert ended.code == 2 and "locked/run: cannot be written" in ended.err, ended.err
    assert "give another --out" in ended.err and "step" not in ended.out


def test_keep_last_k_and_clock_back(place: Workplace, home: Path) -> None:
    """The newest two, every fifth, the best and the latest are kept; steps decide what is new, whatever the clock."""
    recipe = place.recipe("pix2pix", {"steps": 10, "checkpoint_every": 1, "validate_every": 1, "keep": 2})
    assert place.train(recipe, "run", "--set", "training.keep_every=5").code == 0
    run = place.folder / "run"
    best = int((run / "checkpoints" / "best").read_text().strip().removeprefix("step-"))
    assert steps(run) == sorted({5, 9, 10, best})
    assert (run / "checkpoints" / "latest").read_text().strip() == "step-00000010"
    for number, step in enumerate(steps(run)):
        os.utime(run / "checkpoints" / f"step-{step:08d}", (10**9 - number, 10**9 - number))
    on = place.train(recipe, "run", "--resume", "--set", "training.keep_every=5", "--set", "training.steps=10")
    assert on.code == 0 and "resuming after step 10" in on.err
