"""What a loader asks of an image, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np


class Readable(Protocol):
    """One image of a data set: a file, half of one, or one of many in an array."""

    @property
    def path(self) -> Path:
        """What messages call it."""

    def read(self, channels: int) -> np.ndarray:
        """(height, width, channels), uint8 or uint16. Raises ImageError."""

    def identity(self) -> str:
        """What the pixels hang on: file, its size and time, and which part of it. Raises ImageError."""


@runtime_checkable
class Stretched(Protocol):
    """A `Readable` that is resized sooner on its way from the file."""

    def square(self, channels: int, side: int) -> np.ndarray:
        """What `read` gives, resized to (side, side, channels), bit for bit. Raises ImageError."""
