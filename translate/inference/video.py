"""Converts a video frame by frame, each as an independent image; `Steady` lowers the flicker that this leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.io.images import Picture, display_bands, with_channels
from translate.errors import ConfigurationError, TranslateError
from translate.inference.converter import Converter
from translate.inference.jobs import refuse_other_kinds, refuse_same
from translate.inference.naming import VIDEOS
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
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf"
"""What a file may be inside, by FFmpeg's names. Others, such as playlists, would open more files, or addresses."""
_READING = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
_UNSPECIFIED, _BT709, _BT601, _LIMITED = 2, 1, 5, 1  # code points of ITU-T H.273, except the range
_HD = 720


def is_video(path: Path) -> bool:
    """Returns whether the path is a file whose suffix, in any case, is one of `VIDEOS`."""
    return path.suffix.lower() in VIDEOS and path.is_file()


def plan_video(source: Path, name: str | Path) -> Path:
    """The file to write: `name`, or the source's name in the folder `name`. Raises ConfigurationError, also without
    PyAV."""
    _av()
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
    av = _av()
    with _errors_in_words(av, source), _opened(av, source) as container:
        video = _video(container, source)
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
    av, start = _av(), time.perf_counter()
    output.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(output.parent)
    # FFmpeg picks the container by the suffix.
    with atomic_file(output, output.suffix) as working, _errors_in_words(av, source):
        look = _look(av, source).enlarged(converter.model.scale)
        if look.pixel != 1 and output.suffix.lower() in SQUARE_ONLY:
            look = look.squared()
            size = f"{look.width} x {look.height}"
            log(f"{output.suffix} holds square pixels only: scaled to {size}, which plays in the same shape")
        if look.pixel_format != "yuv420p":
            size = f"{look.width} x {look.height}"
            log(f"{size} is odd: written as {look.pixel_format}, which some players do not show")
        with _opened(av, source) as read, av.open(f"file:{working}", "w") as written:
            extent = Extent(read, read.streams.video[0])
            stream = _video_stream(read, written, look, output.suffix.lower())
            audio = _audio_streams(read, written, output.suffix, log)
            frames = _frames(read, written, look, audio, extent)
            while batch := list(islice(frames, batch_size)):
                pictures = converter.convert_pictures([Picture(pixels) for pixels, _ in batch], request, "8")
                for picture, (pixels, like) in zip(pictures, batch, strict=True):
                    shown_here = with_channels(display_bands(picture), 3)
                    frame = steady(pixels, shown_here) if steady else shown_here
                    written.mux(stream.encode(_frame(av, frame, like, look)))
                    done()
            written.mux(stream.encode(None))
    seconds, shape, lacking = time.perf_counter() - start, (look.width, look.height), extent.lacking(shown(source))
    measures = steady.flicker.to_json() if steady else {}
    if steady:
        log(f"{shown(output)}: {steady.flicker}")
    return Record(source, output, "written", shape, seconds, lacking=lacking, measures=measures)


@dataclass(frozen=True)
class _Look:
    """How frames are displayed: upright width and height, width by height of an upright pixel, quarter turns to the
    left, and colour metadata."""

    width: int
    height: int
    pixel: Fraction
    turns: int
    matrix: int
    primaries: int
    transfer: int

    def enlarged(self, scale: int) -> _Look:
        """The look of frames so many times as high and wide."""
        return replace(self, width=self.width * scale, height=self.height * scale)

    def squared(self) -> _Look:
        """Returns the look with square pixels, and no fewer of them; even sides stay even."""
        wide, high = max(self.pixel, Fraction(1)), max(1 / self.pixel, Fraction(1))
        width, height = _scaled(self.width, wide), _scaled(self.height, high)
        return replace(self, width=width, height=height, pixel=Fraction(1))

    @property
    def pixel_format(self) -> str:
        return "yuv444p" if self.width % 2 or self.height % 2 else "yuv420p"


def _scaled(side: int, factor: Fraction) -> int:
    return round(side * factor) if side % 2 else 2 * round(side * factor / 2)


def _look(av: Any, source: Path) -> _Look:
    """The look of the first frame. An unspecified colour matrix becomes the one that players assume."""
    with _opened(av, source) as container:
        video = _video(container, source)
        first, context = next(container.decode(video), None), video.codec_context
    if first is None:
        raise TranslateError(f"{shown(source)}: no frame can be read from it")
    turns = round(first.rotation / 90) % 4
    width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
    assumed = _BT709 if min(width, height) >= _HD else _BT601
    matrix = assumed if int(first.colorspace) == _UNSPECIFIED else int(first.colorspace)
    pixel = Fraction(video.sample_aspect_ratio or 1)
    pixel = 1 / pixel if turns % 2 else pixel
    return _Look(width, height, pixel, turns, matrix, int(context.color_primaries), int(context.color_trc))


def _video_stream(read: Any, written: Any, look: _Look, suffix: str) -> Any:
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
    read: Any, written: Any, look: _Look, audio: dict[int, Any], extent: Extent
) -> Iterator[tuple[np.ndarray, Any]]:
    """Yields each frame upright, (height, width, 3) uint8, and as decoded; copies audio packets on the way."""
    video = read.streams.video[0]
    video.thread_type = "AUTO"
    for packet in read.demux(video, *read.streams.audio):
        extent.packet(packet)
        if packet.stream.index == video.index:
            for frame in packet.decode():
                extent.frame(frame)
                pixels = frame.to_ndarray(format="rgb24", src_colorspace=look.matrix)
                yield np.ascontiguousarray(np.rot90(pixels, look.turns)), frame
        elif (
            packet.stream.index in audio and packet.dts is not None
        ):  # the last packet is empty and only ends the stream
            packet.stream = audio[packet.stream.index]
            written.mux(packet)


def _frame(av: Any, pixels: np.ndarray, like: Any, look: _Look) -> Any:
    """A video frame of `pixels`, with the time and duration of the frame `like`."""
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame = frame.reformat(look.width, look.height, format=look.pixel_format, dst_colorspace=look.matrix)
    frame.pts, frame.time_base, frame.duration = like.pts, like.time_base, like.duration
    return frame


def _video(container: Any, source: Path) -> Any:
    if not container.streams.video:
        raise TranslateError(f"{shown(source)}: holds no video")
    return container.streams.video[0]


def _opened(av: Any, source: Path) -> Any:
    """The file as a container: none of FFmpeg's protocols, whatever it is called, and no list of other files."""
    try:
        return av.open(f"file:{source}", options=dict(_READING))
    except (av.InvalidDataError, av.ArgumentError) as error:  # the latter for a kind that is not on the list
        raise TranslateError(
            f"{shown(source)}: not a video of a kind that is read here: MP4, MOV, Matroska, WebM, AVI, MPEG or "
            f"FLV ({error.strerror})"
        ) from error


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigurationError('video needs PyAV: pip install "image-translate[video]"') from error
    return av


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
