"""What is written beside translations: a manifest, sheets, a gallery and cycle errors."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from translate.data.domain import Domain
from translate.data.layouts.listing import SUFFIXES
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.cycle_error import WAY_OUT, CycleError
from translate.inference.delivery import span_in
from translate.inference.gallery import is_gallery, write_gallery
from translate.inference.jobs import Jobs
from translate.inference.manifest import Manifest, refuse_other
from translate.inference.options import Extras, OutputOptions
from translate.inference.provenance import require_writable
from translate.inference.records import Record
from translate.inference.samples import own_layer
from translate.inference.sheets import pairs, refuse_inside, refuse_other_sheets, write_sheets
from translate.models.base import Request
from translate.utils.outputs import admit, refuse_in_run
from translate.utils.printing import shown


def refuse_for_shards(extras: Extras) -> None:
    """Raises ConfigurationError for what shows the whole folder, of which only a shard is converted."""
    for option, wanted in (("--compare", extras.compare), ("--gallery", extras.gallery)):
        if wanted:
            raise ConfigurationError(f"{option}: shows the whole folder; give it without --shard when all is converted")


def refuse_for_video(extras: Extras) -> None:
    """Raises ConfigurationError for what is written for images only."""
    wanted = {"--compare": extras.compare, "--gallery": extras.gallery, "--cycle-error": extras.cycle_error}
    for option, given in wanted.items():
        if given:
            raise ConfigurationError(f"{option}: is for images, not for a video; leave it out")


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
    """Writes the extras of images: the manifest and cycle errors with each record, the rest at the end.

    `all_ours`: see `Manifest`. Raises ConfigurationError if the model cannot provide one of them.
    """

    def __init__(
        self, extras: Extras, converter: Converter, request: Request, overwrite: bool, all_ours: bool = False
    ) -> None:
        self._extras = extras
        self._converter, self._request = converter, request
        self._cycle = CycleError(converter, request, overwrite) if extras.cycle_error else None
        self._manifest = Manifest(extras.manifest, all_ours) if extras.manifest else None
        self._converted: list[Record] = []

    def add(self, record: Record) -> None:
        error = {"cycle_error": self._cycle.write(record)} if self._cycle else {}
        if self._manifest:
            self._manifest.add(record, error)
        if self._extras.compare or self._extras.gallery:
            self._converted.append(record)

    def finish(self, jobs: Jobs, facts: Mapping[str, str], options: OutputOptions) -> list[str]:
        """Writes sheets and gallery, which shows the `facts`. Returns the reasons why something is missing."""
        missing = list(self._cycle.failed) if self._cycle else []
        missing += self._manifest.close() if self._manifest else []
        seen = pairs(self._converted, jobs.source, self._kinds)
        if self._extras.compare:
            missing += write_sheets(self._extras.compare, seen)
        if self._extras.gallery:
            title = jobs.output.absolute().name
            missing += write_gallery(self._extras.gallery, title, facts, seen, options.workers)
        return missing

    def _kinds(self, record: Record) -> tuple[Domain, Domain]:
        """What an input is, and its translation in its file."""
        images, depth = self._converter.images, self._converter.depth
        given, target = images.to_translate(self._request), images.translated(self._request)
        own = own_layer(given, record.beside)
        return given, replace(target, span=span_in(record.output, own, target, depth))
