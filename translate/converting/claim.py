"""Marks an output folder with its translation, in a hidden file, so that no other translation continues in it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from translate.converting.converter import Changes, Converter
from translate.converting.foreign import ForeignGenerator
from translate.data.images import shown
from translate.data.listing import iterate_images
from translate.errors import ConfigurationError
from translate.json_text import json_text
from translate.stored import UnreadableError, read_json
from translate.whole_file import sha256_of, write_whole

MARK = ".translate.json"


@dataclass(frozen=True)
class Translation:
    """Everything that determines the output pixels, up to rounding.

    `to`: the target domains; a cleared attribute is written "-Male".
    """

    model: str
    """SHA-256 of the model's file, or of the file that lists a checkpoint's files."""
    to: list[str]
    evaluated: bool
    name: str = field(compare=False)
    """The model's name, for display only."""
    silenced: bool = False
    """Whether another project's dropout is off, see `ForeignGenerator`."""
    mixed: bool = False
    """Whether the folder may still hold another translation's images, which are being overwritten."""

    def __str__(self) -> str:
        more = (", with --eval" if self.evaluated else "") + (", without dropout" if self.silenced else "")
        more += ", mixed with others" if self.mixed else ""
        return f"{self.name} ({self.model[:8]}) to {', '.join(self.to)}{more}"


def translation(converter: Converter, changes: Changes) -> Translation:
    """Describes what `converter` does with `changes`. Raises ValueError if the converter was not read from a file."""
    origin = converter.origin
    if origin is None:
        raise ValueError("this converter was read from no file")
    names = converter.images.domains
    to = sorted(f"{'' if on else '-'}{names[number]}" for number, on in changes.items())
    theirs = converter.model if isinstance(converter.model, ForeignGenerator) else None
    evaluated, silenced = (theirs.evaluated, theirs.silenced) if theirs else (False, False)
    of_run = origin.parent.name == "checkpoints"
    name = f"{origin.resolve().parent.parent.name}/{origin.name}" if of_run else origin.resolve().name
    return Translation(sha256_of(_telling(origin)), to, evaluated, shown(name), silenced)


def claim(folder: Path, wanted: Translation, overwrite: bool) -> None:
    """Creates `folder` and marks it with the translation that it will hold.

    A folder that holds images but no mark stays unmarked without `overwrite`. With `overwrite`, a folder with other
    images is marked as mixed until `mark` is called, so that nothing continues in it if the conversion is interrupted.
    Raises ConfigurationError if the folder holds another translation's images or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = _held(folder / MARK, forgiving=overwrite)
        if held == wanted:
            return
        if next(iterate_images(folder), None) is None:
            mark(folder, wanted)
        elif overwrite:
            mark(folder, replace(wanted, mixed=True))
        elif held:
            raise ConfigurationError(
                f"{shown(folder)}: holds translations by {held}; these are by {wanted}. "
                "Give another folder, or --overwrite to convert all again"
            )
    except OSError as error:
        raise _unwritable(folder, error) from error


def mark(folder: Path, wanted: Translation) -> None:
    """Records that `folder` holds the translation `wanted`. Raises OSError."""
    write_whole(folder / MARK, json_text(asdict(wanted)) + "\n")


def require_writable(folder: Path) -> None:
    """Raises ConfigurationError if `folder`, which need not exist yet, is not writable. Creates nothing."""
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{shown(folder)}: cannot be written into: {error.strerror}")


def _held(path: Path, forgiving: bool) -> Translation | None:
    if not os.path.lexists(path):
        return None
    try:
        return read_json(path, Translation)
    except UnreadableError as error:
        if forgiving:
            return None
        raise ConfigurationError(
            f"{shown(path)}: not one that `translate convert` wrote; remove it, or add --overwrite"
        ) from error


def _telling(origin: Path) -> Path:
    """The file that identifies the model: the model file itself, or the small one that lists the others' hashes."""
    lists = (origin / name for name in ("manifest.json", "config.json"))
    return origin if origin.is_file() else next(path for path in lists if path.is_file())
