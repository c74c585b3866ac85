"""The main task in a few minutes on data rendered on the spot: train, convert a folder, compare with the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.converting.folder import convert_folder
from translate.converting.jobs import plan
from translate.data.images import read, to_float, with_channels
from translate.image_sets import TwoDomains
from translate.image_sets.opening import open_data
from translate.loading import load
from translate.metrics import fit_affine_colour
from translate.progress import Tell
from translate.recipe import load_recipe
from translate.run import train
from translate.tracking import save_grid
from translate.validation import Direction, measure

RECIPES = {"cyclegan": "quickstart", "pix2pix": "quickstart-pix2pix"}


def quickstart(method: str, out: Path, device: str, tell: Tell) -> dict[str, dict[str, float]]:
    """Trains `method` on `shapes`, converts its test folder into out/converted, and prints how far that is from the
    truth.

    The table also has the untouched input and the best colour map (fitted on that same truth). Returns the measures by
    row of the table. Raises ConfigurationError if `out` already holds a quickstart.
    """
    recipe = load_recipe(RECIPES[method])
    run = train(recipe, out=out / "run", device=device, tracking="disabled")
    converter = load(run, device=device)
    opened = open_data(recipe.data, recipe.method.batch_type, tell=_nothing)
    assert isinstance(opened, TwoDomains)
    test = opened.folder
    to = test.domains[1]
    inputs = test.root / "testA"
    convert_folder(converter, plan(inputs, out / "converted"), converter.changes(to), overwrite=True)
    before, after, truth = (_images(folder) for folder in (inputs, out / "converted", test.root / "testB"))
    direction = Direction(f"to {to}", 1, before, truth, fit_affine_colour(before, truth))
    rows = {**direction.baselines(), f"{method} to {to}": measure(after, truth)}
    tell(f"{'':24}{'L1 (0-1)':>10}{'PSNR, dB':>10}{'SSIM':>8}   on {len(truth)} test images")
    for name, measures in rows.items():
        tell(f"{name:24}{measures['l1']:10.4f}{measures['psnr']:10.2f}{measures['ssim']:8.3f}")
    grid = out / "comparison.png"
    save_grid(grid, {test.domains[0]: before[:8], f"converted to {to}": after[:8], f"true {to}": truth[:8]})
    tell(f"look at {grid} and {run / 'report.html'}")
    return rows


def _nothing(line: str) -> None:
    """Drops the line: training has already reported what was found."""


def _images(folder: Path) -> Tensor:
    """All images of a flat folder, sorted by name: (images, 3, height, width) in [-1, 1]."""
    arrays = [with_channels(read(path), 3) for path in sorted(folder.iterdir())]
    return to_float(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))
