"""A run on Weights & Biases, online or offline."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from translate.errors import ConfigurationError
from translate.reporting.grids import pictures_in
from translate.reporting.tracking.trackers import TrackedRun, Tracker, reason
from translate.reporting.tracking.wandb_files import is_uploaded, offline_parts, tracked_until
from translate.reporting.tracking.wandb_login import has_key, mode_here
from translate.utils.printing import say

MODES = ("auto", "online", "offline", "disabled")
# wandb adds up to 10 seconds to the first, and would wait forever without the second.
_INIT_SECONDS = 15.0
_FINISH_SECONDS = 30.0


class WandbTracker(Tracker):
    """Forwards to wandb, opened within 30 seconds, whatever the network does; if it cannot track online, offline.

    Offline, artifacts are copied into the run folder until `wandb sync` uploads them. wandb cannot go back: of steps
    that a resumed run takes again, what was tracked first stays, and nothing is tracked twice.
    """

    title = "Weights & Biases"

    def __init__(self, run: TrackedRun, mode: str) -> None:
        self._folder = run.folder
        self._tracked = tracked_until(run.folder, run.id)
        self.after_failure = f", and `wandb sync` uploads what was tracked in {run.folder / 'wandb'}"
        try:
            self._run = _started(run, mode)
        except Exception as error:
            if mode != "online":
                raise
            why = f"{self.title} cannot track online: {reason(error)}"
            say(f"warning: {why}. Tracking offline instead; `wandb sync` uploads the run later.")
            self._run = _started(run, "offline")

    @classmethod
    def resolve(cls, mode: str) -> str | None:
        """`auto` follows WANDB_MODE or `wandb online|offline|disabled`, else it is online where there is a key."""
        if mode not in ("", *MODES):
            raise ConfigurationError(f"{cls.title} has no mode '{mode}'; expected {', '.join(MODES)}")
        wanted = mode_here() if mode in ("", "auto") else mode
        return None if wanted == "disabled" else wanted

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self._tracked:
            self._run.log(dict(values), step=step)

    def images(self, step: int, name: str, picture: Path) -> None:
        import wandb

        if step > self._tracked:
            self._run.log({name: wandb.Image(str(picture))}, step=step)

    def table(self, step: int, name: str, grid: Path, samples: Sequence[str] = ()) -> None:
        """A table of its own at each step: one that grows would be written, and uploaded, whole each time."""
        columns = pictures_in(grid) if step > self._tracked else {}
        if not columns:
            return
        import wandb

        with TemporaryDirectory() as folder, _files_in(self._folder):
            table = wandb.Table(columns=["id", "sample", "step", *columns])
            for place, row in enumerate(zip(*columns.values(), strict=True)):
                title = samples[place] if place < len(samples) else ""
                pictures = [
                    _picture(Path(folder) / f"{place}-{number}.png", picture, ", ".join(filter(None, (column, title))))
                    for number, (column, picture) in enumerate(zip(columns, row, strict=True))
                ]
                table.add_data(place + 1, title, step, *pictures)
            self._run.log({f"{name}/table": table}, step=step)

    def summary(self, values: Mapping[str, float]) -> None:
        self._run.summary.update(dict(values))

    def artifact(
        self, name: str, folder: Path, aliases: Sequence[str] = (), facts: Mapping[str, float] | None = None
    ) -> None:
        import wandb

        with _files_in(self._folder):
            contents = wandb.Artifact(re.sub(r"[^A-Za-z0-9._-]", "-", name), type="model", metadata=dict(facts or {}))
            contents.add_dir(str(folder))
            self._run.log_artifact(contents, aliases=list(aliases))

    def finish(self, exit_code: int = 0) -> None:
        self._run.finish(exit_code=exit_code)

    @classmethod
    def left_to_do(cls, folders: Sequence[Path]) -> str | None:
        parts = [part.parent for folder in folders for part in offline_parts(folder) if not is_uploaded(part)]
        return f"tracked offline; to upload: {shlex.join(['wandb', 'sync', *map(str, parts)])}" if parts else None


def _picture(path: Path, picture: Image.Image, caption: str) -> Any:
    """A picture by its file: of a picture in memory, wandb leaves a temporary file until the process ends."""
    import wandb

    picture.save(path)
    return wandb.Image(str(path), caption=caption)


def _started(run: TrackedRun, mode: str) -> Any:
    """wandb's run, which keeps all its files under the run's folder.

    Raises ConfigurationError if `mode` is online and no key is stored, else whatever wandb raises.
    """
    if mode == "online" and not has_key():  # wandb would prompt at the terminal and wait
        raise ConfigurationError("no key is stored on this machine, run `wandb login`")
    run.folder.mkdir(parents=True, exist_ok=True)
    with _files_in(run.folder):
        import wandb

        settings = wandb.Settings(
            init_timeout=_INIT_SECONDS,
            finish_timeout=_FINISH_SECONDS,
            finish_timeout_raises=True,
            x_transaction_log_flush_interval=1.0,  # a killed run loses this much; 15 s by default
            console="off",  # the progress bar owns the terminal
            silent=True,
        )
        try:
            return wandb.init(
                # Arguments would override wandb's own environment variables.
                project=os.environ.get("WANDB_PROJECT") or "translate",
                job_type="train",
                name=os.environ.get("WANDB_NAME") or run.name,
                id=run.id,
                resume="allow",
                config=dict(run.config),
                allow_val_change=True,  # a resumed run may train longer
                mode=mode,  # type: ignore[arg-type]
                dir=str(run.folder),
                settings=settings,
            )
        except Exception:
            # wandb's service would hold on to the id and refuse it to the offline run.
            wandb.teardown(exit_code=1)
            raise


@contextmanager
def _files_in(folder: Path) -> Iterator[None]:
    """Puts wandb's folders inside the run folder while it starts or stages files, unless the user chose others."""
    home = folder.absolute() / "wandb"
    wanted = {"WANDB_DIR": folder.absolute(), "WANDB_CACHE_DIR": home / "cache", "WANDB_DATA_DIR": home / "data"}
    added = {name: str(path) for name, path in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
