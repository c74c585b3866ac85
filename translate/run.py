"""The composition root: the only place that sees a whole Recipe, and builds data, model, engine and run from it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from translate.assembly import Images, Say, build_trainer, open_data, true_pairs
from translate.checkpoint import load_checkpoint, verify
from translate.converting.converter import Converter
from translate.data.loader import Loader
from translate.engine import Precision, choose_engine
from translate.errors import ConfigurationError
from translate.model import ImageSpec, Translator
from translate.models import MODELS
from translate.recipe import Recipe, TrainingSettings, load_recipe, parse_recipe
from translate.report import write_report
from translate.resume import load_weights, restore
from translate.run_folder import (
    checkpoint_to_resume,
    choose_folder,
    require_same_run,
    run_id,
    write_recipe,
    write_summary,
)
from translate.tracking import TrackingMode, open_tracker
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
    tracking: TrackingMode = "auto",
    artifact: bool = False,
    overrides: Iterable[str] = (),
    quiet: bool = False,
) -> Path:
    """Trains `recipe` (a Recipe, a shipped recipe's name, or a YAML file) on `data` (a name or a folder).

    Returns the run's folder: recipe.yaml, metrics.jsonl, samples/, report.html and checkpoints/. With `resume` the
    newest good checkpoint there is continued. Raises ConfigurationError before anything is written where recipe,
    data or device do not fit, TranslateError where the run fails.
    """
    tell: Say = (lambda line: None) if quiet else say
    wanted = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    if data is not None:
        wanted = wanted.model_copy(update={"data": wanted.data.model_copy(update={"set": str(data)})})
    training = wanted.training
    folder = choose_folder(out, wanted, resume)
    checkpoint, told = checkpoint_to_resume(folder) if resume else (None, [])
    for line in told:
        tell(line)
    if checkpoint:
        require_same_run(checkpoint, wanted)
    engine = choose_engine(device, training.precision)
    images = open_data(wanted.data, model_class(wanted).batch_type, tell)
    loader = images.loader(training.batch_size, training.seed)
    total = _steps(training, loader)
    model = build_model(wanted, images.domains)
    trainer = build_trainer(model, training, engine, total)
    if checkpoint:
        parts = (checkpoint.tensors(part) for part in ("model", "average", "training"))
        restore(trainer, checkpoint.step, *parts)
    if trainer.steps >= total:
        tell(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
        return folder
    write_recipe(folder, wanted)
    parameters = sum(weight.numel() for weight in model.parameters())
    tell(f"{wanted.name}: {parameters:,} parameters, {total:,} steps of {training.batch_size}, on {engine}")
    tracker = open_tracker(
        tracking,
        folder=folder,
        name=folder.name,
        config=wanted.to_json(),
        run_id=run_id(folder),
        project="translate",
    )
    code = 1
    try:
        truths = true_pairs(model, images, training.validation_images, engine)
        run = TrainingRun(
            folder,
            trainer,
            loader.stream,
            _cadence(training, total),
            facts=_facts(wanted, images),
            samples=engine.place(next(images.first(4))),
            directions=truths,
            tracker=tracker,
            best=checkpoint.facts["best_l1"] if checkpoint else None,
            quiet=quiet,
        )
        run.go()
        write_summary(folder, truths, run.validation)
        if artifact:
            tracker.artifact(folder.name, run.newest, ["latest"])
        code = 0
    except Interrupted as interruption:
        code = interruption.exit_code
        raise
    finally:
        write_report(folder)
        tracker.finish(code)
    return folder


def load(
    run: str | Path, checkpoint: str = "latest", *, device: str = "auto", precision: Precision = "auto"
) -> Converter:
    """A trained translator from a run's folder, or from one checkpoint's.

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
    model = build_model(recipe, tuple(found.facts["domains"]))
    load_weights(model, {**found.tensors("model"), **found.tensors("average")})
    engine = choose_engine(device, precision)
    return Converter(model, _image_spec(recipe, tuple(found.facts["domains"])), engine)


def build_model(recipe: Recipe, domains: tuple[str, ...]) -> Translator:
    """The recipe's model, its weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.training.seed)
    return model_class(recipe)(recipe.model, _image_spec(recipe, domains))


def model_class(recipe: Recipe) -> type[Translator]:
    return MODELS[recipe.model.name]  # type: ignore[attr-defined]


def _image_spec(recipe: Recipe, domains: tuple[str, ...]) -> ImageSpec:
    return ImageSpec(recipe.data.channels, recipe.data.size, domains)


def _steps(training: TrainingSettings, loader: Loader) -> int:
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
    )


def _facts(recipe: Recipe, images: Images) -> dict[str, Any]:
    """What a checkpoint must know to be used without a single flag."""
    versions = {"translate": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {"format": 1, "recipe": recipe.to_json(), "domains": list(images.domains), "versions": versions}
