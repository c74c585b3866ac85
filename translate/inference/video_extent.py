"""How much of a video was read, beside what its file declares: one that was cut off ends early without an error."""

from fractions import Fraction
from typing import Any

_FRAMES = 1.5
"""How many frames may be missing at the end before a duration counts as short: they are rounded, and guessed."""
_UNSURE = 0.5
"""Seconds that may be missing of a file's whole duration, which is of its longest stream."""


class Extent:
    """Counts what is read from an open container of which `video` is converted."""

    def __init__(self, container: Any, video: Any) -> None:
        self._video = video
        self._rate = float(rate_of(video))
        self._declared = video.frames
        self._seconds = _of_stream(video)
        """Of the video alone, None if the file does not say."""
        self._whole = container.duration / 1e6 if container.duration else None
        self._start = (container.start_time or 0) / 1e6
        self.frames, self.damaged = 0, 0
        self._first: float | None = None
        self._ended = self._last = self._start
        """When the last frame, and the last packet of any stream, ended."""

    def packet(self, packet: Any) -> None:
        """Notes a packet of any stream."""
        if packet.size and packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._last = max(self._last, end)

    def frame(self, frame: Any) -> None:
        """Notes a decoded frame of the video."""
        self.frames += 1
        self.damaged += bool(frame.is_corrupt)
        if frame.pts is not None and frame.time_base:
            began = float(frame.pts * frame.time_base)
            ended = began + (float(frame.duration * frame.time_base) if frame.duration else 1 / self._rate)
            self._first = began if self._first is None else min(self._first, began)
            self._ended = max(self._ended, ended)

    def lacking(self, name: str) -> str:
        """What is missing, as a line that begins with `name`; empty if all was read."""
        if self._short():
            frames = f" of {self._declared}" if self._declared else ""
            whole = self._seconds if self._seconds is not None else self._whole
            seconds = f" ({self._shown:.1f} of {whole:.1f} seconds)" if whole else ""
            return f"{name}: {self.frames}{frames} frames could be read{seconds}; the file is cut off or damaged"
        return f"{name}: {self.damaged} of {self.frames} frames are damaged" if self.damaged else ""

    @property
    def _shown(self) -> float:
        """Seconds of the video that were read. Matroska counts them from the file's beginning."""
        return self._ended - (self._start if self._first is None or not self._video.duration else self._first)

    def _short(self) -> bool:
        """Whether the file ends before it should.

        Fewer frames than declared alone prove nothing: those that an edit list leaves out are counted in the file.
        """
        if self._seconds is not None:
            fewer = bool(self._declared) and self.frames < self._declared
            return self._shown < self._seconds - (0.5 if fewer else _FRAMES) / self._rate
        if self._whole is not None:
            return self._last - self._start < self._whole - max(_UNSURE, _FRAMES / self._rate)
        return False


def rate_of(video: Any) -> Fraction:
    """Frames a second; a guess if the file does not say."""
    return video.average_rate or video.guessed_rate or Fraction(25)


def seconds_of(container: Any, video: Any) -> float:
    """The declared duration; 0 if the file does not say."""
    return _of_stream(video) or (container.duration or 0) / 1e6


def _of_stream(video: Any) -> float | None:
    """The declared duration of one stream; Matroska has it as text, if at all."""
    if video.duration:
        return float(video.duration * video.time_base)
    hours, _, rest = video.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return (int(hours) * 60 + int(minutes)) * 60 + float(seconds)
    except ValueError:
        return None
