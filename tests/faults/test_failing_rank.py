"""Faults of training in several processes, without torchrun: nobody but themselves ends those that are left."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
from patience import PATIENCE
from ranks import ranks
from warm import Warm

from translate.reporting.tracking import read_metrics
from translate.training.checkpoint import newest_good, saved_steps

HERE = Path(__file__).resolve().parent


def start(folder: Path, how: str) -> list[Warm]:
    """Two processes on 7 images beside 4, of which each takes 3 a step, for two epochs."""
    for split in ("train", "test"):
        for domain, count in (("A", 7), ("B", 4)):
            tiny.write_images(folder / "data" / f"{split}{domain}", [f"{index}.png" for index in range(count)])
    training = {"epochs": 2, "batch_size": 3, "log_every": 1, "checkpoint_every": 2, "precision": "float32"}
    recipe = {"model": tiny.TINY["cyclegan"], "data": {"size": tiny.SIZE, "load_size": 18}, "training": training}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(HERE / "failing_rank.py"), how, "recipe.yaml", "data"]
    return ranks(command, folder, {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path})


@dataclass(frozen=True)
class Ended:
    """What two processes left, the first of them by itself: exit code of the first, and what each printed."""

    folder: Path
    code: int
    errors: str
    printed: list[str]


def run_to_the_end(folder: Path, how: str) -> Ended:
    first, second = start(folder, how)
    try:
        printed, errors = first.communicate(timeout=PATIENCE)
    finally:
        for process in (first, second):
            process.kill()
        rest, _ = second.communicate()
    return Ended(folder, first.returncode, errors, [printed, rest])


def require_a_whole_checkpoint_and_an_error(ended: Ended) -> None:
    assert ended.code == 1, ended.errors
    assert "another one has ended or does not answer" in ended.errors and "--resume" in ended.errors
    assert "Traceback" not in ended.errors
    checkpoints = ended.folder / "failed" / "checkpoints"
    assert saved_steps(checkpoints) == [2] and not list(checkpoints.glob(".*"))
    checkpoint, damaged = newest_good(checkpoints)
    assert checkpoint is not None and not damaged
    assert (ended.folder / "failed" / "report.html").is_file()


@pytest.fixture(scope="module")
def dead(tmp_path_factory) -> Ended:
    return run_to_the_end(tmp_path_factory.mktemp("dies"), "dies")


def test_uneven_data_takes_equal_steps_on_every_rank_and_ends(dead):
    assert [lines.splitlines()[0] for lines in dead.printed] == [f"rank {rank} took all steps" for rank in range(2)]
    rows = read_metrics(dead.folder / "uneven" / "metrics.jsonl")
    assert sorted({row["step"] for row in rows}) == [1, 2, 3, 4], "7 images, 2 x 3 a step, twice"
    assert newest_good(dead.folder / "uneven" / "checkpoints")[0].step == 4


def test_rank_dies_and_the_other_leaves_with_an_error_and_no_half_checkpoint(dead):
    require_a_whole_checkpoint_and_an_error(dead)


def test_rank_hangs_and_the_other_leaves_after_the_timeout(tmp_path):
    require_a_whole_checkpoint_and_an_error(run_to_the_end(tmp_path, "hangs"))
