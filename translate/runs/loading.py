"""Loads trained models from a run, a checkpoint, a hub folder, an exported file or another project's file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from translate.data.domain import Domain
from translate.data.io.values import UNIT
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError, TranslateError
from translate.inference.converter import Converter, for_inference
from translate.inference.derived import AsDerived
from translate.inference.formats import reader_of
from translate.inference.formats.hub import is_hub, read_hub
from translate.inference.options import Backend, Dropout, ModelOptions
from translate.models.base import ImageSpec, Model, Sampler, Translator
from translate.models.labels import require_domains
from translate.networks.measured import no_larger_than
from translate.networks.settings import require_multiple
from translate.recipe import Recipe, recipe_of
from translate.recipe.plugins import load_plugins
from translate.runs.not_a_run import require_model, require_run
from translate.training.checkpoint import Checkpoint, load_checkpoint, verify
from translate.training.runtime import Precision, choose_runtime
from translate.training.state import load_weights


def load(
    run: str | Path,
    checkpoint: str | int = "latest",
    *,
    device: str = "auto",
    precision: Precision = "auto",
    evaluated: bool = False,
    backend: Backend = "auto",
    dropout: Dropout = "auto",
    plugin: str | Path | Iterable[str | Path] | None = None,
) -> Converter:
    """Loads a trained translator from the folder of a run, a checkpoint or a hub; see `load_model`.

    `run` may also be an ONNX file written by `translate export`, run by `backend` (see `read_exported`), or a
    generator's state dict as saved by the widely used PyTorch port, by CUT or by StarGAN; `evaluated` then does what
    their `--eval` does (see `ForeignGenerator`), and `dropout` turns theirs on or off (see `read_generator`). `plugin`:
    the files that the run was made with, if it was (see `load_plugin`); none is loaded by itself. Also raises
    ConfigurationError if the model generates images instead of converting them.
    """
    load_plugins(plugin)
    path = Path(run)
    options = ModelOptions(
        checkpoint=str(checkpoint),
        device=device,
        precision=precision,
        evaluated=evaluated,
        backend=backend,
        dropout=dropout,
    )
    require_model(path)
    if path.is_file():
        return reader_of(path).code.load(path, options)
    options.refuse_backend_for(path)
    loaded = load_model(run, checkpoint)
    if not isinstance(loaded.model, Translator):
        raise ConfigurationError(f"{run}: a {loaded.recipe.name} generates images from noise; use `translate sample`")
    converter = for_inference(loaded.model, loaded.images, loaded.checkpoint.folder, device, precision)
    converter.derived = as_derived(loaded.recipe)
    return converter


def as_derived(recipe: Recipe) -> AsDerived | None:
    """What conversion knows of a recipe whose inputs are derived."""
    return AsDerived.of(recipe.data.derive)


def files_of(run: Path) -> list[Path]:
    """The files that `load` may read directly at `run`: the model's file, or those in the folder."""
    if run.is_dir():
        return list(run.iterdir())
    return [run] if run.is_file() else []


def load_sampler(run: str | Path, checkpoint: str | int = "latest", *, device: str = "auto") -> Sampler:
    """Loads a trained model that generates images from noise, on `device`; see `load_model`."""
    loaded = load_model(run, checkpoint)
    if not isinstance(loaded.model, Sampler):
        raise ConfigurationError(f"{run}: a {loaded.recipe.name} converts images; use `translate convert`")
    choose_runtime(device, "float32").adopt(loaded.model)
    return loaded.model


@dataclass(frozen=True)
class Loaded:
    """The contents of a checkpoint: the recipe, its model with the trained weights, and the spec of its images."""

    recipe: Recipe
    model: Model
    images: ImageSpec
    checkpoint: Checkpoint
    skipped: frozenset[Path] = frozenset()
    """Images that the run left out because they could not be read."""


