"""Media: what is converted and is no image, each in a file of its own; the one table of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from translate.data.clips.video_file import is_video
from translate.data.clips.window import window_of
from translate.errors import ConfigurationError
from translate.inference.clips import convert_clip
from translate.inference.converter import Converter
from translate.inference.jobs import Job, Jobs
from translate.inference.options import InputOptions, OutputOptions, refuse_roll_out
from translate.inference.records import Record
from translate.inference.sound import convert_sound
from translate.inference.sound_jobs import is_sound, plan_sound, seconds_of
from translate.inference.steady import Steady
from translate.inference.video import convert_video, count_frames, plan_video
from translate.inference.volumes import convert_volume, count_slices, holds_volume, plan_volumes
from translate.models.base import Request
from translate.utils.printing import Log, shown
from translate.utils.progress import Unit


class Convert(Protocol):
    """Converts the piece of a job, whose output appears only once it is whole; calls `done` for each unit. Raises
    TranslateError if it cannot be read or written, ConfigurationError for a model that takes something else."""

    def __call__(
        self,
        converter: Converter,
        job: Job,
        request: Request,
        writing: OutputOptions,
        log: Log,
        done: Callable[[], None],
    ) -> Record: ...


@dataclass(frozen=True)
class Medium:
    """A kind of what can be converted. Pieces of it, such as one video, consist of units, such as frames."""

    called: str
    """One piece, for messages."""
    unit: Unit
    """What progress counts in a piece."""
    holds: Callable[[Path], bool]
    """Whether INPUT is a piece of this kind, or a folder of them."""
    plan: Callable[[Path, str], Jobs]
    """What of INPUT becomes what in OUTPUT; the jobs' `source` is INPUT where that is a folder of pieces. Raises
    ConfigurationError."""
    count: Callable[[Path], int | None]
    """How many units a piece has, about; None where it does not say. Raises TranslateError."""
    convert: Convert
    is_done: Callable[[Job], bool] = lambda job: os.path.lexists(job.output)
    """Whether the output of a piece is there already."""
    anonymises: bool = False
    """Whether it says whom it is of, and `--anonymise` leaves that out."""


def medium_of(source: Path) -> Medium | None:
    """What INPUT is; None for images."""
    return next((medium for medium in MEDIA.values() if medium.holds(source)), None)


def refuse_of_others(source: Path, medium: Medium | None, reading: InputOptions, writing: OutputOptions) -> None:
    """Raises ConfigurationError for options of another kind of input than this one."""
    if writing.steady and not is_video(source):
        raise ConfigurationError(f"--steady is for a video, which {shown(source)} is not; leave it out")
    if medium and (reading.shard is not None or writing.format != "same"):
        raise ConfigurationError(f"--shard and --format are for images, not for {medium.called}; leave them out")
    if writing.anonymise and not (medium and medium.anonymises):
        raise ConfigurationError("--anonymise is for volumes, NIfTI files and DICOM series; leave it out")


def _plan_video(source: Path, output: str) -> Jobs:
    target = plan_video(source, output)
    return Jobs(source.parent, target.parent, [source.name], lambda name: target.name)


def _convert_video(
    converter: Converter, job: Job, request: Request, writing: OutputOptions, log: Log, done: Callable[[], None]
) -> Record:
    if window_of(converter.images.to_translate(request), converter.images.translated(request)):
        if writing.steady:
            raise ConfigurationError("--steady: blends translations, and this model predicts frames; leave it out")
        return convert_clip(converter, job, request, writing, log, done)
    refuse_roll_out(writing, converter.origin)
    size = writing.batch or (1 if converter.runtime.device.type == "cpu" else 8)
    steady = Steady() if writing.steady else None
    return convert_video(converter, job.source, job.output, request, batch_size=size, steady=steady, log=log, done=done)


MEDIA: dict[str, Medium] = {
    "volume": Medium("a volume", "slice", holds_volume, plan_volumes, count_slices, convert_volume, anonymises=True),
    "video": Medium(
        "a video", "frame", is_video, _plan_video, lambda source: count_frames(source) or None, _convert_video
    ),
    "sound": Medium("sound", "second", is_sound, plan_sound, seconds_of, convert_sound),
}
