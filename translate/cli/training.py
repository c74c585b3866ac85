"""`translate train`, `recipes` and `quickstart`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from translate.cli.common import DEVICE, DOMAINS, FOLDER, PLUGIN, QUIET, SET, as_overrides, with_plugins
from translate.errors import ConfigurationError
from translate.utils.printing import answer


@click.command()
@click.argument("recipe")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", metavar="NAME|FOLDER", help="A named data set (see `translate data`) or a folder of images.")
@click.option(
    "--out",
    metavar="DIR",
    type=FOLDER,
    help="The run's folder; default runs/RECIPE-DATA.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue from the newest good checkpoint in the run's folder; add --data if the images have moved.",
)
@DOMAINS
@SET
@click.option(
    "--cache",
    type=click.Choice(["off", "ram", "disk", "device"]),
    help="Where to keep resized images: nowhere, in memory (the default), in files for later runs, or on the GPU.",
)
@click.option(
    "--wandb",
    "wandb_mode",
    type=click.Choice(["auto", "online", "offline", "disabled"]),
    default="auto",
    show_default=True,
    help="Weights & Biases; auto is online when a key is configured, else disabled.",
)
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME[:MODE]",
    help="Another tracker, such as one of your own; can be given again.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Run a few steps and report what training would need on this machine; writes no run.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read, instead of refusing to start.")
@click.option("--artifact", is_flag=True, help="Also give the tracker the last checkpoint.")
@click.option(
    "--runtime",
    "--engine",
    "options",
    metavar="auto|plain[,[no-]OPTION...]",
    default="auto",
    show_default=True,
    help="How a step runs (called --engine before): auto is bf16 where the processor is fast in it, channels last, "
    "fused Adam and, on a CPU, convolutions over small maps as matrix products; plain is none of them. Options are "
    "bf16, channels-last, fused, conv-as-matmul, compiled (torch.compile) and cuda-graphs; the last two have not been "
    "measured on a GPU yet, so that auto leaves them out: auto,cuda-graphs.",
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="On CUDA: the same bits from the same seed, but slower. Without it the last bits differ from run to run (in "
    "convolution gradients, reflection padding and bilinear resizing). On a CPU they never do.",
)
@PLUGIN
@DEVICE
@QUIET
def train(
    recipe: str,
    settings: tuple[str, ...],
    data: str | None,
    out: Path | None,
    resume: bool,
    domains: str | None,
    overrides: tuple[str, ...],
    cache: str | None,
    wandb_mode: str,
    trackers: tuple[str, ...],
    dry_run: bool,
    skip_bad: bool,
    artifact: bool,
    options: str,
    deterministic: bool,
    plugin: tuple[Path, ...],
    device: str,
    quiet: bool,
) -> None:
    """Train RECIPE (a name from `translate recipes`, or a YAML file) on images.

    KEY=VALUE is short for --set KEY=VALUE.

    \b
    translate train cyclegan --data horse2zebra
    translate train pix2pix --data my/pairs data.size=128 training.epochs=50
    translate train cyclegan --data horse2zebra --resume
    """
    from translate.runs.train import dry_run as measure
    from translate.runs.train import train as train_run

    overrides = as_overrides(settings, overrides, domains, "the recipe; what it learns from is --data {}")
    if cache is not None:
        overrides = (*overrides, f"data.cache={cache}")
    if skip_bad:
        overrides = (*overrides, "data.skip_bad=true")
    if dry_run and resume:
        raise ConfigurationError("--dry-run measures a run from its first step on; leave out --resume")
    if dry_run:
        told = measure(recipe, data, device=device, options=options, overrides=overrides, quiet=quiet)
        for line in told.lines():
            answer(line)
        return
    folder = train_run(
        recipe,
        data,
        out=out,
        resume=resume,
        device=device,
        options=options,
        tracking=[f"wandb:{wandb_mode}", *trackers],
        artifact=artifact,
        deterministic=deterministic,
        plugin=plugin,
        overrides=overrides,
        quiet=quiet,
    )
    if os.environ.get("RANK", "0") == "0":
        answer(folder)


@click.command()
@click.argument("name", required=False)
@with_plugins
def recipes(name: str | None) -> None:
    """List the recipes, or print one in full, with all its defaults."""
    from translate.recipe import load_recipe, recipe_names

    if name is not None:
        answer(load_recipe(name).to_yaml(), end="")
        return
    names = recipe_names()
    for known in names:
        answer(f"{known:{max(map(len, names))}}  {load_recipe(known).summary}")


@click.command()
@click.argument("method", type=click.Choice(["cyclegan", "pix2pix"]), default="cyclegan")
@click.option("--out", default="quickstart", show_default=True, type=FOLDER)
@click.option("--resume", is_flag=True, expose_value=False, help="As without: it goes on with what is in --out.")
@DEVICE
def quickstart(method: str, out: Path, device: str) -> None:
    """Train and convert in a few minutes on a CPU, on images that are drawn on the spot: nothing to download.

    The same command again goes on where a stopped one was.
    """
    from translate.runs.quickstart import quickstart as run_quickstart

    run_quickstart(method, out, device, log=answer)
