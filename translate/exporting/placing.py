"""Files that appear under their names whole and wanted, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from translate.errors import ConfigurationError, TranslateError
from translate.whole_file import appearing


def require_free(paths: Iterable[Path], overwrite: bool) -> None:
    """Raises ConfigurationError for one that exists, where it is not to be replaced."""
    for path in paths:
        if path.is_dir():
            raise ConfigurationError(f"{path}: is a folder; expected the name of a file")
        if path.exists() and not overwrite:
            raise ConfigurationError(f"{path}: exists; give another name, or --overwrite")


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """A hidden name beside `path`, which becomes `path` at the end, and is removed where anything went wrong.

    Raises TranslateError where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path, path.suffix) as working:
            yield working
    except OSError as error:
        raise TranslateError(f"{path}: cannot be written: {error.strerror or error}") from error
