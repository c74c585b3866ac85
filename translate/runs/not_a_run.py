"""What a path holds that was given as a run but is not one, and how to go on."""

import difflib
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from translate.data.layouts.listing import SUFFIXES as IMAGES
from translate.data.layouts.listing import iterate_images
from translate.data.layouts.subfolders import ARCHIVES
from translate.errors import ConfigurationError, command
from translate.inference.formats import suffixes
from translate.training.checkpoint import saved_steps
from translate.utils.printing import shown

_MOST = 1000
"""Entries of a folder that are looked at."""


def require_model(path: Path) -> None:
    """Raises ConfigurationError, saying what `path` is, unless it may be a run, a checkpoint or a file of a model."""
    if not (path.is_file() and _kind_of_file(path) is None):
        require_run(path)


def require_run(path: Path) -> None:
    """Raises ConfigurationError, saying what `path` is, unless it is the folder of a run, a checkpoint or a hub."""
    if not holds_model(path):
        raise ConfigurationError(f"{shown(path)}: {_what(path)}")


def require_recipe(run: Path) -> None:
    """Raises ConfigurationError, saying what the path is, unless it is a run's folder, with or without checkpoints."""
    if not (run / "recipe.yaml").is_file():
        alone = "not a run: it holds a model without its recipe.yaml and metrics; give the folder of the run"
        raise ConfigurationError(f"{shown(run)}: {alone if holds_model(run) else _what(run)}")


def holds_model(path: Path) -> bool:
    """Whether the folder is that of a run with checkpoints, of a checkpoint, or one for a hub."""
    return bool(_saved(path)) or any((path / name).is_file() for name in ("checkpoint.json", "config.json"))


def port_files(folder: Path) -> list[Path]:
    """The latest networks in a folder of the PyTorch port (latest_net_G_A.pth, ...) or of StarGAN (200000-G.ckpt)."""
    if not folder.is_dir():
        return []
    latest = sorted(folder.glob("latest_net_[GD]*.pth"))
    numbers = [int(path.stem.removesuffix("-G")) for path in folder.glob("*-G.ckpt") if path.stem[:-2].isdecimal()]
    stargan = [folder / f"{max(numbers)}-{role}.ckpt" for role in "GD"] if numbers else []
    return latest or [path for path in stargan if path.is_file()]


def _saved(run: Path) -> list[int]:
    return saved_steps(run / "checkpoints")


def _what(path: Path) -> str:
    if path.is_dir():
        return _what_folder(path)
    if path.exists():
        named = _kind_of_file(path) or "the file of a model, which `translate convert` and `translate export` take"
        return f"{named}; expected the folder of a run here"
    near = difflib.get_close_matches(path.name, [one.name for one in _runs(path.parent)], n=1, cutoff=0.5)
    hint = f"; did you mean {shown(path.with_name(near[0]))}?" if near else ""
    return f"no such run; expected the folder that `translate train` wrote{hint}"


def _kind_of_file(path: Path) -> str | None:
    """What a file is that holds no model, and what to do with it; None for one that may."""
    suffix, folder = path.suffix.lower(), path.parent
    if suffix in (".yaml", ".yml"):
        if path.name == "recipe.yaml" and _saved(folder):
            return f"the recipe of the run {shown(folder)}; give that folder"
        return f"a recipe, not a trained run; {shown(command('train', path))} trains it"
    if suffix in IMAGES:
        return "an image, not a run; the run comes first: translate convert RUN IMAGE OUTPUT"
    if suffix in ARCHIVES:
        return "an archive, not a run; unpack it and give the folder"
    if suffix == ".safetensors" and holds_model(folder):
        return f"the weights alone; give their folder, {shown(folder)}"
    return None


def _what_folder(path: Path) -> str:
    if saved_steps(path):
        holder = path.resolve().parent if path.name in ("", ".", "..") else path.parent
        newest = (one for one in sorted(path.glob("step-*"), reverse=True) if holds_model(one))
        better = holder if _saved(holder) else next(newest, path)
        return f"holds checkpoints but is not a run; give {shown(better)}"
    if (path / "recipe.yaml").is_file():
        again = shown(command("train", path / "recipe.yaml", "--out", path, "--resume"))
        return f"a run that has saved no checkpoint yet; {again} continues it"
    if runs := list(_runs(path)):
        others = f" (or one of {len(runs) - 1} others)" if len(runs) > 1 else ""
        return f"holds runs but is not one; give {shown(runs[0])}{others}"
    files = sorted(one for one in _entries(path) if one.suffix in suffixes() and re.search(r"_net_G|-G\.", one.name))
    files = files or sorted(one for one in _entries(path) if one.suffix in suffixes())
    if files:
        return f"holds files of networks but is not a run; give one of them, such as {shown(files[0])}"
    if next(iterate_images(path), None) is not None:
        check = shown(command("data", "check", path))
        return f"holds images but is not a run; {check} says what can be learnt from them"
    if next(_entries(path), None) is None:
        return "an empty folder, not a run; expected one that `translate train` wrote"
    return "holds neither a run (recipe.yaml, checkpoints) nor images; expected a folder that `translate train` wrote"


def _runs(folder: Path) -> Iterator[Path]:
    """The runs that lie directly in the folder."""
    yield from (one for one in sorted(_entries(folder)) if one.is_dir() and holds_model(one))


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from islice(folder.iterdir(), _MOST) if folder.is_dir() else ()
    except OSError as error:
        raise ConfigurationError(f"{shown(folder)}: cannot be read: {error.strerror}") from error
