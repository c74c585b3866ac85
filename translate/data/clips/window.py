"""Windows: which frames of a clip are the input of a sample, and which one is its target; and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

from translate.data.domain import Domain

_TARGET = re.compile(r"next(?:-(\d+))?")


@dataclass(frozen=True)
class Window:
    """`frames` in, each `step` frames after the one before, and the one that follows as far behind them."""

    frames: int
    step: int = 1

    @property
    def reach(self) -> int:
        """How many frames the target lies behind the first frame of the input."""
        return self.frames * self.step

    @property
    def names(self) -> tuple[str, ...]:
        """Of the frames of the input, the oldest first: t-3, t-2, t-1, t."""
        back = range(-(self.frames - 1) * self.step, 1, self.step)
        return tuple(f"t{offset}" if offset else "t" for offset in back)

    @property
    def domains(self) -> tuple[str, str]:
        """What the input and the target are called; the target says the step where it is not 1."""
        return "frames" if self.frames > 1 else self.names[0], "next" if self.step == 1 else f"next-{self.step}"

    def inputs(self, last: int) -> list[int]:
        """The numbers of the frames of the input whose newest is `last`."""
        return list(range(last - (self.frames - 1) * self.step, last + 1, self.step))

    def __str__(self) -> str:
        """In words: "4 frames and the next"."""
        some = f"{self.frames} frames" if self.frames > 1 else "1 frame"
        return f"{some} and the next" + (f", each {self.step} frames after the one before" if self.step > 1 else "")


def window_of(given: Domain, target: Domain) -> Window | None:
    """The window that a model was trained on, from what its input and target are; None of any other model."""
    found = _TARGET.fullmatch(target.name)
    if found is None:
        return None
    window = Window(len(given.parts), int(found[1] or 1))
    return window if tuple(part.name for part in given.parts) == window.names else None
