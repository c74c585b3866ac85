"""What is exported, where to, and what was written: common to all formats."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from translate.errors import TranslateError
from translate.inference.converter import Converter
from translate.inference.options import ExportOptions
from translate.models.base import Request
from translate.training.checkpoint import Checkpoint
from translate.utils.atomic_files import atomic_file, clear_leftovers
from translate.utils.outputs import Inputs, admit


@dataclass(frozen=True)
class Source:
    """A trained translator to export."""

    converter: Converter
    name: str
    to: tuple[str, ...]
    checkpoint: Checkpoint | None = None
    """None for another project's generator."""
    samples: list[Tensor] = field(default_factory=list)
    """uint8 images of the data set that it was trained on, if that is there."""
    style: str | None = None
    """Of the translations of a graph, which has that one alone."""
    steps: int | None = None
    """In which a graph translates."""

    @property
    def request(self) -> Request:
        """Raises ConfigurationError if `to`, `style` and `steps` are not what the model converts to."""
        return self.converter.request(self.to, self.style, self.steps)


@dataclass(frozen=True)
class Destination:
    """Where to export. `name` is as the user wrote it: a slash at its end says that it is a folder."""

    name: str | Path
    format: str
    suffixes: tuple[str, ...]
    """Of files of that format."""
    options: ExportOptions
    reads: list[Path]
    """The files that are exported, which nothing may take the place of."""

    @property
    def path(self) -> Path:
        return Path(self.name)

    def require_free(self, paths: Iterable[Path], more: Iterable[Path] = ()) -> None:
        """Raises ConfigurationError unless the paths may be written; `more` are further files that are exported."""
        inputs, way_out = Inputs(lambda: [*self.reads, *more]), "give another name, or --overwrite"
        for path in paths:
            admit(path, overwrite=self.options.overwrite, inputs=inputs, way_out=way_out)


@dataclass
class Exported:
    """The files written, and how much they differ from PyTorch."""

    paths: list[Path]
    differences: dict[str, float] = field(default_factory=dict)
    """Largest difference for each kind of test image, on the scale of [-1, 1]; empty if the weights themselves were
    written."""
    notes: list[str] = field(default_factory=list)
    """What users of the file must know."""


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
