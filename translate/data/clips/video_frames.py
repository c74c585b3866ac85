"""Frames of video files by their number: an index of all, and readers that begin at the key frame before."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.clips.video_file import Look, look_of, opened, pyav, video_in
from translate.data.io import images
from translate.errors import ImageError, TranslateError
from translate.utils.printing import shown

READERS = 8
"""Most files that are held open."""
KEPT = 32_000_000
"""Most bytes of decoded frames that the reader of one file keeps; the frames of neighbouring samples are the same."""
LEAST = 8
"""Frames that are kept in any case."""


@dataclass(frozen=True, eq=False)
class Video:
    """A video file and its index, in the order in which frames are shown."""

    path: Path
    look: Look
    stamps: np.ndarray
    """int64 (frames,), when each frame is shown, in `tick`s."""
    keys: np.ndarray
    """bool (frames,): the frames that decoding can begin at."""
    tick: float
    """Seconds."""
    declared: int = 0
    """How many frames the file says it has; 0 if it does not say."""

    @classmethod
    def at(cls, path: Path) -> Video:
        """Reads the packets of a file without decoding them. Raises TranslateError that names the file."""
        av = pyav()
        try:
            look = look_of(av, path)
            with opened(av, path) as container:
                video = video_in(container, path)
                found, declared, tick = _packets(av, container, video), video.frames, float(video.time_base or 0)
        except (av.FFmpegError, OSError) as error:
            raise TranslateError(f"{shown(path)}: cannot be read as a video: {error}") from error
        stamps, keys = found
        return cls(path, look, stamps, keys, tick, declared)

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def lacking(self) -> int:
        """How many of the frames that the file declares are not in it."""
        return max(0, self.declared - len(self))

    @cached_property
    def steps(self) -> np.ndarray:
        """Seconds between frames, (frames - 1,)."""
        return np.diff(self.stamps) * self.tick

    @property
    def rate(self) -> float:
        """Frames a second, by the median distance; 0 if there is one frame."""
        middle = float(np.median(self.steps)) if len(self.steps) else 0.0
        return 1 / middle if middle > 0 else 0.0

    @property
    def varies(self) -> bool:
        """Whether frames are not evenly spaced, by more than their times are rounded."""
        if len(self.steps) == 0:
            return False
        return bool(self.steps.max() - self.steps.min() > max(2 * self.tick, 0.1 * float(np.median(self.steps))))

    def read(self, number: int, name: Path) -> np.ndarray:
        """Frame `number` as it is displayed, (height, width, 3), uint8. Raises ImageError, which begins with `name`."""
        return _READERS.of(self).read(number, name)


def _packets(av: Any, container: Any, video: Any) -> tuple[np.ndarray, np.ndarray]:
    """When each frame is shown, and whether it is a key frame, of what can be read of the file."""
    found: dict[int, bool] = {}
    unstamped = False
    with suppress(av.FFmpegError):  # of a file that is cut off the frames before the cut stand
        for packet in container.demux(video):
            if packet.size and not packet.is_discard:
                unstamped |= packet.pts is None
                if packet.pts is not None:
                    found[packet.pts] = bool(packet.is_keyframe)
    if unstamped:
        found = _decoded(av, container, video)
    stamps = sorted(found)
    return np.array(stamps, np.int64), np.array([found[stamp] for stamp in stamps], bool)


def _decoded(av: Any, container: Any, video: Any) -> dict[int, bool]:
    """The same by decoding, of files such as AVI that do not say when packets are shown; only the first is a key."""
    container.seek(0)
    found: dict[int, bool] = {}
    with suppress(av.FFmpegError):  # likewise
        for frame in container.decode(video):
            if frame.pts is not None:
                found[frame.pts] = not found
    return found


class _Reader:
    """One open file, where decoding has come to, and the frames that were decoded last. Several threads take turns."""

    def __init__(self, video: Video) -> None:
        self._video, self._av = video, pyav()
        self._lock = threading.Lock()
        self._container = opened(self._av, video.path)
        self._frames: Iterator[Any] = iter(())
        self._next = -1
        """The number of the frame that comes next; -1 before anything was decoded."""
        self._recent: OrderedDict[int, Any] = OrderedDict()
        self._room = max(LEAST, KEPT // max(1, video.look.width * video.look.height * 3 // 2))

    def read(self, number: int, name: Path) -> np.ndarray:
        with self._lock:
            try:
                frame = self._recent.get(number) or self._decoded(number)
                if frame is not None and not frame.is_corrupt:
                    return self._video.look.upright(frame)
            except self._av.FFmpegError as error:
                self._next = -1
                raise ImageError(f"{shown(name)}: cannot be decoded: {error}") from error
            if frame is None:
                self._next = -1
            raise ImageError(f"{shown(name)}: {'cannot be decoded' if frame is None else 'is damaged'}")

    def close(self) -> None:
        with self._lock:
            self._container.close()
            self._recent.clear()

    def _decoded(self, number: int) -> Any:
        """Decodes on, or from the key frame before `number`, whichever is nearer; None where there is no such frame."""
        stamps = self._video.stamps
        before = np.flatnonzero(self._video.keys[: number + 1])
        key = int(before[-1]) if len(before) else 0
        if not key <= self._next <= number:
            stream = self._container.streams.video[0]
            self._container.seek(int(stamps[key]), stream=stream, backward=True, any_frame=False)
            self._frames, self._next = self._container.decode(stream), key
        for frame in self._frames:
            if frame.pts is None or frame.pts > stamps[number]:
                break
            place = int(np.searchsorted(stamps, frame.pts))
            if stamps[place] != frame.pts:
                continue  # before the key frame, or left out by the file
            self._recent[place] = frame
            while len(self._recent) > self._room:
                self._recent.popitem(last=False)
            self._next = place + 1
            if place == number:
                return frame
        return None


class _Readers:
    """The readers of the files that were used last; those of others are closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[int, tuple[Video, _Reader]] = OrderedDict()

    def of(self, video: Video) -> _Reader:
        """The reader of the file. Raises ImageError if it is gone."""
        with self._lock:
            held = self._open.pop(id(video), None)
            if held is None:
                try:
                    held = video, _Reader(video)
                except (OSError, TranslateError) as error:
                    raise ImageError(f"{shown(video.path)}: cannot be opened: {error}") from error
            self._open[id(video)] = held
            idle = self._open.popitem(last=False)[1][1] if len(self._open) > READERS else None
        if idle:
            idle.close()
        return held[1]


