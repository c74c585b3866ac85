"""`translate train`, `recipes` and `quickstart`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from translate.cli.common import FOLDER, PLUGIN, QUIET, Changes, with_plugins
from translate.cli.completing import DATA, RECIPE, SETTING
from translate.cli.many import Repeats, train_repeats
from translate.cli.options import takes
from translate.errors import ConfigurationError, command
from translate.inference.options import OnDevice
from translate.utils.options import option
from translate.utils.printing import answer, answer_in_words, then


@dataclass(frozen=True)
class TrainOptions(OnDevice):
    """How a run is made; keywords of `train`."""

    out: Path | None = option(None, metavar="DIR", folder=True, help="The run's folder; default runs/RECIPE-DATA.")
    resume: bool = option(
        False, help="Continue from the newest good checkpoint in the run's folder; add --data if the images have moved."
    )
    change_schedule: bool = option(
        False, help="With --resume: go on at other learning rates, or on another schedule, than the run has."
    )
    artifact: bool = option(False, help="Also give the tracker the best checkpoint and the last one.")
    options: str = option(
        "auto",
        "--runtime",
        earlier="--engine",
        metavar="auto|plain[,[no-]OPTION...]",
        help="How a step runs (called --engine before): auto is bf16 where the processor is fast in it, channels last, "
        "fused Adam and, on a CPU, convolutions over small maps as matrix products; plain is none of them. Options are "
        "bf16, channels-last, fused, conv-as-matmul, compiled (torch.compile) and cuda-graphs; the last two have not "
        "been measured on a GPU yet, so that auto leaves them out: auto,cuda-graphs.",
    )
    deterministic: bool = option(
        False,
        help="On CUDA: the same bits from the same seed, but slower. Without it the last bits differ from run to run "
        "(in convolution gradients, reflection padding and bilinear resizing). On a CPU they never do.",
    )


@dataclass(frozen=True)
class Trackers:
    """Where a run is followed beside its own files."""

    wandb: Literal["auto", "online", "offline", "disabled"] = option(
        "auto", help="Weights & Biases; auto is online when a key is configured, else disabled."
    )
    tensorboard: bool = option(False, help="TensorBoard's files, in the run's folder: tensorboard --logdir DIR.")
    others: tuple[str, ...] = option(
        (), "--tracker", metavar="NAME[:MODE]", help="Another tracker, such as one of your own; can be given again."
    )

    @property
    def names(self) -> list[str]:
        return [f"wandb:{self.wandb}", *["tensorboard"] * self.tensorboard, *self.others]


@dataclass(frozen=True)
class TrainingChanges(Changes):
    """What `translate train` changes of a recipe."""

    cache: Literal["off", "ram", "disk", "device"] | None = option(
        None,
        choices=("off", "ram", "disk", "device"),
        help="Where to cache resized images: nowhere, in memory (the default), in files for later runs, or on the GPU.",
    )
    skip_bad: bool = option(False, help="Leave out images that cannot be read, instead of refusing to start.")

    def settings(self, words: Sequence[str], after: str) -> tuple[str, ...]:
        cache = [] if self.cache is None else [f"data.cache={self.cache}"]
        return (*super().settings(words, after), *cache, *(["data.skip_bad=true"] if self.skip_bad else []))


@click.command()
@click.argument("recipe", type=RECIPE)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...", type=SETTING)
@click.option(
    "--data", type=DATA, metavar="NAME|FOLDER", help="A named data set (see `translate data`) or a folder of images."
)
@takes(repeats=Repeats, changes=TrainingChanges, options=TrainOptions, trackers=Trackers)
@PLUGIN
@QUIET
def train(
    recipe: str,
    settings: tuple[str, ...],
    data: str | None,
    changes: TrainingChanges,
    options: TrainOptions,
    trackers: Trackers,
    repeats: Repeats,
    plugin: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Train RECIPE (a name from `translate recipes`, or a YAML file) on images.

    KEY=VALUE is short for --set KEY=VALUE.

    \b
    translate train cyclegan --data horse2zebra
    translate train pix2pix --data my/pairs data.size=128 training.epochs=50
    translate train cyclegan --data horse2zebra --resume
    translate train pix2pix --data my/pairs --seeds 0..4
    """
    from translate.runs.next_steps import using
    from translate.runs.train import dry_run as measure
    from translate.runs.train import say_left_to_do
    from translate.runs.train import train as train_run

    overrides = changes.settings(settings, "the recipe; the data set is --data {}")
    if repeats.dry_run and options.resume:
        raise ConfigurationError("--dry-run measures a run from its first step on; leave out --resume")
    if repeats.dry_run and repeats.wanted:
        raise ConfigurationError("--dry-run measures a single run; leave out --seeds and --folds")
    if repeats.dry_run:
        found = measure(
            recipe,
            data,
            device=options.device,
            options=options.options,
            plugin=plugin,
            overrides=overrides,
            quiet=quiet,
        )
        for line in found.lines():
            answer_in_words(line)
        then("the same command without --dry-run trains", quiet=quiet)
        return
    made = vars(options) | {"tracking": trackers.names, "plugin": plugin}
    if repeats.wanted:
        del made["resume"]  # always: a run that was begun goes on
        train_repeats(recipe, data, repeats, overrides, quiet=quiet, **made)
        return
    folder = train_run(recipe, data, overrides=overrides, quiet=quiet, **made)
    if os.environ.get("RANK", "0") == "0":
        answer(folder)
        say_left_to_do(trackers.names, [folder])
        then(f"look at {folder / 'report.html'}", using(folder), quiet=quiet)


@click.command()
@click.argument("name", required=False, type=RECIPE)
@with_plugins
def recipes(name: str | None) -> None:
    """List the recipes, or print one in full, with all its defaults."""
    from translate.recipe import load_recipe, recipe_names
    from translate.recipe.explaining import commented
    from translate.runs.next_steps import training_on

    if name is not None:
        answer(commented(load_recipe(name)), end="")
        changed = command("train", "mine.yaml", "--data", "FOLDER")
        then(f"keep it with {command('recipes', name)} > mine.yaml, change it, and train it with {changed}")
        return
    names = recipe_names()
    for known in names:
        answer_in_words(f"{known:{max(map(len, names))}}  {load_recipe(known).summary}")
    then(f"see what one is good for with {command('explain', 'pix2pix')}", training_on("FOLDER", "paired"))


@click.command()
@click.argument("method", type=click.Choice(["cyclegan", "pix2pix"]), default="cyclegan")
@click.option("--out", default="quickstart", show_default=True, type=FOLDER)
@click.option("--resume", is_flag=True, expose_value=False, help="Continue what is in --out; it does so without, too.")
@takes(place=OnDevice)
def quickstart(method: str, out: Path, place: OnDevice) -> None:
    """Train and convert in a few minutes on a CPU, on images that are drawn on the spot: nothing to download.

    The same command again goes on where a stopped one was.
    """
    from translate.runs.quickstart import quickstart as run_quickstart

    run_quickstart(method, out, place.device, log=answer)
    then(
        f"look at {out / 'comparison.png'} and {out / 'run' / 'report.html'}",
        f"train on images of your own with {command('train', method, '--data', 'FOLDER')}",
    )
