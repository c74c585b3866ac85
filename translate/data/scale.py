"""The scale at which training saw the images of a domain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from translate.data.io.images import Interpolation
from translate.utils.sides import Sides, Size

Resize = Literal["square", "centre", "short_side", "short_side_floor", "none"]
"""How to resize: stretch to a square, or to a rectangle's shape; crop the largest centred part of that shape; scale by
the shorter side (of a rectangle: until it is covered), with the other side rounded or, as torchvision does it, rounded
down; or not at all."""
NEAR = 1.15
"""A picture whose sides are within this factor of the trained scale is taken as it is: crops vary objects by as much
(286/256, as published), and resampling costs about what it gains (benchmarks/results/2026-11-30-scale-cpu.md)."""


@dataclass(frozen=True)
class Scale:
    """Files of `height` x `width` pixels in the median were resized, as `resize` says, to `side`: a square's side, or a
    rectangle's (height, width)."""

    height: int
    width: int
    side: Size
    resize: Resize = "square"
    interpolation: Interpolation = "bicubic"

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """The size that training would have seen such a picture at: its shorter side is that which the files had. A
        model that was trained on stretched files gets pictures stretched in the same proportion."""
        if self.resize == "none":
            return height, width
        sides = Sides.of(self.side)
        stretch = self.width / self.height * (sides.height / sides.width) if self.resize == "square" else 1.0
        shorter = min(sides.covering(self.height * stretch, self.width))
        return Sides.of(shorter).covering(height * stretch, width)

    def near(self, height: int, width: int) -> bool:
        """Whether such a picture is at about the trained scale as it is."""
        return self.apart(height, width) <= NEAR

    def apart(self, height: int, width: int) -> float:
        """How many times as large, or as small, as in training such a picture's objects are, if it shows as much."""
        ratios = [one / other for one, other in zip((height, width), self.size_of(height, width), strict=True)]
        return max(max(ratio, 1 / ratio) for ratio in ratios)

    @property
    def enlarged(self) -> float:
        """How many times as large as the files, in the direction where that is less; below 1 where they shrink."""
        height, width = self.size_of(self.height, self.width)
        return min(height / self.height, width / self.width)

    def over(self, times: int) -> Scale:
        """That of the same images with so many times fewer rows and columns."""
        if times == 1:
            return self
        height, width = -(-self.height // times), -(-self.width // times)
        return replace(self, height=height, width=width, side=Sides.of(self.side).over(times).as_set)

    def __str__(self) -> str:
        """In words: "files of 640 x 480 pixels at 256 x 256"."""
        height, width = self.size_of(self.height, self.width)
        return f"files of {self.width} x {self.height} pixels at {width} x {height}"
