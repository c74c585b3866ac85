"""Steadies a translated clip: each frame is blended with the one before it, moved along the optical flow of the input.

Frames that are translated by themselves flicker where the network's answer hangs on a shade that no eye sees. Where
the input shows the same thing as before, moved, the translation should, too: the warping error of Lai et al. 2018
("Learning Blind Video Temporal Consistency"), which is measured here, and lowered by exponential blending along the
flow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

STRENGTH = 0.8
"""Share of the moved frame before in what is written, where the input shows the same thing. Chosen by measurement."""
TOLERANCE = 12.0
"""Levels of 255 by which the input may differ from its moved self for the share to fall to 1/e."""
SMALLEST = 32
"""Fewest pixels a side for which flow is found; smaller clips are taken to stand still."""


@dataclass
class Flicker:
    """Mean differences, 0 to 1, of frames from the frames before them moved along the input's flow, where the input
    shows the same thing: of the input itself, of its translation, and of what was written."""

    own: float = 0.0
    translated: float = 0.0
    written: float = 0.0
    frames: int = 0
    """How many frames have one before them that shows anything of the same."""

    def add(self, own: float, translated: float, written: float) -> None:
        self.frames += 1
        for name, value in (("own", own), ("translated", translated), ("written", written)):
            before: float = getattr(self, name)
            setattr(self, name, before + (value - before) / self.frames)

    def __str__(self) -> str:
        return f"flicker {self.written:.4f}, and {self.translated:.4f} unsteadied; the clip's own {self.own:.4f}"

    def to_json(self) -> dict[str, float]:
        """What the manifest says of the clip."""
        named = {"flicker": self.written, "flicker_unsteadied": self.translated, "flicker_of_input": self.own}
        return {name: round(value, 6) for name, value in named.items()}


@dataclass
class Steady:
    """Takes frames in order, each (height, width, 3) uint8 with its translation, which may be larger.

    `strength`: share of the moved frame before, 0 for none, which only measures.
    """

    strength: float = STRENGTH
    flicker: Flicker = field(default_factory=Flicker)
    _given: np.ndarray | None = None
    _translated: np.ndarray | None = None
    _written: np.ndarray | None = None

    def __call__(self, given: np.ndarray, translated: np.ndarray) -> np.ndarray:
        """The frame to write, (height, width, 3) uint8; the translation itself at the first frame and at a cut."""
        height, width = translated.shape[:2]
        if given.shape[:2] != (height, width):  # of a model that enlarges
            given = cv2.resize(given, (width, height), interpolation=cv2.INTER_CUBIC)
        now, made = given.astype(np.float32), translated.astype(np.float32)
        written = made
        if self._given is not None and self._translated is not None and self._written is not None:
            move = along(motion(given, self._given.astype(np.uint8)))
            own, before, kept = move(self._given), move(self._translated), move(self._written)
            same = np.exp(-np.square(np.abs(now - own).mean(2, keepdims=True) / TOLERANCE))
            written = made + self.strength * same * (kept - made)
            if (seen := same[..., 0] > np.exp(-1)).any():
                pairs = ((now, own), (made, before), (written, kept))
                self.flicker.add(*(float(np.abs(one - other)[seen].mean()) / 255 for one, other in pairs))
        # Not rounded: what is blended again and again would drift.
        self._given, self._translated, self._written = now, made, written
        return np.rint(written).clip(0, 255).astype(np.uint8)


def motion(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where each pixel of `now` was `before`, as (height, width, 2) float32 of x and y to add: dense inverse search
    (Kroeger et al. 2016) on shades of grey, uint8 (height, width, 3)."""
    if min(now.shape[:2]) < SMALLEST:
        return np.zeros((*now.shape[:2], 2), np.float32)
    grey, grey_before = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (now, before))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(grey, grey_before, None), np.float32)


def along(flow: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that moves an image, float32 (height, width, 3), so that it shows at each pixel what lay where the
    flow says."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x + flow[..., 0], y + flow[..., 1]
    return lambda image: np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