_READERS = _Readers()


@dataclass(frozen=True)
class Frame:
    """Frame `number` of a video file, counted from 0."""

    video: Video
    number: int

    @property
    def path(self) -> Path:
        """Of its own, for messages and as key: `clip.mp4 frame 12`."""
        return self.video.path.with_name(f"{self.video.path.name} frame {self.number}")

    @classmethod
    def of(cls, source: Frame, domain: object) -> Frame:
        """Itself: frames of videos are 8-bit colours, whatever their domain is."""
        return source

    def read(self, channels: int) -> np.ndarray:
        """See `Readable`. Raises ImageError."""
        return images.with_channels(images.Picture(self._pixels()), channels)

    def header(self) -> images.Header:
        """See `OfDomain`."""
        return images.Header(self.video.look.height, self.video.look.width, 3, np.dtype(np.uint8))

    def decoded(self) -> tuple[images.Picture, bytes]:
        """See `OfDomain`; two frames are known as the same by their pixels. Raises ImageError."""
        pixels = self._pixels()
        return images.Picture(pixels), pixels.tobytes()

    def identity(self) -> str:
        """See `Readable`. Raises ImageError."""
        return f"{images.version(self.video.path)}:frame {self.number}"

    def _pixels(self) -> np.ndarray:
        return self.video.read(self.number, self.path)
