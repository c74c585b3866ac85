"""What `translate convert` does once the model is loaded: converts images or a video and writes the extra outputs."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from translate.data.io.images import dimensions
from translate.data.layouts.listing import SUFFIXES
from translate.errors import ConfigurationError, ImageError
from translate.inference.converter import Converter
from translate.inference.cycle_error import WAY_OUT, CycleError
from translate.inference.folder import Outcome, Record, convert_folder
from translate.inference.gallery import is_gallery, write_gallery
from translate.inference.jobs import Jobs
from translate.inference.manifest import Manifest, refuse_other
from translate.inference.provenance import Claim, require_writable
from translate.inference.sheets import pairs, refuse_inside, refuse_other_sheets, write_sheets
from translate.inference.video import convert_video, count_frames
from translate.models.base import Request, Translator
from translate.utils.outputs import admit, refuse_in_run
from translate.utils.printing import logger, say, shown
from translate.utils.progress import Progress


@dataclass(frozen=True)
class Beside:
    """Extra outputs: a manifest (one JSON line per file), side-by-side sheets, an HTML gallery and the cycle error of
    each image."""

    manifest: Path | None = None
    compare: Path | None = None
    gallery: Path | None = None
    cycle_error: bool = False

    def refuse_for_parts(self) -> None:
        """Raises ConfigurationError if an extra output shows the whole folder, because only a shard is converted."""
        for option, wanted in (("--compare", self.compare), ("--gallery", self.gallery)):
            if wanted:
                raise ConfigurationError(
                    f"{option}: shows the whole folder; give it without --shard when all is converted"
                )

    def refuse_for_video(self) -> None:
        """Raises ConfigurationError if an extra output works for images only."""
        wanted = {"--compare": self.compare, "--gallery": self.gallery, "--cycle-error": self.cycle_error}
        for option, given in wanted.items():
            if given:
                raise ConfigurationError(f"{option}: is for images, not for a video; leave it out")

    def require_places(self, inputs: Container[Path], overwrite: bool) -> None:
        """Raises ConfigurationError if an extra output could not be written, or would take the place of another file:
        of one of `inputs`, or of one that is not such an output and not to be replaced. Creates nothing."""
        if self.gallery and self.gallery.suffix.lower() not in (".html", ".htm"):
            raise ConfigurationError(f"--gallery {shown(self.gallery)}: a page is written; end its name in .html")
        if self.manifest:
            if self.manifest.suffix.lower() in SUFFIXES:
                raise ConfigurationError(f"--manifest {shown(self.manifest)}: named like an image; name it .jsonl")
            refuse_other(self.manifest, inputs)
            require_writable(self.manifest.parent)
        if self.gallery:
            admit(self.gallery, "--gallery", ours=is_gallery, overwrite=overwrite, inputs=inputs, way_out=WAY_OUT)
            require_writable(self.gallery.parent)
            if self.manifest and self.gallery.resolve() == self.manifest.resolve():
                raise ConfigurationError(f"--gallery {shown(self.gallery)}: is the manifest, too; name another file")
        if self.compare:
            refuse_in_run(self.compare, "--compare")
            require_writable(self.compare)
            refuse_other_sheets(self.compare, inputs, overwrite)

    def refuse_among(self, folders: Sequence[Path]) -> None:
        """Raises ConfigurationError if sheets or gallery would lie inside one of `folders`, the inputs and outputs."""
        for option, place in (("--compare", self.compare), ("--gallery", self.gallery)):
            if place:
                refuse_inside(option, place, folders)


def convert_images(
    converter: Converter,
    jobs: Jobs,
    request: Request,
    beside: Beside,
    *,
    facts: dict[str, str],
    overwrite: bool,
    workers: int,
    batch_size: int | None,
    max_pixels: int,
    quiet: bool,
    claim: Claim | None = None,
) -> Outcome:
    """Converts `jobs` with `convert_folder`, shows a progress line and writes the extra outputs `beside`.

    `facts` are shown on the gallery page. `claim`: on the output folder, if it is one translation's. Raises
    ConfigurationError if the model cannot provide an extra output.
    """
    cycle = CycleError(converter, request, overwrite) if beside.cycle_error else None
    if not quiet and (pair := _perhaps_a_pair(converter, jobs)):
        say(
            f"{shown(pair)} is twice as wide as high: files are converted whole, those that hold input and target side "
            "by side, too; give the inputs alone (the pairs of a data set are measured by `translate evaluate`)"
        )
    to_show: list[Record] = []
    manifest = Manifest(beside.manifest, claim is not None and claim.all_ours) if beside.manifest else None
    if not quiet and converter.model.remarks:
        say(converter.model.remarks)
    label = f"converting on {converter.runs_on}"
    with Progress(len(jobs), unit="image", label=label, quiet=quiet) as bar:

        def done(record: Record) -> None:
            error = {"cycle_error": cycle.write(record)} if cycle else {}
            bar.advance(1, images=1)
            if manifest:
                manifest.add(record, error)
            if beside.compare or beside.gallery:
                to_show.append(record)

        outcome = convert_folder(
            converter,
            jobs,
            request,
            overwrite=overwrite,
            workers=workers,
            batch_size=batch_size,
            max_pixels=max_pixels,
            inputs=jobs.inputs,
            done=done,
        )
    outcome.missing += cycle.failed if cycle else []
    outcome.missing += manifest.close() if manifest else []
    looked_at = pairs(to_show, jobs.source, converter.images.span)
    if beside.compare:
        outcome.missing += write_sheets(beside.compare, looked_at)
    if beside.gallery:
        outcome.missing += write_gallery(beside.gallery, jobs.output.absolute().name, facts, looked_at, workers)
    return outcome


def _perhaps_a_pair(converter: Converter, jobs: Jobs) -> Path | None:
    """The first file if it is twice as wide as high, like a side-by-side pair, and the model was trained on pairs."""
    if not jobs or not isinstance(converter.model, Translator) or not converter.model.batch_type.pairs:
        return None
    try:
        height, width = dimensions(jobs[0].source)
    except ImageError:  # reported with its name when the image is read
        return None
    return jobs[0].source if width == 2 * height else None


def convert_clip(
    converter: Converter,
    source: Path,
    target: Path,
    request: Request,
    beside: Beside,
    *,
    overwrite: bool,
    batch_size: int | None,
    quiet: bool,
) -> Outcome:
    """Converts a video to `target`, frame by frame, and records it in the manifest."""
    record = Record(source, target, "skipped")
    if not quiet and converter.model.remarks:
        say(converter.model.remarks)
    manifest = Manifest(beside.manifest) if beside.manifest else None
    if overwrite or not os.path.lexists(target):
        size = batch_size or (1 if converter.runtime.device.type == "cpu" else 8)
        label = f"converting on {converter.runtime}"
        with Progress(count_frames(source) or None, unit="frame", label=label, quiet=quiet) as bar:
            record = convert_video(
                converter,
                source,
                target,
                request,
                batch_size=size,
                log=logger(quiet),
                done=bar.advance,
            )
    outcome = Outcome()
    outcome.add(record)
    if manifest:
        manifest.add(record, {})
        outcome.missing += manifest.close()
    return outcome
