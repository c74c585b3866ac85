"""A labelled set on disk, to which translations of its pictures can be added: what every format of labels provides."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from translate.utils.atomic_files import atomic_copy


@dataclass(frozen=True)
class Original:
    """A picture of the set."""

    path: Path
    name: str
    """Its path relative to the set's folder, with forward slashes."""
    training: bool
    """Whether it is for training; what is kept for tests is never translated."""
    mask: Path | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    """Classes or attributes of the whole picture: 1 has it, 0 has not, -1 nobody said."""


@dataclass(frozen=True)
class Made:
    """A translation of a picture, which gets the picture's labels."""

    original: Original
    name: str
    """Its path relative to the new set's folder, with forward slashes."""
    changes: Mapping[str, bool] = field(default_factory=dict)
    """What of the picture's labels the model was asked to change: which it set, and which it cleared."""


class AnnotatedSet(ABC):
    """The pictures of a labelled set, and the way its labels are written for translations of them."""

    called: ClassVar[str]
    """The format, for messages."""
    keeps_size: ClassVar[bool] = False
    """Whether labels are places in pixels, so that a translation must have its picture's size."""

    measured: ClassVar[bool] = True
    """Whether `translate downstream` has a network that learns such labels."""

    def __init__(self, root: Path, originals: Sequence[Original], warnings: Sequence[str] = ()) -> None:
        self.root, self.originals, self.warnings = root, tuple(originals), tuple(warnings)

    @property
    def domains(self) -> tuple[str, ...]:
        """The classes or attributes that whole pictures are labelled with."""
        return ()

    @property
    def exclusive(self) -> bool:
        """Whether each picture has one of the `domains`."""
        return False

    @property
    def categories(self) -> tuple[str, ...]:
        """What labels of parts of pictures, such as boxes, name; they stay as they are."""
        return ()

    def folder_of(self, original: Original, changes: Mapping[str, bool]) -> str:
        """The folder, relative to that of the new set, that a translation lies in; "" for the set's own."""
        return os.path.dirname(original.name)

    @abstractmethod
    def write(self, out: Path, made: Sequence[Made], originals: bool) -> None:
        """Writes the labels of these translations, whose pictures are there, below `out`; with `originals` those of the
        set's own pictures, too. Raises OSError, ConfigurationError."""


def copied(source: Path, target: Path) -> None:
    """Copies a file byte for byte; what is there already stays, as every file here appears whole. Raises OSError."""
    if not os.path.lexists(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_copy(source, target)


def with_stem_of(name: str, other: str) -> str:
    """The file `name` with the stem of `other`: a/1.png with that of b/1-zebra.jpg is a/1-zebra.png."""
    path = PurePosixPath(name)
    return path.with_name(PurePosixPath(other).stem + path.suffix).as_posix()
