"""The kind of data set that clips are: pairs of some frames and the next, measured and shown as films."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from translate.data.batch import Batch, Paired
from translate.data.clips.finding import Clip
from translate.data.clips.opening import ClipFolder
from translate.data.domain import Domain
from translate.data.layers import Layered, holds_any
from translate.data.layouts.folders import Split
from translate.evaluation.next_frame import FilmStrip, NextFrame, RollOuts
from translate.evaluation.validation import Direction
from translate.models.base import Translator
from translate.runs.image_sets.image_set import Part
from translate.runs.image_sets.kinds import TwoDomains
from translate.training.runtime import Runtime
from translate.training.validation import Validation

AHEAD = 8
"""Most frames that a model is rolled out by, when it is shown and measured."""
MEASURED = 32
"""Most roll-outs that are measured."""
Item = TypeVar("Item")


class ClipPairs(TwoDomains):
    """Samples of clips; which frames those are follows from the clips alone."""

    folder: ClipFolder

    def __init__(self, settings: Any, folder: ClipFolder, batch_type: type[Batch]) -> None:
        super().__init__(settings, folder, batch_type)

    def few(self, count: int, part: Part = "test") -> Split:
        """Samples spread evenly over the clips: neighbours are nearly the same."""
        chosen = self.folder.splits.get(part) or self.folder.splits["train"]
        return tuple(_spread(sources, count) for sources in chosen)

    def validations(self, model: Any, count: int, runtime: Runtime) -> Sequence[Validation]:
        roll_outs = self.roll_outs(min(count, MEASURED), runtime, "test")
        return [
            NextFrame.of(one, self.folder.window.frames, roll_outs) if isinstance(one, Direction) else one
            for one in super().validations(model, count, runtime)
        ]

    def film(self, model: Any, count: int, runtime: Runtime) -> FilmStrip | None:
        """The roll-out of so many clips, of training where there are no others that are long enough."""
        if not isinstance(model, Translator):
            return None
        found = self.roll_outs(count, runtime, "test") or self.roll_outs(count, runtime, "train")
        return FilmStrip(found, 1, self.kind(1)) if found else None

    def roll_outs(self, count: int, runtime: Runtime, part: Part) -> RollOuts | None:
        """Places in clips of a split where at least two frames follow, as many in all, spread over clips and time."""
        window, clips = self.folder.window, self.folder.clips.get(part, ())
        longest = max((clip.longest for clip in clips), default=0)
        ahead = min(AHEAD, (longest - 1) // window.step + 1 - window.frames)
        places = [place for clip in clips for place in self._places(clip, ahead)]
        if ahead < 2 or not places:
            return None
        chosen = _spread(places, count)
        inputs = [_sample([clip.frames[one] for one in window.inputs(last)], window.names) for clip, last in chosen]
        offsets = [window.step * distance for distance in range(1, ahead + 1)]
        captions = tuple(f"t+{offset}" for offset in offsets)
        truths = [_sample([clip.frames[last + offset] for offset in offsets], captions) for clip, last in chosen]
        layers = [replace(self.kind(1), name=caption) for caption in captions]
        images = self.but(kinds=(self.kind(0), Domain.stacked("ahead", layers)))
        at_scale = self._measured_at_scale(count)
        batches = [runtime.place(b) for b in images.in_order([inputs, truths], Paired, count, at_scale=at_scale)]
        taken = torch.cat([batch.input.cpu() for batch in batches])
        follow = torch.cat([batch.target.cpu() for batch in batches]).unflatten(1, (ahead, -1))
        return RollOuts(
            taken, follow, [_called(clip, last) for clip, last in chosen], _captions(chosen, window, offsets)
        )

    def _places(self, clip: Clip, ahead: int) -> Iterable[tuple[Clip, int]]:
        """The last frames in after which so many follow, in steps of as many; none that needs an unreadable frame."""
        window, bad = self.folder.window, self.folder.left_out
        for piece in clip.pieces:
            first = piece.start + window.reach - window.step
            for last in range(first, piece.stop - ahead * window.step, ahead * window.step):
                needed = clip.frames[last - window.reach + window.step : last + ahead * window.step + 1]
                if not any(holds_any(frame, bad) for frame in needed):
                    yield clip, last


def _sample(frames: Sequence[Any], names: tuple[str, ...]) -> Any:
    return Layered(tuple(frames), names) if len(frames) > 1 else frames[0]


def _spread(items: Sequence[Item], count: int) -> tuple[Item, ...]:
    """So many at most, from the first to the last."""
    rows = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return tuple(items[row] for row in rows)


def _called(clip: Clip, last: int) -> str:
    if clip.video is None:
        return f"{clip.name} from {clip.numbers[last]}"
    return f"{clip.name} from {(clip.video.stamps[last] - clip.video.stamps[0]) * clip.video.tick:.2f} s"


def _captions(
    chosen: Sequence[tuple[Clip, int]], window: Any, offsets: Sequence[int]
) -> tuple[Sequence[str], Sequence[str]]:
    """What columns are called: by frames, and by seconds where all clips have one rate."""
    rates = {round(clip.video.rate, 2) if clip.video else 0.0 for clip, _ in chosen}
    rate = rates.pop() if len(rates) == 1 else 0.0

    def caption(offset: int) -> str:
        name = f"t{offset:+d}" if offset else "t"
        return f"{name} ({offset / rate:+.2f} s)" if rate else name

    before = range(-(window.frames - 1) * window.step, 1, window.step)
    return list(map(caption, before)), list(map(caption, offsets))
