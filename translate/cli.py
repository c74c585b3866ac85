"""The command line: parse, call, print; no logic.

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 finished but some items failed.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from translate.errors import ConfigurationError, TranslateError, nearest


class Commands(click.Group):
    """A click group whose commands end in the project's exit codes, without a traceback for a user's mistake."""

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        try:
            code = super().main(args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Abort:
            code = 130
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except TranslateError as error:
            click.echo(f"error: {error}", err=True)
            code = error.exit_code
        except KeyboardInterrupt:
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=lambda *a: _version(*a))
def main() -> None:
    """Image-to-image translation: train a translator on folders of images, and convert folders with it."""


DEVICE = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]|mps", help="Where to run."
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")


@main.command()
@click.argument("recipe")
@click.option("--data", metavar="NAME|FOLDER", help="A named data set (see `translate data`) or a folder of images.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The run's folder; default runs/RECIPE-DATA.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest good checkpoint in the run's folder.")
@click.option(
    "--domains",
    metavar="A,B,...",
    help="Names of the two domains, where the folders do not tell; or the classes or attributes to train on.",
)
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key, e.g. training.lr=1e-4.")
@click.option(
    "--wandb",
    "tracking",
    type=click.Choice(["auto", "online", "offline", "disabled"]),
    default="auto",
    show_default=True,
    help="Weights & Biases; auto is online when a key is configured, else disabled.",
)
@click.option("--artifact", is_flag=True, help="Give the tracker the checkpoints, too.")
@DEVICE
@QUIET
def train(
    recipe: str,
    data: str | None,
    out: Path | None,
    resume: bool,
    domains: str | None,
    overrides: tuple[str, ...],
    tracking: Any,
    artifact: bool,
    device: str,
    quiet: bool,
) -> None:
    """Train RECIPE (a name from `translate recipes`, or a YAML file) on images.

    \b
    translate train cyclegan --data horse2zebra
    translate train pix2pix --data my/pairs --set data.size=128 --set training.epochs=50
    translate train cyclegan --data horse2zebra --resume
    """
    from translate.run import train as train_run

    if domains is not None:
        overrides = (*overrides, f"data.domains={json.dumps(domains.split(','))}")
    folder = train_run(
        recipe,
        data,
        out=out,
        resume=resume,
        device=device,
        tracking=tracking,
        artifact=artifact,
        overrides=overrides,
        quiet=quiet,
    )
    click.echo(folder)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--to",
    metavar="DOMAIN",
    multiple=True,
    help="The domain to convert to, where the run knows several; attributes are set by name and cleared by -NAME.",
)
@click.option("--checkpoint", default="latest", show_default=True, metavar="latest|best|STEP")
@click.option("--overwrite", is_flag=True, help="Convert again what is already in OUTPUT.")
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Threads that decode, and as many that encode.",
)
@click.option("--batch", type=click.IntRange(1, 4096), help="Images at a time; default 1 on a CPU, 8 on a GPU.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto is bf16 where the processor is fast in it.",
)
@click.option(
    "--shard",
    "part",
    metavar="I/N",
    callback=lambda context, option, value: _part(value),
    help="Convert the I-th of N parts, so that N machines share a folder; under torchrun each process takes its own.",
)
@click.option("--manifest", type=click.Path(path_type=Path), help="File to which a JSON line is added for each image.")
@click.option(
    "--eval",
    "evaluated",
    is_flag=True,
    help="Of another project's generator: running statistics and no dropout, as their option of this name.",
)
@DEVICE
@QUIET
def convert(
    run: Path,
    source: Path,
    output: Path,
    to: tuple[str, ...],
    checkpoint: str,
    overwrite: bool,
    workers: int,
    batch: int | None,
    precision: Any,
    part: tuple[int, int] | None,
    manifest: Path | None,
    evaluated: bool,
    device: str,
    quiet: bool,
) -> None:
    """Convert every image below INPUT (or one file) into OUTPUT, same names, same sizes.

    \b
    translate convert runs/cyclegan-horse2zebra photos/ zebras/ --to zebra
    translate convert runs/stargan-celeba faces/ out/ --to Blond_Hair --to -Male
    translate convert latest_net_G_A.pth photos/ out/            (a generator trained with the PyTorch port)
    """
    from translate.converting.folder import Record, convert_folder, plan, shard
    from translate.progress import Progress
    from translate.run import load

    jobs = plan(source, output)
    if part is not None:
        jobs = shard(jobs, *part)
    converter = load(run, checkpoint, device=device, precision=precision, evaluated=evaluated)
    changes = converter.changes(to)
    batch_size = batch or (1 if converter.engine.device.type == "cpu" else 8)
    with (
        Progress(len(jobs), unit="image", label=f"converting on {converter.engine}", quiet=quiet) as bar,
        manifest.open("a", encoding="utf-8") if manifest else nullcontext() as rows,
    ):

        def done(record: Record) -> None:
            bar.advance(1, images=1)
            if rows:
                rows.write(json.dumps(record.to_json(), ensure_ascii=False) + "\n")

        records = convert_folder(
            converter, jobs, changes, overwrite=overwrite, workers=workers, batch_size=batch_size, done=done
        )
    counts = Counter(record.status for record in records)
    click.echo(f"{counts['written']} converted, {counts['skipped']} skipped, {counts['failed']} failed")
    if counts["skipped"]:
        click.echo("skipped files exist in OUTPUT already; --overwrite converts them again", err=True)
    for record in records:
        if record.status == "failed":
            click.echo(f"failed: {record.error}", err=True)
    if counts["failed"]:
        sys.exit(3)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--count", default=64, show_default=True, type=click.IntRange(1), help="How many images.")
@click.option("--label", metavar="CLASS", help="Of this class only; default all in turn, where the run knows classes.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The same seed, the same images.")
@click.option("--grid", is_flag=True, help="Also grid.png, all of them side by side.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="latest|best|STEP")
@click.option("--overwrite", is_flag=True, help="Replace what is already in OUTPUT.")
@DEVICE
def sample(
    run: Path,
    output: Path,
    count: int,
    label: str | None,
    seed: int,
    grid: bool,
    checkpoint: str,
    overwrite: bool,
    device: str,
) -> None:
    """Draw images from noise with a trained gan, cgan, vae or stackgan, into OUTPUT.

    \b
    translate sample runs/cgan-mnist digits/ --count 16 --label 7 --grid
    """
    from translate.run import load_sampler
    from translate.sampling import class_number, sample_folder

    model = load_sampler(run, checkpoint, device=device)
    number = class_number(model, label)
    paths = sample_folder(model, output, count, label=number, seed=seed, grid=grid, overwrite=overwrite)
    click.echo(f"{len(paths)} files in {output}")


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--checkpoint", default="latest", show_default=True, metavar="latest|best|STEP")
@click.option(
    "--weights-dir", metavar="DIR", help="Where Inception's weights lie, for FID as published; never fetched."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="File for the scores; default in the run.")
@DEVICE
@QUIET
def evaluate(
    run: Path, checkpoint: str, weights_dir: str | None, json_file: Path | None, device: str, quiet: bool
) -> None:
    """Score a run on the test images of its data set: a table, and the same as JSON.

    \b
    translate evaluate runs/stargan-celeba
    """
    from translate.evaluate import evaluate as evaluate_run
    from translate.evaluate import write_scores
    from translate.evaluation.table import as_text
    from translate.run import say

    scores = evaluate_run(
        run, checkpoint, device=device, weights_dir=weights_dir, tell=(lambda line: None) if quiet else say, quiet=quiet
    )
    click.echo(as_text(scores))
    click.echo(f"written to {write_scores(scores, run, checkpoint, json_file)}", err=True)


@main.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or print one resolved."""
    from translate.recipe import load_recipe, recipe_names

    if name is not None:
        click.echo(load_recipe(name).to_yaml(), nl=False)
        return
    names = recipe_names()
    for known in names:
        click.echo(f"{known:{max(map(len, names))}}  {load_recipe(known).summary}")


