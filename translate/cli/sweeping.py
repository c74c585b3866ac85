"""`translate sweep`: a grid or random search here, from a file of Weights & Biases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from translate.cli.common import FOLDER, QUIET, Changes
from translate.cli.completing import SETTING
from translate.cli.many import Repeats
from translate.cli.options import value_of
from translate.cli.training import Trackers, TrainingChanges, TrainOptions, train
from translate.errors import ConfigurationError, command
from translate.utils.printing import answer, logger, say, then


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...", type=SETTING)
@click.option("--out", type=FOLDER, help="Folder of the runs, which are numbered; default runs/NAME-OF-FILE.")
@click.option(
    "--runs", "count", type=click.IntRange(1), help="How many runs; default: the file's run_cap, or all of a grid."
)
@click.option("--search-seed", "seed", type=click.IntRange(0), default=0, show_default=True, help="Of a random search.")
@QUIET
def sweep(file: Path, settings: tuple[str, ...], out: Path | None, count: int | None, seed: int, quiet: bool) -> None:
    """Train one run for each point of a grid or random search, and show the best.

    FILE is a sweep of Weights & Biases, so that `wandb sweep FILE` and `wandb agent` run it, too; its `command` says
    what is trained. KEY=VALUE holds for all runs. The same command again goes on where it stopped.

    \b
    translate sweep sweep.yaml
    """
    from translate.recipe.plugins import load_plugins
    from translate.runs.many import train_planned
    from translate.runs.sweep_file import read_sweep
    from translate.runs.sweeping import planned_points, ranked
    from translate.runs.train import resolved, say_left_to_do

    wanted = read_sweep(file)
    if wanted.idle:
        say(
            f"note: {file}: {' and '.join(wanted.idle)}: for the server of Weights & Biases, without effect here; "
            "training.patience=N ends a run that gets no better"
        )
    points = wanted.points(count, seed)
    recipe, data, given, made = _trained_by(file, wanted.words(file))
    load_plugins(made["plugin"])
    changes = Changes(overrides=given).settings(settings, "the file")
    base = Path(out) if out is not None else Path("runs") / file.stem
    planned = planned_points(points, base, lambda point: resolved(recipe, data, [*changes, *point]))
    outcome = train_planned(planned, base.name, logger(quiet), quiet=quiet, **made)
    done = [one.folder if one.folder in outcome.done else None for one in planned]
    for line in ranked(points, done, wanted.metric):
        answer(line)
    say_left_to_do(made["tracking"], [one.folder for one in planned])
    if outcome.done:
        then(f"see the runs side by side with {command('compare', *outcome.done)}", quiet=quiet)
    outcome.require_all()


def _trained_by(file: Path, words: Sequence[str]) -> tuple[str, str | None, tuple[str, ...], dict[str, Any]]:
    """What a sweep's command trains: recipe, data, KEY=VALUE for all, and keywords of `train`. Raises
    ConfigurationError for what a sweep decides itself."""
    params = train.make_context("train", list(words)).params
    changes = value_of(TrainingChanges, params)
    options, trackers, repeats = value_of(TrainOptions, params), value_of(Trackers, params), value_of(Repeats, params)
    if options.out is not None or options.resume or repeats.dry_run or repeats.wanted:
        raise ConfigurationError(
            f"{file}: command: a sweep chooses the folders, goes on by itself and trains each point once; leave out "
            "--out, --resume, --dry-run, --seeds and --folds"
        )
    made = {key: value for key, value in vars(options).items() if key not in ("out", "resume")}
    made |= {"tracking": trackers.names, "plugin": params["plugin"]}
    return params["recipe"], params["data"], changes.settings(params["settings"], "the recipe"), made
