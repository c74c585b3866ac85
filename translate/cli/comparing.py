"""`translate compare`."""

import shutil
import sys
from pathlib import Path

import click

from translate.utils.printing import answer, say


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write the comparison to this file.")
def compare(runs: tuple[Path, ...], json_file: Path | None) -> None:
    """Show runs side by side: settings that differ, steps, validation, and scores from `translate evaluate`.

    Reads the runs' folders and computes nothing new; a dash stands for what a run does not have. Scores measured in
    different ways (other test images, another size) are put in different rows, with a warning.

    \b
    translate compare runs/pix2pix-facades runs/pix2pix-facades-2
    """
    from translate.runs.comparing import compare as compare_runs
    from translate.runs.comparing.comparison import is_comparison
    from translate.runs.comparing.text import as_text
    from translate.utils.atomic_files import write_atomic
    from translate.utils.json_text import json_text
    from translate.utils.outputs import admit

    if json_file is not None:
        admit(json_file, "--json", ours=is_comparison)
    comparison = compare_runs(runs)
    if json_file is not None:
        write_atomic(json_file, json_text(comparison.as_json(), indent=1) + "\n")
    answer(as_text(comparison, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    if json_file is not None:
        say(f"written to {json_file}")
