"""A run put together, anew or resumed: data, model and trainer, and what is written beside them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from translate.assembly import build_trainer
from translate.checkpoint import Checkpoint, rank_part
from translate.engine import Engine
from translate.image_sets import Batches, ImageSet, Say, share_of, training_stream
from translate.loading import begin_model, build_model, model_class
from translate.opening import open_data, refuse_idle
from translate.optim import learning_rate
from translate.progress import say
from translate.ranks import Ranks, fingerprint
from translate.recipe import Recipe, TrainingSettings
from translate.resume import restore
from translate.run_folder import (
    checkpoint_to_resume,
    require_same_domains,
    require_same_run,
    run_id,
    told_of_images,
    write_recipe,
    write_skipped,
)
from translate.scanning import unreadable
from translate.signals import Signals
from translate.tracking import NoTracker, Tracker, TrackingMode, open_tracker
from translate.trainer import Trainer
from translate.training import Cadence, TrainingRun
from translate.version import __version__


def start(
    wanted: Recipe,
    folder: Path,
    resume: bool,
    engine: Engine,
    ranks: Ranks,
    signals: Signals,
    tracking: TrackingMode,
    quiet: bool,
) -> TrainingRun | None:
    """The run in `folder`, ready to go; None where nothing is left to do.

    Raises ConfigurationError where recipe, data and checkpoint do not fit one another.
    """
    training, tell = wanted.training, teller(quiet)
    checkpoint = _to_resume(wanted, folder, ranks, tell) if resume else None
    before: dict[str, Any] = checkpoint.facts if checkpoint else {}
    images, loader, skipped = _images(wanted, checkpoint, ranks, tell, quiet)
    total = length(training, loader.steps_per_epoch, ranks.size)
    model = build_model(wanted, images.spec) if checkpoint else begin_model(wanted, images.spec, tell)
    trainer = build_trainer(model, training, engine, total, ranks)
    if checkpoint:
        _restore(trainer, checkpoint, ranks)
    pending = before.get("pending", False)
    facts = _facts(wanted, images, skipped) | {"processes": ranks.size, "total": total}
    steps, weights = (trainer.steps, total, loader.steps_per_epoch, pending), fingerprint(trainer.model)
    ranks.require_same({"recipe, domains, images or versions": facts, "steps": steps, "weights": weights})
    if trainer.steps >= total and not pending:
        tell(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
        return None
    _tell_of_schedule(trainer, training, before.get("total", total), total, tell)
    if ranks.leads:
        write_recipe(folder, wanted)
        write_skipped(folder, skipped)
    _introduce(wanted, trainer, total, tell)
    return TrainingRun(
        folder,
        trainer,
        share_of(training_stream(loader, wanted.data, engine.device, tell), ranks.rank, ranks.size),
        _cadence(training, total),
        facts=facts,
        samples=engine.place(next(images.first(4))),
        validations=images.validations(trainer.model, training.validation_images, engine),
        tracker=_tracker(tracking, folder, wanted) if ranks.leads else NoTracker(),
        signals=signals,
        tell=tell,
        best=before.get("best_l1"),
        pending=pending,
        skip_limit=training.skip_limit,
        quiet=quiet,
    )


def teller(quiet: bool) -> Say:
    return (lambda line: None) if quiet else say


def length(training: TrainingSettings, steps_per_epoch: int, processes: int = 1) -> int:
    """Steps of the whole run, where one process alone would take `steps_per_epoch` for all images."""
    return training.steps or max(1, round((training.epochs or 0) * -(-steps_per_epoch // processes)))


class _Found(NamedTuple):
    """What is trained on, and the files that are left out as they cannot be read: path and reason."""

    images: ImageSet
    loader: Batches
    skipped: Mapping[str, str]


def _to_resume(wanted: Recipe, folder: Path, ranks: Ranks, tell: Say) -> Checkpoint | None:
    """The checkpoint to go on from, if there is one. Raises ConfigurationError where it is of another run."""
    checkpoint, told = checkpoint_to_resume(folder)
    for line in told:
        tell(line)
    if checkpoint:
        require_same_run(checkpoint, wanted, ranks.size)
    return checkpoint


def _images(wanted: Recipe, checkpoint: Checkpoint | None, ranks: Ranks, tell: Say, quiet: bool) -> _Found:
    """A run goes on without what it was begun without: the order of its data hangs on the list of images."""
    training, batch_type = wanted.training, model_class(wanted).batch_type
    if not checkpoint:
        refuse_idle(wanted.data, batch_type)
    with ranks.one_first():
        images = open_data(wanted.data, batch_type, tell)
    if checkpoint:
        require_same_domains(checkpoint, images.domains)
    before: dict[str, Any] = checkpoint.facts if checkpoint else {}
    skipped, begun_with = before.get("skipped", {}), before.get("images", {})
    loader = images.loader(training.batch_size, training.seed)
    if not checkpoint or (begun_with and _without(images, skipped).listing() != begun_with):
        skipped = unreadable(images, loader, tell, quiet)
    if skipped:
        images = _without(images, skipped)
        loader = images.loader(training.batch_size, training.seed)
    for line in told_of_images(begun_with, images.listing()):
        tell(line)
    return _Found(images, loader, skipped)


def _without(images: ImageSet, skipped: Mapping[str, str]) -> ImageSet:
    return images.without(set(map(Path, skipped)))


def _restore(trainer: Trainer, checkpoint: Checkpoint, ranks: Ranks) -> None:
    own = rank_part(ranks.rank % checkpoint.facts.get("processes", 1))
    weights, average, state = (checkpoint.tensors(part) for part in ("model", "average", "training"))
    restore(trainer, checkpoint.step, weights, average, {**state, **checkpoint.tensors(own)})
    trainer.accumulate = max(trainer.accumulate, checkpoint.facts.get("accumulate", 1))


def _tell_of_schedule(trainer: Trainer, training: TrainingSettings, before: int, total: int, tell: Say) -> None:
    """More steps than the run was begun with stretch the learning rate's curve, which may rise again."""
    begun = learning_rate(training.schedule, before, training.decay_from, training.halve_every)
    if trainer.curve(trainer.steps) != begun(trainer.steps):
        last, following = (training.lr * factor for factor in (begun(trainer.steps - 1), trainer.curve(trainer.steps)))
        tell(f"the schedule now spans {total:,} steps: learning rate {last:.3g} -> {following:.3g}")


