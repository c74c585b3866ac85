"""The composition root: the only place that sees a whole Recipe, and builds data, model, engine and run from it."""

from __future__ import annotations

import json
import platform
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from translate.checkpoint import Checkpoint, load_checkpoint, newest_good, verify
from translate.converting.converter import Converter
from translate.data.batch import Batch, Paired
from translate.data.catalog import locate, user_data
from translate.data.folders import Folder, Split, open_folder
from translate.data.loader import Loader, evaluation_batches
from translate.data.shapes import render_set
from translate.engine import Engine, Precision, choose_engine
from translate.errors import ConfigurationError, TranslateError
from translate.model import ImageSpec, Translator
from translate.models import MODELS
from translate.optim import WeightAverage, build_optimizer, learning_rate
from translate.recipe import Recipe, load_recipe, nearest, parse_recipe
from translate.report import write_report
from translate.resume import load_weights, restore
from translate.tracking import TrackingMode, open_tracker
from translate.trainer import Trainer
from translate.training import Cadence, Interrupted, TrainingRun
from translate.validation import Direction, directions
from translate.version import __version__

Say = Callable[[str], None]


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
    folder = _run_folder(out, wanted, resume)
    checkpoint = _checkpoint_to_resume(folder, tell) if resume else None
    if checkpoint:
        _same_run(checkpoint, wanted)
    engine = choose_engine(device, wanted.training.precision)
    images = open_data(wanted, tell)
    model = build_model(wanted, images.domains)
    trainer = _build_trainer(wanted, model, engine, images)
    if checkpoint:
        tell(f"resuming {folder} after step {checkpoint.step}")
        parts = (checkpoint.tensors(part) for part in ("model", "average", "training"))
        restore(trainer, checkpoint.step, *parts)
    _write_recipe(folder, wanted)
    total = images.steps(wanted)
    if trainer.steps >= total:
        tell(f"{folder}: already trained for {trainer.steps} steps; give a larger training.steps to go on")
    parameters = sum(weight.numel() for weight in model.parameters())
    tell(f"{wanted.name}: {parameters:,} parameters, {total:,} steps of {wanted.training.batch_size}, on {engine}")
    tracker = open_tracker(
        tracking,
        folder=folder,
        name=folder.name,
        config=wanted.to_json(),
        run_id=_run_id(folder),
        project="translate",
    )
    code = 1
    try:
        truths = _directions(wanted, model, images, engine)
        run = TrainingRun(
            folder,
            trainer,
            images.loader(wanted).stream,
            _cadence(wanted, total),
            facts=_facts(wanted, images),
            samples=engine.place(next(images.test_batches(wanted, count=4))),
            directions=truths,
            tracker=tracker,
            best=checkpoint.facts["best_l1"] if checkpoint else None,
            quiet=quiet,
        )
        run.go()
        _write_summary(folder, truths, run.validation)
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
    return MODELS[_model_name(recipe)](recipe.model, _image_spec(recipe, domains))


@dataclass(frozen=True)
class Images:
    """A data set as a recipe wants it."""

    name: str
    folder: Folder
    batch_type: type[Batch]

    @property
    def domains(self) -> tuple[str, ...]:
        return self.folder.domains

    def loader(self, recipe: Recipe) -> Loader:
        data, training = recipe.data, recipe.training
        return Loader(
            self.folder.splits["train"],
            make=self.batch_type,
            channels=data.channels,
            size=data.size,
            load_size=data.loaded_size,
            resize=data.resize,
            flip=data.flip,
            augment=data.augment,
            batch_size=training.batch_size,
            seed=training.seed,
            workers=data.workers,
            cache_bytes=int(data.cache_gb * 1e9),
        )

    def steps(self, recipe: Recipe) -> int:
        """The length of the whole run."""
        training = recipe.training
        return training.steps or max(1, round((training.epochs or 0) * self.loader(recipe).steps_per_epoch))

    def test_batches(self, recipe: Recipe, *, count: int, split: str = "test") -> Iterator[Batch]:
        """The first `count` images of each domain, whole, in one batch; of the training set where there is no test."""
        chosen = self.folder.splits.get(split) or self.folder.splits["train"]
        first: Split = tuple(sources[:count] for sources in chosen)
        return evaluation_batches(first, self.batch_type, recipe.data.channels, recipe.data.size, count)


def open_data(recipe: Recipe, tell: Say) -> Images:
    """Finds the recipe's data set and reads its layout, telling what was found.

    Raises ConfigurationError where there is none, or where it is paired and the model wants unpaired images, or
    the reverse.
    """
    data = recipe.data
    batch_type = MODELS[_model_name(recipe)].batch_type
    wanted: Literal["paired", "unpaired"] = "paired" if batch_type is Paired else "unpaired"
    if data.set is None:
        raise ConfigurationError("--data is needed: the name of a data set (see `translate data`), or a folder")
    if data.set == "shapes":
        options = data.shapes
        name = f"shapes-{wanted}-{'-'.join(options.styles)}-{data.size}px-{options.train}-{options.test}-{options.seed}"
        tell(f"rendering {name}, unless it is there already")
        root, card = user_data() / name, None
        render_set(
            root,
            view=wanted,
            styles=options.styles,
            size=data.size,
            train=options.train,
            test=options.test,
            seed=options.seed,
        )
    else:
        root, card = locate(data.set)
    folder = open_folder(
        root,
        wanted=wanted,
        direction=data.direction or (card.direction if card else None),
        domains=data.domains or (card.domains if card else None),
        layout=data.layout,
    )
    for line in folder.found:
        tell(line)
    for line in folder.warnings:
        tell(f"warning: {line}")
    return Images(data.set, folder, batch_type)


