"""Recipes: strict, typed settings of a whole training run, as YAML outside and JSON inside checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterable
from os.path import isfile  # says no to a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, model_validator
from pydantic_core import ErrorDetails

from translate.data.augment import Augmentation
from translate.data.resized import Where
from translate.engine import Precision
from translate.errors import ConfigurationError, nearest
from translate.model import Model
from translate.models import MODELS
from translate.optim import Schedule
from translate.settings import Settings
from translate.shipped import shipped
from translate.yaml_reader import MAX_BYTES, KeyPath, read_yaml, read_yaml_value

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What torch and NumPy both take."""
MISTAKES = 10
"""Mistakes of a recipe that are explained; the others are counted."""
Places = dict[KeyPath, str]
"""Where keys were given: the file and its line, or `--set KEY=VALUE`."""

if TYPE_CHECKING:
    ModelSettings = Settings
else:
    ModelSettings = Annotated[
        Union[tuple(model.Config for model in MODELS.values())],  # noqa: UP007
        Field(discriminator="name"),
    ]


class ShapesSettings(Settings):
    """The procedural set `shapes`: the same scenes in several styles, so that the true translation is known."""

    styles: tuple[str, ...] = Field(("flat", "outlined"), min_length=2)
    """Two for paired and unpaired images, two or more for labelled ones."""
    train: int = Field(400, ge=1)
    """Training images per style."""
    test: int = Field(64, ge=1)
    seed: Seed = 0


class DataSettings(Settings):
    """Which images, and how they become batches."""

    set: str | None = None
    """Name of a data set or path of a folder; `--data` overrides it."""
    also: tuple[str, ...] = ()
    """Further labelled sets that are trained on jointly, each with its own labels."""
    layout: Literal["auto", "paired", "unpaired"] = "auto"
    """`unpaired` reads two folders with equal file names as unpaired all the same."""
    direction: Literal["AtoB", "BtoA"] | None = None
    """Pairs only: which half is the input; null takes the data set's own, else AtoB."""
    domains: tuple[str, ...] | None = None
    """Names of the two domains, or the classes or attributes that are chosen; null takes the data set's or the
    folders'."""
    balanced: bool = False
    """Labelled images: every class, or every attribute's yes and no, comes up equally often."""
    channels: int = Field(3, ge=1, le=256)
    """1 (grey), 3 (RGB), 4 (RGBA), or as many as the bands of TIFF files."""
    range: tuple[float, float] = (0.0, 1.0)
    """Of files of more than 8 bits: the values that become black and white; others are refused. As it is, 16-bit
    files go from 0 to 65535, and those of floating point from 0 to 1."""
    size: int = Field(256, ge=8, le=4096)
    """Side in pixels of the square crops that are trained on."""
    load_size: int | None = Field(None, ge=8)
    """Side that images are resized to before the crop; null takes the published proportion 286/256 of `size`."""
    resize: Literal["square", "centre", "short_side", "none"] = "square"
    """`square` stretches, as published; `centre` takes the largest square in the middle; `short_side` keeps the
    proportions; `none` crops the image as it is."""
    flip: bool = True
    augment: tuple[Augmentation, ...] = ()
    """More augmentation, through albumentations; pairs share geometry and never photometry."""
    workers: int = Field(2, ge=0, le=256)
    """Threads that decode ahead; 0 decodes in the training thread. Batches are the same whatever the number."""
    skip_bad: bool = False
    """Images that cannot be read are left out, counted and named, instead of refused before the first step."""
    cache: Where = "ram"
    """Where decoded and resized images are kept: nowhere; in memory; in files that later runs find again, in the
    user's cache or $TRANSLATE_HOME; or whole on the GPU that trains, where they are cropped, too."""
    cache_gb: float | None = Field(None, ge=0)
    """What they may take there; the others are decoded again when they come up. Null: 4 in memory, 20 in files, half
    of a GPU's free memory."""
    shapes: ShapesSettings = ShapesSettings()
    """For the procedural set `shapes` only."""

    @property
    def loaded_size(self) -> int:
        return self.load_size or round(self.size * 286 / 256)

    @property
    def cache_bytes(self) -> int | None:
        return None if self.cache_gb is None else int(self.cache_gb * 1e9)

    @model_validator(mode="after")
    def _range_rises(self) -> DataSettings:
        low, high = self.range
        if not low < high:
            raise ValueError(f"range is {low:g} to {high:g}; the first is black and less than the second, white")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> DataSettings:
        if self.resize != "none" and self.loaded_size < self.size:
            raise ValueError(f"load_size {self.loaded_size} is smaller than size {self.size}: no crop fits")
        return self


