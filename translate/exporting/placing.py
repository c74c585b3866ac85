"""Writes files atomically, and only over files that may be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from translate.errors import ConfigurationError, TranslateError
from translate.whole_file import appearing, clear_leftovers


def require_free(paths: Iterable[Path], overwrite: bool) -> None:
    """Raises ConfigurationError if a path is a folder, or exists and `overwrite` is false."""
    for path in paths:
        if path.is_dir():
            raise ConfigurationError(f"{path}: is a folder; expected the name of a file")
        if path.exists() and not overwrite:
            raise ConfigurationError(f"{path}: exists; give another name, or --overwrite")


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Yields a hidden file beside `path` that is renamed to `path` at the end, or removed on any error.

    Raises TranslateError if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        with appearing(path, path.suffix) as working:
            yield working
    except OSError as error:
        raise TranslateError(f"{path}: cannot be written: {error.strerror or error}") from error
