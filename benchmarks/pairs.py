"""What a few known pairs among many unpaired images are worth: L1 to the truth by their number, on `shapes`.

    python benchmarks/pairs.py OUT [--pairs 0,4,16,64,all] [--seeds 0] [--steps 600] [--recipe quickstart]
        [--set KEY=VALUE ...]

Trains the recipe, a method for unpaired images, for equal steps with each number of pairs into OUT/PAIRS-seedN: `0` as
always, a number by `data.pairs=some`, `all` by `data.pairs=all`. There are 400 images of each style in each case; with
pairs, so many of them are the same scenes. A row for each run: the L1 of the test images' translations to their truths,
on the 0-1 scale, in both directions, their mean, and that of untouched inputs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from common import report
from translate.evaluation.validation import Direction
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load_model
from translate.runs.many import seeds_in
from translate.runs.train import train
from translate.training.runtime import choose_runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", default="0,4,16,64,all")
    parser.add_argument("--seeds", type=seeds_in, default=(0,))
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [_row(pairs, seed, options) for seed in options.seeds for pairs in options.pairs.split(",")]
    report("pairs", torch.device("cpu"), rows, options.json)


def settings_of(pairs: str) -> list[str]:
    """The settings of a run with so many pairs among the images of `shapes`."""
    if pairs == "0":
        return []
    return ["data.pairs=all"] if pairs == "all" else ["data.pairs=some", f"data.shapes.pairs={pairs}"]


def _row(pairs: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    run = options.out / f"{pairs}-seed{seed}"
    often = dict.fromkeys(("validate_every", "checkpoint_every", "sample_every"), options.steps)
    training = {"steps": options.steps, "seed": seed, **often}
    settings = [*settings_of(pairs), *(f"training.{key}={value}" for key, value in training.items()), *options.set]
    train(options.recipe, "shapes", out=run, overrides=settings, device="cpu", quiet=True, tracking="disabled")
    return {"pairs": pairs, "seed": seed, "steps": options.steps} | _measured(run)


def _measured(run: Path) -> dict[str, float]:
    loaded, runtime = load_model(run), choose_runtime("cpu")
    images = open_data(loaded.recipe.data, loaded.recipe.method.batch_type, lambda line: None, loaded.images.kinds)
    found = [one for one in images.validations(loaded.model.eval(), 1000, runtime) if isinstance(one, Direction)]
    each = {one.name: one.measure(loaded.model, runtime)["l1"] for one in found}
    untouched = fmean(one.baselines()["untouched input"]["l1"] for one in found)
    return {**each, "mean": fmean(each.values()), "untouched input": untouched}


if __name__ == "__main__":
    main()
