"""Assembles a run, new or resumed: data, model and trainer, and what is written alongside them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from translate.data.batch import Batch
from translate.data.domain import Domain
from translate.errors import ConfigurationError, TranslateError
from translate.models.base import Model
from translate.recipe import Recipe
from translate.recipe.plugins import Plugin, used_by
from translate.reporting.tracking import TrackedRun, Tracker, Trackers, open_trackers
from translate.runs.beginning import introduce, say_precision, say_schedule
from translate.runs.best_by import begun_best
from translate.runs.build import build_trainer, require_trainable
from translate.runs.image_sets import Batches, ImageSet, share_of, training_stream
from translate.runs.image_sets.opening import open_data, refuse_idle
from translate.runs.image_sets.pairs_among import refuse_idle_pairs
from translate.runs.image_sets.scanning import in_advance, too_small, unreadable
from translate.runs.initial_weights import begin_model
from translate.runs.loading import build_model, image_spec
from translate.runs.rescheduling import begun_already, rescheduled
from translate.runs.resuming import changed_images, checkpoint_to_resume, require_same_domains, require_same_run
from translate.runs.small_files import run_id, write_recipe, write_skipped
from translate.training.asked import Asked
from translate.training.checkpoint import Checkpoint, settle
from translate.training.checkpoint_json import FORMAT
from translate.training.distributed import Distributed, fingerprint
from translate.training.loop import StopPoints, TrainingRun
from translate.training.measuring import Cadence, Measuring
from translate.training.progress_file import ProgressFile
from translate.training.records import Records
from translate.training.runtime import Runtime
from translate.training.saving import Saver
from translate.training.state import load_weights, restore_checkpoint
from translate.training.trainer import Trainer
from translate.utils.printing import Log, logger
from translate.utils.signals import Signals
from translate.version import __version__

_SAMPLES = 4
"""So many images are shown in every grid."""


@dataclass(frozen=True)
class Launch:
    """What the command asks for: a recipe, trained on this runtime by this process, which is one of `distributed`, with
    the plugins that are loaded."""

    recipe: Recipe
    runtime: Runtime
    distributed: Distributed
    quiet: bool = False
    plugins: Sequence[Plugin] = ()
    change_schedule: bool = False
    """Whether a resumed run may go on with other learning rates."""

    @property
    def log(self) -> Log:
        return logger(self.quiet)


class OpenedData(NamedTuple):
    """The images to train on, the loader of their batches, and the unreadable images left out, path to reason."""

    images: ImageSet
    loader: Batches
    skipped: Mapping[str, str]


def start(launch: Launch, folder: Path, *, resume: bool, signals: Signals, tracking: Mapping[str, str]) -> TrainingRun:
    """Prepares the run in `folder`, which may be finished already.

    Raises ConfigurationError if recipe, data and checkpoint do not fit together.
    """
    launch, checkpoint = _to_resume(launch, folder) if resume else (launch, None)
    before: Mapping[str, Any] = checkpoint.facts if checkpoint else {}
    recipe, runtime, distributed, training = launch.recipe, launch.runtime, launch.distributed, launch.recipe.training
    if checkpoint:
        images, loader, skipped = _same_data(launch, checkpoint)
        model = build_model(recipe, images.spec)
    else:
        model, (images, loader, skipped) = _new(launch)
    trainer, total = assemble(launch, model, loader)
    if checkpoint:
        restore_checkpoint(trainer, checkpoint)
        _require_parts(recipe.training.batch_size, trainer.accumulate, checkpoint)
    pending = before.get("pending", False)
    plugins = used_by(recipe.to_json(), launch.plugins)
    changed = rescheduled(checkpoint, recipe, total, launch.change_schedule, launch.log) if checkpoint else []
    more = {"plugins": plugins, "processes": distributed.size, "total": total, "precision": runtime.precision}
    more |= {"rescheduled": changed} if changed else {}
    facts = _facts(recipe, images, skipped) | more
    steps, weights = (trainer.steps, total, loader.steps_per_epoch, pending), fingerprint(trainer.model)
    distributed.require_same({"recipe, domains, images or versions": facts, "steps": steps, "weights": weights})
    validations = images.validations(trainer.model, training.validation_images, runtime)
    best = begun_best(training, validations, trainer, before)
    finished = not pending and (trainer.steps >= total or best.waited_enough)
    if trainer.steps >= total and not pending:
        launch.log(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
    elif not finished:
        say_schedule(training, trainer, before.get("total", total), total, launch.log)
        say_precision(before.get("precision", runtime.precision), runtime.precision, launch.log)
        introduce(recipe, trainer, total, launch.log)
    if distributed.is_main:
        write_recipe(folder, recipe, plugins, changed)
        write_skipped(folder, skipped)
    samples, cadence = runtime.place(next(images.first(_SAMPLES))), Cadence.of(training, total)
    tracker = _tracker(tracking, folder, recipe, trainer.steps) if distributed.is_main and not finished else Trackers()
    names, film = images.first_names(_SAMPLES), images.film(trainer.model, _SAMPLES, runtime)
    records = Records(folder, trainer, samples, tracker, launch.log, pending, images.kinds, names, film)
    if best.step is not None and best.measured:
        records.summarize(best.step, best.measured)
    measuring = Measuring(trainer, cadence, validations, records, before, best)
    return TrainingRun(
        trainer,
        _no_batches if finished else _batches(launch, loader),
        cadence,
        records=records,
        measuring=measuring,
        saver=Saver(folder / "checkpoints", trainer, cadence, measuring, records, facts),
        stops=StopPoints(signals, distributed, Asked(folder)),
        progress=ProgressFile(folder if distributed.is_main else None, trainer.steps, total, runtime),
        log=launch.log,
        skip_limit=training.skip_limit,
        quiet=launch.quiet,
    )


def _require_parts(batch_size: int, parts: int, checkpoint: Checkpoint) -> None:
    if batch_size % parts:
        raise ConfigurationError(
            f"{checkpoint.folder}: its run took each batch in {parts} parts, and {batch_size} images cannot be split "
            "into so many; resume with as many processes as before"
        )


def _batches(launch: Launch, loader: Batches) -> Callable[[int], Generator[Batch]]:
    stream = training_stream(loader, launch.recipe.data, launch.runtime.device, launch.log)
    return share_of(stream, launch.distributed.rank, launch.distributed.size)


def _no_batches(step: int) -> Generator[Batch]:
    yield from ()


def open_images(launch: Launch) -> ImageSet:
    """Opens a new run's data set. Raises ConfigurationError if it is missing, or a setting has no effect on it."""
    launch.recipe.training.refuse_idle()
    refuse_idle(launch.recipe.data, launch.recipe.method.batch_type)
    refuse_idle_pairs(launch.recipe.data, launch.recipe.model)
    return _open(launch)


