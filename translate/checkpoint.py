"""Checkpoints: self-describing folders of safetensors and JSON, written whole or not at all.

    checkpoints/step-00001000/   model.safetensors      the networks' weights
                                 average.safetensors    their moving average, if the recipe keeps one
                                 training.safetensors   optimizers, image pools, running sums
                                 training.rank1.safetensors, ...   image pools of the other processes, if any
                                 checkpoint.json        step, recipe, domains, versions, validation
                                 manifest.json          size and SHA-256 of each file above
    checkpoints/latest, best     pointer files: the name of one of these folders

Checkpoints contain no pickle, so reading one never runs code, whatever the file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from translate.errors import ConfigurationError, TranslateError
from translate.json_text import json_text
from translate.whole_file import appearing, clear_leftovers, sha256_of

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint. Its tensors are read on demand."""

    folder: Path
    facts: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.facts["step"])

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of `part` (model, average, training), on the CPU; empty if the checkpoint lacks that part."""
        path = self.folder / f"{part}.safetensors"
        return load_file(path) if path.exists() else {}

    def weights(self) -> dict[str, Tensor]:
        """The weights to convert with: the networks' weights, with averages in place of those the recipe averages."""
        return {**self.tensors("model"), **self.tensors("average")}


def save_checkpoint(checkpoints: Path, step: int, parts: Mapping[str, Tensors], facts: Mapping[str, Any]) -> Path:
    """Writes step-NNNNNNNN under a temporary name, flushes it to disk, renames it and points `latest` to it.

    Raises TranslateError if the disk is full or not writable; earlier checkpoints stay intact.
    """
    final = checkpoints / folder_name(step)
    working = checkpoints / f".{final.name}.{os.getpid()}.tmp"
    try:
        working.mkdir(parents=True)
        for part, tensors in parts.items():
            if tensors:
                path = working / f"{part}.safetensors"
                save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, path)
        _write_json(working / "checkpoint.json", {**facts, "step": step})
        manifest = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in working.iterdir()}
        _write_json(working / "manifest.json", manifest)
        for path in [*working.iterdir(), working]:
            _to_disk(path)
        if final.exists():
            shutil.rmtree(final)
        os.replace(working, final)
        _to_disk(checkpoints)
        point(checkpoints, "latest", step)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(working, ignore_errors=True)
        reason = "the disk is full" if _no_room(error) else str(error)
        raise TranslateError(
            f"{final}: could not be saved ({reason}); earlier ones are kept. Make room and run again with --resume"
        ) from error
    return final


def _no_room(error: Exception) -> bool:
    """Whether the error means no space left, quota exceeded or file too large; safetensors reports it only in Rust's
    message."""
    said = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(said[1]) if said else None
    return number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def point(checkpoints: Path, pointer: str, step: int) -> None:
    """Points `latest` or `best` to the checkpoint of `step`, atomically."""
    with appearing(checkpoints / pointer) as working:
        working.write_text(folder_name(step) + "\n")
        _to_disk(working)


def pointed(checkpoints: Path, pointer: str) -> int | None:
    """The step that `latest` or `best` points to; None if the pointer does not exist."""
    path = checkpoints / pointer
    return _step_of(path.read_text().strip()) if path.is_file() else None


def load_checkpoint(checkpoints: Path, which: str = "latest") -> Checkpoint:
    """Loads `latest`, `best`, or a checkpoint by step number or folder name, and verifies it against its manifest.

    Raises ConfigurationError if it does not exist, and TranslateError naming the damaged file if it fails verification.
    """
    number = which.removeprefix("step-")
    step = int(number) if number.isdecimal() else pointed(checkpoints, which)
    if step is None or not (checkpoints / folder_name(step)).is_dir():
        saved = ", ".join(str(step) for step in saved_steps(checkpoints)) or "none"
        raise ConfigurationError(f"{checkpoints}: no checkpoint '{which}' (saved steps: {saved})")
    return verify(checkpoints / folder_name(step))


def newest_good(checkpoints: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint (by step number, not time) that verifies, and the reasons why newer ones failed."""
    damaged: list[str] = []
    for step in reversed(saved_steps(checkpoints)):
        try:
            return verify(checkpoints / folder_name(step)), damaged
        except TranslateError as error:
            damaged.append(str(error))
    return None, damaged


def verify(folder: Path) -> Checkpoint:
    """Checks the size and SHA-256 of every file. Raises TranslateError naming what is missing or damaged."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        for name, expected in manifest.items():
            path = folder / name
            if path.stat().st_size != expected["bytes"] or sha256_of(path) != expected["sha256"]:
                raise TranslateError(f"{path}: damaged (its size or SHA-256 is not the one written when it was saved)")
        return Checkpoint(folder, json.loads((folder / "checkpoint.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TranslateError(f"{folder}: incomplete or damaged checkpoint ({error})") from error


def prune(checkpoints: Path, keep: int, every: int | None = None) -> None:
    """Removes old checkpoints, and what interrupted saves left behind.

    Keeps the newest `keep`, `best`, `latest` and every step divisible by `every`. Removes nothing unless the newest
    checkpoint verifies.
    """
    steps = saved_steps(checkpoints)
    if not steps:
        return
    verify(checkpoints / folder_name(steps[-1]))
    kept = {*steps[-keep:], pointed(checkpoints, "best"), pointed(checkpoints, "latest")}
    if every:
        kept |= {step for step in steps if step % every == 0}
    for step in set(steps) - kept:
        shutil.rmtree(checkpoints / folder_name(step))
    for leftover in checkpoints.glob(".*.tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    clear_leftovers(checkpoints)


def saved_steps(checkpoints: Path) -> list[int]:
    """The steps of the checkpoints in the folder, ascending."""
    found = [_step_of(path.name) for path in checkpoints.glob("step-*") if path.is_dir()]
    return sorted(step for step in found if step is not None)


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def rank_part(rank: int) -> str:
    """The name of the part with the state of process `rank` alone; for rank 0 this is all of `training`."""
    return f"training.rank{rank}" if rank else "training"


def _step_of(name: str) -> int | None:
    digits = name.removeprefix("step-")
    return int(digits) if name.startswith("step-") and digits.isdigit() else None


def _write_json(path: Path, value: object) -> None:
    path.write_text(json_text(value, indent=1) + "\n")


def _to_disk(path: Path) -> None:
    # Windows cannot open a folder for fsync; there the rename alone must do.
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
