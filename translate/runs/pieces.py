"""Conversion, piece by piece, of what is no image: videos, volumes, sound (see `inference/media`)."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from translate.errors import ConfigurationError, TranslateError
from translate.inference.converter import Converter
from translate.inference.extras import refuse_for_medium
from translate.inference.jobs import Job, Jobs
from translate.inference.manifest import Manifest
from translate.inference.media import Medium
from translate.inference.options import Extras, OutputOptions
from translate.inference.provenance import require_writable
from translate.inference.records import Outcome, Record
from translate.inference.sources import OTHER, Sources, made_of
from translate.models.base import Request
from translate.utils.printing import Log, shown
from translate.utils.progress import Progress


def plan_pieces(medium: Medium, source: Path, output: str, extras: Extras, log: Log, follow_links: bool) -> Jobs:
    """What of `source` becomes what; says which pieces are links to places elsewhere. Raises ConfigurationError."""
    refuse_for_medium(extras, medium.called)
    jobs = medium.plan(source, output)
    if jobs.source == source:  # a folder of pieces
        jobs = jobs.within_input(log, follow_links)
    require_writable(jobs.output)
    return jobs


@dataclass(frozen=True)
class Pieces:
    """The pieces to convert: one `alone`, whose failure ends the command, or each of a folder."""

    medium: Medium
    jobs: Jobs
    alone: bool
    writing: OutputOptions
    extras: Extras
    quiet: bool
    log: Log

    def __call__(
        self, converter: Converter, request: Request, sources: Sources | None = None, all_ours: bool = False
    ) -> Outcome:
        """Converts them. Raises ConfigurationError for a model that takes something else, and TranslateError if one
        alone cannot be read or written."""
        outcome = Outcome()
        manifest = Manifest(self.extras.manifest, all_ours) if self.extras.manifest else None
        self.log(f"converting on {converter.runtime}")
        for job in self.jobs:
            record = self._converted(job, converter, request, sources)
            outcome.add(record)
            if manifest:
                manifest.add(record, {})
        outcome.missing += manifest.close() if manifest else []
        if self.writing.overwrite and not self.alone:
            outcome.others = self.jobs.others()
        return outcome

    def _converted(self, job: Job, converter: Converter, request: Request, sources: Sources | None) -> Record:
        """What became of a piece: converted, skipped or failed."""
        if not self.writing.overwrite and self.medium.is_done(job):
            if sources and sources.are_others(job):
                return job.record("failed", error=f"{shown(job.source)}: {OTHER}")
            return job.record("skipped")
        try:
            units = self.medium.count(job.source)
            bar = Progress(units, unit=self.medium.unit, label="converting", quiet=self.quiet)
            noting = sources.noting(job, made_of(job)) if sources and job.source.is_file() else nullcontext()
            with bar, noting:
                return self.medium.convert(converter, job, request, self.writing, self.log, bar.advance)
        except TranslateError as error:
            if self.alone or isinstance(error, ConfigurationError):  # the latter is of the model, and of all
                raise
            return job.record("failed", error=str(error))
