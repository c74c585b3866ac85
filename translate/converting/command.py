"""What `translate convert` does once the model is loaded: converts images or a video and writes the extra outputs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from translate.converting.claim import require_writable
from translate.converting.compare import pairs, refuse_inside, write_sheets
from translate.converting.converter import Changes, Converter
from translate.converting.cycle_error import CycleError
from translate.converting.folder import Outcome, Record, convert_folder
from translate.converting.foreign import ForeignGenerator
from translate.converting.gallery import write_gallery
from translate.converting.jobs import Jobs
from translate.converting.video import convert_video, count_frames
from translate.data.batch import Paired
from translate.data.images import dimensions, shown
from translate.errors import ConfigurationError, ImageError
from translate.json_text import json_text
from translate.model import Translator
from translate.progress import Progress, say, teller


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

    def require_places(self) -> None:
        """Raises ConfigurationError if an extra output could not be written. Creates nothing."""
        if self.gallery and self.gallery.suffix.lower() not in (".html", ".htm"):
            raise ConfigurationError(f"--gallery {shown(self.gallery)}: a page is written; end its name in .html")
        if self.manifest and self.manifest.is_dir():
            raise ConfigurationError(f"--manifest {shown(self.manifest)}: a folder; name a file")
        # An existing manifest may be a terminal.
        manifest = self.manifest.parent if self.manifest and not self.manifest.exists() else None
        for place in (manifest, self.compare, self.gallery.parent if self.gallery else None):
            if place:
                require_writable(place)

    def refuse_among(self, folders: Sequence[Path]) -> None:
        """Raises ConfigurationError if sheets or gallery would lie inside one of `folders`, the inputs and outputs."""
        for option, place in (("--compare", self.compare), ("--gallery", self.gallery)):
            if place:
                refuse_inside(option, place, folders)


def convert_images(
    converter: Converter,
    jobs: Jobs,
    changes: Changes,
    beside: Beside,
    *,
    facts: dict[str, str],
    overwrite: bool,
    workers: int,
    batch_size: int | None,
    max_pixels: int,
    quiet: bool,
) -> Outcome:
    """Converts `jobs` with `convert_folder`, shows a progress line and writes the extra outputs `beside`.

    `facts` are shown on the gallery page. Raises ConfigurationError if the model cannot provide an extra output.
    """
    cycle = CycleError(converter, changes) if beside.cycle_error else None
    if not quiet and (pair := _perhaps_a_pair(converter, jobs)):
        say(
            f"{shown(pair)} is twice as wide as high: files are converted whole, those that hold input and target side "
            "by side, too; give the inputs alone (the pairs of a data set are measured by `translate evaluate`)"
        )
    to_show: list[Record] = []
    manifest = _opened(beside.manifest) if beside.manifest else nullcontext()
    if not quiet and isinstance(converter.model, ForeignGenerator):
        say(converter.model.taken)
    label = f"converting on {converter.runs_on}"
    with Progress(len(jobs), unit="image", label=label, quiet=quiet) as bar, manifest as rows:

        def done(record: Record) -> None:
            error = {"cycle_error": cycle.write(record)} if cycle else {}
            bar.advance(1, images=1)
            if rows:
                rows.write(_row(record, error))
            if beside.compare or beside.gallery:
                to_show.append(record)

        outcome = convert_folder(
            converter,
            jobs,
            changes,
            overwrite=overwrite,
            workers=workers,
            batch_size=batch_size,
            max_pixels=max_pixels,
            done=done,
        )
    outcome.unseen += cycle.failed if cycle else []
    looked_at = pairs(to_show, jobs.source, converter.images.span)
    if beside.compare:
        outcome.unseen += write_sheets(beside.compare, looked_at)
    if beside.gallery:
        outcome.unseen += write_gallery(beside.gallery, jobs.output.absolute().name, facts, looked_at, workers)
    return outcome


def _perhaps_a_pair(converter: Converter, jobs: Jobs) -> Path | None:
    """The first file if it is twice as wide as high, like a side-by-side pair, and the model was trained on pairs."""
    if not jobs or not isinstance(converter.model, Translator) or converter.model.batch_type is not Paired:
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
    changes: Changes,
    beside: Beside,
    *,
    overwrite: bool,
    batch_size: int | None,
    quiet: bool,
) -> Outcome:
    """Converts a video to `target`, frame by frame, and records it in the manifest."""
    record = Record(source, target, "skipped")
    if not quiet and isinstance(converter.model, ForeignGenerator):
        say(converter.model.taken)
    if overwrite or not target.exists():
        size = batch_size or (1 if converter.engine.device.type == "cpu" else 8)
        label = f"converting on {converter.engine}"
        with Progress(count_frames(source) or None, unit="frame", label=label, quiet=quiet) as bar:
            record = convert_video(
                converter,
                source,
                target,
                changes,
                batch_size=size,
                tell=teller(quiet),
                done=bar.advance,
            )
    if beside.manifest:
        with _opened(beside.manifest) as rows:
            rows.write(_row(record, {}))
    outcome = Outcome()
    outcome.add(record)
    return outcome


def _opened(manifest: Path) -> TextIO:
    """Opens the manifest to append to it, line-buffered, so that written lines survive if the process is killed."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    return manifest.open("a", encoding="utf-8", buffering=1)


def _row(record: Record, more: dict[str, Any]) -> str:
    """A line of the manifest, in ASCII, since file names may contain any bytes."""
    return json_text(record.to_json() | more) + "\n"
