"""`translate data`: list, check and fetch data sets."""

import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import click

from translate.cli.common import FOLDER, Changes, with_plugins
from translate.cli.completing import DATA, FETCHED, RECIPE, SETTING
from translate.cli.options import takes
from translate.errors import ConfigurationError, command, nearest
from translate.utils.printing import answer, answer_in_words, then


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """List the named data sets and where each is looked for; check a folder; fetch a set."""
    from translate.data.catalog.cards import cards, places, whereabouts
    from translate.data.synthetic.points import POINT_SETS

    if context.invoked_subcommand is not None:
        return
    for name, card in cards().items():
        found = " and ".join(map(str, whereabouts(card)))
        answer(f"{name:24} {card.layout:10} {'found in ' + found if found else 'not here'}")
    answer(f"{'shapes':24} {'any':10} rendered on first use")
    for name in POINT_SETS:
        answer(f"{name:24} {'points':10} generated as they are needed")
    answer("searched in this order:")
    for place in places("NAME"):
        answer(f"  {place}")
    then(f"look at one, or at a folder, with {command('data', 'check', 'NAME-OR-FOLDER')}")


@data.command()
@click.argument("folder", metavar="DIR", type=DATA)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...", type=SETTING)
@click.option(
    "--recipe", type=RECIPE, metavar="NAME|FILE", help="Read the folder as this recipe would, with its settings."
)
@takes(changes=Changes)
@with_plugins
def check(folder: str, settings: tuple[str, ...], recipe: str | None, changes: Changes) -> None:
    """Say what a folder of images holds, and what is wrong with it.

    Settings are those of `translate train`; without --recipe only those of `data` have an effect.

    \b
    translate data check my/photos
    translate data check my/photos data.layout=unpaired --domains summer,winter
    translate data check my/slices --recipe pix2pix data.range=[0,2047]
    """
    from translate.recipe import load_recipe
    from translate.runs.image_sets.opening import check_alone, check_as
    from translate.runs.next_steps import training_on

    given = changes.settings(settings, "the folder")
    if strange := next((one for one in given if recipe is None and not one.strip().startswith("data.")), None):
        raise ConfigurationError(f"{strange}: no effect without a recipe; leave it out, or give --recipe, too")
    wanted = load_recipe(recipe or "cyclegan", given)
    data = wanted.data.model_copy(update={"set": folder})
    method = wanted.method
    reports = check_as(data, method.batch_type, method.enlarges(wanted.model)) if recipe else [check_alone(data)]
    for line in (line for report in reports for line in report.lines()):
        answer_in_words(line)
    written = changes.written(settings)
    if any(report.problems for report in reports):
        again = command("data", "check", folder, *(["--recipe", recipe] if recipe else []), *written)
        then(f"put right what is called a problem above, and see whether it is with {again}")
        sys.exit(3)
    first = reports[0].folder
    kind = "sound" if getattr(first, "of_sound", False) else getattr(first, "kind", "labelled")
    kind = "clips" if reports[0].clips else "paired" if data.derive else "unpaired" if data.pairs else kind
    words = command("train", recipe, "--data", folder, *written)
    then(f"train with {words}" if recipe else training_on(folder, kind, written))


@data.command()
@click.argument("name", type=FETCHED)
@click.option("--into", type=FOLDER, help="Folder to put it in; default: the user's cache.")
def fetch(name: str, into: Path | None) -> None:
    """Download a named data set, verify it, and unpack its images."""
    from translate.data.catalog.cards import cards, user_data
    from translate.data.catalog.fetch import fetch as fetch_card
    from translate.runs.next_steps import training_on
    from translate.utils.outputs import refuse_in_run
    from translate.utils.progress import Progress

    if into is not None:
        refuse_in_run(into, "--into")
    known = cards()
    if name not in known:
        raise ConfigurationError(f"no data set '{name}'{nearest(name, known)}")
    with ExitStack() as shown:
        bar = cache(lambda: shown.enter_context(Progress(None, unit="MB", label=f"fetching {name}")))
        folder = fetch_card(
            known[name],
            into or user_data() / name,
            lambda done, total: bar().reach(done / 1e6, None if total is None else total / 1e6),
        )
    answer(folder)
    then(training_on(name if into is None else str(folder), known[name].layout))
