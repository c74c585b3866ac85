"""Runs killed at three random moments each, beside undisturbed ones, as a table of hashes.

Moments are SIGKILLs in the middle of a step, drawn from a seed; workers change with every start.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from child import STEPS, Workplace, hashes, kill_at_backward

MODELS = ("pix2pix", "cyclegan", "stargan", "unit")
_TURNS = {"pix2pix": 2, "cyclegan": 2, "stargan": 1.5, "unit": 2}
"""Turns in a step, on average."""


def moments(model: str, seed: int) -> list[int]:
    """Three of the run's calls of backward, one in each third of it."""
    dice = random.Random(f"{model} {seed}")
    third = STEPS * _TURNS[model] / 3
    return [int(part * third) + dice.randint(1, int(third)) for part in range(3)]


def tried(place: Workplace, model: str, workers: int, seed: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """What a run and one that was killed three times leave; the latter starts with `workers` threads, which change."""
    recipe = place.recipe(model)
    ended = place.train(recipe, "whole", "--set", f"data.workers={workers}")
    assert ended.code == 0, ended.err
    for number, moment in enumerate(moments(model, seed)):
        # A resumed run has taken some of its turns before.
        hook = kill_at_backward(moment if number == 0 else 3 + number)
        threads = workers if number % 2 == 0 else 2 - workers
        ended = place.train(recipe, "killed", "--resume", "--set", f"data.workers={threads}", hook=hook)
        assert ended.code == -9, ended.err
    ended = place.train(recipe, "killed", "--resume", "--set", f"data.workers={workers}")
    assert ended.code == 0, ended.err
    return hashes(place.folder / "whole"), hashes(place.folder / "killed")


def main() -> None:
    print(f"{'run':30} " + " ".join(f"{name:16}" for name in ("model", "average", "training", "metrics")))
    for model in MODELS:
        for workers in (0, 2):
            with tempfile.TemporaryDirectory() as folder:
                place = Workplace(Path(folder), Path(folder) / "home")
                pair = tried(place, model, workers)
            for kind, found in zip(("undisturbed", "killed 3 times"), pair, strict=True):
                values = " ".join(f"{found[name]:16}" for name in ("model", "average", "training", "metrics"))
                print(f"{f'{model}, {workers} workers, {kind}':38} {values}", flush=True)
            assert pair[0] == pair[1]


if __name__ == "__main__":
    main()
