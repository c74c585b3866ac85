"""`translate convert`, `sample` and `export`: write files with, or of, a trained model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from translate.cli.common import FOLDER, OUTPUT, QUIET, with_plugins
from translate.cli.completing import RUN
from translate.cli.options import takes
from translate.inference.cluster import ClusterOptions
from translate.inference.options import (
    ExportOptions,
    Extras,
    InputOptions,
    ModelOptions,
    OutputOptions,
    SampleOptions,
    Target,
)
from translate.utils.printing import answer, say, shown, then

if TYPE_CHECKING:  # slow to import, so imported where used
    from translate.inference.records import Outcome


@click.command()
@click.argument("run", type=RUN)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", type=OUTPUT)
@takes(
    target=Target,
    writing=OutputOptions,
    reading=InputOptions,
    extras=Extras,
    cluster=ClusterOptions,
    model=ModelOptions,
)
@with_plugins
@QUIET
def convert(
    run: Path,
    source: Path,
    output: str,
    target: Target,
    writing: OutputOptions,
    reading: InputOptions,
    extras: Extras,
    cluster: ClusterOptions,
    model: ModelOptions,
    quiet: bool,
) -> None:
    """Convert every image below INPUT (or one file, or a video) into OUTPUT, same names, same sizes.

    \b
    translate convert runs/cyclegan-horse2zebra photos/ zebras/ --to zebra
    translate convert runs/stargan-celeba faces/ out/ --to Blond_Hair --to -Male
    translate convert runs/stargan-v2 photos/ out/ --to rose --style reference.jpg      (or --styles 5)
    translate convert runs/pix2pix photos/ out/ --checkpoint 1000,best,latest --gallery page.html   (side by side)
    translate convert runs/cyclegan-horse2zebra photos/ zebras/ --ray auto       (on a Ray cluster)
    translate convert latest_net_G_A.pth photos/ out/            (a generator trained with the PyTorch port)
    translate convert zebra.onnx photos/ zebras/                 (a file that `translate export` wrote)
    translate convert runs/cyclegan-horse2zebra clip.mp4 out.mp4 --to zebra           (frame by frame)
    """
    from translate.runs.by_checkpoint import carry_out
    from translate.runs.convert import Conversion
    from translate.utils.barrier import leaving_together

    with leaving_together(say):
        chosen: dict[str, Any] = {"style": target.style, "steps": target.steps, "cluster": cluster}
        wanted = Conversion(run, source, output, target.to, model, reading, writing, extras, quiet, **chosen)
        outcome = carry_out(wanted)
        _report(outcome, quiet)
        then(f"look at {shown(extras.gallery or output)}", quiet=quiet or not outcome.counts["written"])
        if outcome.failed or outcome.missing:
            sys.exit(3)


def _report(outcome: Outcome, quiet: bool) -> None:
    """Reports what happened to the files."""
    from translate.data.messages import by_fault, few

    counts = outcome.counts
    answer(f"{counts['written']} converted, {counts['skipped']} skipped, {counts['failed']} failed")
    if counts["skipped"]:
        say("skipped files exist in OUTPUT already; --overwrite converts them again")
    failures = by_fault({record.source: record.error for record in outcome.failed})
    for line in failures:
        say(f"failed: {line}")
    if len(failures) < len({record.source for record in outcome.failed}):
        say("--manifest FILE names every file that failed")
    for line in () if quiet else by_fault({record.source: record.note for record in outcome.noted}):
        say(f"note: {line}")
    if outcome.others and not quiet:
        say(f"note: what this conversion did not write stays where it is: {few(outcome.others)}")
    for reason in outcome.missing:
        say(f"missing: {reason}")


@click.command()
@click.argument("run", type=RUN)
@click.argument("output", type=FOLDER)
@takes(options=SampleOptions)
@with_plugins
def sample(run: Path, output: Path, options: SampleOptions) -> None:
    """Generate images from noise with a trained gan, cgan, vae or stackgan, into OUTPUT.

    \b
    translate sample runs/cgan-mnist digits/ --count 16 --label 7 --grid
    """
    from translate.inference.sampling import class_number, sample_folder
    from translate.runs.loading import load_sampler

    model = load_sampler(run, options.checkpoint, device=options.device)
    number = class_number(model, options.label)
    paths = sample_folder(
        model, output, options.count, label=number, seed=options.seed, grid=options.grid, overwrite=options.overwrite
    )
    answer(f"{len(paths)} files in {output}")
    then(f"look at {shown(output)}")


@click.command()
@click.argument("run", type=RUN)
@click.argument("out", type=OUTPUT)
@takes(target=Target, options=ExportOptions)
@with_plugins
def export(run: Path, out: str, target: Target, options: ExportOptions) -> None:
    """Write the translator in RUN as OUT, for other programs, and check it against PyTorch.

    \b
    translate export runs/cyclegan-horse2zebra zebra.onnx --to zebra
    translate export runs/cyclegan-horse2zebra zebra-model             (a folder for a model hub)
    translate export runs/cyclegan-horse2zebra weights --format port   (latest_net_G_A.pth, latest_net_G_B.pth)
    """
    from translate.runs.export import export as export_run
    from translate.runs.next_steps import using_exported

    exported = export_run(run, out, **vars(target), **vars(options))
    for kind, difference in exported.differences.items():
        answer(f"largest difference from PyTorch on {kind}: {difference:.2g}")
    for note in exported.notes:
        say(f"note: {note}")
    for path in exported.paths:
        answer(path)
    then(*using_exported(Path(out), exported.paths))
