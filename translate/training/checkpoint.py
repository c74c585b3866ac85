"""Checkpoints: self-describing folders of safetensors and JSON, written whole or not at all.

    checkpoints/step-00001000/   model.safetensors      the networks' weights
                                 average.safetensors    their moving average, if the recipe keeps one
                                 training.safetensors   optimizers, image pools, running sums
                                 training.rank1.safetensors, ...   image pools of the other processes, if any
                                 checkpoint.json        step, recipe, domains, versions, validation
                                 manifest.json          size and SHA-256 of each file above
    checkpoints/latest, best     pointer files: the name of one of these folders, which follows from what they hold

Checkpoints contain no pickle, so reading one never runs code, whatever the file.
"""

import errno
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from translate.errors import ConfigurationError, TranslateError
from translate.training.checkpoint_json import Facts, Manifest, read_facts
from translate.utils.atomic_files import atomic_file, atomic_folder, clear_leftovers, remove_folder, sha256_of
from translate.utils.stored import UnreadableError, json_text, read_json, read_text
from translate.utils.tensor_file import read_tensors

Tensors = Mapping[str, Tensor]
MOST_OF_A_POINTER = 100
_DIGITS = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint. Its tensors are read on demand."""

    folder: Path
    facts: Facts

    @property
    def step(self) -> int:
        return self.facts["step"]

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of `part` (model, average, training), on the CPU; empty if the checkpoint lacks that part.

        Raises TranslateError if the file is not one of tensors, or was removed since the checkpoint was verified.
        """
        path = self.folder / f"{part}.safetensors"
        if not self.folder.is_dir():
            raise _removed(self.folder)
        try:
            return read_tensors(path) if path.exists() else {}
        except FileNotFoundError as error:
            raise _removed(self.folder) from error
        except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise TranslateError(f"{path}: not a file of tensors ({error})") from error

    def weights(self) -> dict[str, Tensor]:
        """The weights to convert with: the networks' weights, with averages in place of those the recipe averages."""
        return {**self.tensors("model"), **self.tensors("average")}


def save_checkpoint(checkpoints: Path, step: int, parts: Mapping[str, Tensors], facts: Mapping[str, Any]) -> Path:
    """Writes step-NNNNNNNN whole or not at all, flushed to disk, and points `latest` to it.

    Raises TranslateError if the disk is full or not writable; earlier checkpoints stay intact.
    """
    final = checkpoints / folder_name(step)
    _clear(checkpoints)
    try:
        with atomic_folder(final) as working:
            _write_checkpoint(working, parts, {**facts, "step": step})
        _to_disk(checkpoints)
        point(checkpoints, "latest", step)
    except (OSError, SafetensorError) as error:
        reason = "the disk is full" if _no_room(error) else str(error)
        raise TranslateError(
            f"{final}: could not be saved ({reason}); earlier ones are kept. Make room and run again with --resume"
        ) from error
    return final


def _write_checkpoint(folder: Path, parts: Mapping[str, Tensors], facts: Mapping[str, Any]) -> None:
    for part, tensors in parts.items():
        if tensors:
            path = folder / f"{part}.safetensors"
            save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, path)
    (folder / "checkpoint.json").write_text(json_text(facts, indent=1) + "\n")
    manifest = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in folder.iterdir()}
    (folder / "manifest.json").write_text(json_text(manifest, indent=1) + "\n")
    for path in [*folder.iterdir(), folder]:
        _to_disk(path)


def _no_room(error: Exception) -> bool:
    # safetensors says it in Rust's message alone.
    said = re.search(r"os error (\d+)", str(error))
    number = error.errno if isinstance(error, OSError) else int(said[1]) if said else None
    return number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def point(checkpoints: Path, pointer: str, step: int) -> None:
    """Points `latest` or `best` to the checkpoint of `step`."""
    with atomic_file(checkpoints / pointer) as working:
        working.write_text(folder_name(step) + "\n")
        _to_disk(working)


def pointed(checkpoints: Path, pointer: str) -> int | None:
    """The step that `latest` or `best` points to; None if the pointer does not exist.

    Raises ConfigurationError if it is no pointer.
    """
    path = checkpoints / pointer
    if not os.path.lexists(path):
        return None
    try:
        step = _step_of(read_text(path, MOST_OF_A_POINTER).strip())
    except UnreadableError:
        step = None
    if step is None:
        raise ConfigurationError(
            f"{path}: not a pointer to a checkpoint; --resume writes it again, or name a step (saved steps: "
            f"{_listed(checkpoints)})"
        )
    return step


