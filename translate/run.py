"""The composition root: the only place that sees a whole Recipe, and builds data, model, engine and run from it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from translate.assembly import build_trainer
from translate.checkpoint import Checkpoint, load_checkpoint, rank_part, verify
from translate.converting.converter import Converter
from translate.converting.exported import Backend, read_exported
from translate.converting.foreign import read_generator
from translate.data.labels import LabelGroup
from translate.engine import Precision, choose_engine
from translate.errors import ConfigurationError
from translate.estimate import Estimate, estimate, process_memory
from translate.exporting.hub import is_hub, read_hub
from translate.image_sets import ImageSet, Say, open_data, share_of, training_stream
from translate.model import ImageSpec, Model, Sampler, Translator
from translate.models import MODELS
from translate.ranks import Ranks, fingerprint, join
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
    write_skipped,
    write_summary,
)
from translate.scanning import unreadable
from translate.tracking import NoTracker, TrackingMode, open_tracker
from translate.training import Cadence, Interrupted, TrainingRun
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
    levers: str = "auto",
    tracking: TrackingMode = "auto",
    artifact: bool = False,
    overrides: Iterable[str] = (),
    quiet: bool = False,
) -> Path:
    """Trains `recipe` (a Recipe, a shipped recipe's name, or a YAML file) on `data` (a name or a folder).

    Returns the run's folder: recipe.yaml, metrics.jsonl, samples/, report.html and checkpoints/. With `resume` the
    newest good checkpoint there is continued. `levers` say how it runs, see `choose_engine`. Of the processes that
    torchrun started, the first writes all that. Raises ConfigurationError before anything is written where recipe, data
    or device do not fit, TranslateError where the run fails.
    """
    wanted = _resolved(recipe, data, overrides)
    with join(device) as ranks:
        return _train(wanted, ranks, out, resume, levers, tracking, artifact, quiet or not ranks.leads)


def _train(
    wanted: Recipe,
    ranks: Ranks,
    out: str | Path | None,
    resume: bool,
    levers: str,
    tracking: TrackingMode,
    artifact: bool,
    quiet: bool,
) -> Path:
    tell: Say = (lambda line: None) if quiet else say
    training = wanted.training
    folder = choose_folder(out, wanted, resume)
    checkpoint, told = checkpoint_to_resume(folder) if resume else (None, [])
    for line in told:
        tell(line)
    if checkpoint:
        require_same_run(checkpoint, wanted, ranks.size)
    engine = choose_engine(ranks.device, training.precision, levers)
    if engine.captured and ranks.size > 1:
        raise ConfigurationError(f"--engine {levers}: CUDA graphs are for one process; leave captured out")
    with ranks.one_first():
        images = open_data(wanted.data, model_class(wanted).batch_type, tell)
    loader = images.loader(training.batch_size, training.seed)
    # A run goes on without what it was begun without: the order of its data hangs on the list of images.
    skipped = checkpoint.facts.get("skipped", {}) if checkpoint else unreadable(images, loader, tell, quiet)
    if skipped:
        images = images.without(set(map(Path, skipped)))
        loader = images.loader(training.batch_size, training.seed)
    steps_per_epoch = -(-loader.steps_per_epoch // ranks.size)
    total = _steps(training, steps_per_epoch)
    model = build_model(wanted, images.spec)
    trainer = build_trainer(model, training, engine, total, ranks)
    if checkpoint:
        require_same_domains(checkpoint, images.domains)
        own = rank_part(ranks.rank % checkpoint.facts.get("processes", 1))
        weights, average, state = (checkpoint.tensors(part) for part in ("model", "average", "training"))
        restore(trainer, checkpoint.step, weights, average, {**state, **checkpoint.tensors(own)})
    facts = _facts(wanted, images, skipped) | {"processes": ranks.size}
    steps = trainer.steps, total, steps_per_epoch
    ranks.require_same({"recipe, domains or versions": facts, "steps": steps, "weights": fingerprint(model)})
    if trainer.steps >= total:
        tell(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
        return folder
    if ranks.leads:
        write_recipe(folder, wanted)
        write_skipped(folder, skipped)
    parameters = sum(weight.numel() for weight in model.parameters())
    tell(f"{wanted.name}: {parameters:,} parameters, {total:,} steps of {training.batch_size}, on {engine}")
    if ranks.size > 1:
        together = f"{ranks.size} processes x {training.batch_size} = {ranks.size * training.batch_size} images a step"
        tell(f"{together}; learning rates are the recipe's, unscaled")
    tracker = (
        NoTracker()
        if not ranks.leads
        else open_tracker(
            tracking,
            folder=folder,
            name=folder.name,
            config=wanted.to_json(),
            run_id=run_id(folder),
            project="translate",
        )
    )
    code = 1
    try:
        validations = images.validations(model, training.validation_images, engine)
        run = TrainingRun(
            folder,
            trainer,
            share_of(training_stream(loader, wanted.data, engine.device, tell), ranks.rank, ranks.size),
            _cadence(training, total),
            facts=facts,
            samples=engine.place(next(images.first(4))),
            validations=validations,
            tracker=tracker,
            best=checkpoint.facts["best_l1"] if checkpoint else None,
            skip_limit=training.skip_limit,
            quiet=quiet,
        )
        run.go()
        if ranks.leads:
            write_summary(folder, validations, run.validation)
        if artifact:
            tracker.artifact(folder.name, run.newest, ["latest"])
        code = 0
    except Interrupted as interruption:
        code = interruption.exit_code
        raise
    finally:
        if ranks.leads:
            write_report(folder)
        tracker.finish(code)
    return folder


def dry_run(
    recipe: Recipe | str,
    data: str | Path | None = None,
    *,
    device: str = "auto",
    overrides: Iterable[str] = (),
    quiet: bool = False,
) -> Estimate:
    """What `train` would take on this machine, from some twenty real steps; no run's folder is written."""
    tell: Say = (lambda line: None) if quiet else say
    memory = process_memory()
    wanted = _resolved(recipe, data, overrides)
    training = wanted.training
    engine = choose_engine(device, training.precision)
    images = open_data(wanted.data, model_class(wanted).batch_type, tell)
    loader = images.loader(training.batch_size, training.seed)
    total = _steps(training, loader.steps_per_epoch)
    trainer = build_trainer(build_model(wanted, images.spec), training, engine, total)
    tell(f"{wanted.name}: taking some steps to measure, of {total:,}")
    with closing(loader.stream()) as batches:
        return estimate(trainer, batches, total, training.keep, memory)


def load(
    run: str | Path,
    checkpoint: str = "latest",
    *,
    device: str = "auto",
    precision: Precision = "auto",
    evaluated: bool = False,
    backend: Backend = "auto",
) -> Converter:
    """A trained translator from a run's folder, one checkpoint's, or a hub's folder; see `load_model`.

    `run` may also be an ONNX file that `translate export` wrote, run by `backend`, see `read_exported`; or the file of
    a generator's state dict as the widely used PyTorch port or StarGAN save it: then `evaluated` does what their
    `--eval` does, see `ForeignGenerator`.
    Raises ConfigurationError, too, where the run's model draws images instead of converting them.
    """
    path = Path(run)
    if path.is_file() and path.suffix == ".onnx":
        return Converter(*read_exported(path, backend, device, precision))
    if backend not in ("auto", "torch"):
        raise ConfigurationError(
            f"{path}: --backend {backend} runs ONNX files; make one with `translate export {path} model.onnx`"
        )
    if path.is_file():
        generator, images = read_generator(path, evaluated)
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
    checkpoint: Checkpoint
    skipped: frozenset[Path] = frozenset()
    """Images that the run left out, as they could not be read."""


def load_model(run: str | Path, checkpoint: str = "latest") -> Loaded:
    """The trained model from a run's folder, one checkpoint's, or one that `translate export` wrote for a hub.

    `checkpoint` is `latest`, `best` (least validation L1, where the truth was known) or a step's number. Averaged
    weights are taken where the recipe kept them. Raises ConfigurationError where there is no checkpoint,
    TranslateError where it is damaged.
    """
    path = Path(run)
    if not path.is_dir():
        raise ConfigurationError(f"{path}: no such run; expected the folder that `translate train` wrote")
    found = _checkpoint(path, checkpoint)
    recipe = parse_recipe(found.facts["recipe"], f"the recipe in {found.folder}")
    spec = _image_spec(recipe, found.facts)
    model = build_model(recipe, spec)
    load_weights(model, found.weights())
    return Loaded(recipe, model, spec, found, frozenset(map(Path, found.facts.get("skipped", {}))))


def _checkpoint(path: Path, which: str) -> Checkpoint:
    if (path / "checkpoint.json").is_file():
        return verify(path)
    return read_hub(path) if is_hub(path) else load_checkpoint(path / "checkpoints", which)


def build_model(recipe: Recipe, images: ImageSpec) -> Model:
    """The recipe's model, its weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.training.seed)
    return model_class(recipe)(recipe.model, images)


def _resolved(recipe: Recipe | str, data: str | Path | None, overrides: Iterable[str]) -> Recipe:
    """The recipe with the command's own words in it."""
    wanted = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    if data is None:
        return wanted
    return wanted.model_copy(update={"data": wanted.data.model_copy(update={"set": str(data)})})


def model_class(recipe: Recipe) -> type[Model]:
    return MODELS[recipe.model.name]  # type: ignore[attr-defined]


def _image_spec(recipe: Recipe, facts: dict[str, Any]) -> ImageSpec:
    """Of a checkpoint; those written before there were labels do not speak of them."""
    channels, size = facts.get("channels", recipe.data.channels), facts.get("size", recipe.data.size)
    groups = tuple(LabelGroup(**group) for group in facts.get("groups", []))
    alternatives = tuple(map(tuple, facts.get("alternatives", [])))
    span = tuple(facts.get("span", recipe.data.range))
    return ImageSpec(channels, size, tuple(facts["domains"]), groups, alternatives, span)


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
    )


def _facts(recipe: Recipe, images: ImageSet, skipped: dict[str, str]) -> dict[str, Any]:
    """What a checkpoint must know to be used without a single flag."""
    versions = {"translate": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {
        "format": 1,
        "recipe": recipe.to_json(),
        **asdict(images.spec),
        "skipped": skipped,
        "versions": versions,
    }
