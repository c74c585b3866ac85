"""Where a run is shown while it trains, beside its metrics.jsonl: nowhere, or Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    """Shows a run. Nothing that it does may stop the training."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one step; steps never go back."""

    def images(self, step: int, name: str, picture: Path) -> None:
        """A picture file, such as a sample grid."""

    def artifact(self, name: str, folder: Path, aliases: Sequence[str] = ()) -> None:
        """A folder worth keeping, such as a checkpoint, copied: for the last and the best, not every one."""

    def finish(self, exit_code: int = 0) -> None:
        """Close the run; anything but 0 marks it as failed. Nothing is tracked afterwards."""


class NoTracker:
    """Tracks nothing."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def images(self, step: int, name: str, picture: Path) -> None: ...

    def artifact(self, name: str, folder: Path, aliases: Sequence[str] = ()) -> None: ...

    def finish(self, exit_code: int = 0) -> None: ...
