"""One folder converted by several checkpoints of a run: each into a folder of its own, all shown side by side."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from translate.errors import ConfigurationError, TranslateError
from translate.inference.extras import Looks
from translate.inference.records import Outcome
from translate.runs.convert import Conversion
from translate.runs.loading import checkpoint_in
from translate.runs.not_a_run import require_run
from translate.training.checkpoint import folder_name
from translate.utils.printing import logger
from translate.utils.user_paths import folder_named


def carry_out(wanted: Conversion) -> Outcome:
    """Converts with the checkpoint, or the checkpoints, such as `1000,2000,latest`, that `wanted` names.

    Several write OUTPUT/step-00001000/, OUTPUT/step-00002000/, ..., by the step that each is of, so that what `latest`
    made is not mixed with what a later one makes. Raises ConfigurationError, before anything is converted if it is
    about the checkpoints.
    """
    names = wanted.model.checkpoint.split(",")
    if len(names) == 1:
        return wanted.carry_out()
    each = list(_each(wanted, names))
    looks, total = Looks(wanted.extras), Outcome()
    for one in each:
        logger(wanted.quiet)(f"{one.caption}: {one.output}")
        try:
            total.take(one.convert(looks))
        except TranslateError as error:
            # A run that trains removes checkpoints meanwhile; what others have made is shown all the same.
            if not looks.tables and (one is each[-1] or not _has_gone(one)):
                raise
            total.missing.append(f"{one.caption}: {error}")
    total.missing += looks.write(Path(wanted.output).absolute().name, wanted.writing.workers)
    return total


def _each(wanted: Conversion, names: list[str]) -> Iterator[Conversion]:
    """The conversions, in the order of the names; a step that two of them say is converted once."""
    if medium := wanted.medium:
        raise ConfigurationError(f"--checkpoint with several is for images, not for {medium.called}; name one")
    wanted.refuse_contradictions()
    require_run(wanted.run)
    if not all(names):
        raise ConfigurationError(f"--checkpoint {wanted.model.checkpoint}: a name is missing beside a comma")
    folder = folder_named(wanted.output, "OUTPUT")
    steps: dict[int, list[str]] = {}
    for name in names:
        steps.setdefault(checkpoint_in(wanted.run, name).step, []).append(name)
    for step, said in steps.items():
        words = [name for name in said if not name.removeprefix("step-").isdecimal()]
        yield replace(
            wanted,
            output=f"{folder / folder_name(step)}{os.sep}",
            model=replace(wanted.model, checkpoint=str(step)),
            caption=", ".join([f"step {step:,}", *words]),
        )


def _has_gone(one: Conversion) -> bool:
    checkpoints = one.run / "checkpoints"
    return checkpoints.is_dir() and not (checkpoints / folder_name(int(one.model.checkpoint))).is_dir()
