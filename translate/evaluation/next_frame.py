"""How well a model tells the next frame of a clip, beside copying the last one and going on in a straight line; and
how far ahead it can go on from what it predicted itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from translate.data.domain import Domain
from translate.evaluation.metrics import compare_with_truth
from translate.evaluation.table import Protocol, Score
from translate.evaluation.validation import Compared, Direction, scores_beside_truth, translated
from translate.models.base import Translator
from translate.training.runtime import Runtime

AHEAD_MEASURES = ("l1", "psnr")
"""What is measured of every frame ahead."""


@dataclass(frozen=True)
class RollOuts:
    """Clips to go on with: what the model is given of each, and what truly follows.

    `inputs`: (clips, frames x channels, height, width) in [-1, 1], the oldest frame first. `truths`: (clips, ahead,
    channels, height, width). `names`: what each is called. `captions`: of the frames in, and of those ahead.
    """

    inputs: Tensor
    truths: Tensor
    names: Sequence[str]
    captions: tuple[Sequence[str], Sequence[str]]

    @property
    def ahead(self) -> int:
        """How many frames follow each."""
        return self.truths.shape[1]

    @property
    def given(self) -> Tensor:
        """The frames in, (clips, frames, channels, height, width)."""
        channels = self.truths.shape[2]
        return self.inputs.unflatten(1, (-1, channels))

    def predicted(self, model: Translator, to: int, target: Domain | None, runtime: Runtime) -> Tensor:
        """The frames ahead, of which only the first comes from true ones alone: each is rounded as files are, and
        becomes the newest frame of the next input. Like `truths`."""
        inputs, found = self.inputs, []
        for _ in range(self.ahead):
            made = translated(model, inputs, to, target, runtime)
            inputs = torch.cat([inputs[:, made.shape[1] :], made], 1)
            found.append(made)
        return torch.stack(found, 1)

    def baselines(self) -> dict[str, Tensor]:
        """The frames ahead without a model; like `truths`."""
        given = self.given
        return {
            name: torch.stack(frames, 1)
            for name in baselines_of(given, 1)
            if (frames := [baselines_of(given, distance)[name] for distance in range(1, self.ahead + 1)])
        }


def baselines_of(given: Tensor, distance: int = 1) -> dict[str, Tensor]:
    """What needs no model, of frames in (clips, frames, channels, height, width) in [-1, 1]: the last one again; and
    each pixel gone on in a straight line through the last two, 2 x(t) - x(t-1) for the next frame, clipped."""
    last = given[:, -1]
    found = {"last frame": last}
    if given.shape[1] > 1:
        found["straight line"] = (last + distance * (last - given[:, -2])).clamp(-1, 1)
    return found


@dataclass(frozen=True)
class NextFrame(Direction):
    """The next frame, measured as translations are; and, in `measure`, the frames ahead of it."""

    roll_outs: RollOuts | None = None
    frames: int = 1

    @classmethod
    def of(cls, direction: Direction, frames: int, roll_outs: RollOuts | None) -> NextFrame:
        """The direction with the baselines of films."""
        return cls(**vars(direction), frames=frames, roll_outs=roll_outs)

    @property
    def protocol(self) -> str:
        """See `Validation`."""
        height, width = self.inputs.shape[-2:]
        ahead = ""
        if self.roll_outs:
            ahead = (
                f"; frames further ahead are of {len(self.roll_outs.inputs)} clips, each predicted from the ones before"
            )
        return (
            f"{len(self.inputs)} samples of {self.frames} frames and the true next one, spread over the test clips, at "
            f"{width} x {height} pixels; last frame: it stays as it is; straight line: each pixel goes on as between "
            f"the last two frames{ahead}"
        )

    @property
    def colours(self) -> Protocol:
        """Part of the protocol of scores: what the baselines are."""
        return {"last frame": "it stays as it is", "straight line": "2 x(t) - x(t-1), clipped"}

    def references(self, inputs: Tensor, truths: Tensor) -> dict[str, Tensor]:
        """What needs no model, see `baselines_of`."""
        return baselines_of(inputs.unflatten(1, (self.frames, -1)))

    def measure(self, model: Translator, runtime: Runtime, batch_size: int = 8) -> dict[str, float]:
        """The measures of the next frame, and some of those further ahead: `l1/2_ahead`."""
        found = super().measure(model, runtime, batch_size)
        if self.roll_outs is None:
            return found
        return found | self._ahead(self.roll_outs.predicted(model, self.to, self.target, runtime))

    def baselines(self) -> dict[str, dict[str, float]]:
        """The measures of what needs no model."""
        found = super().baselines()
        for name, frames in self.roll_outs.baselines().items() if self.roll_outs else ():
            found[name] |= self._ahead(frames)
        return found

    def scores(self, model: Translator, runtime: Runtime, protocol: Protocol) -> list[Score]:
        """See `Direction`; and for every frame ahead rows of its own."""
        found = super().scores(model, runtime, protocol)
        roll_outs = self.roll_outs
        if roll_outs is None:
            return found
        predicted = roll_outs.predicted(model, self.to, self.target, runtime)
        without = roll_outs.baselines()
        how = {**protocol, **self.resized, **self.colours, "ahead": "each predicted from the ones before"}
        for place in range(roll_outs.ahead):
            images = [
                Compared(
                    predicted[clip : clip + 1, place],
                    {name: frames[clip : clip + 1, place] for name, frames in without.items()},
                    roll_outs.truths[clip : clip + 1, place],
                )
                for clip in range(len(predicted))
            ]
            rows = scores_beside_truth(f"{place + 1} ahead", images, self.target, how)
            found += [one for one in rows if one.key in AHEAD_MEASURES]
        return found

    def _ahead(self, frames: Tensor) -> dict[str, float]:
        assert self.roll_outs is not None
        each = (
            compare_with_truth(*pair) for pair in zip(frames.unbind(1), self.roll_outs.truths.unbind(1), strict=True)
        )
        return {
            f"{key}/{place}_ahead": measured[key]
            for place, measured in enumerate(each, 1)
            if place > 1
            for key in AHEAD_MEASURES
        }


@dataclass(frozen=True)
class FilmStrip:
    """Shows, for each clip, what the model predicts ahead above what truly follows, from the frames in on."""

    roll_outs: RollOuts
    to: int
    target: Domain | None

    @property
    def rows(self) -> list[str]:
        """What each row is: the same frames in, then predicted ones or true ones."""
        return [f"{name}: {what}" for name in self.roll_outs.names for what in ("predicted", "truth")]

    def columns(self, model: Any, runtime: Runtime) -> dict[str, Tensor]:
        """Captions and frames (2 x clips, channels, height, width) in [-1, 1]."""
        roll_outs = self.roll_outs
        predicted = roll_outs.predicted(model, self.to, self.target, runtime)
        before, after = roll_outs.captions
        given = dict(zip(before, roll_outs.given.unbind(1), strict=True))
        pairs = zip(predicted.unbind(1), roll_outs.truths.unbind(1), strict=True)
        ahead = {caption: torch.stack(pair, 1).flatten(0, 1) for caption, pair in zip(after, pairs, strict=True)}
        return {caption: frames.repeat_interleave(2, 0) for caption, frames in given.items()} | ahead