def glanced_at(launch: Launch) -> OpenedData:
    """The data of a run that is only measured: only headers are read, for images that no crop fits."""
    images = open_images(launch)
    return _without(launch, images, too_small(images, launch.log))


def assemble(launch: Launch, model: Model, loader: Batches) -> tuple[Trainer, int]:
    """Builds the trainer of `model`, before its first step, and returns it with the total number of steps of the
    run."""
    training, processes = launch.recipe.training, launch.distributed.size
    steps_per_epoch = -(-loader.steps_per_epoch // processes)
    total = training.steps or max(1, round((training.epochs or 0) * steps_per_epoch))
    return build_trainer(model, training, launch.runtime, total, launch.distributed), total


def loader_of(launch: Launch, images: ImageSet) -> Batches:
    """The loader of the recipe's batches."""
    return images.loader(launch.recipe.training.batch_size, launch.recipe.training.seed)


def _open(launch: Launch, known: Sequence[Domain] = ()) -> ImageSet:
    with launch.distributed.one_first():
        recipe, scale = launch.recipe, launch.recipe.method.enlarges(launch.recipe.model)
        return open_data(recipe.data, recipe.method.batch_type, launch.log, known, launch.quiet, scale)


def _to_resume(launch: Launch, folder: Path) -> tuple[Launch, Checkpoint | None]:
    """The launch with the recipe as the run began, and the checkpoint to resume from, None if there is none. Raises
    ConfigurationError if it belongs to another run."""
    checkpoint, lines = checkpoint_to_resume(folder)
    for line in lines:
        launch.log(line)
    if checkpoint:
        wanted, processes = launch.recipe, launch.distributed.size
        fits = partial(_fits, wanted, checkpoint)
        may_change = launch.change_schedule or begun_already(folder, checkpoint, wanted)
        recipe = require_same_run(checkpoint, wanted, processes, fits, may_change)
        launch = replace(launch, recipe=recipe)
        if launch.distributed.is_main:
            settle(folder / "checkpoints", checkpoint)
    return launch, checkpoint


def _fits(recipe: Recipe, checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's weights fit the networks of the recipe."""
    channels = recipe.data.channels
    size = {"size": recipe.data.size} | ({"channels": channels, "each": []} if channels else {})
    try:
        load_weights(build_model(recipe, image_spec(recipe, checkpoint.facts | size)), checkpoint.weights())
    except TranslateError:
        return False
    return True


def _same_data(launch: Launch, checkpoint: Checkpoint) -> OpenedData:
    """Opens the data of a resumed run, without the images it left out at its start.

    Data order depends on the list of images. If the remaining images differ from those at the start, all are checked
    again.
    """
    images = _open(launch, image_spec(launch.recipe, checkpoint.facts).kinds)
    require_same_domains(checkpoint, images.domains)
    begun_with = checkpoint.facts.get("images", {})
    data = _without(launch, images, checkpoint.facts["skipped"])
    if begun_with and data.images.listing() != begun_with:
        data = _readable(launch, images)
    for line in changed_images(begun_with, data.images.listing()):
        launch.log(line)
    return data


def _new(launch: Launch) -> tuple[Model, OpenedData]:
    """The model of a new run, and its data. Trying every image may take minutes: what else can be wrong comes first."""
    recipe, images = launch.recipe, open_images(launch)
    model = begin_model(recipe, images.spec, launch.log)
    require_trainable(model, recipe.training, launch.runtime)
    for line in in_advance(images):
        launch.log(line)
    return model, _readable(launch, images)


def _readable(launch: Launch, images: ImageSet) -> OpenedData:
    """Drops images that cannot be read. Raises ConfigurationError naming them if the recipe requires all images."""
    loader = loader_of(launch, images)
    skipped = unreadable(images, loader, launch.log, launch.quiet)
    # Keep the loader if possible: it holds what it has just decoded.
    return _without(launch, images, skipped) if skipped else OpenedData(images, loader, skipped)


def _without(launch: Launch, images: ImageSet, skipped: Mapping[str, str]) -> OpenedData:
    images = images.without(set(map(Path, skipped))) if skipped else images
    return OpenedData(images, loader_of(launch, images), skipped)


def _tracker(tracking: Mapping[str, str], folder: Path, recipe: Recipe, step: int) -> Tracker:
    return open_trackers(tracking, TrackedRun(folder, folder.name, recipe.to_json(), run_id(folder), step))


def _facts(recipe: Recipe, images: ImageSet, skipped: Mapping[str, str]) -> dict[str, Any]:
    """The facts that make a checkpoint usable without any flags."""
    versions = {"translate": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {
        "format": FORMAT,
        "recipe": recipe.to_json(),
        **{key: value for key, value in asdict(images.spec).items() if key != "given"},
        "skipped": skipped,
        "images": images.listing(),
        "versions": versions,
    }
