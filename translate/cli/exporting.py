"""`translate export`."""

from pathlib import Path

import click

from translate.cli.common import OUTPUT, with_plugins
from translate.cli.options import takes
from translate.inference.options import ExportOptions, Target
from translate.utils.printing import answer, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
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

    exported = export_run(run, out, to=target.to, **vars(options))
    for kind, difference in exported.differences.items():
        answer(f"largest difference from PyTorch on {kind}: {difference:.2g}")
    for note in exported.notes:
        say(f"note: {note}")
    for path in exported.paths:
        answer(path)
