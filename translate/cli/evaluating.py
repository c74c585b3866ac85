"""`translate evaluate`."""

from pathlib import Path

import click

from translate.cli.common import QUIET, with_plugins
from translate.cli.options import takes
from translate.inference.options import OnDevice, Weights
from translate.utils.printing import answer, logger, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@takes(weights=Weights, place=OnDevice)
@click.option("--data", metavar="NAME|FOLDER", help="Where the data set is now; default: where the run was trained.")
@click.option(
    "--weights-dir", metavar="DIR", help="Folder of Inception's weights, for FID as published; never downloaded."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="File for the scores; default: in the run's folder."
)
@with_plugins
@QUIET
def evaluate(
    run: Path,
    weights: Weights,
    place: OnDevice,
    data: str | None,
    weights_dir: str | None,
    json_file: Path | None,
    quiet: bool,
) -> None:
    """Score a run on the test images of its data set: a table, and the same as JSON.

    \b
    translate evaluate runs/stargan-celeba
    """
    from translate.evaluation.table import as_text
    from translate.runs.evaluate import evaluate as evaluate_run
    from translate.runs.evaluate import scores_path, write_scores

    checkpoint = weights.checkpoint
    scores_path(run, checkpoint, json_file)  # fails before the work, not after it
    scores = evaluate_run(
        run, checkpoint, data=data, device=place.device, weights_dir=weights_dir, log=logger(quiet), quiet=quiet
    )
    written = write_scores(scores, run, checkpoint, json_file)  # first: printing may fail
    answer(as_text(scores))
    say(f"written to {written}")
