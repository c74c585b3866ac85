"""How volumes are cut into the slices of a domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Slicing:
    """Across which axis (see `grid.Axis`), and how many slices on either side are further channels of each."""

    axis: Literal[0, 1, 2] = 0
    neighbours: int = 0

    @property
    def channels(self) -> int:
        """Those of a slice with its neighbours."""
        return 2 * self.neighbours + 1
