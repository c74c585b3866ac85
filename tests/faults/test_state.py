"""Checkpoints whose files are sound, each for itself, and do not belong together: forged, or of another version."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import random_batch, tiny_model, tiny_trainer

from translate.errors import TranslateError
from translate.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, settle
from translate.training.optim import WeightAverage
from translate.training.state import checkpoint_parts, restore_checkpoint
from translate.training.trainer import Trainer

Tensors = dict[str, torch.Tensor]


def _trainer(model: str = "cyclegan", seed: int = 0) -> Trainer:
    built = tiny_model(model, seed)
    generators = {name: net for name, net in built.named_children() if name.startswith("generator")}
    return tiny_trainer(built, average=WeightAverage(generators, 0.9))


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoint:
    trainer = _trainer()
    for seed in range(2):
        trainer.step(random_batch(trainer.model, seed=seed))
    save_checkpoint(tmp_path, 2, checkpoint_parts(trainer), {"accumulate": 1})
    return load_checkpoint(tmp_path)


def _forge(folder: Path, name: str, content: bytes) -> None:
    """Writes a file and a manifest that fits it."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _change(folder: Path, part: str, change: Callable[[Tensors], object]) -> None:
    tensors = load_file(folder / f"{part}.safetensors")
    change(tensors)
    save_file(tensors, folder / f"{part}.safetensors")
    _forge(folder, f"{part}.safetensors", (folder / f"{part}.safetensors").read_bytes())


