"""Which method makes photos of label maps that show what these say? Equal processor time for each.

    python benchmarks/maps_to_photos.py OUT --data FOLDER [--methods pix2pix,spade,oasis] [--seconds 600]

FOLDER holds pairs of label maps and photos, such as CamVid (`--set data.domains.labels.ignore=11`). A step of each
small recipe is timed first, then it is trained for as many steps as `--seconds` of the processor's time pay for. A row
for each: L1 to the true photos (black is 0, white 1), and how well the segmenter of `translate evaluate`, which has
learnt from real photos, finds the label maps in its photos; beside them what it finds in the label maps' best colours
(floor) and in real photos (ceiling).
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import torch

from common import report
from translate.evaluation.table import Score
from translate.runs.evaluate import evaluate
from translate.runs.train import train

METHODS = {
    "pix2pix": ("quickstart-pix2pix", ["data.set=null", "data.load_size=72", "model.generator.residual=false"]),
    "spade": ("spade-small", []),
    "oasis": ("oasis-small", []),
}
PROBES = (4, 24)
"""Steps of two short trainings, whose difference says what a step costs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=[*METHODS])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report("maps_to_photos", torch.device("cpu"), [_row(name, options) for name in options.methods], options.json)


def _row(name: str, options: argparse.Namespace) -> dict[str, object]:
    few, more = (_seconds(name, steps, options.out / "probe", options) for steps in PROBES)
    steps = max(1, round(options.seconds * (PROBES[1] - PROBES[0]) / (more - few)))
    taken = _seconds(name, steps, options.out / name, options)
    scores = {one.key: one for one in evaluate(options.out / name, device="cpu", quiet=True)}
    found = {key: scores[f"segmented/{key}"] for key in ("mean_iou", "pixel_accuracy")}
    return {
        "method": name,
        "steps": steps,
        "processor seconds": round(taken),
        "L1": f"{scores['l1'].value:.4f}",
        **{key.replace("_", " "): _between(one) for key, one in found.items()},
    }


def _between(one: Score) -> str:
    return f"{one.value:.3f} ({one.floor['best colour map']:.3f} to {one.ceiling['real images']:.3f})"


def _seconds(name: str, steps: int, out: Path, options: argparse.Namespace) -> float:
    """Trains for so many steps, and returns what that took of the processor's time, with reading and measuring."""
    recipe, settings = METHODS[name]
    cadence = [f"training.{key}_every={steps}" for key in ("validate", "checkpoint", "sample")]
    wanted = [f"training.steps={steps}", *cadence, *settings, *options.set]
    shutil.rmtree(out, ignore_errors=True)
    begun = time.process_time()
    train(recipe, options.data, out=out, overrides=wanted, tracking="disabled", device="cpu", quiet=True)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
