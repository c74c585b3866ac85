"""`translate export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from translate.cli.common import DROPOUT, with_plugins
from translate.utils.printing import answer, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path())
@click.option(
    "--format",
    type=click.Choice(["onnx", "torch-export", "hub", "port"]),
    help="Default by OUT's suffix: .onnx, .pt2 (torch-export), .pth or .ckpt (port), none (hub, a folder).",
)
@click.option(
    "--to",
    metavar="DOMAIN",
    multiple=True,
    help="The domain to convert to, if the run has several. Attributes: NAME sets one, -NAME clears one.",
)
@click.option("--bytes", "as_bytes", is_flag=True, help="For graphs: uint8 in and out instead of floats in [-1, 1].")
@click.option("--checkpoint", default="latest", show_default=True, metavar="latest|best|STEP")
@click.option(
    "--tolerance",
    default=1e-4,
    show_default=True,
    type=click.FloatRange(0),
    help="For graphs: the largest difference from PyTorch, on the scale of [-1, 1]; above it nothing is written.",
)
@click.option("--eval", "evaluated", is_flag=True, help="For another project's generator, as in `translate convert`.")
@DROPOUT
@with_plugins
@click.option("--overwrite", is_flag=True, help="Replace OUT.")
def export(
    run: Path,
    out: str,
    format: Any,
    to: tuple[str, ...],
    as_bytes: bool,
    checkpoint: str,
    tolerance: float,
    evaluated: bool,
    dropout: Any,
    overwrite: bool,
) -> None:
    """Write the translator in RUN as OUT, for other programs, and check it against PyTorch.

    \b
    translate export runs/cyclegan-horse2zebra zebra.onnx --to zebra
    translate export runs/cyclegan-horse2zebra zebra-model             (a folder for a model hub)
    translate export runs/cyclegan-horse2zebra weights --format port   (latest_net_G_A.pth, latest_net_G_B.pth)
    """
    from translate.runs.export import export as export_run

    exported = export_run(
        run,
        out,
        format=format,
        to=to or None,
        as_bytes=as_bytes,
        checkpoint=checkpoint,
        tolerance=tolerance,
        evaluated=evaluated,
        dropout=dropout,
        overwrite=overwrite,
    )
    for kind, difference in exported.differences.items():
        answer(f"largest difference from PyTorch on {kind}: {difference:.2g}")
    for note in exported.notes:
        say(f"note: {note}")
    for path in exported.paths:
        answer(path)