@main.command()
@click.argument("method", type=click.Choice(["cyclegan", "pix2pix"]), default="cyclegan")
@click.option("--out", default="quickstart", show_default=True, type=click.Path(path_type=Path))
@DEVICE
def quickstart(method: str, out: Path, device: str) -> None:
    """Train and convert on embedded data, in a few minutes on a CPU: nothing to download."""
    from translate.quickstart import quickstart as run_quickstart

    run_quickstart(method, out, device, tell=click.echo)


class DataCommands(click.Group):
    """`translate data` lists; `translate data check DIR` and `translate data fetch NAME` do."""


@main.group(cls=DataCommands, invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """List the named data sets and where each is looked for; check a folder; fetch a set."""
    from translate.data.catalog import cards, places, whereabouts
    from translate.data.points import POINT_SETS

    if context.invoked_subcommand is not None:
        return
    for name, card in cards().items():
        found = " and ".join(map(str, whereabouts(card)))
        click.echo(f"{name:24} {card.layout:10} {'found in ' + found if found else 'not here'}")
    click.echo(f"{'shapes':24} {'any':10} rendered on first use")
    for name in POINT_SETS:
        click.echo(f"{name:24} {'points':10} drawn as they are needed")
    click.echo("looked for, in this order:")
    for place in places("NAME"):
        click.echo(f"  {place}")


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def check(folder: Path) -> None:
    """Tell what a folder of images holds, and what is wrong with it."""
    from translate.data.check import check as check_folder

    report = check_folder(folder)
    for line in report.lines():
        click.echo(line)
    if report.problems:
        sys.exit(3)


@data.command()
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path), help="Folder to put it in; default the user's cache.")
def fetch(name: str, into: Path | None) -> None:
    """Download a named data set, verify it, and unpack its images."""
    from translate.data.catalog import cards, user_data
    from translate.data.fetch import fetch as fetch_card

    known = cards()
    if name not in known:
        raise ConfigurationError(f"no data set '{name}'{nearest(name, known)}")
    click.echo(fetch_card(known[name], into or user_data() / name, _show_bytes))


def _part(text: str | None) -> tuple[int, int] | None:
    """I and N of `--shard I/N`; what torchrun says of this process where it is not given; None for the whole."""
    if text is None:
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        return (int(os.environ.get("RANK", "0")) + 1, processes) if processes > 1 else None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise click.BadParameter(f"{text}: expected I/N, e.g. 1/8 for the first of eight parts")
    return int(number), int(of)


def _show_bytes(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    end = "\n" if done == total else ""
    click.echo(f"\r{done / 1e6:.0f}{share} MB{end}", nl=False, err=True)


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    import torch

    from translate.engine import choose_engine
    from translate.version import __version__

    click.echo(f"translate {__version__}, torch {torch.__version__}, {choose_engine()}")
    context.exit()