def _build_trainer(recipe: Recipe, model: Translator, engine: Engine, images: Images) -> Trainer:
    training = recipe.training
    engine.adopt(model)
    model.train()
    networks = {
        name: network
        for name, network in model.named_children()
        if any(network is moved for turn in model.turns() for moved in turn.networks)
    }
    for name in training.network_lr:
        if name not in networks:
            raise ConfigurationError(f"training.network_lr: no network '{name}'{nearest(name, networks)}")
    optimizers = {
        name: build_optimizer(
            network,
            training.optimizer,
            training.network_lr.get(name, training.lr),
            training.betas,
            training.weight_decay,
        )
        for name, network in networks.items()
    }
    painters = {
        name: network
        for name, network in networks.items()
        if any(turn.paints and network in turn.networks for turn in model.turns())
    }
    return Trainer(
        model,
        optimizers,
        engine,
        curve=learning_rate(training.schedule, images.steps(recipe), training.decay_from),
        seed=training.seed,
        accumulate=training.accumulate,
        average=WeightAverage(painters, training.ema) if training.ema else None,
    )


def _directions(recipe: Recipe, model: Translator, images: Images, engine: Engine) -> list[Direction]:
    if not images.folder.test_is_paired or not images.folder.splits.get("test"):
        return []
    count = recipe.training.validation_images
    paired = images.folder.kind == "paired"
    test = images.test_batches(recipe, count=count)
    training = images.test_batches(recipe, count=count, split="train") if paired else iter(())
    return directions(model, images.domains, test, training, engine)


def _cadence(recipe: Recipe, total: int) -> Cadence:
    training = recipe.training
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
    return {
        "format": 1,
        "recipe": recipe.to_json(),
        "domains": list(images.domains),
        "versions": {
            "translate": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _run_folder(out: str | Path | None, recipe: Recipe, resume: bool) -> Path:
    """`--out`, or runs/RECIPE-DATA with a number behind it where that is taken."""
    if out is not None:
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise ConfigurationError(f"{folder}: is a file; --out names the run's folder")
        if folder.is_dir() and any(folder.iterdir()) and not resume:
            raise ConfigurationError(f"{folder}: exists; continue it with --resume, or give another --out")
        return folder
    base = Path("runs") / f"{recipe.name}-{Path(recipe.data.set or 'data').name}"
    taken = [base, *(base.with_name(f"{base.name}-{number}") for number in range(2, 10_000))]
    free = next(index for index, folder in enumerate(taken) if not folder.exists())
    return taken[max(0, free - 1)] if resume else taken[free]


def _checkpoint_to_resume(folder: Path, tell: Say) -> Checkpoint | None:
    checkpoint, damaged = newest_good(folder / "checkpoints")
    for reason in damaged:
        tell(f"warning: {reason}; going back to the one before")
    if damaged and not checkpoint:
        raise TranslateError(f"{folder}: every checkpoint is damaged; move the folder away to start anew")
    if not checkpoint:
        tell(f"{folder}: nothing to resume yet, starting from the first step")
    return checkpoint


def _same_run(checkpoint: Checkpoint, recipe: Recipe) -> None:
    """A run is continued with the recipe it was begun with; only its length and how often it reports may change."""
    begun = _flat(parse_recipe(checkpoint.facts["recipe"], str(checkpoint.folder)).to_json())
    wanted = _flat(recipe.to_json())
    different = [key for key in wanted if wanted[key] != begun.get(key) and key not in FREE_ON_RESUME]
    if different:
        lines = [f"{key}: {json.dumps(begun.get(key))} then, {json.dumps(wanted[key])} now" for key in different]
        raise ConfigurationError(
            f"{checkpoint.folder.parent.parent}: --resume cannot change what the run was begun with:\n  "
            + "\n  ".join(lines)
            + "\ngive the same recipe and --set options, or another --out to start anew"
        )


FREE_ON_RESUME = {"summary", "data.workers", "data.cache_gb"} | {
    f"training.{key}"
    for key in ("steps", "epochs", "log_every", "sample_every", "validate_every", "checkpoint_every", "keep")
}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _write_recipe(folder: Path, recipe: Recipe) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror}); give another --out") from error


def _write_summary(folder: Path, truths: list[Direction], validation: dict[str, dict[str, float]]) -> None:
    """summary.json: the last validation beside what the untouched input and the best colour map score."""
    if not validation:
        return
    rows = {}
    for direction in truths:
        baselines = direction.baselines()
        for measure, value in validation[direction.name].items():
            rows[f"to {direction.name}, {measure}"] = {
                "value": value,
                **{name: measures[measure] for name, measures in baselines.items()},
            }
    (folder / "summary.json").write_text(json.dumps(rows, indent=1) + "\n")


def _run_id(folder: Path) -> str:
    """One id for the whole life of a run, so that a resumed one goes on in the tracker where it stopped."""
    path = folder / "run_id"
    if not path.exists():
        path.write_text(secrets.token_hex(8) + "\n")
    return path.read_text().strip()


def _image_spec(recipe: Recipe, domains: tuple[str, ...]) -> ImageSpec:
    return ImageSpec(recipe.data.channels, recipe.data.size, domains)


def _model_name(recipe: Recipe) -> str:
    return str(recipe.model.name)  # type: ignore[attr-defined]
