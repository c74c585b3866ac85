"""Converts a video frame by frame, each as an independent image; `Steady` lowers the flicker that this leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.clips.video_file import VIDEOS, Look, look_of, opened, pyav, video_in
from translate.data.io.images import Picture, display_bands, with_channels
from translate.errors import ConfigurationError, TranslateError
from translate.inference.converter import Converter
from translate.inference.jobs import refuse_other_kinds, refuse_same
from translate.inference.records import Record
from translate.inference.steady import Steady
from translate.inference.video_extent import Extent, rate_of, seconds_of
from translate.models.base import Request
from translate.utils.atomic_files import atomic_file, clear_leftovers
from translate.utils.out_of_memory import out_of_memory
from translate.utils.printing import Log, shown
from translate.utils.user_paths import said_folder

_X264 = ("libx264", {"crf": "16", "preset": "medium"})
_VP9 = ("libvpx-vp9", {"crf": "24", "b:v": "0"})
ENCODERS = {".mp4": _X264, ".m4v": _X264, ".mov": _X264, ".mkv": _X264, ".webm": _VP9}
"""Encoder by output suffix, with settings for visually lossless quality."""
SQUARE_ONLY = frozenset({".webm"})
"""VP9 does not say the shape of its pixels, and PyAV cannot have the container say it."""
Shot = tuple[np.ndarray, Any]
"""A frame, (height, width, 3), uint8, upright; and what says when it is shown: `pts`, `time_base` and `duration`."""
Film = Callable[[Iterator[Shot]], Iterator[Shot]]
"""Makes the frames of a film from those of another."""
_LIMITED = 1  # FFmpeg's number of the range that players expect


def plan_video(source: Path, name: str | Path) -> Path:
    """The file to write: `name`, or the source's name in the folder `name`. Raises ConfigurationError, also without
    PyAV."""
    pyav()
    output = Path(name)
    if output.suffix.lower() in VIDEOS and not said_folder(name):
        target = output
    else:
        refuse_other_kinds(name, ENCODERS)
        target = output / source.name
    refuse_same(source, target)
    if target.suffix.lower() not in ENCODERS:
        raise ConfigurationError(f"{target}: video is written to {', '.join(ENCODERS)}; name a file that ends so")
    return target


def count_frames(source: Path) -> int:
    """The approximate number of frames, from the file's metadata; 0 if that does not say. Raises TranslateError."""
    av = pyav()
    with _errors_in_words(av, source), opened(av, source) as container:
        video = video_in(container, source)
        return video.frames or round(seconds_of(container, video) * float(rate_of(video)))


def convert_video(
    converter: Converter,
    source: Path,
    output: Path,
    request: Request,
    *,
    batch_size: int = 1,
    steady: Steady | None = None,
    log: Log = lambda line: None,
    done: Callable[[], None] = lambda: None,
) -> Record:
    """Converts `source` to `output` (see `plan_video`), which appears only once complete. Calls `done` for each frame.

    Keeps size, times the model's `scale`, the shape of pixels (but see `SQUARE_ONLY`), frame times and audio, and
    applies the display rotation. Writes 8 bits, of which `steady`, if given, lowers the flicker. Drops subtitles, and
    audio that the new container cannot hold, which it reports to `log`. An odd width or height is written as yuv444p,
    since yuv420p halves both. Label maps are written in their colours. Raises ConfigurationError without PyAV, for a
    model that takes label maps, and for one that gives them if they are to be steadied; TranslateError if the video
    cannot be read or written.
    """
    if (given := converter.images.to_translate(request)).numbered or given.layers or given.sound:
        raise ConfigurationError(f"{shown(source)}: the model takes {given}, and videos hold none; convert images")
    if steady and (target := converter.images.translated(request)).numbered:
        raise ConfigurationError(f"--steady: blends colours, and translations are {target}; leave it out")

    def each(frames: Iterator[Shot]) -> Iterator[Shot]:
        while batch := list(islice(frames, batch_size)):
            pictures = converter.convert_pictures([Picture(pixels) for pixels, _ in batch], request, "8")
            for picture, (pixels, like) in zip(pictures, batch, strict=True):
                frame = shown_of(picture)
                yield steady(pixels, frame) if steady else frame, like

    record = write_film(source, output, each, log, done, scale=converter.model.scale)
    if not steady:
        return record
    log(f"{shown(output)}: {steady.flicker}")
    return replace(record, measures=steady.flicker.to_json())


