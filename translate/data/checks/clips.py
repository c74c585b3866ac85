"""`translate data check` on clips: reads every frame, and reports what the clips are and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from translate.data.checks.facts import Facts, in_words, outside, read_all, unlike, unreadable
from translate.data.checks.files import Files
from translate.data.checks.folder import Report
from translate.data.checks.looking import introduced, key_of, kinds_of, layers_of
from translate.data.checks.poor import too_few
from translate.data.clips.finding import Clip
from translate.data.clips.opening import ClipFolder
from translate.data.messages import few
from translate.data.settings import DataSettings
from translate.utils.printing import shown

NAMED = 6
"""Most clips that are described one by one."""
STILL = 0.5
"""The least share of frames that repeat the one before in clips where hardly anything moves."""


def examine_clips(folder: ClipFolder, data: DataSettings) -> Report:
    """Reads every frame of a set of clips, and reports."""
    files = Files(quiet=False)
    every = [frame for clips in folder.clips.values() for clip in clips for frame in clip.frames]
    read = read_all(every, files)
    kinds = layers_of(kinds_of(folder.columns(), data, files))
    facts, notes, problems = list(folder.found), [*folder.notes], [*folder.warnings, *unreadable(read.values())]
    for split, clips in folder.clips.items():
        facts += _described(split, clips, read)
    facts += introduced(kinds)[:1]
    sound = [one for one in read.values() if not one.error]
    for kind in kinds[:1]:
        problems += unlike(sound, kind, key_of(kinds, kind, "channels"))
        problems += outside(sound, kind, key_of(kinds, kind, "span"))
    notes += _still(folder, read)
    notes += too_few({"samples": folder.splits["train"][0]})
    problems += [*_unequal(folder, read), *_leaked(folder, read)]
    return Report(folder, tuple(facts), tuple(notes), tuple(problems), clips=True)


def _described(split: str, clips: Sequence[Clip], read: Mapping[Path, Facts]) -> Iterator[str]:
    frames = [read[frame.path] for clip in clips for frame in clip.frames]
    yield f"{split} frames: {in_words([one for one in frames if not one.error])}"
    lengths = sorted(len(clip.frames) for clip in clips)
    yield f"{split} clips: {lengths[0]} to {lengths[-1]} frames long, median {median_low(lengths)}"
    for clip in clips[:NAMED]:
        yield f"  {shown(clip.name)}: {clip.in_words()}"
    if len(clips) > NAMED:
        yield f"  and {len(clips) - NAMED} more"


def _still(folder: ClipFolder, read: Mapping[Path, Facts]) -> Iterator[str]:
    """Says which clips repeat most of their frames, so that there is nothing to predict."""
    still = []
    for clip in (clip for clips in folder.clips.values() for clip in clips):
        seen = [read[frame.path].digest for frame in clip.frames]
        repeated = sum(bool(one) and one == after for one, after in pairwise(seen))
        if repeated >= STILL * (len(seen) - 1):
            still.append(clip.path)
    if still:
        yield f"clips in which most frames repeat the one before; a larger data.frame_step may help: {few(still)}"


def _unequal(folder: ClipFolder, read: Mapping[Path, Facts]) -> Iterator[str]:
    """Reports clips whose frames differ in size."""
    sized = {
        clip.path: {read[frame.path].size for frame in clip.frames if not read[frame.path].error}
        for clips in folder.clips.values()
        for clip in clips
    }
    if unlike_ := [path for path, sizes in sized.items() if len(sizes) > 1]:
        yield f"clips whose frames differ in size; crop them alike: {few(unlike_)}"


def _leaked(folder: ClipFolder, read: Mapping[Path, Facts]) -> Iterator[str]:
    """Reports clips to measure that hold frames of clips to train on."""
    trained = {read[frame.path].digest for clip in folder.clips["train"] for frame in clip.frames} - {""}
    for split, clips in folder.clips.items():
        leaked = [clip.path for clip in clips if any(read[frame.path].digest in trained for frame in clip.frames)]
        if split != "train" and leaked:
            yield f"{split} clips that hold frames of training clips; keep each in one: {few(leaked)}"
