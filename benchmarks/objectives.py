"""Which objective brings translations nearest to the truth? The same networks, steps and seeds for each.

    python benchmarks/objectives.py OUT [--tasks unpaired,paired,facades] [--facades DIR] [--seeds 0..2] [--share 1.0]

`unpaired`: the quickstart (CycleGAN on `shapes`); `paired`: the same set in pairs with pix2pix, L1's weight lowered to
10, so that the adversary matters; `facades`: pix2pix on label maps to photos at 64 px, likewise. Discriminators have no
normalisation that mixes images. `--share`: of the steps. A row for each task and objective: L1 on 0 to 1, the mean over
seeds with its deviation, and, of unpaired images, KID x 1,000 in the kept classifier's features, which sees blur.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, stdev

import torch

from common import report
from translate.runs.evaluate import evaluate
from translate.runs.many import repeated, seeds_in, train_planned
from translate.runs.train import resolved

OBJECTIVES = {
    "lsgan": {"objective": "lsgan"},
    "hinge": {"objective": "hinge"},
    "nonsaturating + r1": {"objective": "nonsaturating", "r1": 1},
    "relativistic + r1 + r2": {"objective": "relativistic", "r1": 1, "r2": 1},
    "relativistic_means + r1 + r2": {"objective": "relativistic_means", "r1": 1, "r2": 1},
}
PLAIN = "model.discriminator.normalisation=none"
TASKS = {
    "unpaired": ("quickstart", [PLAIN], 1900),
    "paired": ("quickstart-pix2pix", [PLAIN, "model.reconstruction=10"], 1200),
    "facades": ("quickstart-pix2pix", [PLAIN, "model.reconstruction=10", "data.set=null", "data.direction=BtoA"], 1200),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=[*TASKS])
    parser.add_argument("--facades", type=Path)
    parser.add_argument("--seeds", type=seeds_in, default=(0, 1, 2))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [_row(task, name, options) for task in options.tasks for name in OBJECTIVES]
    report("objectives", torch.device("cpu"), rows, options.json)


def _row(task: str, name: str, options: argparse.Namespace) -> dict[str, object]:
    recipe, settings, steps = TASKS[task]
    game = [f"model.adversarial.{key}={value}" for key, value in OBJECTIVES[name].items()]
    length = max(2, round(steps * options.share))
    cadence = [f"training.{key}_every={length}" for key in ("validate", "checkpoint", "sample")]
    wanted = [f"training.steps={length}", *cadence, *settings, *game, *options.set]
    data = str(options.facades) if task == "facades" else None
    out = options.out / f"{task}-{name.replace(' ', '')}"
    planned = repeated(resolved(recipe, data, wanted), options.seeds, None, out)
    outcome = train_planned(planned, out.name, print, tracking="disabled", device="cpu", quiet=True)
    outcome.require_all()
    scores = [evaluate(run, "latest", device="cpu", quiet=True) for run in outcome.done]
    found: dict[str, object] = {"task": task, "objective": name, "steps": length, "seeds": len(options.seeds)}
    for key in ("l1", "kid/classifier_features"):
        values = [value for of_run in scores if (value := _mean(of_run, key)) is not None]
        spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
        found[key] = f"{fmean(values):.4f}{spread}" if values else "not measured"
    return found


def _mean(scores: list, key: str) -> float | None:
    """Over both directions; None where it was not measured, as KID of pairs."""
    values = [one.value for one in scores if one.key == key and one.value is not None and "as conv" not in one.name]
    return fmean(values) if values else None


if __name__ == "__main__":
    main()
