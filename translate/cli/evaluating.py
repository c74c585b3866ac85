"""`translate evaluate` and `compare`: how good runs are."""

from pathlib import Path

import click

from translate.cli.common import QUIET, with_plugins
from translate.cli.completing import DATA, RUN
from translate.cli.options import takes
from translate.errors import command
from translate.inference.options import OnDevice, Weights
from translate.utils.printing import answer, columns, logger, say, shown, then


@click.command()
@click.argument("run", type=RUN)
@takes(weights=Weights, place=OnDevice)
@click.option(
    "--data", type=DATA, metavar="NAME|FOLDER", help="Where the data set is now; default: where the run was trained."
)
@click.option(
    "--clips",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A video, or a folder of clips: also measure how much they flicker when they are translated.",
)
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
    clips: Path | None,
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
        run,
        checkpoint,
        data=data,
        clips=clips,
        device=place.device,
        weights_dir=weights_dir,
        log=logger(quiet),
        quiet=quiet,
    )
    written = write_scores(scores, run, checkpoint, json_file)  # first: printing may fail
    answer(as_text(scores, columns()))
    say(f"written to {written}")
    then(f"see runs side by side with {command('compare', run, 'OTHER-RUN')}", quiet=quiet)


@click.command()
@click.argument("run", type=RUN)
def report(run: Path) -> None:
    """Write RUN/report.html, the page of a run, from the files in its folder; also while it trains.

    Training writes it, too, with every grid of samples and at its end.

    \b
    translate report runs/cyclegan-horse2zebra
    """
    from translate.runs.report import report as report_run

    page = report_run(run)
    answer(page)
    then(f"open {shown(page)} in a browser")


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write the comparison to this file.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Also write the tables as a page to this file.")
def compare(runs: tuple[Path, ...], json_file: Path | None, page: Path | None) -> None:
    """Show runs side by side: settings that differ, steps, validation, and scores from `translate evaluate`.

    Reads the runs' folders and computes nothing new; a dash stands for what a run does not have. Scores measured in
    different ways (other test images, another size) are put in different rows, with a warning. Runs that differ in
    their seed or fold alone are one column: mean ± standard deviation, and their number.

    \b
    translate compare runs/pix2pix-facades runs/pix2pix-facades-2
    """
    from translate.runs.comparing import compare as compare_runs
    from translate.runs.comparing.comparison import is_comparison
    from translate.runs.comparing.page import is_page, write_page
    from translate.runs.comparing.text import as_text
    from translate.utils.atomic_files import write_atomic
    from translate.utils.outputs import admit
    from translate.utils.stored import json_text

    if json_file is not None:
        admit(json_file, "--json", ours=is_comparison)
    if page is not None:
        admit(page, "--html", ours=is_page)
    comparison = compare_runs(runs)
    if json_file is not None:
        write_atomic(json_file, json_text(comparison.as_json(), indent=1) + "\n")
    if page is not None:
        write_page(comparison, page)
    answer(as_text(comparison, columns()))
    for written in filter(None, (json_file, page)):
        say(f"written to {written}")
    then(
        f"open {shown(page)} in a browser"
        if page is not None
        else f"make a page of it with {command('compare', *runs, '--html', 'compare.html')}"
    )
