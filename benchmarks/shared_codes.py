"""What makes two auto-encoders share one code: each tie of UNIT alone, on `shapes`, where image pairs are known.

    python benchmarks/shared_codes.py [--steps 1000] [--size 32] [--out FOLDER]

Prints a Markdown table and writes it with the settings as JSON. For test scenes drawn in both styles:
`code gap`: mean |E_a(x) - E_b(x')| of the same scene in both styles, over different scenes (0: one code, 1: two);
`domain read`: share of held-out codes whose style a linear probe on the code's channel means tells (50 %: hidden);
L1 of the translations to the truth, 0-1 scale, beside the untouched input and the best colour map.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from common import report
from translate.evaluation.validation import Direction
from translate.models.unit import UNIT
from translate.recipe import load_recipe
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load_model
from translate.runs.train import train
from translate.training.runtime import choose_runtime

NONE = [
    "model.autoencoder.share=0",
    "model.autoencoder.alike=false",
    "model.cycle=none",
    "model.kl=0",
    "model.variational=false",
]
VARIANTS: dict[str, list[str]] = {
    "nothing": NONE,
    "same start": [*NONE, "model.autoencoder.alike=true"],
    "shared layers": [*NONE, "model.autoencoder.share=2"],
    "code adversary": [*NONE, "model.code_adversary=1"],
    "cycle: image": [*NONE, "model.cycle=image"],
    "cycle: code": [*NONE, "model.cycle=code", "model.code_cycle_weight=10"],
    "cycle: both": [*NONE, "model.cycle=both", "model.code_cycle_weight=10"],
    "semantic": [*NONE, "model.semantic=10"],
    "noise and KL": [*NONE, "model.variational=true", "model.kl=0.01"],
    "UNIT 2018 (noise, KL, cycle: image)": ["model.autoencoder.share=0", "model.autoencoder.alike=false"],
    "UNIT (the same, a shared layer, same start)": [],
    "UNIT and semantic": ["model.semantic=10"],
    "UNIT and all blocks shared": ["model.autoencoder.share=3"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--out", type=Path, help="where the runs stay; default a folder that is removed")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), help="ties to train, by name")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        rows = [{"tie": name, **examine(name, VARIANTS[name], options, out)} for name in options.only]
    report("shared_codes", torch.device("cpu"), rows, options.json, settings=vars(options) | {"ties": VARIANTS})


def examine(name: str, ties: list[str], options: argparse.Namespace, out: Path) -> dict[str, float]:
    """Trains with these ties alone, and measures."""
    size = [f"training.steps={options.steps}", f"data.size={options.size}", f"data.load_size={options.size}"]
    rare = [f"training.{what}_every={options.steps}" for what in ("sample", "validate", "checkpoint")]
    folder = out / name.replace(" ", "-").replace(":", "").replace(",", "")
    print(f"training: {name}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    run = train("unit-shapes", out=folder, overrides=[*size, *rare, *ties], tracking="disabled", quiet=True)
    minutes = (time.perf_counter() - start) / 60
    model = load_model(run).model.eval()
    assert isinstance(model, UNIT)
    runtime = choose_runtime("cpu", "float32")
    images = open_data(load_recipe("unit-shapes", [*size, *ties]).data, UNIT.batch_type, lambda line: None)
    to_b, to_a = images.validations(model, 64, runtime)
    assert isinstance(to_b, Direction) and isinstance(to_a, Direction)
    with torch.no_grad():
        codes_a, codes_b = model.encode(to_b.inputs, 0), model.encode(to_a.inputs, 1)
    return {
        "code gap": gap(codes_a, codes_b),
        "domain read, %": 100 * probe(codes_a.mean((2, 3)), codes_b.mean((2, 3))),
        "L1 a to b": to_b.measure(model, runtime)["l1"],
        "L1 b to a": to_a.measure(model, runtime)["l1"],
        "untouched": to_b.baselines()["untouched input"]["l1"],
        "colour map": to_b.baselines()["best colour map"]["l1"],
        "minutes": minutes,
    }


def gap(codes_a: Tensor, codes_b: Tensor) -> float:
    """Distance of the codes of one scene in both styles, over that of codes of different scenes."""
    same = (codes_a - codes_b).abs().mean()
    different = (codes_a - codes_b.roll(1, 0)).abs().mean()
    return float(same / different)


def probe(a: Tensor, b: Tensor) -> float:
    """Least squares on the first half of the scenes, counted on the second."""
    half = len(a) // 2
    learnt, asked = torch.cat([a[:half], b[:half]]), torch.cat([a[half:], b[half:]])
    mean, deviation = learnt.mean(0), learnt.std(0) + 1e-6
    ones = torch.ones(len(learnt), 1)
    wanted = torch.cat([-torch.ones(half, 1), torch.ones(half, 1)])
    inputs = torch.cat([(learnt - mean) / deviation, ones], 1)
    weights = torch.linalg.solve(inputs.T @ inputs + 1e-1 * torch.eye(inputs.shape[1]), inputs.T @ wanted)
    told = torch.cat([(asked - mean) / deviation, torch.ones(len(asked), 1)], 1) @ weights
    wanted = torch.cat([-torch.ones(len(a) - half, 1), torch.ones(len(b) - half, 1)])
    return float(((told > 0) == (wanted > 0)).float().mean())


if __name__ == "__main__":
    main()
