"""Trackers show a run while it trains, in addition to metrics.jsonl: Weights & Biases or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    """Shows a run. No failure of a tracker may stop the training."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the numbers of one step; steps never decrease."""

    def images(self, step: int, name: str, picture: Path) -> None:
        """Logs a picture file, such as a sample grid."""

    def artifact(self, name: str, folder: Path, aliases: Sequence[str] = ()) -> None:
        """Stores a copy of a folder, such as a checkpoint; meant for the last and the best, not for every one."""

    def finish(self, exit_code: int = 0) -> None:
        """Closes the run; any `exit_code` but 0 marks it as failed. Nothing is tracked afterwards."""


class NoTracker:
    """Tracks nothing."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def images(self, step: int, name: str, picture: Path) -> None: ...

    def artifact(self, name: str, folder: Path, aliases: Sequence[str] = ()) -> None: ...

    def finish(self, exit_code: int = 0) -> None: ...
