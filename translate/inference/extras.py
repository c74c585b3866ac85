"""What is written beside translations: a manifest, sheets, a gallery and cycle errors."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from translate.data.domain import Domain
from translate.data.layouts.listing import SUFFIXES, iterate_images
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.cycle_error import WAY_OUT, CycleError
from translate.inference.delivery import span_in
from translate.inference.gallery import is_gallery, write_gallery
from translate.inference.manifest import Manifest, refuse_other
from translate.inference.options import Extras
from translate.inference.partners import Partners
from translate.inference.provenance import require_writable
from translate.inference.records import Record
from translate.inference.samples import own_layer
from translate.inference.sheets import (
    Part,
    Row,
    refuse_inside,
    refuse_other_sheets,
    rows,
    side_by_side,
    write_sheets,
)
from translate.models.base import Request
from translate.utils.outputs import admit, refuse_in_run
from translate.utils.printing import shown

_TRUTH = "truth"


def refuse_for_shards(extras: Extras) -> None:
    """Raises ConfigurationError for what shows the whole folder, of which only a shard is converted."""
    for option, wanted in (("--compare", extras.compare), ("--gallery", extras.gallery)):
        if wanted:
            raise ConfigurationError(f"{option}: shows the whole folder; give it without --shard when all is converted")


def refuse_for_medium(extras: Extras, called: str) -> None:
    """Raises ConfigurationError for what is written for images only."""
    wanted = {"--compare": extras.compare, "--gallery": extras.gallery, "--cycle-error": extras.cycle_error}
    for option, given in wanted.items():
        if given:
            raise ConfigurationError(f"{option}: is for images, not for {called}; leave it out")


def refuse_unseen_truth(extras: Extras) -> None:
    """Raises ConfigurationError if true pictures are given that are not there, or that nothing would show."""
    if extras.truth and not extras.truth.exists():
        raise ConfigurationError(f"--truth {shown(extras.truth)}: no such file or folder")
    if extras.truth and not (extras.compare or extras.gallery):
        raise ConfigurationError("--truth is shown in a page or in sheets; add --gallery page.html, or --compare DIR")


def refuse_among(extras: Extras, folders: Sequence[Path]) -> None:
    """Raises ConfigurationError if sheets or gallery would lie inside one of `folders`, the inputs and outputs."""
    for option, place in (("--compare", extras.compare), ("--gallery", extras.gallery)):
        if place:
            refuse_inside(option, place, folders)


def require_places(extras: Extras, inputs: Container[Path], overwrite: bool) -> None:
    """Raises ConfigurationError if one could not be written, or would take the place of another file: of one of
    `inputs`, or of one that is not such an output and not to be replaced. Creates nothing."""
    manifest, gallery, compare = extras.manifest, extras.gallery, extras.compare
    if gallery and gallery.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(f"--gallery {shown(gallery)}: the gallery is a page; end its name in .html")
    if manifest:
        if manifest.suffix.lower() in SUFFIXES:
            raise ConfigurationError(f"--manifest {shown(manifest)}: named like an image; name it .jsonl")
        refuse_other(manifest, inputs)
        require_writable(manifest.parent)
    if gallery:
        admit(gallery, "--gallery", ours=is_gallery, overwrite=overwrite, inputs=inputs, way_out=WAY_OUT)
        require_writable(gallery.parent)
        if manifest and gallery.resolve() == manifest.resolve():
            raise ConfigurationError(f"--gallery {shown(gallery)}: is the manifest, too; name another file")
    if compare:
        refuse_in_run(compare, "--compare")
        require_writable(compare)
        refuse_other_sheets(compare, inputs, overwrite)


class ExtrasWriter:
    """Writes what each record of a conversion leaves: its row of the manifest and its cycle error; and collects what is
    shown in the end.

    `all_ours`: see `Manifest`. Raises ConfigurationError if the model cannot provide one of them.
    """

    def __init__(
        self, extras: Extras, converter: Converter, request: Request, overwrite: bool, all_ours: bool = False
    ) -> None:
        self._looked_at = bool(extras.compare or extras.gallery)
        self._converter, self._request = converter, request
        self._cycle = CycleError(converter, request, overwrite) if extras.cycle_error else None
        self._manifest = Manifest(extras.manifest, all_ours) if extras.manifest else None
        self._converted: list[Record] = []

    def add(self, record: Record) -> None:
        error = {"cycle_error": self._cycle.write(record)} if self._cycle else {}
        style = {"style": self._request.style.name} if self._request.style else {}
        steps = {"steps": self._request.steps} if self._request.steps else {}
        if self._manifest:
            self._manifest.add(record, error | style | steps)
        if self._looked_at:
            self._converted.append(record)

    def close(self) -> list[str]:
        """Returns the reasons why something is missing."""
        missing = list(self._cycle.failed) if self._cycle else []
        return missing + (self._manifest.close() if self._manifest else [])

    def rows(self, source: Path, output: str = "output") -> list[Row]:
        """What was converted from `source`; `output` is the caption of the outputs."""
        return rows(self._converted, source, self._kinds, output)

    def _kinds(self, record: Record) -> tuple[Domain, Domain]:
        """What an input is, and its translation in its file."""
        images, depth = self._converter.images, self._converter.depth
        given, target = images.to_translate(self._request), images.translated(self._request)
        own = own_layer(given, record.beside)
        return given, replace(target, span=span_in(record.output, own, target, depth))


@dataclass
class Looks:
    """The sheets and the page of a conversion, or of several, whose outputs stand side by side."""

    extras: Extras
    tables: list[list[Row]] = field(default_factory=list)
    facts: dict[str, list[str]] = field(default_factory=dict)
    truth: list[Row] = field(default_factory=list)

    def add(self, rows: Sequence[Row], facts: Mapping[str, str]) -> None:
        """Notes what one conversion made, and what is to be said of it."""
        self.tables.append(list(rows))
        for name, fact in facts.items():
            said = self.facts.setdefault(name, [])
            said += [fact] * (fact not in said)

    def show_truth(self, place: Path, source: Path, kind: Domain) -> None:
        """Puts the true picture of each input, found by its name, beside what was made of it."""
        names = [path.relative_to(place).as_posix() for path in iterate_images(place)] if place.is_dir() else []
        partners = Partners({_TRUTH: place}, {_TRUTH: names} if place.is_dir() else {})
        root = source if source.is_dir() else source.parent
        found = ((row, partners(row.source.relative_to(root).as_posix())[_TRUTH]) for row in side_by_side(self.tables))
        self.truth = [replace(row, pictures={_TRUTH: Part(path, kind)}) for row, path in found if path]

    def write(self, title: str, workers: int) -> list[str]:
        """Returns the reasons why something is missing."""
        shown_here, missing = side_by_side([*self.tables, self.truth]), list[str]()
        if self.extras.compare and self.tables:
            missing += write_sheets(self.extras.compare, shown_here)
        if self.extras.gallery and self.tables:
            facts = {name: " · ".join(said) for name, said in self.facts.items()}
            missing += write_gallery(self.extras.gallery, title, facts, shown_here, workers)
        if self.extras.truth and shown_here and not self.truth:
            missing.append(f"--truth {shown(self.extras.truth)}: no picture has the name of one of the inputs")
        return list(dict.fromkeys(missing))  # page and sheets may lack the same
