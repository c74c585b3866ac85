"""Whether a run may go on from its checkpoint: with these settings, these domains and these images."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from translate.data.domain_settings import DomainSettings
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError, TranslateError, command
from translate.recipe import Recipe, recipe_of
from translate.runs.folder import free_name
from translate.training.checkpoint import Checkpoint, newest_good
from translate.training.schedules import ScheduleSettings

FREE_ON_RESUME = {"summary", "data.workers", "data.cache", "data.cache_gb", "data.skip_bad"} | {
    f"training.{key}"
    for key in (
        "steps",
        "epochs",
        "log_every",
        "sample_every",
        "validate_every",
        "checkpoint_every",
        "keep",
        "keep_every",
        "accumulate",
        "validation_images",
        "patience",
        "skip_limit",
    )
}
_RATES = {"training.lr", *(f"training.{key}" for key in ScheduleSettings.model_fields)}
_IMAGES_A_STEP = "images a step (training.batch_size x processes)"
FREE_WITH_IMAGES = {"data.set", "data.domains", "data.order"}
"""Location of the data, and names and order of its domains; the images' names say whether it is the same data."""
FOUND = {"data.channels", "data.range"}
"""Settings that null leaves to what is found: to what the run has found, or was told."""


def checkpoint_to_resume(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest good checkpoint, and lines for the user about the search. Raises TranslateError if all are damaged."""
    checkpoint, damaged = newest_good(folder / "checkpoints")
    if damaged and not checkpoint:
        raise TranslateError(f"{folder}: every checkpoint is damaged; move the folder away to start again")
    lines = [f"warning: {reason}; falling back to the one before" for reason in damaged]
    found = (
        f"resuming after step {checkpoint.step}" if checkpoint else "nothing to resume yet, starting from the beginning"
    )
    return checkpoint, [*lines, f"{folder}: {found}"]


def require_same_run(
    checkpoint: Checkpoint,
    recipe: Recipe,
    processes: int = 1,
    fits: Callable[[], bool] = lambda: False,
    change_schedule: bool = False,
) -> Recipe:
    """The recipe, with what it leaves to be found as the run was told at its start. Raises ConfigurationError unless it
    is the one the run began with, but for its length and reporting, and with `change_schedule` its learning rates.

    The number of processes may change if the images per step do not. If the checkpoint's weights fit the recipe's
    networks (`fits`), the error says how to begin a new run with them.
    """
    before = checkpoint.facts["processes"]
    trained = recipe_of(checkpoint.facts, checkpoint.folder)
    begun = _images_a_step(flat(trained.to_json()), before)
    wanted = _images_a_step(flat(recipe.to_json()), processes)
    if processes != before:
        wanted["training.accumulate"] = begun["training.accumulate"]
    free = FREE_ON_RESUME | (FREE_WITH_IMAGES if "images" in checkpoint.facts else set())
    for key in FOUND | {key for key in begun if key.startswith("data.domains.")}:
        if wanted.get(key) in (None, ""):
            wanted[key] = begun.get(key)
    different = [key for key in wanted | begun if wanted.get(key) != begun.get(key) and key not in free]
    rates = list(filter(sets_a_rate, different))
    if different != rates or (rates and not change_schedule):
        run = checkpoint.folder.parent.parent
        lines = [f"{key}: {json.dumps(begun.get(key))} then, {json.dumps(wanted.get(key))} now" for key in different]
        again = command("train", run / "recipe.yaml", "--out", run, "--resume")
        instead = f", or give another --out to start again{_with_its_weights(run, different, recipe) if fits() else ''}"
        if different == rates:
            instead += "; to go on with other learning rates, add --change-schedule"
        raise ConfigurationError(
            "\n  ".join([f"{run}: --resume cannot change the settings that the run began with:", *lines])
            + f"\ncontinue with {again}{instead}"
        )
    return recipe.model_copy(update={"data": _as_told(recipe.data, trained.data)})


def sets_a_rate(key: str) -> bool:
    """Whether a setting, by its dotted key, decides nothing but learning rates."""
    of_one = key.startswith("training.networks.") and key.endswith(".lr")
    return key in _RATES or key.startswith("training.network_lr.") or of_one


def _as_told(data: DataSettings, begun: DataSettings) -> DataSettings:
    """The settings, with those that they leave to be found as the run began with them."""
    told = {key: getattr(begun, key) for key in ("channels", "range", "domains") if getattr(data, key) is None}
    said, named = begun.domain_settings, dict.fromkeys(data.domain_names or (), DomainSettings())
    if data.domain_settings or (said and said.keys() <= named.keys()):
        told["domains"] = named | data.domain_settings | said
    if isinstance(told.get("domains", data.domains), dict):
        told["order"] = data.domain_names or begun.order
    return data.model_copy(update=told)


def _with_its_weights(run: Path, different: Sequence[str], recipe: Recipe) -> str:
    """The command that begins a new run with the weights of `run` and the settings that differ."""
    values = recipe.to_json()
    keys = dict.fromkeys("training.batch_size" if key == _IMAGES_A_STEP else _present(values, key) for key in different)
    words = [f"{key}={json.dumps(_value(values, key))}" for key in keys]
    begins = command("train", run / "recipe.yaml", "--out", free_name(run), f"training.init_from={run}", *words)
    return f"; {begins} begins a new run with these settings and the weights of this one, optimizers fresh"


def _present(values: Mapping[str, Any], key: str) -> str:
    """The key, or that of its section if it is no longer in there."""
    found: list[str] = []
    for name in key.split("."):
        if not isinstance(values, Mapping) or name not in values:
            break
        found, values = [*found, name], values[name]
    return ".".join(found)


def _value(values: Mapping[str, Any], key: str) -> Any:
    for name in key.split("."):
        values = values[name]
    return values


def _images_a_step(settings: dict[str, Any], processes: int) -> dict[str, Any]:
    count = settings.pop("training.batch_size") * processes
    return settings | {_IMAGES_A_STEP: count}


def require_same_domains(checkpoint: Checkpoint, domains: Sequence[str]) -> None:
    """Raises ConfigurationError if the domains changed: another class folder would shift every label."""
    begun = checkpoint.facts.get("domains", [])
    if list(domains) != begun:
        raise ConfigurationError(
            f"{checkpoint.folder.parent.parent}: began with the domains {', '.join(begun)}; the data now has "
            f"{', '.join(domains)}. Put the folders back, choose with --domains, or give another --out to start again"
        )


def changed_images(begun: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """A warning of how the training images differ from those at the start of the run; empty if they do not."""
    changed = []
    for name, then in begun.items():
        now = found.get(name, {"count": 0})
        if now != then:
            others = " other images" if now["count"] == then["count"] else ""
            changed.append(f"{name}: {then['count']} then, {now['count']}{others} now")
    return [f"warning: the training images have changed since the run began: {', '.join(changed)}"] if changed else []


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Sections within sections as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
