"""The command line: parse, call, print; no logic.

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 finished but some items failed.
"""

import click

from translate.cli.augmenting import augment, downstream
from translate.cli.common import Commands
from translate.cli.converting import convert, export, sample
from translate.cli.data import data
from translate.cli.evaluating import compare, evaluate, report
from translate.cli.explaining import explain, schema
from translate.cli.serving import serve, watch
from translate.cli.sweeping import sweep
from translate.cli.training import quickstart, recipes, train
from translate.utils.printing import answer


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    import torch

    from translate.training.runtime import choose_runtime
    from translate.version import __version__

    answer(f"translate {__version__}, torch {torch.__version__}, {choose_runtime()}")
    context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Versions, and what this machine would run on.",
)
def main() -> None:
    """Image-to-image translation: train a translator on folders of images, and convert folders with it."""


for command in (
    train, watch, sweep, convert, augment, downstream, sample, evaluate, compare, report, export, serve, recipes,
    explain, schema, quickstart, data,
):  # fmt: skip
    main.add_command(command)
