"""The user's home folder, which a process in a container may not have."""

import os
from pathlib import Path

from translate.errors import ConfigurationError


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
