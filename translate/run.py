"""The composition root: the only place that sees a whole Recipe, and builds data, model, engine and run from it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from translate.assembly import build_trainer
from translate.checkpoint import Checkpoint, load_checkpoint, verify
from translate.converting.converter import Converter
from translate.converting.foreign import read_generator
from translate.data.labels import LabelGroup
from translate.determinism import use_deterministic_kernels
from translate.engine import Engine, Precision, choose_engine
from translate.errors import ConfigurationError, TranslateError
from translate.image_sets import Batches, ImageSet, Say, open_data
from translate.model import ImageSpec, Model, Sampler, Translator
from translate.models import MODELS
from translate.recipe import Recipe, TrainingSettings, load_recipe, parse_recipe
from translate.report import write_report
from translate.resume import load_weights, restore
from translate.run_folder import (
    checkpoint_to_resume,
    choose_folder,
    require_same_domains,
    require_same_run,
    run_id,
    write_recipe,
    write_summary,
)
from translate.signals import Interrupted, Signals, Stop, requeue
from translate.tracking import Tracker, TrackingMode, open_tracker
from translate.training import Cadence, TrainingRun
from translate.version import __version__


def say(line: str) -> None:
    """Where a run tells what it found: standard error, so that standard output stays for results."""
    print(line, file=sys.stderr, flush=True)


def train(
    recipe: Recipe | str,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    tracking: TrackingMode = "auto",
    artifact: bool = False,
    deterministic: bool = False,
    overrides: Iterable[str] = (),
    quiet: bool = False,
) -> Path:
    """Trains `recipe` (a Recipe, a shipped recipe's name, or a YAML file) on `data` (a name or a folder).

    Returns the run's folder: recipe.yaml, metrics.jsonl, samples/, report.html and checkpoints/. With `resume` the
    newest good checkpoint there is continued. `deterministic`: see `use_deterministic_kernels`. Raises
    ConfigurationError before anything is written where recipe, data or device do not fit, TranslateError where the run
    fails, Interrupted, after saving, where SIGINT, SIGTERM or Slurm's SIGUSR1 came.
    """
    tell: Say = (lambda line: None) if quiet else say
    wanted = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    if data is not None:
        wanted = wanted.model_copy(update={"data": wanted.data.model_copy(update={"set": str(data)})})
    with Signals() as signals:
        try:
            folder = choose_folder(out, wanted, resume)
            checkpoint, told = checkpoint_to_resume(folder) if resume else (None, [])
            for line in told:
                tell(line)
            if checkpoint:
                require_same_run(checkpoint, wanted)
            if deterministic:
                use_deterministic_kernels()
            engine = choose_engine(device, wanted.training.precision)
            started = _start(wanted, folder, checkpoint, engine, signals, tracking, tell, quiet)
            if started is not None:
                _go(started, signals, artifact, tell)
            return folder
        except Stop as stop:
            raise Interrupted(stop.number, "before a step was taken; there was nothing to save") from None
        except Interrupted as interruption:
            if interruption.requeue:
                tell(requeue())
            raise


def _start(
    wanted: Recipe,
    folder: Path,
    checkpoint: Checkpoint | None,
    engine: Engine,
    signals: Signals,
    tracking: TrackingMode,
    tell: Say,
    quiet: bool,
) -> TrainingRun | None:
    """Data, model and all that is written beside them; None where nothing is left to do."""
    training = wanted.training
    images = open_data(wanted.data, model_class(wanted).batch_type, tell)
    loader = images.loader(training.batch_size, training.seed)
    total = _steps(training, loader)
    model = build_model(wanted, images.spec)
    trainer = build_trainer(model, training, engine, total)
    facts: dict[str, Any] = checkpoint.facts if checkpoint else {}
    if checkpoint:
        require_same_domains(checkpoint, images.domains)
        parts = (checkpoint.tensors(part) for part in ("model", "average", "training"))
        restore(trainer, checkpoint.step, *parts)
        trainer.accumulate = max(trainer.accumulate, facts.get("accumulate", 1))
    pending = facts.get("pending", False)
    if trainer.steps >= total and not pending:
        tell(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
        return None
    write_recipe(folder, wanted)
    parameters = sum(weight.numel() for weight in model.parameters())
    tell(f"{wanted.name}: {parameters:,} parameters, {total:,} steps of {training.batch_size}, on {engine}")
    validations = images.validations(model, training.validation_images, engine)
    samples = engine.place(next(images.first(4)))
    tracker = open_tracker(
        tracking,
        folder=folder,
        name=folder.name,
        config=wanted.to_json(),
        run_id=run_id(folder),
        project="translate",
    )
    return TrainingRun(
        folder,
        trainer,
        loader.stream,
        _cadence(training, total),
        facts=_facts(wanted, images),
        samples=samples,
        validations=validations,
        tracker=tracker,
        signals=signals,
        tell=tell,
        best=facts.get("best_l1"),
        pending=pending,
        quiet=quiet,
    )


def _go(run: TrainingRun, signals: Signals, artifact: bool, tell: Say) -> None:
    """Trains, and closes what is written beside it, whatever the end."""
    code = 1
    with signals.noting():
        try:
            run.go()
            write_summary(run.folder, run.validations, run.validation)
            if artifact:
                run.tracker.artifact(run.folder.name, run.newest, ["latest"])
            code = 0
        except Interrupted as interruption:
            code = interruption.exit_code
            raise
        finally:
            _close(run.folder, run.tracker, code, tell)
        if signals.noted is not None:
            raise Interrupted(signals.noted, "after the last step; everything is saved")


def _close(folder: Path, tracker: Tracker, code: int, tell: Say) -> None:
    """A report that cannot be written is told, and does not hide why the run ended."""
    try:
        write_report(folder)
    except (OSError, TranslateError) as error:
        tell(f"warning: {folder / 'report.html'}: could not be written ({error})")
    tracker.finish(code)


def load(
    run: str | Path,
    checkpoint: str = "latest",
    *,
    device: str = "auto",
    precision: Precision = "auto",
    evaluated: bool = False,
) -> Converter:
    """A trained translator from a run's folder, or from one checkpoint's; see `load_model`.

    `run` may also be the file of a generator's state dict as the widely used PyTorch port or StarGAN save it; then
    `evaluated` does what their `--eval` does, see `ForeignGenerator`.
    Raises ConfigurationError, too, where the run's model draws images instead of converting them.
    """
    if Path(run).is_file():
        generator, images = read_generator(Path(run), evaluated)
        return Converter(generator, images, choose_engine(device, precision))
    loaded = load_model(run, checkpoint)
    if not isinstance(loaded.model, Translator):
        raise ConfigurationError(f"{run}: a {loaded.recipe.name} draws images from noise; use `translate sample`")
    return Converter(loaded.model, loaded.images, choose_engine(device, precision))


def load_sampler(run: str | Path, checkpoint: str = "latest", *, device: str = "auto") -> Sampler:
    """A trained model that draws images from noise, on its device; see `load_model`."""
    loaded = load_model(run, checkpoint)
    if not isinstance(loaded.model, Sampler):
        raise ConfigurationError(f"{run}: a {loaded.recipe.name} converts images; use `translate convert`")
    choose_engine(device, "float32").adopt(loaded.model)
    return loaded.model


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint holds: the recipe, its model with the trained weights, and what images it is for."""

    recipe: Recipe
    model: Model
    images: ImageSpec


def load_model(run: str | Path, checkpoint: str = "latest") -> Loaded:
    """The trained model from a run's folder, or from one checkpoint's.

    `checkpoint` is `latest`, `best` (least validation L1, where the truth was known) or a step's number. Averaged
    weights are taken where the recipe kept them. Raises ConfigurationError where there is no checkpoint,
    TranslateError where it is damaged.
    """
    path = Path(run)
    if not path.is_dir():
        raise ConfigurationError(f"{path}: no such run; expected the folder that `translate train` wrote")
    single = (path / "checkpoint.json").is_file()
    found = verify(path) if single else load_checkpoint(path / "checkpoints", checkpoint)
    recipe = parse_recipe(found.facts["recipe"], str(found.folder / "checkpoint.json"))
    spec = _image_spec(recipe, found.facts)
    model = build_model(recipe, spec)
    load_weights(model, {**found.tensors("model"), **found.tensors("average")})
    return Loaded(recipe, model, spec)


def build_model(recipe: Recipe, images: ImageSpec) -> Model:
    """The recipe's model, its weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.training.seed)
    return model_class(recipe)(recipe.model, images)


def model_class(recipe: Recipe) -> type[Model]:
    return MODELS[recipe.model.name]  # type: ignore[attr-defined]


def _image_spec(recipe: Recipe, facts: dict[str, Any]) -> ImageSpec:
    """Of a checkpoint; those written before there were labels do not speak of them."""
    channels, size = facts.get("channels", recipe.data.channels), facts.get("size", recipe.data.size)
    groups = tuple(LabelGroup(**group) for group in facts.get("groups", []))
    alternatives = tuple(map(tuple, facts.get("alternatives", [])))
    return ImageSpec(channels, size, tuple(facts["domains"]), groups, alternatives)


def _steps(training: TrainingSettings, loader: Batches) -> int:
    """The length of the whole run."""
    return training.steps or max(1, round((training.epochs or 0) * loader.steps_per_epoch))


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


def _facts(recipe: Recipe, images: ImageSet) -> dict[str, Any]:
    """What a checkpoint must know to be used without a single flag."""
    versions = {"translate": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {
        "format": 1,
        "recipe": recipe.to_json(),
        **asdict(images.spec),
        "versions": versions,
    }
