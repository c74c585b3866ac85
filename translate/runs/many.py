"""Several trainings one after another, each in a folder of its own: one that fails does not stop the others, and the
same command again goes on where it stopped."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_exception, format_exception_only
from typing import Any

from translate.data.folds import Fold
from translate.errors import ConfigurationError, TranslateError
from translate.recipe import Recipe
from translate.runs.folder import is_closed, usual_folder
from translate.runs.train import train
from translate.training.checkpoint import newest_good
from translate.utils.outputs import is_run
from translate.utils.printing import Log, say
from translate.utils.signals import Interrupted


class SomeFailed(TranslateError):
    """Some of several runs failed, and the others are done (exit code 3)."""

    exit_code = 3


@dataclass(frozen=True)
class Planned:
    """A run to come: its folder, and the recipe that it trains."""

    folder: Path
    recipe: Recipe

    @property
    def done(self) -> bool:
        """Whether the folder holds this very run, trained to its end and closed."""
        checkpoint, _ = newest_good(self.folder / "checkpoints")
        if checkpoint is None or checkpoint.facts.get("recipe") != self.recipe.to_json():
            return False
        facts = checkpoint.facts
        ended = facts.get("stopped_early") or checkpoint.step >= facts.get("total", checkpoint.step + 1)
        return bool(ended) and not facts["pending"] and is_closed(self.folder, checkpoint)


@dataclass
class Outcome:
    """The folders of runs that are done, and of those that are not, each with its error."""

    done: list[Path] = field(default_factory=list)
    failed: dict[Path, Exception] = field(default_factory=dict)

    def require_all(self) -> None:
        """Raises SomeFailed, or what the first run raised where none is done."""
        if self.failed and not self.done:
            raise next(iter(self.failed.values()))
        if self.failed:
            names = ", ".join(map(str, self.failed))
            count = len(self.done) + len(self.failed)
            raise SomeFailed(f"{len(self.failed)} of {count} runs failed: {names}; the same command tries them again")


def train_each(planned: Sequence[Planned], train: Callable[[Planned], object], log: Log) -> Outcome:
    """Calls `train` for one after another, but for those that are done. Raises Interrupted as `train` does; whatever
    else it raises is said, and kept in the outcome."""
    outcome = Outcome()
    for number, one in enumerate(planned, 1):
        try:
            if one.done:
                log(f"{one.folder}: trained already")
            else:
                log(f"run {number} of {len(planned)}: {one.folder}")
                train(one)
            outcome.done.append(one.folder)
        except Interrupted:
            say(f"{one.folder}, run {number} of {len(planned)}, was interrupted: the same command goes on from there")
            raise
        except Exception as error:  # whatever it is: the others are worth their time
            outcome.failed[one.folder] = error
            say(f"error: {one.folder}: {_in_words(error)}")
    return outcome


def _in_words(error: Exception) -> str:
    """Of an error that nobody foresaw also its name, and all of it if TRANSLATE_DEBUG is set."""
    if isinstance(error, TranslateError | OSError):
        return str(error)
    debug = os.environ.get("TRANSLATE_DEBUG")
    return "".join(format_exception(error) if debug else format_exception_only(error)).strip()


def train_planned(planned: Sequence[Planned], group: str, log: Log, **options: Any) -> Outcome:
    """Trains each run that is not done, or goes on with it; `options` are those of `train`. Raises ConfigurationError
    before the first one if a schedule is to be changed that has not begun."""
    new = [one.folder for one in planned if not is_run(one.folder)]
    if new and options.get("change_schedule"):
        raise ConfigurationError(
            f"--change-schedule is for runs that go on, and {new[0]} has not begun: first train it with the learning "
            "rates of the others, without --change-schedule"
        )

    def one_of_them(one: Planned) -> Path:
        return train(one.recipe, out=one.folder, resume=is_run(one.folder), **options)

    with grouped(group):
        return train_each(planned, one_of_them, log)


def repeated(recipe: Recipe, seeds: Sequence[int], folds: int | None, out: str | Path | None = None) -> list[Planned]:
    """The runs of a recipe with each of these seeds, on each of so many folds, in folders NAME-seed0, NAME-fold1of5,
    NAME-seed0-fold1of5, ...; NAME is `out`, or the usual folder."""
    base = Path(str(out).rstrip("/")) if out is not None else usual_folder(recipe)
    planned = [Planned(base, recipe)]
    if seeds:
        planned = [_with(one, f"seed{seed}", "training", seed=seed) for one in planned for seed in seeds]
    if folds:
        numbers = [Fold(number, folds) for number in range(1, folds + 1)]
        planned = [
            _with(one, f"fold{fold.number}of{folds}", "data", fold=f"{fold.number}/{folds}")
            for one in planned
            for fold in numbers
        ]
    return planned


def _with(planned: Planned, word: str, section: str, **values: object) -> Planned:
    changed = getattr(planned.recipe, section).model_copy(update=values)
    folder = planned.folder.with_name(f"{planned.folder.name}-{word}")
    return Planned(folder, planned.recipe.model_copy(update={section: changed}))


def seeds_in(text: str | None) -> tuple[int, ...]:
    """Reads `0..4`, `0,3,7` or both. Raises ValueError."""
    found: list[int] = []
    for part in (text or "").split(",") if text is not None else []:
        first, dots, last = (word.strip() for word in part.partition(".."))
        ends = (first, last if dots else first)
        if not all(end.isdecimal() and len(end) < 19 for end in ends) or not 0 <= int(ends[1]) - int(ends[0]) < MOST:
            raise ValueError(f"expected seeds as 0..4 or 0,3,7, at most {MOST}; not {text}")
        found += range(int(ends[0]), int(ends[1]) + 1)
    if len(set(found)) < len(found):
        raise ValueError(f"expected every seed once; not {text}")
    return tuple(found)


MOST = 1000
"""Most seeds of one range, so that a slip does not plan a million runs."""


def refuse_twice(overrides: Iterable[str], seeds: Sequence[int], folds: int | None) -> None:
    """Raises ConfigurationError for a setting of the command that each run is given another value of, and where several
    processes train one run."""
    given = {override.partition("=")[0].strip() for override in overrides}
    for option, key, wanted in (("--seeds", "training.seed", seeds), ("--folds", "data.fold", folds)):
        if wanted and key in given:
            raise ConfigurationError(f"{option} gives each run its {key}; leave one of them out")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigurationError(
            "--seeds and --folds train one run after another in one process; under torchrun start one command for "
            "each, with training.seed=N or data.fold=1/N and its own --out"
        )


@contextmanager
def grouped(name: str) -> Iterator[None]:
    """Context in which Weights & Biases shows runs as one group, unless the user named another."""
    added = "WANDB_RUN_GROUP" not in os.environ
    if added:
        os.environ["WANDB_RUN_GROUP"] = name
    try:
        yield
    finally:
        if added:
            del os.environ["WANDB_RUN_GROUP"]