class TrainingSettings(Settings):
    """How long, how fast, and what is kept."""

    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)
    """Exactly one of `steps` and `epochs`; an epoch is one pass over the larger domain."""
    batch_size: int = Field(1, ge=1)
    accumulate: int = Field(1, ge=1)
    """Parts that a batch is split into, whose gradients are averaged: less memory, the same step."""
    seed: Seed = 0
    init_from: str | None = None
    """A run's folder, or a checkpoint's, with whose weights the networks begin (averaged ones, where it kept them);
    optimizers and schedule begin anew. Null draws weights from the seed."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    lr: float = Field(2e-4, gt=0)
    network_lr: dict[str, float] = Field(default_factory=dict)
    """Learning rates of single networks by name, e.g. {discriminator: 4e-4}; the others use `lr`."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Schedule = "linear"
    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of all steps at full learning rate before a linear or cosine decay."""
    halve_every: int = Field(100_000, ge=1)
    """Steps after which the schedule `halving` halves the learning rate."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the moving average of the generators' weights, which then converts; null keeps none."""
    precision: Precision = "auto"
    skip_limit: int = Field(20, ge=1)
    """A turn whose losses or gradients are not finite is skipped; so many in a row end the run, when losses are
    logged next (log_every)."""
    log_every: int = Field(50, ge=1)
    sample_every: int = Field(1000, ge=1)
    validate_every: int = Field(1000, ge=1)
    validation_images: int = Field(64, ge=1)
    """Test images measured against the truth, where a set knows it."""
    checkpoint_every: int = Field(1000, ge=1)
    keep: int = Field(3, ge=1)
    """Newest checkpoints kept, beside the best."""
    keep_every: int | None = Field(None, ge=1)
    """Checkpoints of steps that this divides are kept, too; null keeps none for its number."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingSettings:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of steps and epochs (set the other to null)")
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> TrainingSettings:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate {self.accumulate} does not split batch_size {self.batch_size} into equal parts"
            )
        return self


class Recipe(Settings):
    """A whole training run as one value."""

    name: str
    summary: str = ""
    model: SerializeAsAny[ModelSettings]
    """`name` is a key of `MODELS`; the rest is that model's Config."""
    data: DataSettings = DataSettings()
    training: TrainingSettings

    @property
    def method(self) -> type[Model]:
        """The class of the model that `model` configures."""
        return MODELS[self.model.name]  # type: ignore[attr-defined]

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_json(), sort_keys=False, allow_unicode=True, width=100)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def load_recipe(name_or_path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """A shipped recipe by name, or a YAML file by path, with `section.key=value` overrides applied.

    A recipe may stand on another: `base: NAME` takes that one's values where its own are silent.
    Raises ConfigurationError naming file, line and key, what was expected, and the nearest known key.
    """
    path = _recipe_path(str(name_or_path))
    values, places = _read(path)
    _override(values, places, overrides)
    return parse_recipe(values, str(path), places)


def parse_recipe(values: dict[str, Any], source: str, places: Places | None = None) -> Recipe:
    """Typed settings from plain values. Raises ConfigurationError with one line per mistake."""
    try:
        # Through JSON, so that strictness still takes a list for a tuple, and a whole number for a float.
        return Recipe.model_validate_json(json.dumps(values))
    except ValidationError as error:
        found = error.errors()
        mistakes = [_explain(mistake, values, source, places or {}) for mistake in found[:MISTAKES]]
        if len(found) > MISTAKES:
            mistakes.append(f"{source}: and {len(found) - MISTAKES} more mistakes")
        raise ConfigurationError("\n".join(mistakes)) from error


def _recipe_path(name_or_path: str) -> Path:
    if name_or_path in recipe_names():
        return shipped("recipes") / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if isfile(path):
        return path
    if isfile(path / "recipe.yaml"):
        raise ConfigurationError(
            f"{path}: a run's folder; go on with `translate train {path / 'recipe.yaml'} --out {path} --resume`"
        )
    hint = nearest(name_or_path, recipe_names())
    raise ConfigurationError(f"no recipe '{name_or_path}', neither by name nor as a file{hint}")


def _base_path(path: Path, base: str) -> Path:
    """A recipe's base: a shipped one, or a file beside the recipe that names it, or in the working folder."""
    beside = path.parent / base
    if base not in recipe_names() and isfile(beside):
        return beside
    try:
        return _recipe_path(base)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: base: {error}; looked for as {beside}, too") from None


def _read(path: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], Places]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
        values, lines = read_yaml(text, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as a recipe ({error})") from error
    base = values.pop("base", None)
    values.setdefault("name", path.stem)
    places = {key: f"{path}: line {line}" for key, line in lines.items()}
    if base is None:
        return values, places
    base_path, seen = _base_path(path, str(base)), (*seen, path.resolve())
    if base_path.resolve() in seen:
        raise ConfigurationError(f"{path}: recipes stand on each other in a circle ({base})")
    below, places_below = _read(base_path, seen)
    return _merged(below, values), places_below | places


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, section by section; a section of another kind replaces the one below whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict) and value.get("kind") in (None, under.get("kind")):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    training = above.get("training", {})
    if isinstance(training, dict) and isinstance(merged.get("training"), dict):
        _one_length(merged["training"], training)
    return merged


