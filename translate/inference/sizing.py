"""At which size pictures are translated, and what is said of one that is far from the scale of training."""

from dataclasses import dataclass

from translate.data.scale import Scale
from translate.errors import ConfigurationError
from translate.inference.options import Size
from translate.utils.sides import Sides


@dataclass(frozen=True)
class Sizing:
    """What the user wants (`size`, and whether a translation is brought back to its input's size), and the `scale` that
    the model was trained at, None if that is not known. `times`: how many times higher and wider translations are; if
    they are larger, "their input's size" is so many times that, and auto takes pictures as they are: it is their pixels
    that such a model has learnt.

    Raises ConfigurationError if the trained scale is wanted and not known.
    """

    size: Size
    keep: bool
    scale: Scale | None
    times: int = 1

    def __post_init__(self) -> None:
        if self.size == "trained" and self.scale is None:
            raise ConfigurationError(
                "--size trained: this model does not say at which scale it was trained, like those of earlier versions "
                "and other projects; give --size N, the side of its training images in pixels"
            )

    def working(self, height: int, width: int) -> tuple[int, int]:
        """The size at which a picture of (height, width) is translated."""
        if isinstance(self.size, int):
            return Sides.of(self.size).covering(height, width)
        if self._as_they_are or self.scale is None or self.scale.near(height, width):
            return height, width
        return self.scale.size_of(height, width)

    def delivered(self, height: int, width: int) -> tuple[int, int]:
        """The size in which the translation of a picture of (height, width) is delivered."""
        rows, columns = (height, width) if self.keep else self.working(height, width)
        return rows * self.times, columns * self.times

    @property
    def _as_they_are(self) -> bool:
        return self.size == "native" or (self.size == "auto" and (self.scale is None or self.times != 1))

    def remark(self, height: int, width: int) -> str:
        """What is to be known of a picture far from the trained scale, and what becomes of it; empty for others."""
        if self.scale is None or self.times != 1 or self.scale.near(height, width):
            return ""
        return f"{width} x {height} pixels, where training took {self.scale}: {self._consequence(height, width)}"

    def _consequence(self, height: int, width: int) -> str:
        rows, columns = self.working(height, width)
        if (rows, columns) == (height, width):
            return "a scale that the model has not seen and may do badly at; --size trained translates at its own"
        then = "brought back to their size" if self.keep else "left so"
        other = "--keep-size no leaves them so" if self.keep else "--keep-size yes brings them back"
        return f"translated at {columns} x {rows} and {then} ({other}, --size native takes them as they are)"

    def __str__(self) -> str:
        """In words, for the mark of a folder; empty if pictures are translated as they are."""
        if self._as_they_are:
            return ""
        size = f"{self.size} pixels" if isinstance(self.size, int) else "the trained scale"
        return size if self.keep else f"{size} and left so"
