"""The main task in a few minutes on data rendered on the spot: train, convert a folder, compare with the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import read, to_float, with_channels
from translate.errors import ConfigurationError, command
from translate.evaluation.colour_map import fit_affine_colour
from translate.evaluation.metrics import compare_with_truth, measure_of
from translate.evaluation.table import beside, numbers_of
from translate.evaluation.validation import Direction
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.recipe import Recipe, load_recipe
from translate.reporting.tracking import save_grid
from translate.runs.folder import is_closed
from translate.runs.image_sets import TwoDomains
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load
from translate.runs.train import train
from translate.training.checkpoint import newest_good
from translate.utils.outputs import refuse_in_run
from translate.utils.printing import Log, columns, logger, say

RECIPES = {"cyclegan": "quickstart", "pix2pix": "quickstart-pix2pix"}


def quickstart(method: str, out: Path, device: str, log: Log) -> dict[str, dict[str, float]]:
    """Trains `method` on `shapes`, converts its test folder into out/converted and logs how far that is from the truth.

    The table also has the untouched input and the best colour map (fitted on that truth). Returns the measures by row.
    Goes on with what an earlier one left in `out`. Raises ConfigurationError if `out` holds anything else.
    """
    refuse_in_run(out, "--out")
    recipe = _recipe(method, out)
    run = _trained(recipe, out / "run", device)
    converter = load(run, device=device)
    opened = open_data(recipe.data, recipe.method.batch_type, logger(quiet=True))  # training has said what was found
    assert isinstance(opened, TwoDomains)
    test = opened.folder
    to = test.domains[1]
    inputs = test.root / "testA"
    convert_folder(converter, plan(inputs, out / "converted"), converter.request(to), OutputOptions(overwrite=True))
    names = sorted(path.name for path in inputs.iterdir())
    before, after, truth = (_images(folder, names) for folder in (inputs, out / "converted", test.root / "testB"))
    direction = Direction(f"to {to}", 1, before, truth, fit_affine_colour(before, truth))
    rows = {**direction.baselines(), f"{method} to {to}": compare_with_truth(after, truth)}
    log(f"on {len(truth)} test images, in {converter.runtime.precision}:")
    measures = [_column(key, list(rows.values())) for key in rows["untouched input"]]
    for line in beside(["", *rows], measures, columns()):
        log(line)
    save_grid(
        out / "comparison.png", {test.domains[0]: before[:8], f"converted to {to}": after[:8], f"true {to}": truth[:8]}
    )
    return rows


def _recipe(method: str, out: Path) -> Recipe:
    """That of the quickstart in `out`, which a newer version may have changed since, or else the shipped one."""
    shipped, begun = load_recipe(RECIPES[method]), out / "run" / "recipe.yaml"
    if not begun.is_file():
        others = [path for path in out.rglob("[!.]*") if path != out / "run"]
        if others:
            raise ConfigurationError(f"{out}: holds {others[0].name} but not a quickstart; give another --out")
        return shipped
    held = load_recipe(begun)
    if held.name != shipped.name:
        other = next((name for name, recipe in RECIPES.items() if load_recipe(recipe).name == held.name), None)
        way = f"{command('quickstart', other, '--out', out)} goes on with it; else " if other else ""
        raise ConfigurationError(f"{out}: holds the run of {held.name}, not {shipped.name}'s; {way}give another --out")
    return held


def _trained(recipe: Recipe, run: Path, device: str) -> Path:
    checkpoint, _ = newest_good(run / "checkpoints")
    last = checkpoint is not None and checkpoint.step >= checkpoint.facts["total"] and not checkpoint.facts["pending"]
    if checkpoint is None or not (last and is_closed(run, checkpoint)):
        train(recipe, out=run, resume=run.exists(), device=device, tracking="disabled")
    else:
        say(f"{run}: trained to its end already; converted and compared again")
    return run


def _column(key: str, found: Sequence[Mapping[str, float]]) -> list[str]:
    """A measure's column: its title, then its numbers."""
    title = measure_of(key).title
    return [title, *(numbers_of(key)(measures[key]) for measures in found)]


def _images(folder: Path, names: Sequence[str]) -> Tensor:
    """These images of a folder: (images, 3, height, width) in [-1, 1]."""
    arrays = [with_channels(read(folder / name), 3) for name in names]
    return to_float(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))
