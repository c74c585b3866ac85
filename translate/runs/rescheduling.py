"""Learning rates and schedules that a resumed run changes, and after which step."""

from contextlib import suppress
from pathlib import Path

from translate.errors import ConfigurationError
from translate.recipe import Recipe, recipe_of
from translate.reporting.keys import rescheduled_in_words
from translate.runs.resuming import flat, sets_a_rate
from translate.runs.small_files import RESCHEDULED
from translate.training.checkpoint import Checkpoint
from translate.training.checkpoint_json import Rescheduled
from translate.utils.printing import Log
from translate.utils.stored import UnreadableError, read_json


def rescheduled(checkpoint: Checkpoint, recipe: Recipe, total: int, asked: bool, log: Log) -> list[Rescheduled]:
    """All changes of the run's learning rates so far, the last being that of `recipe`, with which it goes on to step
    `total`; says so, or that it was `asked` for in vain. Raises ConfigurationError if no step is left to be taken."""
    before, change = checkpoint.facts.get("rescheduled", []), _change(checkpoint, recipe)
    if change is None:
        if asked:
            log("--change-schedule: the learning rates are those that the run has; nothing changes")
        return before
    if checkpoint.step >= total:
        raise ConfigurationError(
            f"--change-schedule: the run has taken all of its {total} steps, none is left for another learning rate; "
            "give a larger training.steps, too"
        )
    log(f"schedule changed {rescheduled_in_words([change])}")
    return [*before, change]


def begun_already(folder: Path, checkpoint: Checkpoint, recipe: Recipe) -> bool:
    """Whether the run was changed to the rates of `recipe` after this very checkpoint, and ended before another one was
    saved: its recipe.yaml has them then."""
    change, told = _change(checkpoint, recipe), list[Rescheduled]()
    with suppress(UnreadableError):  # then the change is to be asked for again
        told = read_json(folder / RESCHEDULED, list[Rescheduled])
    return change is not None and bool(told) and told[-1] == change


def _change(checkpoint: Checkpoint, recipe: Recipe) -> Rescheduled | None:
    """What differs from the run until now, whose settings are the checkpoint's; None if nothing does."""
    begun, wanted = (flat(one.to_json()) for one in (recipe_of(checkpoint.facts, checkpoint.folder), recipe))
    keys = [key for key in dict.fromkeys([*begun, *wanted]) if sets_a_rate(key) and begun.get(key) != wanted.get(key)]
    changed = {key: (begun.get(key), wanted.get(key)) for key in keys}
    return {"step": checkpoint.step, "changed": changed} if changed else None
