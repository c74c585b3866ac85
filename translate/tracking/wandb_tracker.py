"""A run on Weights & Biases, online or offline."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from translate.errors import ConfigurationError
from translate.tracking.wandb_login import Mode, has_key

# wandb adds up to 10 seconds of its own to the first, and waits for ever without the second.
_INIT_SECONDS = 15.0
_FINISH_SECONDS = 30.0


class WandbTracker:
    """Hands on to `run`; where wandb fails later (disk full, a killed service), warns once and falls silent.

    Offline, an artifact is copied into the run folder until `wandb sync` uploads it.
    """

    def __init__(self, run: Any, folder: Path) -> None:
        self._run = run
        self._folder = folder

    @classmethod
    def start(
        cls,
        mode: Mode,
        *,
        folder: Path,
        name: str,
        config: dict[str, Any],
        run_id: str,
        project: str,
    ) -> Self:
        """Open the run, which keeps all of its files under `folder`. Raises whatever wandb raises."""
        if mode == "online" and not has_key():  # wandb would ask at the terminal, and wait
            raise ConfigurationError("no key is stored on this machine, run `wandb login`")
        folder.mkdir(parents=True, exist_ok=True)
        with _files_in(folder):
            import wandb

            settings = wandb.Settings(
                init_timeout=_INIT_SECONDS,
                finish_timeout=_FINISH_SECONDS,
                finish_timeout_raises=True,
                x_transaction_log_flush_interval=1.0,  # 15 s by default: what a killed run loses
                console="off",  # the terminal is the progress bar's
                silent=True,
            )
            try:
                run = wandb.init(
                    # What is given here would win over wandb's own variables.
                    project=os.environ.get("WANDB_PROJECT") or project,
                    job_type="train",
                    name=os.environ.get("WANDB_NAME") or name,
                    id=run_id,
                    resume="allow",
                    config=config,
                    allow_val_change=True,  # a resumed run may train for longer
                    mode=mode,
                    dir=str(folder),
                    settings=settings,
                )
            except Exception:
                # wandb's service would hold on to the id, and refuse it to the run offline.
                wandb.teardown(exit_code=1)
                raise
        return cls(run, folder)

    @property
    def url(self) -> str | None:
        """The page of the run; None offline."""
        return None if self._run is None else self._run.url

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._attempt(lambda run: run.log(dict(values), step=step))

    def images(self, step: int, name: str, picture: Path) -> None:
        def show(run: Any) -> None:
            import wandb

            run.log({name: wandb.Image(str(picture))}, step=step)

        self._attempt(show)

    def artifact(self, name: str, folder: Path, aliases: Sequence[str] = ()) -> None:
        def upload(run: Any) -> None:
            import wandb

            with _files_in(self._folder):
                contents = wandb.Artifact(re.sub(r"[^A-Za-z0-9._-]", "-", name), type="model")
                contents.add_dir(str(folder))
                run.log_artifact(contents, aliases=list(aliases))

        self._attempt(upload)

    def finish(self, exit_code: int = 0) -> None:
        self._attempt(lambda run: run.finish(exit_code=exit_code))
        self._run = None

    def _attempt(self, action: Callable[[Any], None]) -> None:
        """The one place where what wandb raises is caught: tracking ends there, training does not."""
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # of many kinds, none of them worth a training run
            self._run = None
            # wandb's own log may lie on the same full disk, of which Python would print a traceback for each line.
            logging.raiseExceptions = False
            warn(
                f"Weights & Biases stopped tracking: {reason(error)}. Training goes on, metrics.jsonl has "
                f"every number, and `wandb sync` uploads what was tracked in {self._folder / 'wandb'}."
            )


@contextmanager
def _files_in(folder: Path) -> Iterator[None]:
    """While wandb starts or stages files: its folders are inside the run's, unless the user chose others."""
    home = folder.absolute() / "wandb"
    wanted = {
        "WANDB_DIR": folder.absolute(),
        "WANDB_CACHE_DIR": home / "cache",
        "WANDB_DATA_DIR": home / "data",
    }
    added = {name: str(path) for name, path in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def reason(error: Exception) -> str:
    """The first line of what went wrong, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
