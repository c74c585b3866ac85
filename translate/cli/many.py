"""Many runs by one command: of several seeds, on several folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translate.errors import command
from translate.utils.options import option
from translate.utils.printing import answer, columns, logger, then

if TYPE_CHECKING:
    from translate.runs.many import Outcome


def _seeds(text: str | None) -> tuple[int, ...]:
    from translate.runs.many import seeds_in

    return seeds_in(text)


@dataclass(frozen=True)
class Repeats:
    """How often a recipe is trained, if more than a few steps at all."""

    dry_run: bool = option(
        False, help="Run a few steps and report what training would need on this machine; writes no run."
    )
    seeds: Sequence[int] = option(
        None,
        metavar="0..4|0,3,7",
        parse=_seeds,
        help="Train one run with each of these seeds, one after another, and show mean and standard deviation. "
        "The same command again goes on where it stopped.",
    )
    folds: int | None = option(
        None,
        least=2,
        metavar="N",
        help="Train one run on each of N folds: cross-validation over the training images; test images stay unseen.",
    )

    @property
    def wanted(self) -> bool:
        return bool(self.seeds or self.folds)


def train_repeats(
    recipe: str,
    data: str | None,
    repeats: Repeats,
    overrides: Sequence[str],
    *,
    out: Path | None,
    plugin: Sequence[Path],
    quiet: bool,
    **options: Any,
) -> None:
    """Trains the runs and prints their table. Raises SomeFailed if some of them failed."""
    from translate.recipe.plugins import load_plugins
    from translate.runs.many import refuse_twice, repeated, train_planned
    from translate.runs.train import resolved, say_left_to_do

    load_plugins(plugin)
    wanted = resolved(recipe, data, overrides)
    refuse_twice(overrides, repeats.seeds, repeats.folds)
    planned = repeated(wanted, repeats.seeds, repeats.folds, out)
    name = repeated(wanted, (), None, out)[0].folder.name
    outcome = train_planned(planned, name, logger(quiet), plugin=plugin, quiet=quiet, **options)
    show(outcome, quiet)
    say_left_to_do(options["tracking"], [*outcome.done, *outcome.failed])
    outcome.require_all()


def show(outcome: Outcome, quiet: bool) -> None:
    """Prints the comparison of the runs that are done."""
    from translate.runs.comparing import compare
    from translate.runs.comparing.text import as_text

    if outcome.done:
        answer(as_text(compare(outcome.done), columns()))
        then(f"see this again with {command('compare', *outcome.done)}", quiet=quiet)
