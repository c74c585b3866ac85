"""Opens a folder of clips as pairs: some frames in, the next one as target; training and test are different clips."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from translate.data.clips.finding import NUMBERED, Clip, Unread, find_clips
from translate.data.clips.video_file import VIDEOS
from translate.data.clips.window import Window
from translate.data.folds import Fold, dealt
from translate.data.layers import Layered
from translate.data.layouts.columns import STAND_IN, TestSplit, held_out, same_letters, validation_as_test, with_origin
from translate.data.layouts.folders import Folder, Split
from translate.data.layouts.subfolders import contents, marks_in, require_folder
from translate.data.messages import by_fault, few
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError, folded
from translate.utils.printing import shown

Clips = tuple[Clip, ...]
LOOKED_FOR = (
    f"looked for videos ({', '.join(sorted(VIDEOS))}) and for folders of numbered frames ({NUMBERED}), here or in "
    "train/ and test/"
)


@dataclass(frozen=True)
class ClipFolder(Folder):
    """Clips, and the samples that are cut from them by `window`."""

    clips: dict[str, Clips] = field(default_factory=dict)
    """By split, like `splits`."""
    window: Window = field(default_factory=lambda: Window(1))
    left_out: frozenset[Path] = frozenset()
    """Frames that cannot be read, by their paths."""

    def without(self, paths: Collection[Path]) -> ClipFolder:
        """See `Folder`; samples that need a frame which cannot be read are left out."""
        folder = super().without(paths)
        assert isinstance(folder, ClipFolder)
        return replace(folder, left_out=self.left_out.union(paths))


def open_clips(root: Path, data: DataSettings) -> ClipFolder:
    """Opens the clips below `root`, as `data.frames` and `data.frame_step` want them cut. Without the folders train/
    and test/, some clips are held out by a hash of their names.

    Raises ConfigurationError if there are no clips, none is long enough to train on, or one cannot be read and
    `data.skip_bad` is not set.
    """
    window = Window(data.frames or 1, data.frame_step)
    found, warnings = _found(root, data)
    splits, origin, measured = _split(root, found, data)
    short = [clip for clips in splits.values() for clip in clips if clip.longest <= window.reach]
    kept = {split: tuple(clip for clip in clips if clip.longest > window.reach) for split, clips in splits.items()}
    if not kept["train"]:
        raise ConfigurationError(_too_short(root, splits["train"], window))
    kept = {split: clips for split, clips in kept.items() if clips}
    if short:
        named = folded([f"{shown(clip.name)} {clip.longest}" for clip in short])
        warnings.append(f"{len(short)} clips are left out, as they have not the {window.reach + 1} frames: {named}")
    every = [clip for clips in kept.values() for clip in clips]
    lines = [f"{split}: {_counted(clips, window)}" for split, clips in kept.items()]
    return ClipFolder(
        root=root,
        kind="paired",
        domains=window.domains,
        splits={split: _samples(clips, window) for split, clips in kept.items()},
        test_is_paired="test" in kept,
        found=(f"clips in {shown(root.name)}: samples of {window}", *with_origin(lines, origin)),
        warnings=(*warnings, *_cut_off(every)),
        notes=tuple(_remarks(every)),
        test_split=measured,
        clips=kept,
        window=window,
    )


def _found(root: Path, data: DataSettings) -> tuple[dict[str, Clips], list[str]]:
    """The clips by split, and warnings of those that cannot be read. Raises ConfigurationError."""
    require_folder(root)
    marked = {split: root / name for split, name in marks_in(root).by_domain.get("", {}).items()}
    places = {"train": root, **marked}
    aside = list(marked.values())
    read = {split: list(find_clips(place, aside, data.follow_links)) for split, place in places.items()}
    bad = [one for clips in read.values() for one in clips if isinstance(one, Unread)]
    found = {split: tuple(one for one in clips if isinstance(one, Clip)) for split, clips in read.items()}
    found = {split: clips for split, clips in found.items() if clips or split == "train"}
    lines = by_fault({one.path: one.reason for one in bad})
    if bad and not data.skip_bad:
        raise ConfigurationError(
            "\n  ".join([f"{shown(root)}: {len(bad)} clips cannot be read:", *lines])
            + "\nrepair or remove them, or leave them out with --skip-bad"
        )
    if not found["train"]:
        left = f"; {'; '.join(lines)}" if lines else ""
        raise ConfigurationError(
            f"{shown(places['train'])}: no clips here: {LOOKED_FOR}; found: {contents(root)}{left}"
        )
    return found, [f"left out, as it cannot be read: {line}" for line in lines]


def _split(root: Path, found: dict[str, Clips], data: DataSettings) -> tuple[dict[str, Clips], str, TestSplit]:
    """The clips to train on and those to measure, how the latter were chosen if not by the set, and what they are."""
    if data.fold is not None:
        fold, names = Fold.of(data.fold), {same_letters(clip.name): clip for clip in found["train"]}
        if len(names) < fold.count:
            raise ConfigurationError(
                f"{shown(root)}: data.fold is one of {fold.count}, and there are {len(names)} clips to train on: "
                "take fewer folds"
            )
        held = {names[name] for name in dealt(names, fold, data.fold_seed)}
        words = f"fold {fold.number} of {fold.count}"
        others = tuple(clip for clip in found["train"] if clip not in held)
        return {"train": others, "test": tuple(c for c in found["train"] if c in held)}, f"{words}, by clip", words
    if found.keys() == {"train"}:
        every = {same_letters(clip.name): clip for clip in found["train"]}
        columns = held_out({name: clip.path for name, clip in every.items()})
        train, test = (tuple(every[name] for name in column) for column in columns)
        whole = {"train": train, "test": test} if test else {"train": train}
        return whole, "held out, chosen by a hash of the clips' names", "test"
    splits, origin = validation_as_test(found)
    return splits, origin, "validation" if origin == STAND_IN else "test"


def _samples(clips: Iterable[Clip], window: Window) -> Split:
    inputs: list[Any] = []
    targets: list[Any] = []
    for clip in clips:
        for last in clip.lasts(window):
            some = tuple(clip.frames[number] for number in window.inputs(last))
            inputs.append(Layered(some, window.names) if window.frames > 1 else some[0])
            targets.append(clip.frames[last + window.step])
    return tuple(inputs), tuple(targets)


def _counted(clips: Sequence[Clip], window: Window) -> str:
    frames, samples = sum(len(clip.frames) for clip in clips), sum(len(clip.lasts(window)) for clip in clips)
    return f"{len(clips)} clips of {frames:,} frames, {samples:,} samples"


def _too_short(root: Path, clips: Clips, window: Window) -> str:
    """Says what is missing, and what would do."""
    longest = max(clips, key=lambda clip: clip.longest)
    stepped = f" and data.frame_step={window.step}" if window.step > 1 else ""
    step = window.step if longest.longest > window.step else 1
    fits = min(window.frames, (longest.longest - 1) // step)
    fewer = f"set data.frames={fits}{' and data.frame_step=1' if step != window.step else ''}, or give longer clips"
    return (
        f"{shown(root)}: no clip to train on has the {window.reach + 1} frames that data.frames={window.frames}"
        f"{stepped} needs, {window.frames} in and the next as target: the longest, {shown(longest.name)}, has "
        f"{longest.longest}: {fewer if fits > 0 else 'give longer clips'}"
    )


def _cut_off(clips: Iterable[Clip]) -> Iterable[str]:
    """Says which videos end before they should."""
    for clip in clips:
        if clip.video and clip.video.lacking > 1:
            whole = clip.video.declared
            yield f"{shown(clip.path)}: cut off: it has {len(clip.frames):,} of {whole:,} frames; all others are used"


def _remarks(clips: Sequence[Clip]) -> Iterable[str]:
    """Says what is unusual about clips, and no fault."""
    if uneven := [clip.path for clip in clips if clip.video and clip.video.varies]:
        yield (
            "clips of a varying frame rate, whose frames are taken one after another, however long each is shown; "
            f"re-encode them at a constant rate if that matters: {few(uneven)}"
        )
    if gaps := [clip.path for clip in clips if clip.gaps]:
        yield f"numbers are missing among the frames of clips; no sample goes across a gap: {few(gaps)}"
    if turned := [clip.path for clip in clips if clip.video and clip.video.look.turns]:
        yield f"clips that are to be shown rotated, and are read so: {few(turned)}"