def _introduce(wanted: Recipe, trainer: Trainer, total: int, tell: Say) -> None:
    batch, ranks = wanted.training.batch_size, trainer.ranks
    parameters = sum(weight.numel() for weight in trainer.model.parameters())
    tell(f"{wanted.name}: {parameters:,} parameters, {total:,} steps of {batch}, on {trainer.engine}")
    if ranks.size > 1:
        together = f"{ranks.size} processes x {batch} = {ranks.size * batch} images a step"
        tell(f"{together}; learning rates are the recipe's, unscaled")


def _tracker(tracking: TrackingMode, folder: Path, wanted: Recipe) -> Tracker:
    config = wanted.to_json()
    return open_tracker(
        tracking, folder=folder, name=folder.name, config=config, run_id=run_id(folder), project="translate"
    )


def _cadence(training: TrainingSettings, total: int) -> Cadence:
    return Cadence(
        total,
        log=training.log_every,
        sample=training.sample_every,
        validate=training.validate_every,
        checkpoint=training.checkpoint_every,
        keep=training.keep,
        keep_every=training.keep_every,
    )


def _facts(recipe: Recipe, images: ImageSet, skipped: Mapping[str, str]) -> dict[str, Any]:
    """What a checkpoint must know to be used without a single flag."""
    versions = {"translate": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {
        "format": 1,
        "recipe": recipe.to_json(),
        **asdict(images.spec),
        "skipped": skipped,
        "images": images.listing(),
        "versions": versions,
    }
