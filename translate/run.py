"""The composition root: the only place that sees a whole Recipe, and builds data, model, engine and run from it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from translate.assembly import build_trainer
from translate.checkpoint import Checkpoint, rank_part
from translate.determinism import use_deterministic_kernels
from translate.engine import Engine, choose_engine
from translate.errors import ConfigurationError, TranslateError
from translate.estimate import Estimate, estimate, process_memory
from translate.image_sets import ImageSet, Say, share_of, training_stream
from translate.loading import build_model, model_class
from translate.model import Model
from translate.opening import open_data, refuse_idle
from translate.optim import learning_rate
from translate.progress import say
from translate.ranks import Ranks, fingerprint, join
from translate.recipe import Recipe, TrainingSettings, load_recipe
from translate.report import write_report
from translate.resume import restore
from translate.run_folder import (
    checkpoint_to_resume,
    choose_folder,
    claimed,
    require_same_domains,
    require_same_run,
    run_id,
    told_of_images,
    write_recipe,
    write_skipped,
    write_summary,
)
from translate.scanning import unreadable
from translate.signals import Interrupted, Signals, Stop, requeue
from translate.tracking import NoTracker, Tracker, TrackingMode, open_tracker, tracking_mode
from translate.trainer import Trainer
from translate.training import Cadence, TrainingRun
from translate.version import __version__
from translate.yaml_reader import read_yaml_value


def train(
    recipe: Recipe | str,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    levers: str = "auto",
    deterministic: bool = False,
    tracking: TrackingMode = "auto",
    artifact: bool = False,
    overrides: Iterable[str] = (),
    quiet: bool = False,
) -> Path:
    """Trains `recipe` (a Recipe, a shipped recipe's name, or a YAML file) on `data` (a name or a folder).

    Returns the run's folder: recipe.yaml, metrics.jsonl, samples/, report.html and checkpoints/. With `resume` the
    newest good checkpoint there is continued, on `data` wherever it lies now. `levers` say how it runs, see
    `choose_engine`; `deterministic`: see `use_deterministic_kernels`. Of the processes that torchrun started, the first
    writes all that. Raises ConfigurationError before anything is written where recipe, data or device do not fit, or
    another process trains into the folder, TranslateError where the run fails, Interrupted, after saving, where SIGINT,
    SIGTERM or Slurm's SIGUSR1 came.
    """
    wanted, tracking = _resolved(recipe, data, overrides), tracking_mode(tracking)
    if deterministic:
        use_deterministic_kernels()
    with Signals() as signals:
        try:
            with join(device) as ranks:
                quiet = quiet or not ranks.leads
                engine = _engine(ranks, wanted, levers)
                with _folder(out, wanted, resume, ranks) as folder:
                    run = _start(wanted, folder, resume, engine, ranks, signals, tracking, quiet)
                    if run is not None:
                        _go(run, signals, artifact)
                    return folder
        except Stop as stop:
            raise Interrupted(stop.number, "before a step was taken; there was nothing to save") from None
        except Interrupted as interruption:
            if interruption.requeue:
                say(requeue())
            raise


def _folder(out: str | Path | None, wanted: Recipe, resume: bool, ranks: Ranks) -> AbstractContextManager[Path]:
    """Claimed by the leader, after all have looked: then all name the same."""
    looked = choose_folder(out, wanted, resume)
    ranks.wait()
    return claimed(out, wanted, resume) if ranks.leads else nullcontext(looked)


def _engine(ranks: Ranks, wanted: Recipe, levers: str) -> Engine:
    engine = choose_engine(ranks.device, wanted.training.precision, levers)
    if engine.captured and ranks.size > 1:
        raise ConfigurationError(f"--engine {levers}: CUDA graphs are for one process; leave captured out")
    return engine


def _start(
    wanted: Recipe,
    folder: Path,
    resume: bool,
    engine: Engine,
    ranks: Ranks,
    signals: Signals,
    tracking: TrackingMode,
    quiet: bool,
) -> TrainingRun | None:
    """Data, model and all that is written beside them; None where nothing is left to do."""
    training, tell = wanted.training, _teller(quiet)
    checkpoint, told = checkpoint_to_resume(folder) if resume else (None, [])
    for line in told:
        tell(line)
    if checkpoint:
        require_same_run(checkpoint, wanted, ranks.size)
    else:
        refuse_idle(wanted.data, model_class(wanted).batch_type)
    before: dict[str, Any] = checkpoint.facts if checkpoint else {}
    with ranks.one_first():
        images = open_data(wanted.data, model_class(wanted).batch_type, tell)
    if checkpoint:
        require_same_domains(checkpoint, images.domains)
    loader = images.loader(training.batch_size, training.seed)
    # A run goes on without what it was begun without: the order of its data hangs on the list of images.
    skipped, begun_with = before.get("skipped", {}), before.get("images", {})
    if not checkpoint or (begun_with and _without(images, skipped).listing() != begun_with):
        skipped = unreadable(images, loader, tell, quiet)
    if skipped:
        images = _without(images, skipped)
        loader = images.loader(training.batch_size, training.seed)
    for line in told_of_images(begun_with, images.listing()):
        tell(line)
    steps_per_epoch = -(-loader.steps_per_epoch // ranks.size)
    total = _steps(training, steps_per_epoch)
    model = build_model(wanted, images.spec)
    trainer = build_trainer(model, training, engine, total, ranks)
    if checkpoint:
        _restore(trainer, checkpoint, ranks)
    pending = before.get("pending", False)
    facts = _facts(wanted, images, skipped) | {"processes": ranks.size, "total": total}
    steps = trainer.steps, total, steps_per_epoch, pending
    ranks.require_same({"recipe, domains, images or versions": facts, "steps": steps, "weights": fingerprint(model)})
    if trainer.steps >= total and not pending:
        tell(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
        return None
    _tell_of_schedule(trainer, training, before.get("total", total), total, tell)
    if ranks.leads:
        write_recipe(folder, wanted)
        write_skipped(folder, skipped)
    _introduce(wanted, model, total, engine, ranks, tell)
    validations = images.validations(model, training.validation_images, engine)
    samples = engine.place(next(images.first(4)))
    return TrainingRun(
        folder,
        trainer,
        share_of(training_stream(loader, wanted.data, engine.device, tell), ranks.rank, ranks.size),
        _cadence(training, total),
        facts=facts,
        samples=samples,
        validations=validations,
        tracker=_tracker(tracking, folder, wanted) if ranks.leads else NoTracker(),
        signals=signals,
        tell=tell,
        best=before.get("best_l1"),
        pending=pending,
        skip_limit=training.skip_limit,
        quiet=quiet,
    )


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


def _introduce(wanted: Recipe, model: Model, total: int, engine: Engine, ranks: Ranks, tell: Say) -> None:
    batch = wanted.training.batch_size
    parameters = sum(weight.numel() for weight in model.parameters())
    tell(f"{wanted.name}: {parameters:,} parameters, {total:,} steps of {batch}, on {engine}")
    if ranks.size > 1:
        together = f"{ranks.size} processes x {batch} = {ranks.size * batch} images a step"
        tell(f"{together}; learning rates are the recipe's, unscaled")


def _tracker(tracking: TrackingMode, folder: Path, wanted: Recipe) -> Tracker:
    config = wanted.to_json()
    return open_tracker(
        tracking, folder=folder, name=folder.name, config=config, run_id=run_id(folder), project="translate"
    )


def _go(run: TrainingRun, signals: Signals, artifact: bool) -> None:
    """Trains, and closes what is written beside it, whatever the end."""
    code = 1
    with signals.noting():
        try:
            run.go()
            if run.ranks.leads:
                write_summary(run.folder, run.validations, run.validation)
            if artifact:
                run.tracker.artifact(run.folder.name, run.newest, ["latest"])
            code = 0
        except Interrupted as interruption:
            code = interruption.exit_code
            raise
        finally:
            _close(run, code)
        if signals.noted is not None:
            raise Interrupted(signals.noted, "after the last step; everything is saved")


def _close(run: TrainingRun, code: int) -> None:
    """A report that cannot be written is told, and does not hide why the run ended."""
    try:
        if run.ranks.leads:
            write_report(run.folder)
    except (OSError, TranslateError) as error:
        say(f"warning: {run.folder / 'report.html'}: could not be written ({error})")
    run.tracker.finish(code)


def _teller(quiet: bool) -> Say:
    return (lambda line: None) if quiet else say


def dry_run(
    recipe: Recipe | str,
    data: str | Path | None = None,
    *,
    device: str = "auto",
    levers: str = "auto",
    overrides: Iterable[str] = (),
    quiet: bool = False,
) -> Estimate:
    """What `train` would take on this machine, from some twenty real steps or fewer; no run's folder is written."""
    tell: Say = (lambda line: None) if quiet else say
    memory = process_memory()
    wanted = _resolved(recipe, data, overrides)
    training = wanted.training
    engine = choose_engine(device, training.precision, levers)
    refuse_idle(wanted.data, model_class(wanted).batch_type)
    images = open_data(wanted.data, model_class(wanted).batch_type, tell)
    loader = images.loader(training.batch_size, training.seed)
    total = _steps(training, loader.steps_per_epoch)
    trainer = build_trainer(build_model(wanted, images.spec), training, engine, total)
    tell(f"{wanted.name}: taking some steps to measure, of {total:,}")
    with closing(loader.stream()) as batches:
        return estimate(trainer, batches, total, training.keep, memory, quiet=quiet)


def _resolved(recipe: Recipe | str, data: str | Path | None, overrides: Iterable[str]) -> Recipe:
    """The recipe with the command's own words in it."""
    overrides = list(overrides)
    if overrides and not isinstance(recipe, str):
        raise ConfigurationError("overrides are for a recipe's name or file; a Recipe is changed by load_recipe")
    wanted = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    _refuse_two_lengths(overrides)
    if data is None:
        return wanted
    return wanted.model_copy(update={"data": wanted.data.model_copy(update={"set": str(data)})})


def _refuse_two_lengths(overrides: Iterable[str]) -> None:
    """One of them overrides the other of a recipe; which of two the command means, nobody knows."""
    given = [override.partition("=") for override in overrides]
    lengths = {key.strip() for key, _, text in given if read_yaml_value(text) is not None}
    if {"training.steps", "training.epochs"} <= lengths:
        raise ConfigurationError("--set training.steps and --set training.epochs: give one of them")


def _steps(training: TrainingSettings, steps_per_epoch: int) -> int:
    """The length of the whole run."""
    return training.steps or max(1, round((training.epochs or 0) * steps_per_epoch))


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


def _facts(recipe: Recipe, images: ImageSet, skipped: dict[str, str]) -> dict[str, Any]:
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