MOMENT = "optimizer/generator_a/0/exp_avg"
FORGERIES: dict[str, tuple[str, Callable[[Tensors], object], str]] = {
    "another shape": ("training", lambda t: t.update({MOMENT: torch.zeros(3)}), rf"{MOMENT}: expected float32 \(4, 3"),
    "a scalar": ("training", lambda t: t.update({MOMENT: torch.zeros(())}), MOMENT),
    "another type": ("training", lambda t: t.update({MOMENT: t[MOMENT].double()}), f"{MOMENT}.*found float64"),
    "one moment": ("training", lambda t: t.pop(MOMENT), f"{MOMENT}: missing"),
    "steps of a shape": ("training", lambda t: t.update({"optimizer/generator_a/0/step": torch.ones(9)}), "0/step"),
    "a weight too many": ("training", lambda t: t.update({"optimizer/generator_a/999/step": torch.ones(())}), "/999/"),
    "no number": ("training", lambda t: t.update({"optimizer/generator_a/x/step": torch.ones(())}), "/x/step: unknown"),
    "no optimizer": (
        "training",
        lambda t: [t.pop(key) for key in list(t) if key.startswith("optimizer/generator_a/")],
        "optimizer/generator_a/.*missing",
    ),
    "another pool": (
        "training",
        lambda t: t.update({"model/pool_a.images": torch.zeros(1)}),
        "images: expected",
    ),
    "a pool overfull": ("training", lambda t: t.update({"model/pool_a.stored": torch.tensor(9)}), "expected 0 to 3"),
    "a pool below 0": ("training", lambda t: t.update({"model/pool_a.stored": torch.tensor(-5)}), "expected 0 to 3"),
    "losses of a shape": ("training", lambda t: t.update({"sum/generator/x": torch.ones(4)}), "sum/generator/x"),
    "skips of a shape": ("training", lambda t: t.update({"skips/generators": torch.ones(7)}), "skips/generators"),
    "no updates": ("training", lambda t: t.pop("average/updates"), "average/updates: missing"),
    "no average": ("average", lambda t: [t.pop(key) for key in list(t)[1:]], "average.safetensors: .*missing"),
    "an average of a shape": ("average", lambda t: t.update({next(iter(t)): torch.zeros(1)}), "average.safetensors"),
    "a weight of a type": ("model", lambda t: t.update({"generator_a.head.bias": torch.ones(3).long()}), "found int64"),
    "a weight of a shape": ("model", lambda t: t.update({"generator_a.head.bias": torch.ones(4)}), r"found .*\(4,\)"),
    "a spoilt weight": (
        "model",
        lambda t: t["generator_a.head.bias"].fill_(float("nan")),
        "generator_a.head.bias is not finite",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_tensor_that_does_not_belong_is_named_before_any_is_put_back(saved, forgery):
    part, change, told = FORGERIES[forgery]
    _change(saved.folder, part, change)
    trainer = _trainer(seed=1)
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    with pytest.raises(TranslateError, match=told) as error:
        restore_checkpoint(trainer, load_checkpoint(saved.folder.parent))
    assert str(saved.folder) in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in trainer.model.state_dict().items())
    assert trainer.steps == 0 and not any(optimizer.state for optimizer in trainer.optimizers.values())


def test_the_training_part_of_another_network_is_refused(saved, tmp_path):
    other = _trainer("pix2pix")
    other.step(random_batch(other.model))
    save_checkpoint(tmp_path / "other", 1, checkpoint_parts(other), {})
    theirs = (tmp_path / "other" / "step-00000001" / "training.safetensors").read_bytes()
    _forge(saved.folder, "training.safetensors", theirs)
    with pytest.raises(TranslateError, match="does not belong"):
        restore_checkpoint(_trainer(), load_checkpoint(tmp_path))


def test_a_turn_that_was_not_due_yet_or_was_always_skipped_needs_no_moments(tmp_path):
    for kind, facts in (("stargan", {}), ("pix2pix", {})):
        trainer = tiny_trainer(tiny_model(kind))
        batch = random_batch(trainer.model)
        if kind == "pix2pix":
            batch = batch.map(lambda images: images * float("nan"))
        trainer.step(batch)
        save_checkpoint(tmp_path / kind, 1, checkpoint_parts(trainer), facts)
        restore_checkpoint(tiny_trainer(tiny_model(kind)), load_checkpoint(tmp_path / kind))


# What the JSON files say.

FACTS = {
    "deep": ("checkpoint.json", "[" * 100_000, "recursion limit"),
    "a list": ("checkpoint.json", "[]", "an object"),
    "steps in words": ("checkpoint.json", '{"step": "2"}', "step: "),
    "below 0": ("checkpoint.json", '{"step": -2}', "step: "),
    "endless": ("checkpoint.json", '{"step": 1' + "0" * 5000 + "}", "out of range"),
    "no group": ("checkpoint.json", '{"step": 2, "groups": [{"size": 3}]}', "groups.0.exclusive: "),
    "a later format": ("checkpoint.json", '{"step": 2, "format": 2}', "its format is 2.* upgrade"),
    "another step": ("checkpoint.json", '{"step": 7}', "it says that it is of step 7"),
    "parts of a process": ("checkpoint.json", '{"step": 2, "processes": 0}', "processes: "),
    "an empty manifest": ("manifest.json", "{}", r"does not list average.safetensors, checkpoint.json"),
    "a list as manifest": ("manifest.json", "[1]", "an object"),
    "a deep manifest": ("manifest.json", '{"a":' * 100_000, "recursion limit"),
    "a way out": ("manifest.json", '{"../../x.json": {"bytes": 1, "sha256": "' + "0" * 64 + '"}}', "manifest.json"),
}


@pytest.mark.parametrize("fault", FACTS)
def test_facts_and_manifests_are_read_as_what_they_should_be(saved, fault):
    name, text, told = FACTS[fault]
    if name == "manifest.json":
        (saved.folder / name).write_text(text)
    else:
        _forge(saved.folder, name, text.encode())
    with pytest.raises(TranslateError, match=told) as error:
        load_checkpoint(saved.folder.parent)
    assert str(saved.folder) in str(error.value)


def test_a_checkpoint_of_the_first_version_is_completed_with_what_it_did_not_say_and_resumes(saved):
    _forge(saved.folder, "checkpoint.json", b'{"format": 1, "step": 2, "images": {}}')
    facts = load_checkpoint(saved.folder.parent).facts
    assert (facts["processes"], facts["accumulate"], facts["pending"]) == (1, 1, False)
    assert (facts["groups"], facts["alternatives"], facts["skipped"], facts["images"]) == ([], [], {}, {})
    trainer = _trainer()
    restore_checkpoint(trainer, load_checkpoint(saved.folder.parent))
    assert (trainer.steps, trainer.accumulate) == (2, 1)
    _forge(saved.folder, "checkpoint.json", b'{"format": 1, "step": 2, "accumulate": 4}')
    assert load_checkpoint(saved.folder.parent).facts["accumulate"] == 4


def test_a_file_that_is_not_of_tensors_is_named_however_well_the_manifest_fits(saved):
    for content in (b"", b"{}", b"\xff" * 100, b"\x10" + b"\0" * 7 + b'{"a":{"dtype":"'):
        _forge(saved.folder, "model.safetensors", content)
        with pytest.raises(TranslateError, match=r"model\.safetensors: not a file of tensors"):
            load_checkpoint(saved.folder.parent).weights()


def test_a_checkpoint_removed_while_it_is_read_is_said(saved):
    saved.folder.rename(saved.folder.with_name("gone"))
    with pytest.raises(TranslateError, match=r"removed while it was read.*run this again"):
        saved.weights()


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"", b"../../x", b"step-" + b"9" * 100_000, None])
def test_a_pointer_that_is_none_is_named_and_written_anew(saved, content):
    pointer = saved.folder.parent / "latest"
    pointer.unlink()
    if content is None:
        pointer.mkdir()
    else:
        pointer.write_bytes(content)
    with pytest.raises(TranslateError, match=r"latest: not a pointer.*saved steps: 2"):
        load_checkpoint(saved.folder.parent)
    assert load_checkpoint(saved.folder.parent, "2").step == 2
    if content is not None:
        settle(saved.folder.parent, saved)
        assert load_checkpoint(saved.folder.parent).step == 2


def test_saving_clears_what_killed_ones_left_whatever_their_process_number(tmp_path, monkeypatch):
    """In containers, the next process has the same number."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    for name in (".step-00000002.1.tmp", ".translate-0123abcd-0123456789abcdef.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".translate-0123abcd-0123456789abcdef.part").write_bytes(b"")
    folder = save_checkpoint(tmp_path, 2, {"model": {"a": torch.zeros(1)}}, {})
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "latest"}
    assert re.fullmatch("step-[0-9]{8}", folder.name)
