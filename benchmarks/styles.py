"""What a method with styles makes of one picture on `shapes`, whose styles' palettes are known.

    python benchmarks/styles.py RUN OUT.png [--pictures 32] [--draws 10] [--json FILE]

RUN was trained on `shapes` with `data.shapes.palettes`. Translates so many scenes that nobody trained on from every
style to every other, each in so many draws of a style by seed, and by so many references. A row for each pair of styles
and way: the share of the target's palettes that the draws of one picture are in, and that many fair draws would be in;
the share of translations in no palette; and the mean distance (0 to 1) of two draws. OUT.png has a picture of each pair
of styles in a row, with 5 seeds and 5 references, which are above them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations, permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image

import translate
from common import report
from translate.data.synthetic.palettes import coverage, palettes_seen
from translate.data.synthetic.scenes import Array
from translate.data.synthetic.shapes import SCENES_OF_A_SEED, render
from translate.runs.loading import load_model

FIRST = 7 * SCENES_OF_A_SEED
SHOWN = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe, converter = load_model(options.run).recipe, translate.load(options.run, device="cpu")
    size, palettes, styles = recipe.data.size, recipe.data.shapes.palettes, recipe.data.shapes.styles
    scenes = range(FIRST, FIRST + max(options.pictures, options.draws))
    drawn = {style: [render(scene, style, size, palettes) for scene in scenes] for style in styles}
    rows, lines = [], []
    for origin, to in permutations(styles, 2):
        pictures, references = drawn[origin][: options.pictures], drawn[to][-options.draws :]
        ways = {"seeds": [f"seed:{seed}" for seed in range(1, options.draws + 1)], "references": references}
        made = {way: [_translated(converter, pictures, to, style) for style in ways[way]] for way in ways}
        rows += [{"from": origin, "to": to, "styles of": way} | _measured(made[way], to, palettes) for way in made]
        blank = np.full_like(pictures[0], 255)
        shown = [*(each[0] for each in made["seeds"][:SHOWN]), *(each[0] for each in made["references"][:SHOWN])]
        lines += [[blank] * (SHOWN + 1) + references[:SHOWN], [pictures[0], *shown]]
    grid = np.concatenate([np.concatenate(line, 1) for line in lines])
    Image.fromarray(grid).resize((2 * grid.shape[1], 2 * grid.shape[0]), Image.Resampling.NEAREST).save(options.grid)
    report("styles", torch.device("cpu"), rows, options.json)


def _translated(converter: Any, pictures: Sequence[Array], to: str, style: str | Array) -> list[Array]:
    chosen = style if isinstance(style, str) else Image.fromarray(style)
    return [np.asarray(made) for made in converter.convert([Image.fromarray(one) for one in pictures], to, chosen)]


def _measured(made: Sequence[Sequence[Array]], style: str, palettes: int) -> dict[str, float]:
    """Of translations `made[draw][picture]` to a style."""
    of_picture = [list(draws) for draws in zip(*made, strict=True)]
    seen = [number for draws in made for number in palettes_seen(draws, style, palettes)]
    pairs = [np.abs(a.astype(float) - b).mean() / 255 for draws in of_picture for a, b in combinations(draws, 2)]
    return {
        "coverage": fmean(coverage(draws, style, palettes) for draws in of_picture),
        "coverage of fair draws": 1 - (1 - 1 / palettes) ** len(made),
        "in no palette": seen.count(None) / len(seen),
        "apart": fmean(pairs),
    }


if __name__ == "__main__":
    main()
