"""The folder of a run: where it lies, and who trains into it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from translate.errors import ConfigurationError
from translate.recipe import Recipe, load_recipe
from translate.training.checkpoint import Checkpoint
from translate.utils.atomic_files import NO_LOCKS, clear_leftovers, is_leftover
from translate.utils.outputs import is_run, refuse_in_run

LOCK = ".lock"
"""The file in a run's folder that the process training into it holds locked."""
_LOOKED_AT = 0.3
"""Seconds that a run waits for its lock: who looks whether it `trains` holds it for a moment."""


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
    return free_name(base)


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


def free_name(base: Path) -> Path:
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


def is_closed(folder: Path, checkpoint: Checkpoint) -> bool:
    """Whether the process that saved `checkpoint` as its last also wrote the files that follow it."""
    follows = ["report.html", *(["summary.json"] if checkpoint.facts.get("validation") else [])]
    return all((folder / name).is_file() for name in follows)
