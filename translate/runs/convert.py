"""`translate convert`: images of a folder, one image, or another medium, converted with a trained model."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from translate.data.domain import Domain
from translate.data.io.images import MAX_PIXELS, allow_pixels
from translate.errors import ConfigurationError
from translate.inference.cluster import ClusterOptions
from translate.inference.converter import BF16_APART, Converter
from translate.inference.delivery import fits, holds, written_as
from translate.inference.derived import lossy
from translate.inference.extras import (
    ExtrasWriter,
    Looks,
    refuse_among,
    refuse_for_shards,
    refuse_unseen_truth,
    require_places,
)
from translate.inference.folder import convert_folder
from translate.inference.jobs import Jobs, plan
from translate.inference.media import Medium, refuse_of_others
from translate.inference.naming import SUFFIXES
from translate.inference.options import (
    Extras,
    ImageFormat,
    InputOptions,
    ModelOptions,
    OutputOptions,
    refuse_roll_out,
)
from translate.inference.partners import require_layers
from translate.inference.provenance import locked_folder, require_no_others, require_writable, translation
from translate.inference.records import Outcome, Record
from translate.inference.sources import Sources
from translate.models.base import Request
from translate.runs.clips import medium_for
from translate.runs.gallery_facts import facts_of
from translate.runs.loading import files_of
from translate.runs.not_a_run import holds_model
from translate.runs.pairs import paired_truth, perhaps_a_pair
from translate.runs.pieces import Pieces, plan_pieces
from translate.runs.prepared import prepared
from translate.utils.outputs import Inputs
from translate.utils.printing import Log, say, shown
from translate.utils.progress import Progress


@dataclass(frozen=True)
class Conversion:
    """What is converted with what, into what. `output` is as the user wrote it: a slash at its end says folder."""

    run: Path
    source: Path
    output: str
    to: tuple[str, ...]
    model: ModelOptions
    reading: InputOptions
    writing: OutputOptions
    extras: Extras
    quiet: bool
    caption: str = "output"
    """Of the outputs, in sheets and gallery."""
    said: set[str] = field(default_factory=set)
    """Lines for the user that are not to be said again, as several checkpoints would."""
    style: str | None = None
    """What `--style` names."""
    steps: int | None = None
    """What `--steps` says."""
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    @cached_property
    def medium(self) -> Medium | None:
        """What INPUT is, for this model; None for images."""
        return medium_for(self.source, self.run)

    def carry_out(self) -> Outcome:
        """Converts, shows a progress line and writes the extras.

        Raises ConfigurationError before anything is written; files that fail are in the outcome.
        """
        looks = Looks(self.extras)
        outcome = self.convert(looks)
        outcome.missing += looks.write(Path(self.output).absolute().name, self.writing.workers)
        return outcome

    def convert(self, looks: Looks) -> Outcome:
        """Like `carry_out`, but what is to be shown in sheets and gallery is only added to `looks`."""
        allow_pixels(self.writing.max_pixels or MAX_PIXELS)
        # All checks before loading the model, which takes seconds.
        self.refuse_contradictions()
        convert: Callable[..., Outcome]
        suffix = ""
        if medium := self.medium:
            follow = not self.reading.no_links
            jobs = plan_pieces(medium, self.source, self.output, self.extras, self._log, follow)
            alone = jobs.source != self.source
            convert = Pieces(medium, jobs, alone, self.writing, self.extras, self.quiet, self._log)
        else:
            jobs = self._plan_images(self.writing.format, self._log)
            suffix = self._chosen(jobs)
            convert = partial(self._convert_images, jobs, looks)
        require_places(self.extras, Inputs(lambda: (*files_of(self.run), *jobs.sources())), self.writing.overwrite)
        refuse_roll_out(self.writing, self.run, known=medium is not None)
        first, log = "seed:1" if self.writing.styles else self.style, self._log
        converter, request = prepared(self.run, self.to, first, self.steps, self.model, self.writing, log)
        self._require_layers(converter.images.to_translate(request), converter.images.translated(request))
        if suffix:
            self._require_format(suffix, written_as(converter.images.translated(request), self.writing.depth))
        if converter.rounds(request):
            log(f"bf16: {BF16_APART}; --precision float32 is exact, and slower")
        if converter.model.remarks:
            log(converter.model.remarks)
        if jobs.source != self.source:  # one file, or one piece
            return convert(converter, request)
        beside, ahead, styles = dict(self.reading.beside), self.writing.roll_out or 0, self.writing.styles
        wanted = translation(converter, request, beside, ahead, styles)
        output, overwrite = Path(self.output), self.writing.overwrite
        require_no_others(output, jobs.places, wanted)
        with locked_folder(output, wanted, overwrite) as folder, Sources(output) as sources:
            outcome = convert(converter, request, sources=sources, all_ours=folder.all_ours)
            outcome.missing += sources.missing()
            if overwrite:
                folder.settle(outcome)
        return outcome

    def _log(self, line: str) -> None:
        """Says what is worth knowing, once."""
        if not self.quiet and line not in self.said:
            self.said.add(line)
            say(line)

    def refuse_contradictions(self) -> None:
        """Raises ConfigurationError for what cannot be, as far as that is known without the model."""
        run, source, chosen = self.run, self.source, self.model.checkpoint
        medium = self.medium
        refuse_of_others(source, medium, self.reading, self.writing)
        if self.writing.styles and self.style:
            raise ConfigurationError("--styles and --style: one style, or several; leave one of them out")
        if self.writing.styles and medium:
            raise ConfigurationError(f"--styles is for images, not for {medium.called}; leave it out")
        if medium and self.reading.beside:
            raise ConfigurationError(f"--with is for images, not for {medium.called}; leave it out")
        if self.writing.keep_size == "no" and (medium or self.extras.cycle_error):
            what = medium.called if medium else "--cycle-error, which compares pixel by pixel"
            raise ConfigurationError(f"--keep-size no is not for {what}; leave it out")
        if self.reading.shard is not None:
            refuse_for_shards(self.extras)
        if self.cluster.ray:
            self._refuse_for_cluster()
        if holds_model(source) and not holds_model(run) and run.exists():
            right = shlex.join(["translate", "convert", str(source), str(run), self.output])
            raise ConfigurationError(
                f"{run} is not a run, but {source} is: the run comes first; did you mean `{right}`?"
            )
        refuse_unseen_truth(self.extras)
        self.model.refuse_for(run)
        if chosen != "latest" and run.exists() and not (run / "checkpoints").is_dir():
            raise ConfigurationError(f"--checkpoint {chosen}: {run} has no checkpoints to choose from; leave it out")

    def _refuse_for_cluster(self) -> None:
        """Raises ConfigurationError for what a cluster does not do."""
        ray = self.cluster.ray
        if self.medium or not self.source.is_dir():
            what = self.medium.called if self.medium else "single files"
            raise ConfigurationError(f"--ray {ray} is for folders of images, not for {what}; leave it out")
        if self.extras.cycle_error:
            raise ConfigurationError(f"--cycle-error is not computed on a cluster; leave it, or --ray {ray}, out")
        if self.reading.shard is not None:
            raise ConfigurationError(f"--shard: --ray {ray} divides the folder by itself; leave one of them out")

    def _require_layers(self, given: Domain, target: Domain) -> None:
        if self.medium:  # which says itself that it holds no samples
            return
        if given.sound:
            raise ConfigurationError(
                f"{self.source}: the model takes {given}: give WAV, FLAC or OGG files, or a folder that holds no images"
            )
        words = ["convert", self.run, self.source, self.output, *(f"--to={name}" for name in self.to)]
        require_layers(given, dict(self.reading.beside), self.source, words)
        if target.layers:
            raise ConfigurationError(
                f"{self.run}: translates to samples of {len(target.layers)} images, {target}, and files hold single "
                "ones; in Python, convert a tensor of all planes"
            )

    def _plan_images(self, format: ImageFormat, log: Log) -> Jobs:
        places = dict(self.reading.beside)
        refuse_among(
            self.extras, [*filter(None, (self.source, self.extras.truth)), *places.values(), Path(self.output)]
        )
        jobs = plan(self.source, self.output, format, log, follow_links=not self.reading.no_links, beside=places)
        require_writable(jobs.output)
        return jobs if self.reading.shard is None else jobs.shard(*self.reading.shard)

    def _suited(self, jobs: Jobs, converter: Converter, request: Request) -> Jobs:
        """The jobs, as PNG for label maps and as TIFF where no other format holds what the model gives, unless a format
        or name was chosen."""
        form = written_as(converter.images.translated(request), self.writing.depth)
        exact = converter.derived is not None and converter.derived.fills
        if exact and not self._chosen(jobs) and any(lossy(job.output) for job in jobs):
            self._log("written as PNG, which keeps what is around the holes as it is")
            return self._plan_images("png", lambda line: None)
        if self._chosen(jobs) or (fits(".png", form) and not form.classes):
            return jobs
        format: ImageFormat = "png" if form.classes else "tiff"
        self._log(f"{form.name}: {form}; written as {format.upper()}, which holds such values")
        return self._plan_images(format, lambda line: None)

    def _chosen(self, jobs: Jobs) -> str:
        """The suffix of the format, or of the file, that the user wants; empty if it is left open."""
        if self.writing.format != "same":
            return SUFFIXES[self.writing.format][0]
        named = not self.source.is_dir() and jobs[0].output == Path(self.output)
        return jobs[0].output.suffix if named else ""

    def _require_format(self, suffix: str, form: Domain) -> None:
        """Raises ConfigurationError unless files of the chosen suffix hold translations at all."""
        if holds(suffix, form):
            return
        format, them = ("png", "PNG and TIFF") if form.classes else ("tiff", "TIFF")
        what = f"translations are {form}, which go into {them} only"
        if self.writing.format != "same":
            raise ConfigurationError(f"--format {self.writing.format}: {what}: give --format {format}, or leave it out")
        right = Path(self.output).with_suffix(SUFFIXES[format][0])
        raise ConfigurationError(f"{shown(self.output)}: {what}: name it {shown(right)}")

    def _convert_images(
        self,
        jobs: Jobs,
        looks: Looks,
        model: Converter,
        request: Request,
        sources: Sources | None = None,
        all_ours: bool = False,
    ) -> Outcome:
        """Of each image one translation, or as many as styles were asked for."""
        jobs, styles = self._suited(jobs, model, request), self.writing.styles
        if not styles:
            return self._convert_once(jobs, looks, model, request, self.caption, sources, all_ours)
        each, before = [jobs.numbered(number + 1) for number in range(styles)], self.caption.removeprefix("output")
        total, others = Outcome(), []
        for number, numbered in enumerate(each, 1):
            one, caption = model.request(self.to, f"seed:{number}", self.steps), f"{before} style {number}".strip()
            outcome = self._convert_once(numbered, looks, model, one, caption, sources, all_ours)
            others.append(outcome.others)
            outcome.others = []
            total.take(outcome)
        total.others = [path for path in others[0] if all(path in some for some in others)]
        return total

    def _convert_once(
        self,
        jobs: Jobs,
        looks: Looks,
        model: Converter,
        request: Request,
        caption: str,
        sources: Sources | None,
        all_ours: bool,
    ) -> Outcome:
        writer = ExtrasWriter(self.extras, model, request, self.writing.overwrite, all_ours)
        if not self.quiet and (pair := perhaps_a_pair(model, jobs)):
            self._log(
                f"{shown(pair)} is twice as wide as high: files are converted whole, also those that hold input and "
                "target side by side; give the inputs alone (`translate evaluate` measures the pairs of a data set)"
            )
        if not self.cluster.ray:
            self._log(f"converting on {model.runs_on}")
        with Progress(len(jobs), unit="image", label="converting", quiet=self.quiet) as bar:

            def done(record: Record) -> None:
                writer.add(record)
                bar.advance(1, images=1)

            outcome = self._all(jobs, model, request, sources, done)
        outcome.missing += writer.close()
        looks.add(writer.rows(jobs.source, caption), facts_of(self.run, self.to, model, request))
        if truth := self.extras.truth or paired_truth(self.source, model, request):
            looks.show_truth(truth, self.source, model.images.translated(request))
        if self.writing.overwrite and self.source.is_dir():
            outcome.others = jobs.others()
        return outcome

    def _all(
        self, jobs: Jobs, model: Converter, request: Request, sources: Sources | None, done: Callable[[Record], None]
    ) -> Outcome:
        """Converts the jobs here, or on a cluster."""
        if not self.cluster.ray:
            return convert_folder(model, jobs, request, self.writing, inputs=jobs.inputs, sources=sources, done=done)
        from translate.runs.on_ray import convert_on_ray, work_of

        work = work_of(self.run, jobs.output, self.to, request, self.model, self.writing)
        return convert_on_ray(self.cluster, work, jobs, sources, done, self._log)