def _override(values: dict[str, Any], places: Places, overrides: Iterable[str]) -> None:
    """Kinds come first: a section of another kind begins anew, and then takes what else is given for it."""
    for override in sorted(overrides, key=lambda override: ".kind=" not in override):
        key, equals, text = override.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise ConfigurationError(f"--set {override}: expected section.key=value, e.g. training.lr=1e-4")
        section = values
        for name in path[:-1]:
            if not isinstance(section.setdefault(name, {}), dict):
                raise ConfigurationError(f"--set {override}: '{name}' is a value, not a section")
            section = section[name]
        value = read_yaml_value(text)
        if path[-1] == "kind" and section.get("kind") != value:
            section.clear()
        section[path[-1]] = value
        for inside in [key for key in places if key[: len(path)] == path]:
            del places[inside]
        places[path] = f"--set {override}"
        if path[0] == "training":
            _one_length(section, {path[-1]: value})


def _one_length(training: dict[str, Any], given: dict[str, Any]) -> None:
    """A length given above in one unit takes the place of one given below in the other."""
    for unit, other in (("steps", "epochs"), ("epochs", "steps")):
        if given.get(unit) is not None and given.get(other) is None:
            training[other] = None


def _explain(mistake: ErrorDetails, values: dict[str, Any], source: str, places: Places) -> str:
    path = _path_in(values, mistake["loc"])
    key, where = ".".join(map(str, path)), _where(path, source, places)
    if mistake["type"] == "extra_forbidden":
        known = known_keys(Recipe)
        if key in known:
            return f"{where}: unknown key '{key}': '{mistake['loc'][-2]}' has none such, others have"
        beside = [name for name in known if name.rpartition(".")[0] == key.rpartition(".")[0]]
        return f"{where}: unknown key '{_short(key)}'{nearest(key, known, beside)}"
    if mistake["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = mistake["ctx"]["discriminator"].strip("'")
        given = mistake["ctx"].get("tag", "missing")
        expected = [word.strip(" '") for word in mistake["ctx"].get("expected_tags", "").split(",") if word]
        return f"{_where((*path, tag), source, places)}: '{key}.{tag}' is {given}{nearest(given, expected or MODELS)}"
    message = mistake["msg"].removeprefix("Value error, ")
    given = "" if isinstance(mistake["input"], dict) else f", got {_short(json.dumps(mistake['input']))}"
    return f"{where}: '{_short(key)}': {message[0].lower()}{message[1:]}{given}"


def _where(path: KeyPath, source: str, places: Places) -> str:
    """Where a key was given, or the section that it lacks in; of a whole section what `--set` gave in it, too."""
    given = next((places[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in places), source)
    below = [place for key, place in places.items() if key[: len(path)] == path and place.startswith("--set ")]
    return ", ".join(dict.fromkeys([given, *below]))


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _path_in(values: Any, location: tuple[str | int, ...]) -> KeyPath:
    """pydantic's location without the names of union members, which stand in no file."""
    path: list[str | int] = []
    for position, name in enumerate(location):
        inside = isinstance(values, dict) and name in values
        tagged = isinstance(values, dict) and name in (values.get("name"), values.get("kind"))
        if tagged and not inside and position + 1 < len(location):
            continue
        path.append(name)
        listed = isinstance(values, list) and isinstance(name, int) and name < len(values)
        values = values[name] if inside or listed else None
    return tuple(path)


def known_keys(settings: Any, prefix: str = "") -> list[str]:
    """Every dotted key that a recipe may have."""
    if isinstance(settings, type) and issubclass(settings, Settings):
        keys = []
        for name, field in settings.model_fields.items():
            keys += [prefix + name, *known_keys(field.annotation, f"{prefix}{name}.")]
        return list(dict.fromkeys(keys))
    return list(dict.fromkeys(key for part in get_args(settings) for key in known_keys(part, prefix)))