def settle(checkpoints: Path, newest: Checkpoint) -> None:
    """Makes `latest` and `best` say what the checkpoints hold, of which `newest` verifies: a killed process may have
    saved it without pointing to it. Those of earlier versions do not say which was best."""
    for pointer, step in (("latest", newest.step), ("best", newest.facts.get("best"))):
        if step is None or not (checkpoints / folder_name(step)).is_dir():
            continue
        try:
            right = pointed(checkpoints, pointer) == step
        except ConfigurationError:
            right = False
        if not right:
            point(checkpoints, pointer, step)


def load_checkpoint(checkpoints: Path, which: str = "latest") -> Checkpoint:
    """Loads and verifies `latest`, `best`, or a checkpoint by step number or folder name.

    Raises ConfigurationError if it does not exist, and TranslateError as `verify` does.
    """
    number = which.removeprefix("step-")
    step = int(number) if _DIGITS.fullmatch(number) else pointed(checkpoints, which)
    if step is None or not (checkpoints / folder_name(step)).is_dir():
        raise ConfigurationError(f"{checkpoints}: no checkpoint '{which}' (saved steps: {_listed(checkpoints)})")
    return _of_step(checkpoints, step)


def _listed(checkpoints: Path) -> str:
    return ", ".join(str(step) for step in saved_steps(checkpoints)) or "none"


def newest_good(checkpoints: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint (by step number, not time) that verifies, and the reasons why newer ones failed."""
    damaged: list[str] = []
    for step in reversed(saved_steps(checkpoints)):
        try:
            return _of_step(checkpoints, step), damaged
        except TranslateError as error:
            damaged.append(str(error))
    return None, damaged


def _of_step(checkpoints: Path, step: int) -> Checkpoint:
    checkpoint = verify(checkpoints / folder_name(step))
    if checkpoint.step != step:
        raise _damaged(checkpoint.folder, f"it says that it is of step {checkpoint.step}")
    return checkpoint


def verify(folder: Path) -> Checkpoint:
    """Checks the size and SHA-256 of every file. Raises TranslateError naming what is missing or damaged."""
    try:
        manifest: Manifest = read_json(folder / "manifest.json", Manifest)
        unlisted = {"checkpoint.json", *(path.name for path in folder.glob("*.safetensors"))} - manifest.keys()
        if unlisted:
            raise TranslateError(f"{folder / 'manifest.json'}: does not list {', '.join(sorted(unlisted))}")
        for name, expected in manifest.items():
            path, status = folder / name, (folder / name).stat()
            whole = stat.S_ISREG(status.st_mode) and status.st_size == expected["bytes"]
            if not whole or sha256_of(path) != expected["sha256"]:
                raise TranslateError(f"{path}: damaged (its size or SHA-256 is not the one written when it was saved)")
        return Checkpoint(folder, read_facts(folder / "checkpoint.json", Facts))
    except (OSError, UnreadableError) as error:
        raise (_damaged(folder, error) if folder.is_dir() else _removed(folder)) from error


def _damaged(folder: Path, why: object) -> TranslateError:
    return TranslateError(f"{folder}: incomplete or damaged checkpoint ({why})")


def _removed(folder: Path) -> TranslateError:
    return TranslateError(
        f"{folder}: removed while it was read, as by a training that keeps only its newest checkpoints; run this again"
    )


def prune(checkpoints: Path, keep: int, every: int | None = None) -> None:
    """Removes old checkpoints and what interrupted saves left, but nothing unless the newest checkpoint verifies.

    Keeps the newest `keep`, `best`, `latest` and every step divisible by `every`.
    """
    steps = saved_steps(checkpoints)
    if not steps:
        return
    verify(checkpoints / folder_name(steps[-1]))
    kept = {*steps[-keep:], pointed(checkpoints, "best"), pointed(checkpoints, "latest")}
    if every:
        kept |= {step for step in steps if step % every == 0}
    for step in set(steps) - kept:
        remove_folder(checkpoints / folder_name(step))
    _clear(checkpoints)


def _clear(checkpoints: Path) -> None:
    """Removes what killed processes left; only the process that trains here may do so."""
    clear_leftovers(checkpoints, alone=True)
    for leftover in checkpoints.glob(".step-*.tmp"):  # of earlier versions
        shutil.rmtree(leftover, ignore_errors=True)


def saved_steps(checkpoints: Path) -> list[int]:
    """The steps of the checkpoints in the folder, ascending."""
    found = (_step_of(path.name) for path in checkpoints.glob("step-*") if path.is_dir())
    return sorted(step for step in found if step is not None)


def folder_name(step: int) -> str:
    """The name of the folder of that step's checkpoint."""
    return f"step-{step:08d}"


def rank_part(rank: int) -> str:
    """The name of the part with the state of process `rank` alone; for rank 0 this is all of `training`."""
    return f"training.rank{rank}" if rank else "training"


def _step_of(name: str) -> int | None:
    digits = name.removeprefix("step-")
    return int(digits) if name.startswith("step-") and _DIGITS.fullmatch(digits) else None


def _to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder for fsync: there the rename must do
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
