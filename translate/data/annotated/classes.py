"""Class folders: a translation to another class of the set lies in that class's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from translate.data.annotated.annotated_set import AnnotatedSet, Made, Original
from translate.data.labelled.classes import folders_of_classes, read_classes
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import Places

LOOKED_FOR = "a folder for each class"


class ClassSet(AnnotatedSet):
    """The label is the folder, so that nothing is written beside the pictures."""

    called = "class folders"

    def __init__(
        self,
        root: Path,
        originals: Sequence[Original],
        folders: Mapping[tuple[str, str], PurePosixPath],
        warnings: Sequence[str],
    ) -> None:
        """`folders`: of each class and split, relative to `root`."""
        super().__init__(root, originals, warnings)
        self._folders = folders
        self._classes = tuple(dict.fromkeys(name for one in originals for name in one.labels))

    @property
    def domains(self) -> tuple[str, ...]:
        return self._classes

    @property
    def exclusive(self) -> bool:
        return True

    def folder_of(self, original: Original, changes: Mapping[str, bool]) -> str:
        own = PurePosixPath(original.name).parent
        became = next((name for name, has in changes.items() if has), None)
        if became is None:
            return own.as_posix()
        before = next(name for name, has in original.labels.items() if has == 1)
        split, start = next(
            (split, folder)
            for (name, split), folder in self._folders.items()
            if name == before and own.is_relative_to(folder)
        )
        return (self._folders[became, split] / own.relative_to(start)).as_posix()

    def write(self, out: Path, made: Sequence[Made], originals: bool) -> None:
        """Writes nothing; see `folder_of`."""


def find_classes(root: Path) -> ClassSet | None:
    """The set of the folders below `root`; None if they are no classes. Raises ConfigurationError."""
    found = read_classes(root)
    if found is None:
        return None
    places = _named(folders_of_classes(root), found.domains)
    folders = {
        (name, split): PurePosixPath(folder.relative_to(root).as_posix())
        for split, of in places.items()
        for name, folder in of.items()
    }
    originals = []
    for split, part in found.parts.items():
        # Where nothing is split, those that the toolkit would hold out are for training, too.
        training = split == "train" or WHOLE in places
        for source, row in zip(part.sources, part.labels, strict=True):
            labels = {name: int(value) for name, value in zip(found.domains, row, strict=True)}
            originals.append(Original(source.path, source.path.relative_to(root).as_posix(), training, labels=labels))
    return ClassSet(root, originals, folders, found.warnings)


def _named(places: Places, domains: Sequence[str]) -> Places:
    """The folders by the names of the classes: A and B of two domains may be called otherwise."""
    known = dict.fromkeys(name for of in places.values() for name in of)
    if set(domains) & known.keys():
        return places
    called = dict(zip(sorted(known), domains, strict=True))
    return {split: {called[name]: folder for name, folder in of.items()} for split, of in places.items()}