def load_model(run: str | Path, checkpoint: str | int = "latest") -> Loaded:
    """Loads the trained model from the folder of a run, of a checkpoint, or of a hub export by `translate export`.

    `checkpoint` is `latest`, `best` (least validation L1, where the truth was known) or a step number. Uses averaged
    weights if the recipe kept them. Raises ConfigurationError if there is no such checkpoint, and TranslateError if it
    is damaged.
    """
    path = Path(run)
    require_run(path)
    found = checkpoint_in(path, str(checkpoint))
    recipe = recipe_of(found.facts, found.folder)
    weights, spec = found.weights(), image_spec(recipe, found.facts)
    try:
        with no_larger_than(weights):
            model = build_model(recipe, spec)
    except ValueError as error:
        raise TranslateError(f"{found.folder}: {error}") from error
    load_weights(model, weights)
    return Loaded(recipe, model, spec, found, frozenset(map(Path, found.facts["skipped"])))


def checkpoint_in(path: Path, which: str) -> Checkpoint:
    """The checkpoint in the folder of a run, of a checkpoint or of a hub export."""
    if (path / "checkpoint.json").is_file():
        return verify(path)
    return read_hub(path) if is_hub(path) else load_checkpoint(path / "checkpoints", which)


def build_model(recipe: Recipe, images: ImageSpec) -> Model:
    """Builds the recipe's model, with initial weights drawn from the recipe's seed.

    Raises ConfigurationError if its networks cannot take images of that size, or not that many domains.
    """
    require_domains(images, recipe.method.batch_type, f"a model of {recipe.name}")
    if not recipe.method.takes_labels:
        images.require_no_labels(f"a model of {recipe.name}")
    if not recipe.method.takes_layers:
        images.require_no_layers(f"a model of {recipe.name}")
    recipe.method.require_images(recipe.model, images)
    scale = recipe.method.enlarges(recipe.model)
    if scale != 1 and not recipe.method.may_enlarge:
        raise ConfigurationError(
            f"model.generator: its images are {scale} times as high and wide as those it takes, and {recipe.name} "
            "compares both: train with pix2pix or direct, or set model.generator.kind to resnet or unet"
        )
    torch.manual_seed(recipe.training.seed)
    model = recipe.method(recipe.model, images)
    if isinstance(model, Translator):
        images.require_targets(model.targets(), "AtoB" if recipe.data.direction == "BtoA" else "BtoA")
        fewer = "take fewer downsamplings" if model.stride > 1 else "take a smaller model.generator.scale"
        require_multiple(images.size, model.stride * scale, f"the networks of {recipe.name}", fewer)
    return model


def image_spec(recipe: Recipe, facts: Mapping[str, Any]) -> ImageSpec:
    """The image spec from a checkpoint's facts.

    Raises TranslateError if the facts contradict each other.
    """
    channels, size = facts.get("channels") or recipe.data.channels or 3, facts.get("size", recipe.data.size)
    domains = tuple(facts.get("domains", ()))
    groups = tuple(LabelGroup(**group) for group in facts["groups"])
    alternatives = tuple(map(tuple, facts["alternatives"]))
    span = facts.get("span") or recipe.data.range or UNIT
    # Where only the source is labelled, labels are not domains: ten digits in two sets.
    batch = recipe.method.batch_type
    labels = 0 if batch.labelled() and not batch.labels_are_domains() else sum(group.size for group in groups)
    if not domains or (labels and labels != len(domains)):
        raise TranslateError(f"checkpoint facts: {len(domains)} domains do not make up the groups of labels")
    if any(number >= len(domains) for group in alternatives for number in group):
        raise TranslateError(f"checkpoint facts: alternatives among {len(domains)} domains")
    if not span[0] < span[1]:
        raise TranslateError(f"checkpoint facts: the span {span} does not rise")
    each = tuple(map(Domain.of, facts.get("each", ())))
    return ImageSpec(channels, size, domains, groups, alternatives, span, each)
