"""Video files: opened safely, and how their frames are displayed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from translate.errors import ConfigurationError, TranslateError
from translate.utils.printing import shown

VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
"""Suffixes of videos that are read; all but .avi are written, too."""
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf"
"""What a file may be inside, by FFmpeg's names. Others, such as playlists, would open more files, or addresses."""
_READING = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
_UNSPECIFIED, _BT709, _BT601 = 2, 1, 5  # code points of ITU-T H.273
_HD = 720


def pyav() -> Any:
    """The module `av`. Raises ConfigurationError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise ConfigurationError('video needs PyAV: pip install "image-translate[video]"') from error
    return av


def is_video(path: Path) -> bool:
    """Returns whether the path is a file whose suffix, in any case, is one of `VIDEOS`."""
    return path.suffix.lower() in VIDEOS and path.is_file()


def opened(av: Any, source: Path) -> Any:
    """The file as a container: none of FFmpeg's protocols, whatever it is called, and no list of other files. Raises
    TranslateError."""
    try:
        return av.open(f"file:{source}", options=dict(_READING))
    except (av.InvalidDataError, av.ArgumentError) as error:  # the latter for a kind that is not on the list
        raise TranslateError(
            f"{shown(source)}: not a video of a kind that is read here: MP4, MOV, Matroska, WebM, AVI, MPEG or "
            f"FLV ({error.strerror})"
        ) from error


def video_in(container: Any, source: Path) -> Any:
    """The first stream of pictures. Raises TranslateError if there is none."""
    if not container.streams.video:
        raise TranslateError(f"{shown(source)}: holds no video")
    return container.streams.video[0]


@dataclass(frozen=True)
class Look:
    """How frames are displayed: upright width and height, width by height of an upright pixel, quarter turns to the
    left, and colour metadata."""

    width: int
    height: int
    pixel: Fraction
    turns: int
    matrix: int
    primaries: int
    transfer: int

    def enlarged(self, scale: int) -> Look:
        """The look of frames so many times as high and wide."""
        return replace(self, width=self.width * scale, height=self.height * scale)

    def squared(self) -> Look:
        """Returns the look with square pixels, and no fewer of them; even sides stay even."""
        wide, high = max(self.pixel, Fraction(1)), max(1 / self.pixel, Fraction(1))
        width, height = _scaled(self.width, wide), _scaled(self.height, high)
        return replace(self, width=width, height=height, pixel=Fraction(1))

    @property
    def pixel_format(self) -> str:
        return "yuv444p" if self.width % 2 or self.height % 2 else "yuv420p"

    def upright(self, frame: Any) -> np.ndarray:
        """The decoded frame as it is displayed: (height, width, 3), uint8."""
        pixels = frame.to_ndarray(format="rgb24", src_colorspace=self.matrix)
        return np.ascontiguousarray(np.rot90(pixels, self.turns))


def look_of(av: Any, source: Path) -> Look:
    """The look of the first frame. An unspecified colour matrix becomes the one that players assume. Raises
    TranslateError, and FFmpeg's errors."""
    with opened(av, source) as container:
        video = video_in(container, source)
        first, context = next(container.decode(video), None), video.codec_context
    if first is None:
        raise TranslateError(f"{shown(source)}: no frame can be read from it")
    turns = round(first.rotation / 90) % 4
    width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
    assumed = _BT709 if min(width, height) >= _HD else _BT601
    matrix = assumed if int(first.colorspace) == _UNSPECIFIED else int(first.colorspace)
    pixel = Fraction(video.sample_aspect_ratio or 1)
    pixel = 1 / pixel if turns % 2 else pixel
    return Look(width, height, pixel, turns, matrix, int(context.color_primaries), int(context.color_trc))


def _scaled(side: int, factor: Fraction) -> int:
    return round(side * factor) if side % 2 else 2 * round(side * factor / 2)
