"""Sound files: looked at, read and written whole; everything wrong with one is an ImageError that begins with its path.

libsndfile reads a file that was cut short as a shorter one, and cuts off values above full scale without a word: both
are noticed here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.sound.level import Loudness, loudness_of
from translate.errors import ConfigurationError, ImageError
from translate.utils.printing import shown

SUFFIXES = frozenset({".wav", ".flac", ".ogg"})
UNREAD = frozenset({".mp3", ".m4a", ".aac", ".aif", ".aiff", ".opus", ".wma", ".au"})
"""Suffixes of sound that is not read here."""
MOST_RATE, LEAST_RATE = 384_000, 1000
"""In samples a second."""
AT_ONCE = 1 << 18
"""Samples of each channel that are read at once."""
_NOT_SAID = 0x7FFF0000
"""Programs that write into a pipe say such a length, or more, in a WAV: they do not know theirs yet."""
_HINT = 'sound needs soundfile and SciPy: pip install "image-translate[sound]"'


@dataclass(frozen=True)
class Facts:
    """What the header of a sound file says: samples of each channel, a second, channels; `subtype` and `format` as
    libsndfile calls them."""

    samples: int
    rate: int
    channels: int
    subtype: str
    format: str

    @property
    def floating(self) -> bool:
        """Whether the file may hold values above full scale."""
        return self.subtype in ("FLOAT", "DOUBLE")

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def __str__(self) -> str:
        """In words: "16,000 Hz, mono, PCM_16"."""
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.rate:,} Hz, {channels}, {self.subtype}"


@dataclass(frozen=True)
class Survey:
    """What the samples of a file are: how loud each channel is, the largest sample, and whether there is any but 0."""

    channels: tuple[Loudness, ...]

    @property
    def peak(self) -> float:
        return max(channel.peak for channel in self.channels)

    @property
    def silent(self) -> bool:
        return self.peak == 0


def soundfile() -> Any:
    """The library that reads and writes sound. Raises ConfigurationError without it, or without SciPy."""
    try:
        import scipy.signal  # noqa: F401
        import soundfile
    except (ImportError, OSError) as error:  # the latter without libsndfile
        raise ConfigurationError(_HINT) from error
    return soundfile


def facts_of(path: Path) -> Facts:
    """What the file's header says. Raises ImageError for a file that is no such sound, holds no samples, or ends
    before its header says so."""
    with opened(path) as file:
        found = Facts(file.frames, file.samplerate, file.channels, file.subtype, file.format)
    if found.samples == 0:
        raise ImageError(f"{shown(path)}: holds no samples")
    if not LEAST_RATE <= found.rate <= MOST_RATE:
        raise ImageError(f"{shown(path)}: {found.rate:,} samples a second, where {LEAST_RATE:,} to {MOST_RATE:,} go")
    if lacking := _lacking(path, found):
        raise ImageError(f"{shown(path)}: cut short: {lacking}; copy it again, or save what is there as a new file")
    return found


def read(path: Path) -> tuple[np.ndarray, Facts]:
    """All samples, float32 (samples, channels), and what the header says. Raises ImageError as `facts_of`, and for
    values that are not finite."""
    facts = facts_of(path)
    return np.concatenate(list(blocks(path, facts, 0, facts.samples))), facts


def survey(path: Path, facts: Facts, heard: int = MOST_RATE) -> Survey:
    """Looks at every sample; a network hears what is left at the rate `heard`. Raises ImageError for a damaged file,
    and for values that are not finite."""
    return Survey(tuple(loudness_of(blocks(path, facts, 0, facts.samples), facts.rate, heard)))


def blocks(path: Path, facts: Facts, start: int, end: int) -> Iterator[np.ndarray]:
    """Samples `start` to `end` - 1, float32 (some, channels), a part at a time. Raises ImageError if fewer are there,
    or values are not finite."""
    with opened(path) as file:
        file.seek(start)
        while start < end:
            block = file.read(min(AT_ONCE, end - start), dtype="float32", always_2d=True)
            if not len(block):
                raise ImageError(
                    f"{shown(path)}: cut short: its header says {facts.samples:,} samples, and {start:,} are there"
                )
            if wrong := int((~np.isfinite(block)).sum()):
                raise ImageError(f"{shown(path)}: {wrong:,} samples are not finite numbers (NaN or infinite)")
            start += len(block)
            yield block


@contextmanager
def opened(path: Path, mode: str = "r", **more: Any) -> Iterator[Any]:
    """The file, open. Raises ImageError if it is not there, no sound, or damaged."""
    library = soundfile()
    try:
        if mode == "r" and not path.is_file():
            raise ImageError(f"{shown(path)}: not a file" if path.exists() else f"{shown(path)}: no such file")
        if mode == "r" and not path.stat().st_size:
            raise ImageError(f"{shown(path)}: the file is empty")
        with library.SoundFile(path, mode, **more) as file:
            yield file
    except (library.LibsndfileError, OSError) as error:
        what = "read as sound" if mode == "r" else "written"
        raise ImageError(f"{shown(path)}: cannot be {what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    said = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(said).removeprefix("Error : ").rstrip(".")


def _lacking(path: Path, facts: Facts) -> str:
    """What a file's header says of more than there is; empty of a whole one."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            size = path.stat().st_size
            while len(chunk := file.read(8)) == 8:
                name, length = struct.unpack("<4sI", chunk)
                if name == b"data":
                    missing = file.tell() + length - size
                    said = 0 < length < _NOT_SAID
                    return (
                        f"its header says {length:,} bytes of sound, and {missing:,} are missing"
                        if (said and missing > 0)
                        else ""
                    )
                file.seek(length + length % 2, 1)
        if head[:4] == b"OggS":
            file.seek(max(0, path.stat().st_size - (1 << 17)))
            tail = file.read()
            last = tail.rfind(b"OggS")
            if last < 0 or last + 5 >= len(tail) or not tail[last + 5] & 4:
                return "its last page is missing"
    return ""
