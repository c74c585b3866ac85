"""`translate convert` and `sample`: write files with a trained model."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from translate.cli.common import DEVICE, DROPOUT, FOLDER, QUIET, with_plugins
from translate.errors import ConfigurationError
from translate.utils.printing import answer, logger, say

if TYPE_CHECKING:  # slow to import, so imported where used
    from translate.inference.folder import Outcome


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path())
@click.option(
    "--to",
    metavar="DOMAIN",
    multiple=True,
    help="The domain to convert to, if the run has several. Attributes: NAME sets one, -NAME clears one.",
)
@click.option("--checkpoint", default="latest", show_default=True, metavar="latest|best|STEP")
@click.option("--overwrite", is_flag=True, help="Convert again what is already in OUTPUT.")
@click.option("--no-links", is_flag=True, help="Leave out links to files outside of INPUT, instead of converting them.")
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Threads that decode, and as many that encode.",
)
@click.option(
    "--batch",
    default="auto",
    show_default=True,
    metavar="auto|N",
    callback=lambda context, option, value: _auto_or_number(value, 4096),
    help="Images of equal size converted at once; auto: 1 on a CPU, by free memory on a GPU. Fewer if memory runs out.",
)
@click.option(
    "--tile",
    default="auto",
    show_default=True,
    metavar="auto|off|N",
    callback=lambda context, option, value: "off" if value == "off" else _auto_or_number(value, 1 << 20, "auto"),
    help="Convert an image N rows at a time, with the statistics of the whole image: the same result in less "
    "memory; auto does so only with images that would not fit.",
)
@click.option(
    "--format",
    type=click.Choice(["same", "png", "jpeg", "jpg", "webp", "tiff", "tif"]),
    default="same",
    show_default=True,
    callback=lambda context, option, value: {"jpg": "jpeg", "tif": "tiff"}.get(value, value),
    help="Format of the outputs. Where a.jpg and a.png would both become a.png, the first becomes a.jpg.png.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    metavar="N",
    help="Largest image to read, in pixels; default 89478485: a file that claims more is likely an attack.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto is bf16 where the processor is fast in it (pixels are off by .2 levels of 255 or less in the mean), and "
    "float32 for images of 16 bits.",
)
@click.option(
    "--shard",
    "part",
    metavar="I/N",
    callback=lambda context, option, value: _part(value),
    help="Convert only part I of N, so that N machines can share a folder; under torchrun each process takes its part.",
)
@click.option("--manifest", type=click.Path(path_type=Path), help="Add a line of JSON to this file for each image.")
@click.option("--compare", metavar="DIR", type=FOLDER, help="Also write sheets of inputs beside outputs.")
@click.option(
    "--gallery", metavar="FILE.html", type=click.Path(path_type=Path), help="Also write a page that shows them all."
)
@click.option(
    "--cycle-error",
    is_flag=True,
    help="Also write NAME.cycle-error.png beside each output: how far the translation back differs from the input. "
    "Takes twice as long.",
)
@click.option(
    "--eval",
    "evaluated",
    is_flag=True,
    help="For another project's generator: running statistics and no dropout, as with their --eval.",
)
@DROPOUT
@click.option(
    "--backend",
    type=click.Choice(["auto", "torch", "onnxruntime", "openvino"]),
    default="auto",
    show_default=True,
    help="What runs the network; exported .onnx files run on the last two.",
)
@with_plugins
@DEVICE
@QUIET
def convert(
    run: Path,
    source: Path,
    output: str,
    to: tuple[str, ...],
    checkpoint: str,
    overwrite: bool,
    no_links: bool,
    workers: int,
    batch: int | None,
    tile: Any,
    format: Any,
    max_pixels: int | None,
    precision: Any,
    part: tuple[int, int] | None,
    manifest: Path | None,
    compare: Path | None,
    gallery: Path | None,
    cycle_error: bool,
    evaluated: bool,
    dropout: Any,
    backend: Any,
    device: str,
    quiet: bool,
) -> None:
    """Convert every image below INPUT (or one file, or a video) into OUTPUT, same names, same sizes.

    \b
    translate convert runs/cyclegan-horse2zebra photos/ zebras/ --to zebra
    translate convert runs/stargan-celeba faces/ out/ --to Blond_Hair --to -Male
    translate convert latest_net_G_A.pth photos/ out/            (a generator trained with the PyTorch port)
    translate convert zebra.onnx photos/ zebras/                 (a file that `translate export` wrote)
    translate convert runs/cyclegan-horse2zebra clip.mp4 out.mp4 --to zebra           (frame by frame)
    """
    from translate.data.io.images import MAX_PIXELS, allow_pixels
    from translate.inference.command import Beside, convert_clip, convert_images
    from translate.inference.converter import BF16_APART
    from translate.inference.jobs import plan
    from translate.inference.provenance import claimed, require_writable, translation
    from translate.inference.video import is_video, plan_video
    from translate.runs.loading import files_of, load
    from translate.utils.outputs import Inputs
    from translate.utils.together import leaving_together

    allow_pixels(max_pixels or MAX_PIXELS)
    beside, video = Beside(manifest, compare, gallery, cycle_error), is_video(source)
    if video and (part is not None or format != "same"):
        raise ConfigurationError("--shard and --format are for images, not for a video; leave them out")
    if part is not None:
        beside.refuse_for_parts()
    with leaving_together(say):
        # All checks before loading the model, which takes seconds.
        _refuse_swapped(run, source, output)
        _refuse_idle(run, checkpoint, evaluated, dropout)
        if video:
            beside.refuse_for_video()
            target = plan_video(source, output)
            require_writable(target.parent)
            read: Iterable[Path] = [source]
        else:
            beside.refuse_among([source, Path(output)])
            jobs = plan(source, output, format, logger(quiet), follow_links=not no_links)
            require_writable(jobs.output)
            read = (job.source for job in jobs)
            jobs = jobs if part is None else jobs.shard(*part)
        beside.require_places(Inputs(lambda: (*files_of(run), *read)), overwrite)
        converter = load(
            run, checkpoint, device=device, precision=precision, evaluated=evaluated, backend=backend, dropout=dropout
        )
        converter.fitting.tile, converter.log = tile, say
        request = converter.request(to)
        if converter.runtime.bf16:
            logger(quiet)(f"bf16: {BF16_APART}; --precision float32 is exact, and slower")
        whole = claimed(Path(output), translation(converter, request), overwrite) if source.is_dir() else nullcontext()
        with whole as folder:
            if video:
                outcome = convert_clip(
                    converter, source, target, request, beside, overwrite=overwrite, batch_size=batch, quiet=quiet
                )
            else:
                outcome = convert_images(
                    converter,
                    jobs,
                    request,
                    beside,
                    facts={"model": str(run), "to": ", ".join(to or converter.targets)},
                    overwrite=overwrite,
                    workers=workers,
                    batch_size=batch,
                    max_pixels=max_pixels or MAX_PIXELS,
                    quiet=quiet,
                    claim=folder,
                )
            if folder and overwrite:
                folder.settle(outcome)
        _conclude(outcome, quiet)


def _refuse_swapped(run: Path, source: Path, output: str) -> None:
    """Raises ConfigurationError if the input was named first, with the command in the right order."""
    from translate.runs.mistaken import holds_model

    if holds_model(source) and not holds_model(run) and run.exists():
        right = shlex.join(["translate", "convert", str(source), str(run), output])
        raise ConfigurationError(f"{run} is no run, and {source} is: the run comes first; did you mean `{right}`?")


def _refuse_idle(run: Path, checkpoint: str, evaluated: bool, dropout: str) -> None:
    """Raises ConfigurationError for an option that would have no effect with such a model."""
    for option, given in (("--eval", evaluated), (f"--dropout {dropout}", dropout != "auto")):
        if given and (run.is_dir() or run.suffix == ".onnx"):
            raise ConfigurationError(f"{option} is for another project's generator, which {run} is not; leave it out")
    if checkpoint != "latest" and run.exists() and not (run / "checkpoints").is_dir():
        raise ConfigurationError(f"--checkpoint {checkpoint}: {run} has no checkpoints to choose from; leave it out")


def _conclude(outcome: Outcome, quiet: bool) -> None:
    """Reports what happened to the files; exits with code 3 if some failed."""
    from translate.data.messages import by_fault

    counts = outcome.counts
    answer(f"{counts['written']} converted, {counts['skipped']} skipped, {counts['failed']} failed")
    if counts["skipped"]:
        say("skipped files exist in OUTPUT already; --overwrite converts them again")
    failures = by_fault({record.source: record.error for record in outcome.failed})
    for line in failures:
        say(f"failed: {line}")
    if len(failures) < len(outcome.failed):
        say("--manifest FILE names every file that failed")
    for line in () if quiet else by_fault({record.source: record.note for record in outcome.noted}):
        say(f"note: {line}")
    for reason in outcome.missing:
        say(f"missing: {reason}")
    if outcome.failed or outcome.missing:
        sys.exit(3)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("output", type=FOLDER)
@click.option("--count", default=64, show_default=True, type=click.IntRange(1), help="How many images.")
@click.option("--label", metavar="CLASS", help="Draw this class only; the default is all classes in turn.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The same seed, the same images.")
@click.option("--grid", is_flag=True, help="Also write grid.png, all of them side by side.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="latest|best|STEP")
@click.option("--overwrite", is_flag=True, help="Replace what is already in OUTPUT.")
@with_plugins
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
    from translate.inference.sampling import class_number, sample_folder
    from translate.runs.loading import load_sampler

    model = load_sampler(run, checkpoint, device=device)
    number = class_number(model, label)
    paths = sample_folder(model, output, count, label=number, seed=seed, grid=grid, overwrite=overwrite)
    answer(f"{len(paths)} files in {output}")


def _part(text: str | None) -> tuple[int, int] | None:
    """I and N of `--shard I/N`; by default those of this process under torchrun, or None for the whole."""
    if text is None:
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        return (int(os.environ.get("RANK", "0")) + 1, processes) if processes > 1 else None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise click.BadParameter(f"{text}: expected I/N, e.g. 1/8 for the first of eight parts")
    return int(number), int(of)


def _auto_or_number(text: str, most: int, auto: Any = None) -> Any:
    """Parses a number from 1 to `most`, or returns `auto` for the word "auto"."""
    if text == "auto":
        return auto
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise click.BadParameter(f"{text}: expected auto or a number from 1 to {most}")
    return int(text)
