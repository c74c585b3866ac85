"""Every method for unpaired images after equal processor time, or equal steps, on `shapes`, where the truth is known.

    python benchmarks/methods.py OUT [--methods cyclegan,cut,...] [--seconds 600 | --steps N] [--seeds 0] [--json FILE]

Each is trained in a process of its own, on one thread, into OUT/METHOD-seedN, with the settings of its small recipe and
as many steps as fit into `--seconds` of processor time (found by two rehearsals; the rate falls within them). A row for
each run: L1 of the translations of 256 scenes that nobody trained on to their truths (0 to 1, as delivered in 8 bits),
to the outlined and to the flat style; the share of them that one classifier, the same for all, reads as the wanted
style; KID in its features; images a second of one core in training and in conversion; parameters that training
moves, and the most memory of the process. The first rows are the untouched inputs and the truths themselves.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import translate
from common import report
from translate.data.batch import Labelled
from translate.data.labels import LabelGroup
from translate.data.synthetic.shapes import SCENES_OF_A_SEED, render
from translate.evaluation.classifier import Classifier, ClassifierSettings
from translate.evaluation.classifier_training import train_classifier
from translate.evaluation.distances import kid
from translate.models.base import ImageSpec
from translate.runs.loading import load_model
from translate.runs.many import seeds_in
from translate.training.runtime import choose_runtime

STYLES = ("flat", "outlined")
SIZE = 64
SCENES = 256
FIRST = 7 * SCENES_OF_A_SEED
"""Of the scenes to measure with; sets of seeds 0 to 6 have none of them."""
TWO_STYLES = ["data.shapes.styles=[flat,outlined]"]
FACTS = ("seed", "steps", "seconds", "images/s training", "images/s converting", "parameters", "MiB")
METHODS: dict[str, tuple[str, list[str]]] = {
    "cyclegan": ("quickstart", []),
    "cut": ("quickstart-cut", []),
    "fastcut": ("quickstart-cut", ["model.identity=0", "model.flip_equivariance=true"]),
    "cyclegan-vit": ("quickstart-cyclegan-vit", []),
    "unit": ("unit-shapes", []),
    "stargan": ("stargan-shapes", TWO_STYLES),
    "stargan-v2": ("quickstart-stargan-v2", [*TWO_STYLES, "data.shapes.palettes=0"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", type=lambda text: text.split(","), default=[*METHODS])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=seeds_in, default=(0,))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    judge = Judge()
    references = {"untouched input": judge.scenes, "truth": judge.scenes[::-1]}
    rows = [judge.row(name, images) | dict.fromkeys(FACTS) for name, images in references.items()]
    for seed in options.seeds:
        for method in options.methods:
            rows.append(_row(method, seed, judge, options))
            report("methods", torch.device("cpu"), rows, options.json)  # so that a long run can be stopped


class Judge:
    """One set of scenes in both styles, as (scenes, 3, size, size) in [-1, 1], and one classifier of styles."""

    def __init__(self) -> None:
        self.scenes = [_rendered(style, range(FIRST, FIRST + SCENES)) for style in STYLES]
        self.classifier = _classifier()

    def row(self, name: str, made: list[Tensor | None]) -> dict[str, Any]:
        """What images made of the flat and of the outlined scenes are worth; None where none were made."""
        found: dict[str, Any] = {"method": name}
        for number, style in ((1, "outlined"), (0, "flat")):
            images = made[1 - number]
            measured = (None, None, None) if images is None else self._measured(images, number)
            found |= dict(zip((f"L1 to {style}", f"read as {style}", f"KID {style}"), measured, strict=True))
        return found

    @torch.no_grad()
    def _measured(self, images: Tensor, style: int) -> tuple[float, float, float]:
        truth = self.scenes[style]
        features, reals = self.classifier.features(images), self.classifier.features(truth)
        read = self.classifier.predict(images).argmax(1) == style
        distance = kid(features, reals, draws=0).value
        return float((images - truth).abs().mean() / 2), float(read.float().mean()), distance


def _classifier() -> Classifier:
    images = torch.cat([_rendered(style, range(FIRST + SCENES, FIRST + 3 * SCENES)) for style in STYLES])
    labels = torch.eye(2).repeat_interleave(2 * SCENES, 0)
    spec = ImageSpec(channels=3, size=SIZE, domains=STYLES, groups=(LabelGroup(2, exclusive=True),))
    settings = ClassifierSettings(steps=300, batch_size=32)
    held_out = torch.arange(len(images)) % 10 == 0
    learnt, dice = (~held_out).nonzero()[:, 0], np.random.default_rng(0)

    def batches() -> Iterator[Labelled]:
        while True:
            rows = learnt[torch.from_numpy(dice.choice(len(learnt), settings.batch_size, replace=False))]
            yield Labelled(images[rows], labels[rows])

    measured = [Labelled(images[held_out], labels[held_out])]
    trained = train_classifier(batches(), measured, spec, settings, choose_runtime("cpu"), quiet=True)
    print(f"the classifier {trained}", file=sys.stderr)
    return trained.classifier


def _rendered(style: str, numbers: range) -> Tensor:
    pictures = np.stack([render(number, style, SIZE) for number in numbers])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _row(method: str, seed: int, judge: Judge, options: argparse.Namespace) -> dict[str, Any]:
    recipe, settings = METHODS[method]
    out = options.out / f"{method}-seed{seed}"
    steps = options.steps or _fitting(recipe, settings, out, options.seconds)
    spent, memory = _trained(recipe, settings, steps, seed, out)
    converter = translate.load(out, device="cpu")
    began = time.process_time()
    made = [_translated(converter, scenes, to) for scenes, to in zip(judge.scenes, reversed(STYLES), strict=True)]
    converted = sum(len(images) for images in made if images is not None) / (time.process_time() - began)
    loaded = load_model(out)
    networks = [network for turn in loaded.model.turns() for network in turn.networks]
    moved = {id(weight): weight.numel() for network in networks for weight in network.parameters()}
    facts = (seed, steps, round(spent), steps * loaded.recipe.training.batch_size / spent, converted)
    return judge.row(method, made) | dict(zip(FACTS, (*facts, sum(moved.values()), round(memory)), strict=True))


def _fitting(recipe: str, settings: list[str], out: Path, seconds: float) -> int:
    """The steps that fit, with what starting and saving take."""
    few, more = 30, 230  # far apart, for what starting takes differs by seconds
    short, long = (
        _trained(recipe, settings, steps, 0, out.with_name(f"{out.name}-{steps}"))[0] for steps in (few, more)
    )
    step = (long - short) / (more - few)
    return max(1, int((seconds - short) / step) + few)


def _trained(recipe: str, settings: list[str], steps: int, seed: int, out: Path) -> tuple[float, float]:
    """Seconds of processor time, and MiB at most, of a child that trains into `out`."""
    lengths = dict.fromkeys(("validate_every", "checkpoint_every", "sample_every"), steps) | {"steps": steps}
    training = [f"training.{key}={value}" for key, value in ({"seed": seed} | lengths).items()]
    command = [
        "train",
        recipe,
        "--out",
        str(out),
        "--device",
        "cpu",
        "--wandb",
        "disabled",
        "--quiet",
        "data.workers=0",
    ]
    command = [sys.executable, "-m", "translate", *command, *settings, *training]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = os.posix_spawn(sys.executable, command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"training {recipe} failed, status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _translated(converter: Any, scenes: Tensor, to: str) -> Tensor | None:
    """In steps of 8 bits, as files are; None for the way back of a method that goes one way."""
    if to not in converter.targets:
        return None
    images = converter.convert(list(scenes), to=to)
    return (torch.stack(images).clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1


if __name__ == "__main__":
    main()
