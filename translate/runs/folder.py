"""The folder of a run: its location, and whether it may be continued."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from translate.data.settings import DataSettings, DomainSettings
from translate.errors import ConfigurationError, TranslateError, command
from translate.recipe import Recipe, load_recipe, recipe_of
from translate.training.checkpoint import Checkpoint, newest_good
from translate.training.schedules import ScheduleSettings
from translate.utils.atomic_files import NO_LOCKS, clear_leftovers, is_leftover
from translate.utils.outputs import is_run, refuse_in_run

LOCK = ".lock"
"""The file in a run's folder that the process training into it holds locked."""
_LOOKED_AT = 0.3
"""Seconds that a run waits for its lock: who looks whether it `trains` holds it for a moment."""

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
FREE_WITH_IMAGES = {"data.set", "data.domains"}
"""Location of the data and names of its domains; the images' names say whether it is the same data."""
FOUND = {"data.channels", "data.range"}
"""Settings that null leaves to what is found: to what the run has found, or was told."""


def choose_folder(out: str | Path | None, recipe: Recipe, resume: bool) -> Path:
    """The run's folder: `--out`, or the usual one, numbered if it exists.

    With `resume`, `--out` in any case, or the folder with the highest number. Raises ConfigurationError if `--out` lies
    in another run, or is already written to, unless by a run that is resumed.
    """
    if out is not None:
        folder = Path(out)
        if folder.is_dir() and _is_written(folder):
            if not resume:
                raise ConfigurationError(f"{folder}: exists; continue it with --resume, or give another --out")
            if not is_run(folder):
                raise ConfigurationError(f"{folder}: holds other files but no run to resume; give another --out")
        refuse_in_run(folder.absolute().parent, "--out")
        return folder
    base = usual_folder(recipe)
    if resume:
        return next((folder for folder in reversed(_numbered(base)) if os.path.lexists(folder)), base)
    return _free(base)


def on_data_of(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe; where it names no data, on those of the run in `folder`."""
    if recipe.data.set is not None or not (folder / "recipe.yaml").is_file():
        return recipe
    begun = load_recipe(folder / "recipe.yaml").data.set
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"set": begun})})


def usual_folder(recipe: Recipe) -> Path:
    """Where a run lies that is not told otherwise: runs/RECIPE-DATA, or runs/RECIPE if that ends in DATA."""
    data = Path(recipe.data.set or "data").name
    return Path("runs") / (recipe.name if recipe.name.endswith(f"-{data}") else f"{recipe.name}-{data}")


def _numbered(base: Path) -> list[Path]:
    return [base, *(base.with_name(f"{base.name}-{number}") for number in range(2, 10_000))]


def _free(base: Path) -> Path:
    """The first name of a folder like `base`, numbered, that does not exist yet."""
    return next(folder for folder in _numbered(base) if not os.path.lexists(folder))


@contextmanager
def claimed(out: str | Path | None, recipe: Recipe, resume: bool) -> Iterator[Path]:
    """Context that creates the folder of `choose_folder` and reserves it; a new one that stays empty is removed again.

    Raises ConfigurationError if another process holds the folder or it cannot be written.
    """
    folder = choose_folder(out, recipe, resume)
    with ExitStack() as stack:
        try:
            absent = [place for place in (folder, *folder.parents) if not place.exists()]
            if out is None and not resume:
                folder = _made_again(folder, recipe)
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / LOCK, _LOOKED_AT))
            clear_leftovers(folder, alone=True)
            clear_leftovers(folder / "samples", alone=True)
        except Timeout as error:
            raise ConfigurationError(
                f"{folder}: another process is training into this folder; wait until it ends, or give another --out"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"{folder}: cannot be written ({error.strerror}); give another --out") from error
        stack.callback(_remove_unless_written, folder, [folder, *absent[1:]] if absent else [])
        yield folder


@contextmanager
def locked(path: Path, patience: float = 0) -> Iterator[None]:
    """Context in which this process alone holds the lock on `path`, an empty file; some file systems have no locks.

    Raises Timeout if another process holds it, also after seconds of `patience`, OSError if it cannot be made.
    """
    lock = FileLock(path, timeout=patience, fallback_to_soft=False)  # a soft lock would outlive a killed process
    try:
        lock.acquire(poll_interval=0.02)
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


def trains(run: Path) -> bool:
    """Whether a process trains into the folder now, as far as its file system has locks."""
    try:
        if (run / LOCK).exists():
            with locked(run / LOCK):
                pass
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    return False


def _made_again(folder: Path, recipe: Recipe) -> Path:
    """Creates `folder`, or the next one if another process has just taken that name. Raises OSError."""
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            before, folder = folder, choose_folder(None, recipe, False)
            if folder == before:  # a parent is not a folder
                raise


def _is_written(folder: Path) -> bool:
    return any(entry.name != LOCK and not is_leftover(entry.name) for entry in folder.iterdir())


def _remove_unless_written(folder: Path, made: Sequence[Path]) -> None:
    """Removes the lock and the `made` folders, innermost first, as long as nothing else is in there."""
    with suppress(OSError):
        if not _is_written(folder):
            (folder / LOCK).unlink()
            for place in made:
                place.rmdir()


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


def is_closed(folder: Path, checkpoint: Checkpoint) -> bool:
    """Whether the process that saved `checkpoint` as its last also wrote the files that follow it."""
    follows = ["report.html", *(["summary.json"] if checkpoint.facts.get("validation") else [])]
    return all((folder / name).is_file() for name in follows)


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
    return data.model_copy(update=told)


def _with_its_weights(run: Path, different: Sequence[str], recipe: Recipe) -> str:
    """The command that begins a new run with the weights of `run` and the settings that differ."""
    values = recipe.to_json()
    keys = dict.fromkeys("training.batch_size" if key == _IMAGES_A_STEP else _present(values, key) for key in different)
    words = [f"{key}={json.dumps(_value(values, key))}" for key in keys]
    begins = command("train", run / "recipe.yaml", "--out", _free(run), f"training.init_from={run}", *words)
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
