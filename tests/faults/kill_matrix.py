"""Runs killed at three random moments each, beside undisturbed ones, as a table of hashes.

python tests/faults/kill_matrix.py [MODEL ...]

A moment is a SIGKILL in the middle of a step, so many calls of backward after the start; `data.workers` changes with
every start.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from child import STEPS, Workplace, hashes, kill_at_backward
from tiny import tiny_model

from translate.models import MODELS


def mid_run(model: str) -> int:
    """A call of backward after the first checkpoint, which comes after a quarter of the steps, and before the last."""
    calls = _calls(model)
    return random.Random(model).randint(calls // 4 + 1, calls - 1)


def moments(model: str, seed: int) -> list[int]:
    """Three calls of backward, each counted from its start: too few, together, to finish."""
    rng = random.Random(f"{model} {seed}")
    return [rng.randint(2, (_calls(model) - 1) // 3 + 1) for _ in range(3)]


def _calls(model: str) -> int:
    """How often a whole run calls backward."""
    return sum(STEPS // turn.every for turn in tiny_model(model).turns())


def tried(place: Workplace, model: str, workers: int, seed: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """What an undisturbed run leaves, and one that was killed three times, whose first start has `workers` threads."""
    recipe = place.recipe(model)
    ended = place.train(recipe, "whole", "--set", f"data.workers={workers}")
    assert ended.code == 0, ended.err
    for number, moment in enumerate(moments(model, seed)):
        threads = workers if number % 2 == 0 else 2 - workers
        ended = place.train(
            recipe, "killed", "--resume", "--set", f"data.workers={threads}", hook=kill_at_backward(moment)
        )
        assert ended.code == -9, ended.err
    ended = place.train(recipe, "killed", "--resume", "--set", f"data.workers={workers}")
    assert ended.code == 0, ended.err
    return hashes(place.folder / "whole"), hashes(place.folder / "killed")


def main(models: list[str]) -> None:
    shown = ("model", "average", "training", "metrics")
    print(f"{'run':40} " + " ".join(f"{name:16}" for name in shown))
    for model in models or MODELS:
        for workers in (0, 2):
            with tempfile.TemporaryDirectory() as folder:
                pair = tried(Workplace(Path(folder), Path(folder) / "home"), model, workers)
            for kind, found in zip(("undisturbed", "killed three times"), pair, strict=True):
                values = " ".join(f"{found[name]:16}" for name in shown)
                print(f"{f'{model}, {workers} workers, {kind}':40} {values}", flush=True)
            assert pair[0] == pair[1], f"{model} differs"


if __name__ == "__main__":
    main(sys.argv[1:])
