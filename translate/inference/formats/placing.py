"""Writes files atomically, and only over files that may be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from translate.errors import TranslateError
from translate.utils.atomic_files import atomic_file, clear_leftovers
from translate.utils.outputs import Inputs, admit


def require_free(paths: Iterable[Path], overwrite: bool, read: Iterable[Path]) -> None:
    """Raises ConfigurationError unless the paths may be written; `read`: the files that are exported."""
    for path in paths:
        admit(path, overwrite=overwrite, inputs=Inputs(lambda: read), way_out="give another name, or --overwrite")


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Yields a hidden file beside `path` that is renamed to `path` at the end, or removed on any error, as are folders
    that were made for it.

    Raises TranslateError if the file cannot be written.
    """
    absent = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        with atomic_file(path, path.suffix) as working:
            yield working
    except OSError as error:
        raise TranslateError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # not made, or holds something
            for folder in absent:
                folder.rmdir()