def shown_of(picture: Picture) -> np.ndarray:
    """The picture as a video shows it: (height, width, 3), uint8."""
    return with_channels(display_bands(picture), 3)


def write_film(source: Path, output: Path, film: Film, log: Log, done: Callable[[], None], scale: int = 1) -> Record:
    """Writes what `film` makes of the frames of `source`, `scale` times as high and wide; see `convert_video`."""
    av, start = pyav(), time.perf_counter()
    output.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(output.parent)
    # FFmpeg picks the container by the suffix.
    with atomic_file(output, output.suffix) as working, _errors_in_words(av, source):
        look = look_of(av, source).enlarged(scale)
        if look.pixel != 1 and output.suffix.lower() in SQUARE_ONLY:
            look = look.squared()
            size = f"{look.width} x {look.height}"
            log(f"{output.suffix} holds square pixels only: scaled to {size}, which plays in the same shape")
        if look.pixel_format != "yuv420p":
            size = f"{look.width} x {look.height}"
            log(f"{size} is odd: written as {look.pixel_format}, which some players do not show")
        with opened(av, source) as read, av.open(f"file:{working}", "w") as written:
            extent = Extent(read, read.streams.video[0])
            stream = _video_stream(read, written, look, output.suffix.lower())
            audio = _audio_streams(read, written, output.suffix, log)
            frames = _frames(read, written, look, audio, extent)
            for pixels, like in film(frames):
                written.mux(stream.encode(_frame(av, pixels, like, look)))
                done()
            written.mux(stream.encode(None))
    seconds, shape, lacking = time.perf_counter() - start, (look.width, look.height), extent.lacking(shown(source))
    return Record(source, output, "written", shape, seconds, lacking=lacking)


def _video_stream(read: Any, written: Any, look: Look, suffix: str) -> Any:
    encoder, options = ENCODERS[suffix]
    video = read.streams.video[0]
    stream = written.add_stream(encoder, rate=rate_of(video), options=dict(options))
    stream.width, stream.height, stream.pix_fmt = look.width, look.height, look.pixel_format
    context = stream.codec_context
    context.time_base, context.sample_aspect_ratio = video.time_base, look.pixel
    context.colorspace, context.color_range = look.matrix, _LIMITED
    context.color_primaries, context.color_trc = look.primaries, look.transfer
    return stream


def _audio_streams(read: Any, written: Any, suffix: str, log: Log) -> dict[int, Any]:
    """Adds output streams that copy the audio without re-encoding; returns them by stream index in the source."""
    copies = {}
    for audio in read.streams.audio:
        kind = audio.codec_context.codec.canonical_name
        if kind in written.supported_codecs:
            copies[audio.index] = written.add_stream_from_template(audio)
        else:
            log(f"{suffix} holds no {kind} audio: it is left out")
    return copies


def _frames(
    read: Any, written: Any, look: Look, audio: dict[int, Any], extent: Extent
) -> Iterator[tuple[np.ndarray, Any]]:
    """Yields each frame upright, (height, width, 3) uint8, and as decoded; copies audio packets on the way."""
    video = read.streams.video[0]
    video.thread_type = "AUTO"
    for packet in read.demux(video, *read.streams.audio):
        extent.packet(packet)
        if packet.stream.index == video.index:
            for frame in packet.decode():
                extent.frame(frame)
                yield look.upright(frame), frame
        elif (
            packet.stream.index in audio and packet.dts is not None
        ):  # the last packet is empty and only ends the stream
            packet.stream = audio[packet.stream.index]
            written.mux(packet)


def _frame(av: Any, pixels: np.ndarray, like: Any, look: Look) -> Any:
    """A video frame of `pixels`, with the time and duration of the frame `like`."""
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame = frame.reformat(look.width, look.height, format=look.pixel_format, dst_colorspace=look.matrix)
    frame.pts, frame.time_base, frame.duration = like.pts, like.time_base, like.duration
    return frame


@contextmanager
def _errors_in_words(av: Any, source: Path) -> Iterator[None]:
    """Turns FFmpeg's errors, and too little memory, into TranslateError."""
    try:
        yield
    except av.FFmpegError as error:
        raise TranslateError(f"{shown(source)}: cannot be converted as a video: {error}") from error
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise TranslateError(
            f"{shown(source)}: its frames are too large for the memory that is free; close other programs, or convert "
            "with --tile 16"
        ) from error
