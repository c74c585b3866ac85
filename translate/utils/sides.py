"""Height and width in pixels: of squares, which one number says, and of rectangles."""

from __future__ import annotations

from typing import NamedTuple

Size = int | tuple[int, int]
"""A size as recipes say it: N for squares, or (height, width)."""


class Sides(NamedTuple):
    """The two sides of a size. In words as `data.size` is set: "256", or "[192, 256]"."""

    height: int
    width: int

    @classmethod
    def of(cls, size: Size) -> Sides:
        return cls(size, size) if isinstance(size, int) else cls(*size)

    @property
    def square(self) -> bool:
        return self.height == self.width

    @property
    def as_set(self) -> Size:
        """As recipes say it."""
        return self.height if self.square else self

    @property
    def pixels(self) -> str:
        """In words, as sizes of pictures are said: "256", or "256 x 192", width first."""
        return str(self.height) if self.square else f"{self.width} x {self.height}"

    def __str__(self) -> str:
        return str(self.height) if self.square else f"[{self.height}, {self.width}]"

    def times(self, factor: int) -> Sides:
        """So many times as high and wide."""
        return Sides(self.height * factor, self.width * factor)

    def over(self, factor: int) -> Sides:
        """That many times less high and wide, rounded, but of one pixel at least."""
        return Sides(*(max(1, round(side / factor)) for side in self))

    def fit_in(self, height: int, width: int) -> bool:
        """Whether a crop of these sides can be taken from so many pixels."""
        return self.height <= height and self.width <= width

    def largest_in(self, height: int, width: int) -> Sides:
        """The largest size in these sides' proportions that so many pixels hold."""
        if height * self.width < width * self.height:
            return Sides(height, max(1, round(height * self.width / self.height)))
        return Sides(max(1, round(width * self.height / self.width)), width)

    def within(self, most: int) -> Sides:
        """The size in these proportions whose sides are at most so long; this one if it is small enough."""
        return self if max(self) <= most else self.largest_in(most, most)

    def covering(self, height: float, width: float) -> tuple[int, int]:
        """The least size (height, width) in the given proportions that holds a crop of these sides; a square's side is
        the shorter of the two."""
        factor = max(self.height / height, self.width / width)
        return max(1, round(height * factor)), max(1, round(width * factor))
