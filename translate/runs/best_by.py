"""How a run's settings choose its best step, held against what its validations measure; and what is said of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError, command, nearest
from translate.evaluation.metrics import measure_of
from translate.evaluation.unseen import MEASURE, Likeness
from translate.recipe import TrainingSettings
from translate.reporting.keys import in_words
from translate.runs.image_sets.sound import MEASURE as OF_SOUND
from translate.runs.image_sets.sound import SoundDirection
from translate.training.best import Best, Choice
from translate.training.trainer import Trainer
from translate.training.validation import Validation

Measured = Callable[[Validation], Mapping[str, float]]


def begun_best(
    training: TrainingSettings, validations: Sequence[Validation], trainer: Trainer, before: Mapping[str, Any]
) -> Best:
    """The best step so far of a run that goes on from the facts `before`. Raises ConfigurationError as `choice_of`."""

    def tried(validation: Validation) -> Mapping[str, float]:
        with trainer.shown():
            return validation.measure(trainer.model, trainer.runtime)

    return Best(choice_of(training, validations, tried), before)


def choice_of(training: TrainingSettings, validations: Sequence[Validation], measured: Measured) -> Choice:
    """The choice of the best step. `measured` says what a validation measures, by trying it; it is asked only where
    the settings name a measure or have patience.

    Raises ConfigurationError if nothing of the kind is validated.
    """
    by, patience = training.best_by, training.patience
    if by is None and validations and all(isinstance(one, Likeness) for one in validations):
        return Choice(MEASURE, patience=patience)
    if by is None and validations and all(isinstance(one, SoundDirection) for one in validations):
        return Choice(OF_SOUND, higher=True, patience=patience)
    if by is None and patience is None:
        return Choice()
    key = "training.patience" if by is None else "training.best_by"
    if not validations:
        raise ConfigurationError(
            f"{key}: nothing is validated in this run, for lack of test images or of true translations; leave it out"
        )
    found = {name: measured(one) for one in validations for name in [one.name]}
    known = dict.fromkeys(measure for measures in found.values() for measure in measures)
    if by is None:
        if Choice().value(found) is None:
            raise ConfigurationError(
                f"training.patience: needs a measure to wait for; set training.best_by to one of {', '.join(known)}"
            )
        return Choice(patience=patience)
    if by not in known:
        raise ConfigurationError(f"training.best_by: no measure '{by}' in this run's validations{nearest(by, known)}")
    better = measure_of(by).better
    if better == "neither":
        raise ConfigurationError(f"training.best_by: of '{by}' neither higher nor lower is better; choose another")
    return Choice(by, higher=better == "higher", patience=patience)


def gave_up(folder: Path, steps: int, best: Best) -> str:
    """What is said of a run in `folder` whose patience ran out, and how it goes on."""
    again = command("train", folder / "recipe.yaml", "--out", folder, "--resume", "training.patience=null")
    found = f"{in_words(best.measured)} after step {best.step}" if best.measured else f"step {best.step}"
    return (
        f"{folder}: stopped early after step {steps:,}, as {best.since} validations in a row were not better than "
        f"the best, {found} (training.patience={best.choice.patience}); {again} goes on to the last step"
    )
