"""Paths as a user writes them: in a home folder, and for outputs whether of a file or of a folder."""

import mimetypes
import os
import re
from pathlib import Path

from translate.errors import ConfigurationError

_LONG = {".safetensors", ".jsonl"}
_USUAL = re.compile(r"\.[a-z][a-z0-9]{1,3}")
_VERSION = re.compile(r"\.v?\d+")


def said_folder(name: str | Path) -> bool:
    """Whether it can only be a folder: it ends with a slash, or is one."""
    return str(name).endswith(("/", os.sep)) or Path(name).is_dir()


def named_as_file(name: str | Path) -> bool:
    """Whether it has a suffix as files have, known or not, and is not said to be a folder; .5 and .v2 are none."""
    suffix = Path(name).suffix.lower()
    if said_folder(name) or _VERSION.fullmatch(suffix):
        return False
    return suffix in _LONG or bool(_USUAL.fullmatch(suffix)) or mimetypes.guess_type(f"x{suffix}")[0] is not None


def folder_named(name: str | Path, option: str) -> Path:
    """The folder of that name. Raises ConfigurationError, naming the option, for a name of a file, or a file's."""
    path = Path(name)
    if path.exists() and not path.is_dir():
        raise ConfigurationError(f"{option} {path}: cannot be written into: it is a file; give another name")
    if named_as_file(name):
        raise ConfigurationError(
            f"{option} {path}: named as a file, but a folder is written here; for a folder of that name, write {path}/"
        )
    return path


def home() -> Path:
    """Raises ConfigurationError if there is none: no HOME, and no entry for this user."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigurationError(
            "this user has no home folder (HOME is not set): set TRANSLATE_HOME to a folder for data sets and resized "
            "images"
        ) from error


def expanded(path: str | Path) -> Path:
    """The path with `~` or `~user` at its beginning replaced by that home folder.

    A name that only looks like one is kept if something has it. Raises ConfigurationError if there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        if os.path.lexists(path):
            return Path(path)
        raise ConfigurationError(
            f"{path}: no home folder is known for '{Path(path).parts[0]}'; write the path in full"
        ) from error
