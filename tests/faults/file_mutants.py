"""Files of ours, damaged at random: recipes, cards, what lies in runs, checkpoints and hub folders, marks, metadata.

python tests/faults/file_mutants.py FOLDER COUNT [FIRST]

Mutant N is the same in every process. Each is read by what reads that file in a command, in this process, which may not
ask for much memory; prints, as JSON, how many were read and refused, the slowest, by how much memory grew, and the
tracebacks of those that ended otherwise than in words.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from tiny import TINY, random_batch, tiny_model, tiny_trainer

ROOM = 2 << 30
"""Bytes of memory that reading may ask for beyond what the program has."""
STEP = "step-00000001"
RECIPE = """name: tiny
model: {name: cyclegan, pool: 3, generator: {kind: resnet, filters: 4, blocks: 1}, discriminator: {filters: 4}}
data: {set: horses, size: 16, load_size: 18}
training: {steps: 2, lr: 1e-4, network_lr: {generator_a: 1e-3}}
"""
CARD = """title: Horses
layout: labelled
domains: [a, b, c]
alternatives: [[a, b]]
licence: CC0
"""
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 10**7, 2**31, 2**63, 10**40, 1e308, float("inf"), float("nan"), "", "x", "\0", "../../x",
    "ä" * 70_000, [], {}, [[]], {"": {}}, ["a"] * 5000, [1, 2, 3], "\x1b[2J",
)  # fmt: skip
"""What a value of a file may be by mistake or malice."""


@dataclass(frozen=True)
class Kind:
    """One kind of file: its path below the folder of originals, and what reads it there."""

    path: str
    read: Callable[[Path], object]
    listed: bool = False
    """Whether a manifest beside it lists it."""


def originals(folder: Path) -> None:
    """A run of a tiny CycleGAN after one step, its hub folder, a marked folder and a described one."""
    from translate.inference.formats.exported import Description
    from translate.inference.formats.hub import write_hub
    from translate.inference.provenance import Translation, mark
    from translate.recipe import parse_recipe
    from translate.training.checkpoint import Checkpoint, load_checkpoint, point, save_checkpoint
    from translate.training.state import checkpoint_parts

    trainer = tiny_trainer(tiny_model("cyclegan"))
    trainer.step(random_batch(trainer.model))
    recipe = parse_recipe(
        {"name": "tiny", "model": TINY["cyclegan"], "data": {"size": 16}, "training": {"steps": 2}}, "x"
    )
    facts = {
        "format": 1, "recipe": recipe.to_json(), "channels": 3, "size": 16, "domains": ["a", "b"], "groups": [],
        "alternatives": [], "span": [0.0, 1.0], "skipped": {"a.png": "not an image"}, "best_l1": 0.5, "best": 1,
        "images": {"A": {"count": 6, "names": "0" * 64}}, "processes": 1, "accumulate": 1, "pending": False,
        "total": 2, "validation": {"to b": {"l1": 0.5, "psnr": None}}, "versions": {"translate": "1"},
    }  # fmt: skip
    checkpoints = folder / "run" / "checkpoints"
    save_checkpoint(checkpoints, 1, checkpoint_parts(trainer), facts)
    point(checkpoints, "best", 1)
    saved: Checkpoint = load_checkpoint(checkpoints)
    write_hub(folder / "hub", saved.weights(), saved.facts, ["a", "b"])
    run = folder / "run"
    (run / "recipe.yaml").write_text(recipe.to_yaml())
    row = {"step": 1, "time": 1.5, "generators/adversarial": 0.5, "validation to b/l1": "NaN"}
    (run / "metrics.jsonl").write_text(f"{json.dumps(row)}\n" * 3)
    entry = {"value": 0.5, "untouched input": 0.4, "protocol": "two images"}
    (run / "summary.json").write_text(json.dumps({"to b, l1": entry}))
    finding = {"kind": "copy", "step": 1, "measure": "m", "value": 0.5, "remedy": "none"}
    (run / "doctor.jsonl").write_text(f"{json.dumps(finding)}\n" * 2)
    score = {"table": "t", "name": "n", "value": 0.5, "floor": {"input": None}, "protocol": {"model": "m", "images": 3}}
    (run / "evaluation-latest.json").write_text(json.dumps([score]))
    (folder / "out").mkdir()
    mark(folder / "out", Translation("0" * 64, ["a"], False, "tiny"))
    (folder / "set").mkdir()
    (folder / "set" / "dataset.yaml").write_text(CARD)
    (folder / "mine.yaml").write_text(RECIPE)
    description = Description("tiny", ("a", "b"), "b", 3, 4, "floats", "1", (0.0, 1.0))
    (folder / "metadata.json").write_text(json.dumps(description.to_metadata()))


def _model(folder: Path) -> object:
    from translate.runs.loading import load_model

    return load_model(folder)


def _resumed(checkpoints: Path) -> object:
    from translate.training.checkpoint import load_checkpoint
    from translate.training.state import restore_checkpoint

    return restore_checkpoint(tiny_trainer(tiny_model("cyclegan")), load_checkpoint(checkpoints))


def _looked_at(run: Path) -> object:
    from translate.reporting.report import write_report
    from translate.runs.comparing.run_files import read_run
    from translate.training.diagnostics import read_findings

    write_report(run)
    read_findings(run / "doctor.jsonl")
    files = read_run(run)
    return files.state(), files.validated()


def _claimed(folder: Path) -> object:
    from translate.inference.provenance import MARK, held_in

    return str(held_in(folder / MARK, forgiving=False))


def _metadata(path: Path) -> object:
    from translate.inference.formats.exported import Description

    text = path.read_bytes().decode(errors="replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    # A map of words to words, whatever they say.
    found = found if isinstance(found, dict) else dict.fromkeys(Description.__dataclass_fields__, text)
    return Description.from_metadata({str(key): str(value) for key, value in found.items()})


def _recipe(path: Path) -> object:
    from translate.recipe import load_recipe

    return load_recipe(path).to_yaml()


def _described(folder: Path) -> object:
    from translate.data.catalog.description import describe

    return describe(folder)


KINDS = (
    Kind("mine.yaml", lambda home: _recipe(home / "mine.yaml")),
    Kind("set/dataset.yaml", lambda home: _described(home / "set")),
    Kind(f"run/checkpoints/{STEP}/checkpoint.json", lambda home: _model(home / "run"), listed=True),
    Kind(f"run/checkpoints/{STEP}/checkpoint.json", lambda home: _resumed(home / "run/checkpoints"), listed=True),
    Kind(f"run/checkpoints/{STEP}/manifest.json", lambda home: _model(home / "run")),
    Kind(f"run/checkpoints/{STEP}/model.safetensors", lambda home: _model(home / "run"), listed=True),
    Kind(f"run/checkpoints/{STEP}/training.safetensors", lambda home: _resumed(home / "run/checkpoints"), listed=True),
    Kind("run/checkpoints/latest", lambda home: _model(home / "run")),
    Kind("hub/config.json", lambda home: _model(home / "hub")),
    Kind("hub/config.json", lambda home: _model(home / "hub")),
    Kind("out/.translate.json", lambda home: _claimed(home / "out")),
    Kind("metadata.json", lambda home: _metadata(home / "metadata.json")),
    Kind("run/recipe.yaml", lambda home: _looked_at(home / "run")),
    Kind("run/metrics.jsonl", lambda home: _looked_at(home / "run")),
    Kind("run/summary.json", lambda home: _looked_at(home / "run")),
    Kind("run/doctor.jsonl", lambda home: _looked_at(home / "run")),
    Kind("run/evaluation-latest.json", lambda home: _looked_at(home / "run")),
)


def mutated(content: bytes, path: str, rng: random.Random) -> bytes:
    if path.endswith(".safetensors"):
        length = int.from_bytes(content[:8], "little")
        header = _changed(content[8 : 8 + length], True, rng)
        size = len(header) if rng.random() < 0.8 else rng.choice([0, 1, 2**31, 2**63, length])
        return size.to_bytes(8, "little") + header + content[8 + length :]
    if path.endswith(".jsonl"):
        first, *others = content.splitlines(keepends=True)
        return b"".join([first, _changed(first.strip(), True, rng), b"\n", *others])
    return _changed(content, path.endswith(".json"), rng)


def _changed(content: bytes, is_json: bool, rng: random.Random) -> bytes:
    """Of JSON, usually a value; else bytes."""
    if is_json and rng.random() < 0.75:
        value = json.loads(content)
        for _ in range(rng.choice([1, 1, 2])):
            value = _with_another_value(value, rng)
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
        return text.replace('"DEEP"', "[" * 30_000 + "]" * 30_000).encode("utf-8", "surrogatepass")
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place, end = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
        noise = rng.choice([b"", bytes(rng.randrange(256) for _ in range(8)), b"[" * 50_000, b"9" * 50, b"\xff", b"\0"])
        translate = rng.choice(["replace", "insert", "cut", "swap"])
        if translate == "cut":
            del data[place:]
        elif translate == "swap":
            data[place : place + 4] = data[end : end + 4]
        else:
            data[place : place + (len(noise) if translate == "replace" else 0)] = noise
    return bytes(data)


def _with_another_value(value: Any, rng: random.Random) -> Any:
    """Goes down at random, and changes, removes or adds what is there."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        changed = value.copy()
        if rng.random() < 0.12:
            del changed[key]
        else:
            changed[key] = _with_another_value(value[key], rng)
        return changed
    return rng.choice([*VALUES, "DEEP", str(value), [value], {"a": value}])


