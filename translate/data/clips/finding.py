"""Finds clips below a folder: video files, and numbered images of one folder that are named alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from translate.data.clips.video_file import is_video
from translate.data.clips.video_frames import Frame, Video
from translate.data.clips.window import Window
from translate.data.layouts.listing import is_private
from translate.data.layouts.subfolders import files_in, folders_in
from translate.data.source_file import Source
from translate.errors import ConfigurationError, TranslateError
from translate.utils.printing import shown

NUMBERED = "frame_0001.png, frame_0002.png, ..."
_NAME = re.compile(r"(.*\D|)(\d+)(\D*)")
"""What stands before the last number, the number, and what stands behind it."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip: a film, of which samples are cut."""

    name: str
    """Relative to the folder of its split."""
    path: Path
    """The video, or the folder of the frames."""
    frames: tuple[Frame | Source, ...]
    pieces: tuple[range, ...]
    """Which frames follow each other without a gap."""
    numbers: tuple[int, ...]
    """What the frames' files are numbered, or their places in the video."""
    video: Video | None = None

    def lasts(self, window: Window) -> list[int]:
        """The newest frames of the inputs of all samples, in order."""
        return [
            start + window.reach - window.step
            for piece in self.pieces
            for start in range(piece.start, piece.stop - window.reach)
        ]

    @property
    def longest(self) -> int:
        """How many frames follow each other without a gap, at most."""
        return max(map(len, self.pieces), default=0)

    @property
    def gaps(self) -> int:
        return max(0, len(self.pieces) - 1)

    def in_words(self) -> str:
        """How many frames, of which size, and how many a second where that is known."""
        if self.video is None:
            return f"{len(self.frames)} frames"
        look, rate = self.video.look, self.video.rate
        return f"{len(self.frames)} frames of {look.width} x {look.height}, {rate:.4g} a second"


@dataclass(frozen=True)
class Unread:
    """A video that cannot be read, and why."""

    path: Path
    reason: str


def find_clips(folder: Path, aside: Sequence[Path] = (), follow_links: bool = True) -> Iterator[Clip | Unread]:
    """The clips directly in a folder, and then in those below it, in order; those `aside` are left out. Raises
    ConfigurationError for images that no number puts in order."""
    yield from _clips_in(folder, folder, follow_links)
    for below in _below(folder, aside):
        yield from _clips_in(below, folder, follow_links)


def pieces_in(folder: Path) -> list[Path]:
    """The videos, and the folders with images directly in them, in a folder and below it; none is opened."""
    places = [folder, *_below(folder, ())]
    return [piece for place in places for piece in (*_videos_in(place), *([place] if files_in(place) else []))]


def holds_video(folder: Path) -> bool:
    """Whether there is a video in the folder or anywhere below."""
    return any(_videos_in(place) for place in (folder, *_below(folder, ())))


def numbered_in(folder: Path, name: str, follow_links: bool = True) -> list[Clip]:
    """The numbered images directly in a folder, as clips: one for each way in which they are named."""
    files = [path for path in files_in(folder) if follow_links or not path.is_symlink()]
    keyed = sorted((_key(path) for path in files), key=lambda key: key[:3])
    ways = {way: list(group) for way, group in groupby(keyed, key=lambda key: key[:2])}
    clips = []
    for (before, behind), group in ways.items():
        numbers, paths = [number for _, _, number, _ in group], [path for *_, path in group]
        for (one, number), (other, again) in pairwise(zip(paths, numbers, strict=True)):
            if number == again:
                raise ConfigurationError(f"{shown(one)} and {shown(other)}: both are frame {number}; remove one")
        own = f"{name}/{before}{behind}" if len(ways) > 1 else name
        frames = tuple(map(Source, paths))
        clips.append(Clip(own, folder, frames, _pieces(numbers), tuple(numbers)))
    return clips


def clip_of(video: Video, name: str) -> Clip:
    """The clip in a video file."""
    count = len(video)
    frames = tuple(Frame(video, number) for number in range(count))
    return Clip(name, video.path, frames, (range(count),), tuple(range(count)), video)


def _clips_in(place: Path, folder: Path, follow_links: bool) -> Iterator[Clip | Unread]:
    for path in _videos_in(place):
        if path.is_symlink() and not follow_links:
            continue
        try:
            yield clip_of(Video.at(path), path.relative_to(folder).as_posix())
        except ConfigurationError:
            raise
        except TranslateError as error:
            yield Unread(path, str(error))
    yield from numbered_in(place, place.relative_to(folder).as_posix() if place != folder else place.name, follow_links)


def _videos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_video(path) and not is_private(path.name))


def _below(folder: Path, aside: Sequence[Path]) -> Iterator[Path]:
    for below in folders_in(folder):
        if below not in aside and not below.is_symlink():
            yield below
            yield from _below(below, aside)


def _key(path: Path) -> tuple[str, str, int, Path]:
    """What stands before and behind the last number in a file's name, that number, and the path."""
    parts = _NAME.fullmatch(path.stem)
    if parts is None:
        raise ConfigurationError(
            f"{shown(path)}: its name has no number, and frames of a clip are in the order of theirs: {NUMBERED}"
        )
    return parts[1], parts[3], int(parts[2]), path


def _pieces(numbers: Sequence[int]) -> tuple[range, ...]:
    """Where numbers go on by the most usual step."""
    if len(numbers) < 2:
        return (range(len(numbers)),) if numbers else ()
    steps = [after - before for before, after in pairwise(numbers)]
    usual = min(Counter(steps).items(), key=lambda item: (-item[1], item[0]))[0]
    starts = [0, *(place + 1 for place, step in enumerate(steps) if step != usual)]
    return tuple(range(*ends) for ends in pairwise([*starts, len(numbers)]))
