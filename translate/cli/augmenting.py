"""`translate augment` and `downstream`: more labelled pictures from a trained model, and whether they help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from translate.cli.common import FOLDER, QUIET, with_plugins
from translate.cli.completing import DATA, RUN
from translate.cli.options import takes
from translate.errors import command
from translate.inference.options import OnDevice, Weights
from translate.utils.options import option
from translate.utils.printing import answer, logger, say, then


@dataclass(frozen=True)
class Making:
    """How many translations of each picture are made, and of which kinds."""

    to: tuple[str, ...] = option(
        (),
        metavar="DOMAIN",
        help="A domain to convert to; several take turns. Attributes: NAME sets one, -NAME clears one, with commas for "
        "several at once. Default: all that the models convert to.",
    )
    copies: int = option(1, least=1, most=1000, metavar="N", help="Different translations of each picture.")
    with_originals: bool = option(
        False, help="Also copy the labelled set's own pictures and labels, those for tests too."
    )


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@click.argument("data", metavar="DATA", type=DATA)
@click.argument("output", type=FOLDER)
@takes(making=Making, weights=Weights, place=OnDevice)
@with_plugins
@QUIET
def augment(
    runs: tuple[Path, ...], data: str, output: Path, making: Making, weights: Weights, place: OnDevice, quiet: bool
) -> None:
    """Translate the training pictures of a labelled set into a new set in OUTPUT, with their labels.

    DATA holds COCO JSON, YOLO text, pictures and masks, a table of labels, or a folder for each class.

    \b
    translate augment runs/cyclegan-day2night streets/ streets-night/ --to night
    translate augment runs/stargan-celeba celeba more/ --copies 5 --with-originals
    """
    from translate.data.messages import by_fault
    from translate.runs.augmenting.augment import Augmentation
    from translate.utils.barrier import leaving_together

    with leaving_together(say):
        wanted = Augmentation(runs, data, output, **vars(making), **vars(weights), **vars(place), quiet=quiet)
        outcome, labelled = wanted.carry_out()
        counts = outcome.counts
        answer(f"{counts['written']} made, {counts['skipped']} there already, {counts['failed']} failed")
        for line in by_fault({record.source: record.error for record in outcome.failed}):
            say(f"failed: {line}")
        for line in () if quiet else by_fault({record.source: record.note for record in outcome.noted}):
            say(f"note: {line}")
        for reason in outcome.missing:
            say(f"missing: {reason}")
        steps = [f"see whether they help with {command('downstream', data, output)}"] if labelled.measured else []
        then(*steps or ["train your detector without and with them, with several seeds"], quiet=quiet)
        if outcome.failed or outcome.missing:
            sys.exit(3)


def _seeds(text: str | None) -> tuple[int, ...]:
    from translate.runs.many import seeds_in

    return seeds_in(text)


@dataclass(frozen=True)
class Trials:
    """How the two networks are trained."""

    seeds: Sequence[int] = option(
        "0..4", text="0..4", metavar="0..4|0,3,7", parse=_seeds, help="Train with each of these seeds, two or more."
    )
    steps: int = option(500, least=1, metavar="N", help="Steps of each training.")
    size: int = option(64, least=16, most=1024, metavar="N", help="Pictures are resized to squares of so many pixels.")
    flip: bool = option(False, help="Also mirror pictures at random, in both trainings; not for digits or text.")
    ignore: int | None = option(None, least=0, metavar="N", help="The number in masks of what nobody labelled.")


@click.command()
@click.argument("data", metavar="DATA", type=DATA)
@click.argument("augmented", type=click.Path(path_type=Path))
@takes(trials=Trials, place=OnDevice)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write the scores to this file.")
@with_plugins
@QUIET
def downstream(
    data: str, augmented: Path, trials: Trials, place: OnDevice, json_file: Path | None, quiet: bool
) -> None:
    """Say whether augmented pictures help: train a classifier or segmenter without and with them.

    AUGMENTED is what `translate augment` made of DATA. Both are trained for as many steps and measured on the real test
    pictures of DATA.

    \b
    translate downstream streets/ streets-night/ --size 128 --flip
    """
    from translate.evaluation.table import are_scores, as_text, dumped
    from translate.runs.augmenting.downstream import Training
    from translate.runs.augmenting.downstream import downstream as compare
    from translate.utils.atomic_files import write_atomic
    from translate.utils.outputs import admit

    if json_file is not None:
        admit(json_file, "--json", ours=are_scores)
    training = Training(**vars(trials), device=place.device, quiet=quiet)
    compared = compare(data, augmented, training, logger(quiet))
    scores = compared.scores({"trained": f"{training.steps} steps at {training.size} px, seeds {training.seeds}"})
    if json_file is not None:
        write_atomic(json_file, dumped(scores))
    answer(as_text(scores))
    answer(compared.verdict())
