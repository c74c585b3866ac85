"""Converts sound files: same length, rate, channels and sample type; long ones in windows, equal to the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.io.images import Picture
from translate.data.sound.files import Facts, blocks, facts_of, opened, soundfile, survey
from translate.data.sound.source import require_rate
from translate.data.sound.spectrum import Spectrum
from translate.data.sound.translating import context_of, reach_of, step_of, translated
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.jobs import Job
from translate.inference.options import OutputOptions
from translate.inference.records import Record
from translate.models.base import Request
from translate.utils.atomic_files import atomic_file, clear_leftovers
from translate.utils.printing import Log, shown

WINDOW = 2048
"""Frames of a spectrogram that are translated at once, beside those around them that the network looks at."""
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
_NEAREST = {"FLAC": {"PCM_U8": "PCM_S8", "PCM_16": "PCM_16"}, "WAV": {"PCM_S8": "PCM_U8", "VORBIS": "PCM_16"}}
"""The type of samples in another format, where theirs is not the same and not the best, 24 bits in FLAC."""
_MOST_BYTES = 4_000_000_000
"""Of samples in a WAV, whose lengths are 32 bits; larger files are RF64."""


def convert_sound(
    converter: Converter,
    job: Job,
    request: Request,
    writing: OutputOptions,
    log: Log = lambda line: None,
    done: Callable[[], None] = lambda: None,
) -> Record:
    """Converts the file of a job, whose output appears only once it is whole. Calls `done` for each second.

    Channels are translated one by one. Raises ConfigurationError for a model that takes something else, and for
    options of images; ImageError for a file that cannot be read or written.
    """
    start, spectrum = time.perf_counter(), _spectrum(converter, request, job, writing)
    facts = facts_of(job.source)
    require_rate(job.source, facts, spectrum)
    found = survey(job.source, facts, heard=spectrum.rate)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(job.output.parent)
    usual = converter.images.to_translate(request).level
    gains = tuple(channel.gain(usual) for channel in found.channels)
    made = _Translation(converter, request, spectrum, facts, gains, converter.model.stride)
    written = _Written(facts, job.output.suffix.lower())
    with atomic_file(job.output, job.output.suffix) as working, opened(working, "w", **written.form) as file:
        with opened(job.source) as source:
            for name, text in source.copy_metadata().items():
                setattr(file, name, text)
        seconds = 0
        for samples in made.of(job.source, log):
            file.write(written.fitting(samples))
            for _ in range(seconds, now := written.samples // facts.rate):
                done()
            seconds = now
    notes = [*_remarks(facts, spectrum, silent=found.silent), *written.remarks()]
    return job.record("written", seconds=time.perf_counter() - start, note="; ".join(notes))


def _spectrum(converter: Converter, request: Request, job: Job, writing: OutputOptions) -> Spectrum:
    given, target = converter.images.to_translate(request), converter.images.translated(request)
    if given.sound is None or target.sound is None:
        raise ConfigurationError(
            f"{shown(job.source)}: sound, and the model takes {given}: give it images, or train one with the recipe "
            "speech"
        )
    for option, usual in (("size", "auto"), ("depth", "target")):
        if (value := getattr(writing, option)) != usual:
            raise ConfigurationError(f"--{option} {value}: is for images, not for sound; leave it out")
    return given.sound


@dataclass(frozen=True)
class _Translation:
    """How a file is translated: `gains` bring its channels to the level that the model learned from."""

    converter: Converter
    request: Request
    spectrum: Spectrum
    facts: Facts
    gains: Sequence[float]
    stride: int

    def of(self, path: Path, log: Log) -> Iterator[np.ndarray]:
        """The translation, float32 (some, channels), a part at a time."""
        whole = Window(0, 0, self.facts.samples, self.facts.samples)
        windows = [whole]
        if self.facts.samples > 2 * self._samples(WINDOW):
            reach = reach_of(self._network, self.spectrum)
            if reach is None:
                log(f"{shown(path)}: the network looks at the whole file at once, which takes memory for all of it")
            else:
                windows = self._windows(reach)
        reader = _Reader(blocks(path, self.facts, 0, self.facts.samples))
        for window in windows:
            yield self._translated(reader.between(window.start, window.end))[window.kept]

    def _samples(self, frames: int) -> int:
        return frames * self.spectrum.hop * self.facts.rate // self.spectrum.rate

    def _windows(self, reach: int) -> list[Window]:
        return windows_of(self.facts, self.spectrum, self.stride, reach, self._samples(WINDOW))

    def _translated(self, samples: np.ndarray) -> np.ndarray:
        run = partial(translated, rate=self.facts.rate, spectrum=self.spectrum, network=self._network)
        return np.stack([run(one, gain=gain) for one, gain in zip(samples.T, self.gains, strict=True)], 1)

    def _network(self, pixels: np.ndarray) -> np.ndarray:
        (made,) = self.converter.convert_pictures([Picture(pixels)], self.request)
        return made.pixels


@dataclass(frozen=True)
class Window:
    """Samples `start` to `end` - 1 are read, of whose translation `first` to `last` - 1 are kept."""

    start: int
    first: int
    last: int
    end: int

    @property
    def kept(self) -> slice:
        return slice(self.first - self.start, self.last - self.start)


def windows_of(facts: Facts, spectrum: Spectrum, stride: int, reach: int, length: int) -> list[Window]:
    """The windows of a file, each keeping about `length` samples, read with all that these depend on."""
    step, context = step_of(spectrum, facts.rate, stride), context_of(spectrum, facts.rate, stride, reach)
    kept = max(1, length // step) * step
    return [
        Window(
            max(0, first - context), first, last := min(first + kept, facts.samples), min(last + context, facts.samples)
        )
        for first in range(0, facts.samples, kept)
    ]


class _Reader:
    """Reads a file from its beginning to its end, and holds what is still needed."""

    def __init__(self, parts: Iterator[np.ndarray]) -> None:
        self._parts, self._first, self._held = parts, 0, [next(parts)]

    def between(self, start: int, end: int) -> np.ndarray:
        """Samples `start` to `end` - 1, (some, channels); none before `start` is asked for again."""
        while self._first + len(self._held[0]) <= start and len(self._held) > 1:
            self._first += len(self._held.pop(0))
        while self._first + sum(map(len, self._held)) < end:
            self._held.append(next(self._parts))
        return np.concatenate(self._held)[start - self._first : end - self._first]


@dataclass
class _Written:
    """What is written: in which format and type, how many samples so far, and how many were above full scale."""

    facts: Facts
    suffix: str
    samples: int = 0
    cut: int = 0
    peak: float = 0.0
    form: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        facts, format = self.facts, FORMATS[self.suffix]
        format = facts.format if format == "WAV" and facts.format in ("WAVEX", "RF64") else format
        if format in ("WAV", "WAVEX") and facts.samples * facts.channels * 8 > _MOST_BYTES:
            format = "RF64"
        subtype = facts.subtype
        if not soundfile().check_format(format, subtype):
            best = "VORBIS" if format == "OGG" else "PCM_24" if format == "FLAC" else "PCM_16"
            subtype = _NEAREST.get(format, {}).get(subtype, best)
        self.form = {"samplerate": facts.rate, "channels": facts.channels, "format": format, "subtype": subtype}

    @property
    def floating(self) -> bool:
        return self.form["subtype"] in ("FLOAT", "DOUBLE")

    def fitting(self, samples: np.ndarray) -> np.ndarray:
        """The samples as the file holds them: those above full scale at it, which is counted."""
        self.samples += len(samples)
        above = np.abs(samples) > 1
        if self.floating or not above.any():
            return samples
        self.cut += int(above.sum())
        self.peak = max(self.peak, float(np.abs(samples).max()))
        return samples.clip(-1, 1)

    def remarks(self) -> Iterator[str]:
        """What is to be known of what was written."""
        if self.form["subtype"] != self.facts.subtype:
            yield f"{self.facts.subtype} became {self.form['subtype']}, as {self.form['format']} holds no such samples"
        if self.cut:
            yield f"{self.cut:,} samples above full scale, up to {self.peak:.3g}, were cut at it; floats stay"


def _remarks(facts: Facts, spectrum: Spectrum, silent: bool) -> Iterator[str]:
    """What is to be known of the file that was converted."""
    if silent:
        yield "silent from beginning to end"
    if facts.rate > spectrum.rate:
        half = spectrum.rate // 2
        yield f"nothing is left above {half:,} Hz, as the model was trained at {spectrum.rate:,} samples a second"
    if facts.subtype in ("PCM_U8", "PCM_S8"):
        yield "8 bits in and out: their own noise is heard in what is made quiet"
