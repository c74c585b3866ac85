"""Converts clips with a model of the next frame: a film of predictions, or a clip that goes on beyond its end."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.clips.finding import Clip, numbered_in
from translate.data.clips.video_file import is_video
from translate.data.clips.window import Window, window_of
from translate.data.io.images import Picture, write
from translate.data.planes import read_as
from translate.errors import ConfigurationError, ImageError, TranslateError
from translate.inference.converter import Converter
from translate.inference.delivery import fits, written_as
from translate.inference.jobs import Job
from translate.inference.naming import output_name
from translate.inference.options import OutputOptions
from translate.inference.records import Record
from translate.inference.samples import sample_of
from translate.inference.video import Film, Shot, shown_of, write_film
from translate.models.base import Request
from translate.utils.printing import Log, shown


def convert_clip(
    converter: Converter, job: Job, request: Request, writing: OutputOptions, log: Log, done: Callable[[], None]
) -> Record:
    """Converts a video, or the numbered frames of a folder.

    Every frame that enough others come before is predicted from those, true ones. With `writing.roll_out` the clip goes
    on instead, by so many frames, of which only the first is predicted from true ones alone. Of a video, frames that
    nothing is predicted for are as they were, so that times, length and sound stay; in a folder there are only
    predictions, named and numbered as the frames that they are of.

    Raises TranslateError if the clip cannot be read or is too short, ConfigurationError for any other model.
    """
    given, target = converter.images.to_translate(request), converter.images.translated(request)
    window = window_of(given, target)
    if window is None:
        raise ConfigurationError(
            f"{shown(job.source)}: the model takes {given}, and no frames of clips; convert images"
        )
    predictor = Predictor(converter, request, window, job.source)
    if is_video(job.source):
        return predictor.film(job, writing, log, done)
    return _convert_folder(predictor, job, writing, done)


@dataclass(frozen=True)
class Predictor:
    """A model of the next frame, and the clip that it is used on."""

    converter: Converter
    request: Request
    window: Window
    source: Path

    @property
    def needed(self) -> int:
        """How many frames in a row the input reaches over."""
        return self.window.reach - self.window.step + 1

    def sample(self, pictures: Sequence[Picture], names: Sequence[Path]) -> Picture:
        """The frames of one input, the oldest first. Raises ImageError."""
        given = self.converter.images.to_translate(self.request)
        if given.layers:
            return sample_of(pictures, given, names, own=len(pictures) - 1)
        self.converter.refuse(pictures[0], names[0], self.request)
        return pictures[0]

    def require_enough(self, frames: int, ahead: int | None) -> None:
        """Raises TranslateError where nothing can be predicted."""
        least = self.needed if ahead else self.window.reach + 1
        if frames < least:
            way = "" if ahead or frames < self.needed else "; --roll-out 1 predicts what follows them"
            raise TranslateError(
                f"{shown(self.source)}: {frames} frames, and {least} in a row are needed: the model learned from "
                f"{self.window}{way}"
            )

    def film(self, job: Job, writing: OutputOptions, log: Log, done: Callable[[], None]) -> Record:
        """Converts a video."""
        if writing.roll_out:
            return write_film(job.source, job.output, partial(self._gone_on, writing.roll_out), log, done)
        log(f"{shown(job.source)}: the first {self.window.reach} frames stay as they are: none is predicted for them")
        batch = writing.batch or (1 if self.converter.runtime.device.type == "cpu" else 8)
        return write_film(job.source, job.output, self._predictions(batch), log, done)

    def _predictions(self, batch: int) -> Film:
        def film(frames: Iterator[Shot]) -> Iterator[Shot]:
            held: deque[np.ndarray] = deque(maxlen=self.window.reach)
            for shot in islice(frames, self.window.reach):
                held.append(shot[0])
                yield shot
            count = len(held)
            while some := list(islice(frames, batch)):
                samples = []
                for pixels, _ in some:
                    samples.append(self._of([held[place] for place in range(0, self.window.reach, self.window.step)]))
                    held.append(pixels)
                made = self.converter.convert_pictures(samples, self.request, "8")
                yield from ((shown_of(picture), like) for picture, (_, like) in zip(made, some, strict=True))
                count += len(some)
            self.require_enough(count, None)

        return film

    def _gone_on(self, ahead: int, frames: Iterator[Shot]) -> Iterator[Shot]:
        held: deque[np.ndarray] = deque(maxlen=self.needed)
        likes: deque[Any] = deque(maxlen=2)
        count = 0
        for shot in frames:
            count += 1
            held.append(shot[0])
            likes.append(shot[1])
            yield shot
        self.require_enough(count, ahead)
        inputs = deque([held[place] for place in range(0, self.needed, self.window.step)], self.window.frames)
        for number in range(1, ahead + 1):
            (made,) = self.converter.convert_pictures([self._of(list(inputs))], self.request, "8")
            inputs.append(shown_of(made))
            yield inputs[-1], _later(likes, number * self.window.step)

    def _of(self, frames: Sequence[np.ndarray]) -> Picture:
        return self.sample([Picture(pixels) for pixels in frames], [self.source] * len(frames))


@dataclass(frozen=True)
class _Time:
    """When a frame is shown that no file holds."""

    pts: int
    time_base: Any
    duration: int


def _later(likes: Sequence[Any], frames: int) -> _Time:
    """When a frame is shown that comes so many after the last one, at the distance of the last two."""
    last = likes[-1]
    step = last.pts - likes[0].pts if len(likes) > 1 else last.duration or 1
    return _Time(last.pts + frames * step, last.time_base, step)


def _convert_folder(predictor: Predictor, job: Job, writing: OutputOptions, done: Callable[[], None]) -> Record:
    """Converts the numbered images directly in a folder; frames that are there already are skipped."""
    start, written = time.perf_counter(), 0
    clips = numbered_in(job.source, job.name)
    frames = _Frames(predictor, job.output, writing)
    predictor.require_enough(max((clip.longest for clip in clips), default=0), writing.roll_out)
    for clip in clips:
        if writing.roll_out:
            written += frames.gone_on(clip, writing.roll_out, done)
        else:
            for last in clip.lasts(predictor.window):
                written += frames.predicted(clip, last)
                done()
    return job.record("written" if written else "skipped", seconds=time.perf_counter() - start)


class _Frames:
    """Predictions of the frames of a folder, as files. The pictures read last are held: neighbours share them."""

    def __init__(self, predictor: Predictor, output: Path, writing: OutputOptions) -> None:
        self._predictor, self._output, self._writing = predictor, output, writing
        converter, request = predictor.converter, predictor.request
        self._layer = converter.images.to_translate(request).parts[0]
        self._form = written_as(converter.images.translated(request), writing.depth)
        self._held: dict[Path, Picture] = {}

    def predicted(self, clip: Clip, last: int) -> bool:
        """Writes the frame that follows frame `last`; returns whether it was not there."""
        window = self._predictor.window
        target = self._target(clip.frames[last + window.step].path.name)
        if os.path.lexists(target) and not self._writing.overwrite:
            return False
        self._write(target, [clip.frames[number].path for number in window.inputs(last)])
        return True

    def gone_on(self, clip: Clip, ahead: int, done: Callable[[], None]) -> int:
        """Writes the frames after the last one, each read again as the input of the next; returns how many."""
        window, written = self._predictor.window, 0
        self._predictor.require_enough(len(clip.pieces[-1]), ahead)
        count = len(clip.frames)
        inputs = deque((clip.frames[number].path for number in window.inputs(count - 1)), window.frames)
        apart = clip.numbers[-1] - clip.numbers[-2] if count > 1 else 1
        for number in range(1, ahead + 1):
            target = self._target(_renumbered(clip.frames[-1].path, clip.numbers[-1] + number * window.step * apart))
            if self._writing.overwrite or not os.path.lexists(target):
                self._write(target, list(inputs))
                written += 1
            inputs.append(target)
            done()
        return written

    def _target(self, name: str) -> Path:
        """Where the prediction of the frame of that name goes; PNG or TIFF if that format cannot hold it."""
        own = output_name(name, "same")
        if fits(Path(own).suffix, self._form):
            return self._output / own
        return self._output / Path(own).with_suffix(".png" if self._form.classes else ".tiff")

    def _write(self, target: Path, paths: Sequence[Path]) -> None:
        predictor = self._predictor
        self._held = {path: self._held.get(path) or read_as(path, self._layer) for path in paths}
        sample = predictor.sample([self._held[path] for path in paths], paths)
        (made,) = predictor.converter.convert_pictures([sample], predictor.request)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"{shown(target)}: cannot be written: {error.strerror}") from error
        write(target, made)


def _renumbered(path: Path, number: int) -> str:
    """The name of a frame with another number, of as many digits."""
    stem = path.stem
    end = len(stem.rstrip("".join(set(stem) - set("0123456789"))))
    begin = len(stem[:end].rstrip("0123456789"))
    return f"{stem[:begin]}{number:0{end - begin}d}{stem[end:]}{path.suffix}"
