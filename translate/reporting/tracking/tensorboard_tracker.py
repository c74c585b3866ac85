"""A run in TensorBoard: event files in the run's folder, written by tensorboardX."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml
from PIL import Image

from translate.errors import ConfigurationError
from translate.reporting.grids import pictures_in
from translate.reporting.tracking.trackers import TrackedRun, Tracker

FOLDER = "tensorboard"
_SECONDS = 5
"""Until what was logged is in the file."""


class TensorBoardTracker(Tracker):
    """Writes scalars, sample grids and the recipe below `tensorboard/` in the run's folder.

    A resumed run writes a file of its own; what the run before had logged after the checkpoint is hidden.
    """

    title = "TensorBoard"

    def __init__(self, run: TrackedRun, mode: str) -> None:
        self._run, self._writer = run, cast(Any, None)
        self._shown: dict[str, bytes] = {}

    @classmethod
    def resolve(cls, mode: str) -> str | None:
        """Raises ConfigurationError, also where tensorboardX is not installed."""
        if find_spec("tensorboardX") is None:
            raise ConfigurationError("TensorBoard needs tensorboardX: pip install 'image-translate[tensorboard]'")
        return super().resolve(mode)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        writer = self._opened()
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    def images(self, step: int, name: str, picture: Path) -> None:
        with Image.open(picture) as image:
            self._opened().add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def table(self, step: int, name: str, grid: Path, samples: Sequence[str] = ()) -> None:
        for column, pictures in pictures_in(grid).items():
            for place, picture in enumerate(pictures, 1):
                self._show(step, f"{name}/{place}/{column}", picture)

    def _show(self, step: int, tag: str, picture: Image.Image) -> None:
        """Inputs and truths are the same at each step: written once, they stay."""
        if self._shown.get(tag) != (pixels := picture.tobytes()):
            self._shown[tag] = pixels
            self._opened().add_image(tag, np.asarray(picture), step, dataformats="HWC")

    def summary(self, values: Mapping[str, float]) -> None:
        step = int(values.get("best/step", 0))
        text = "\n".join(f"- {name}: {value:.6g}" for name, value in values.items())
        self._opened().add_text("summary", text, step)

    def finish(self, exit_code: int = 0) -> None:
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> Any:
        """The writer, which says from which step on an earlier file no longer counts."""
        if self._writer is None:
            step = self._run.step
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(
                str(self._run.folder / FOLDER),
                purge_step=step + 1 if step else 0,
                flush_secs=_SECONDS,
                # Two files of one second would have one name, and the later one would take the place of the earlier.
                filename_suffix=f".{step}.{time.time_ns()}",
            )
            recipe = yaml.safe_dump(dict(self._run.config), sort_keys=False, allow_unicode=True)
            self._writer.add_text("recipe", f"```\n{recipe}```", step)
        return self._writer
