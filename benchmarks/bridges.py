"""What steps and an adversary are worth to a bridge, beside pix2pix: L1 to the truth and pictures a second.

    python benchmarks/bridges.py OUT [--recipes quickstart-bridge,quickstart-bridge-onestep,quickstart-pix2pix]
        [--data shapes] [--seconds 200] [--steps 1,4,16] [--seed 0] [--set KEY=VALUE ...] [--json FILE]

Trains each recipe on pairs into OUT/RECIPE for about as many seconds of the processor: how many of its training steps
that is, is told by a few of them. A row for each number of steps of a translation: the L1 of the test images'
translations to their truths, on the 0-1 scale, and how many pictures a second are translated, one at a time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from common import report
from translate.evaluation.validation import Direction
from translate.models.base import Model, Translator
from translate.recipe.reading import load_recipe
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load_model
from translate.runs.train import train
from translate.training.runtime import choose_runtime

PROBED = 8
"""Training steps whose time is taken, after as many that are not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipes", default="quickstart-bridge,quickstart-bridge-onestep,quickstart-pix2pix")
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--steps", default="1,4,16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [row for recipe in options.recipes.split(",") for row in _rows(recipe, options)]
    report("bridges", torch.device("cpu"), rows, options.json)


def _rows(recipe: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    trained = max(1, round(options.seconds / _seconds_a_step(recipe, options)))
    began = time.process_time()
    _train(recipe, options.out / recipe, trained, options)
    spent = time.process_time() - began
    loaded = load_model(options.out / recipe)
    asked = [int(steps) for steps in options.steps.split(",")] if loaded.model.stepped else [1]
    row = {"recipe": recipe, "trained": trained, "seconds": spent}
    return [{**row, "steps": steps} | _measured(options.out / recipe, steps) for steps in asked]


def _seconds_a_step(recipe: str, options: argparse.Namespace) -> float:
    """Of the processor, from two short runs, so that what a run takes besides does not count."""
    spent = []
    for steps in (PROBED, 2 * PROBED):
        began = time.process_time()
        _train(recipe, options.out / f"{recipe}-probe-{steps}", steps, options)
        spent.append(time.process_time() - began)
    return max(spent[1] - spent[0], 1e-3) / PROBED


def _train(recipe: str, run: Path, steps: int, options: argparse.Namespace) -> None:
    often = dict.fromkeys(("validate_every", "checkpoint_every", "sample_every"), steps)
    training = {"steps": steps, "seed": options.seed, "epochs": "null", **often}
    settings = [*(f"training.{key}={value}" for key, value in training.items()), *options.set]
    train(recipe, options.data, out=run, overrides=settings, device="cpu", quiet=True, tracking="disabled")


def _measured(run: Path, steps: int) -> dict[str, float]:
    loaded, runtime = load_model(run), choose_runtime("cpu")
    in_steps(loaded.model, steps)
    images = open_data(loaded.recipe.data, loaded.recipe.method.batch_type, lambda line: None, loaded.images.kinds)
    (found,) = [one for one in images.validations(loaded.model.eval(), 1000, runtime) if isinstance(one, Direction)]
    return {"l1": found.measure(loaded.model, runtime)["l1"], "pictures/s": _pictures_a_second(loaded.model, run)}


def in_steps(model: Model, steps: int) -> None:
    """Lets a model that translates in steps take so many."""
    if isinstance(model, Translator) and model.stepped:
        model.config = model.config.model_copy(update={"steps": steps})


@torch.no_grad()
def _pictures_a_second(model: Any, run: Path, pictures: int = 5) -> float:
    size = load_recipe(run / "recipe.yaml").data.size
    image = torch.rand(1, 3, size, size) * 2 - 1
    model.convert(image, 1)
    began = time.process_time()
    for _ in range(pictures):
        model.convert(image, 1)
    return pictures / (time.process_time() - began)


if __name__ == "__main__":
    main()
