"""What is said of a run as it begins, or goes on."""

from translate.recipe import Recipe, TrainingSettings
from translate.training.trainer import Trainer
from translate.utils.printing import Log


def introduce(recipe: Recipe, trainer: Trainer, total: int, log: Log) -> None:
    """Says how large the model is, how long the run, on what; and which checkpoints will go."""
    batch, processes = recipe.training.batch_size, trainer.distributed.size
    parameters = sum(weight.numel() for weight in trainer.model.parameters())
    log(f"{recipe.name}: {parameters:,} parameters, {total:,} steps of {batch}, on {trainer.runtime}")
    if processes > 1:
        together = f"{processes} processes x {batch} = {processes * batch} images a step"
        log(f"{together}; learning rates are the recipe's, unscaled")
    if line := _kept(recipe.training, total):
        log(line)


def say_schedule(training: TrainingSettings, trainer: Trainer, before: int, total: int, log: Log) -> None:
    """Says when a changed number of steps stretches the learning-rate curve, which may make the rate rise again."""
    begun = training.curve(before)
    if trainer.curve(trainer.steps) != begun(trainer.steps):
        last, following = (training.lr * factor for factor in (begun(trainer.steps - 1), trainer.curve(trainer.steps)))
        log(f"the schedule now spans {total:,} steps: learning rate {last:.3g} -> {following:.3g}")


def say_precision(before: str, now: str, log: Log) -> None:
    """Says when a resumed run measures in another precision than before, e.g. on another kind of processor."""
    if before != now:
        log(
            f"warning: this run was trained and measured in {before} so far, and goes on in {now}: validations before "
            "and after, among which the best is chosen, differ by that, too"
        )


def _kept(training: TrainingSettings, total: int) -> str | None:
    """Which checkpoints will be deleted again, and the settings that keep them; None if all stay."""
    every, keep = training.checkpoint_every, training.keep
    if -(-total // every) <= keep:
        return None
    newest = f"the newest {keep}" if keep > 1 else "the newest"
    others = f", and those of every {training.keep_every:,} steps" if training.keep_every else ""
    return (
        f"checkpoints every {every:,} steps: {newest} and the best are kept{others}, older ones are deleted "
        "(training.keep=N keeps the newest N, training.keep_every=N every N-th step)"
    )
