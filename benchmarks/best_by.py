"""Which measure without truth picks the checkpoint nearest to the best? On `shapes`, whose truth is known.

    python benchmarks/best_by.py OUT [--seeds 0..2] [--steps 1900] [--checkpoints 8] [--set KEY=VALUE ...]

Trains the quickstart's CycleGAN with each seed into OUT-seed0, ..., keeps all checkpoints, and measures each: the L1 to
the truth of both directions, and what needs no truth. A row for each measure: the step that it chooses with each seed,
and its regret, which is the L1 there beyond that of the best checkpoint, averaged over seeds. `newest` is the rule
where nothing is validated.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import torch

from common import report
from translate.evaluation.metrics import measure_of
from translate.evaluation.patches import patch_distance
from translate.evaluation.table import Score
from translate.runs.evaluate import evaluate
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load_model
from translate.runs.many import repeated, seeds_in, train_planned
from translate.runs.train import resolved
from translate.training.checkpoint import saved_steps

FREE_OF_TRUTH = ("kid", "frechet", "domain_accuracy", "diversity")
TEST = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=seeds_in, default=(0, 1, 2))
    parser.add_argument("--steps", type=int, default=1900)
    parser.add_argument("--checkpoints", type=int, default=8)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    every = max(1, options.steps // options.checkpoints)
    cadence = dict.fromkeys(("validate_every", "checkpoint_every", "sample_every"), every) | {"keep": 10_000}
    settings = [f"training.{key}={value}" for key, value in ({"steps": options.steps} | cadence).items()]
    planned = repeated(resolved("quickstart", None, [*settings, *options.set]), options.seeds, None, options.out)
    outcome = train_planned(planned, options.out.name, print, tracking="disabled", device="cpu", quiet=True)
    outcome.require_all()
    measured = [{step: _measured(run, step) for step in saved_steps(run / "checkpoints")} for run in outcome.done]
    rows = [_regret(name, measured) for name in measured[0][max(measured[0])]]
    report("best_by", torch.device("cpu"), [_regret("newest", measured), *rows], options.json)


def _regret(name: str, measured: list[dict[int, dict[str, float]]]) -> dict[str, object]:
    chosen = [_chosen(name, of_run) for of_run in measured]
    lost = [
        of_run[step]["l1"] - min(one["l1"] for one in of_run.values())
        for step, of_run in zip(chosen, measured, strict=True)
    ]
    return {"chosen by": name, "steps": " ".join(map(str, chosen)), "regret in L1": f"{fmean(lost):.4f}"}


def _chosen(name: str, of_run: Mapping[int, Mapping[str, float]]) -> int:
    if name == "newest":
        return max(of_run)
    sign = -1 if measure_of(name).better == "higher" else 1
    return min(of_run, key=lambda step: (sign * of_run[step][name], step))


def _measured(run: Path, step: int) -> dict[str, float]:
    """The L1 to the truth, and measures without it, each averaged over both directions."""
    scores = evaluate(run, step, device="cpu", quiet=True)
    found = {"l1": _mean([one for one in scores if one.key == "l1" and "as converted" not in one.name])}
    keys = dict.fromkeys(one.key for one in scores if one.key.partition("/")[0] in FREE_OF_TRUTH)
    for key in keys:
        values = [one for one in scores if one.key == key and one.value is not None]
        if values:
            found[key] = _mean(values)
    return found | _without_truth(run, step)


def _mean(scores: list[Score]) -> float:
    return fmean(one.value for one in scores if one.value is not None)


@torch.no_grad()
def _without_truth(run: Path, step: int) -> dict[str, float]:
    """Of unseen images: the mean absolute difference, 0 to 1, from their way there and back; and the patch distance of
    translations of each half of them to real images, those of the other half."""
    loaded = load_model(run, step)
    model, data = loaded.model.eval(), loaded.recipe.data
    images = open_data(data, loaded.recipe.method.batch_type, lambda line: None, loaded.images.kinds)
    batch = next(images.first(TEST)).map(lambda tensor: tensor.float())
    errors, distances = [], []
    for to, side in enumerate(reversed(batch.sides())):
        there, real = model.convert(side, to), batch.sides()[to]
        errors.append(float((model.convert(there, 1 - to) - side).abs().mean() / 2))
        half = len(real) // 2
        distances += [patch_distance(there[:half], real[half:]), patch_distance(there[half:], real[:half])]
    return {"cycle error": fmean(errors), "patch distance": fmean(distances)}


if __name__ == "__main__":
    main()