def _listed(path: Path) -> None:
    manifest = json.loads((path.parent / "manifest.json").read_text())
    content = path.read_bytes()
    manifest[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (path.parent / "manifest.json").write_text(json.dumps(manifest))


def fuzz(folder: Path, count: int, first: int = 0) -> dict[str, Any]:
    from translate.errors import TranslateError

    originals(folder / "whole")
    for kind in KINDS:
        kind.read(folder / "whole")
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    before, loss_meter, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, Counter[str](), (0.0, "")
    wrong: dict[str, str] = {}
    for number in range(first, first + count):
        rng, kind = random.Random(number), KINDS[number % len(KINDS)]
        home = folder / "mutant"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(folder / "whole", home)
        path = home / kind.path
        path.write_bytes(mutated(path.read_bytes(), kind.path, rng))
        if kind.listed:
            _listed(path)
        began = time.process_time()
        try:
            kind.read(home)
            loss_meter["read"] += 1
        except TranslateError as error:
            loss_meter["refused"] += 1
            assert str(error), number
        except Exception:
            wrong[f"{number}, {kind.path}"] = traceback.format_exc()[-1500:]
        slowest = max(slowest, (time.process_time() - began, f"{number}, {kind.path}"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"wrong": wrong, **loss_meter, "seconds": slowest[0], "slowest": slowest[1], "grown_mb": grown}


if __name__ == "__main__":
    json.dump(fuzz(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:])), sys.stdout)
