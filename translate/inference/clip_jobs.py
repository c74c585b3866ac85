"""Plans what clips of a folder become: videos with the names of videos, and folders of frames with those of folders."""

from __future__ import annotations

import os
from pathlib import Path

from translate.data.clips.finding import pieces_in
from translate.data.clips.opening import LOOKED_FOR
from translate.data.clips.video_file import is_video
from translate.data.layouts.listing import iterate_images
from translate.data.layouts.subfolders import contents, files_in
from translate.errors import ConfigurationError
from translate.inference.clips import convert_clip
from translate.inference.jobs import Job, Jobs, refuse_around
from translate.inference.media import Medium
from translate.inference.video import ENCODERS, count_frames
from translate.utils.outputs import refuse_in_run
from translate.utils.printing import shown
from translate.utils.user_paths import folder_named


class ClipJobs(Jobs):
    """Jobs of which some become folders."""

    def others(self) -> list[Path]:
        """The images in the output folder that lie in no folder of these jobs; which frames of those are older ones is
        not known."""
        ours = [job.output for job in self]
        return [path for path in iterate_images(self.output) if not any(map(path.is_relative_to, ours))]


def plan_clips(source: Path, output: str) -> Jobs:
    """The clips in a folder, and below it: a folder of frames becomes a folder of predictions, a video a video. Raises
    ConfigurationError."""
    target = folder_named(output, "OUTPUT")
    refuse_in_run(target)
    refuse_around(target, (source,))
    names = [piece.relative_to(source).as_posix() for piece in pieces_in(source)]
    if not names:
        raise ConfigurationError(f"{shown(source)}: no clips here: {LOOKED_FOR}; found: {contents(source)}")
    return ClipJobs(source, target, names, lambda name: output_of(source, name))


def output_of(source: Path, name: str) -> str:
    """What a piece becomes; a video of a kind that is not written becomes MP4 behind its whole name."""
    written = Path(name).suffix.lower() in ENCODERS or not is_video(source / name)
    return name if written else f"{name}.mp4"


def is_done(job: Job) -> bool:
    """Whether there is nothing to do for a piece; the frames of a folder are looked at one by one."""
    return is_video(job.source) and os.path.lexists(job.output)


def _count(source: Path) -> int | None:
    return (count_frames(source) or None) if is_video(source) else len(files_in(source))


CLIPS = Medium("clips", "frame", Path.is_dir, plan_clips, _count, convert_clip, is_done)
"""A folder of clips, for a model that takes frames."""
