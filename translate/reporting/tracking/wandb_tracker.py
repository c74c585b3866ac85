"""A run on Weights & Biases, online or offline."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from translate.errors import ConfigurationError
from translate.reporting.tracking.wandb_login import Mode, has_key
from translate.utils.printing import say

# wandb adds up to 10 seconds to the first, and would wait forever without the second.
_INIT_SECONDS = 15.0
_FINISH_SECONDS = 30.0


class WandbTracker:
    """Forwards to the wandb `run`; if wandb fails later (disk full, service killed), warns once and stops tracking.

    Offline, artifacts are copied into the run folder until `wandb sync` uploads them.
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
        """Opens the run, which keeps all its files under `folder`.

        Raises ConfigurationError if `mode` is online and no key is stored, else whatever wandb raises.
        """
        if mode == "online" and not has_key():  # wandb would prompt at the terminal and wait
            raise ConfigurationError("no key is stored on this machine, run `wandb login`")
        folder.mkdir(parents=True, exist_ok=True)
        with _files_in(folder):
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
                run = wandb.init(
                    # Arguments would override wandb's own environment variables.
                    project=os.environ.get("WANDB_PROJECT") or project,
                    job_type="train",
                    name=os.environ.get("WANDB_NAME") or name,
                    id=run_id,
                    resume="allow",
                    config=config,
                    allow_val_change=True,  # a resumed run may train longer
                    mode=mode,
                    dir=str(folder),
                    settings=settings,
                )
            except Exception:
                # wandb's service would hold on to the id and refuse it to the offline run.
                wandb.teardown(exit_code=1)
                raise
        return cls(run, folder)

    @property
    def url(self) -> str | None:
        """The address of the run's page; None offline or once tracking has ended."""
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
        """Runs `action`. Only here are errors of wandb caught after the start; tracking ends, training does not."""
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # many exception types, none of them worth a training run
            self._run = None
            # wandb's own log may be on the same full disk, and Python would print a traceback for each of its lines.
            logging.raiseExceptions = False
            warn(
                f"Weights & Biases stopped tracking: {reason(error)}. Training goes on, metrics.jsonl has "
                f"every number, and `wandb sync` uploads what was tracked in {self._folder / 'wandb'}."
            )


@contextmanager
def _files_in(folder: Path) -> Iterator[None]:
    """Puts wandb's folders inside the run folder while it starts or stages files, unless the user chose others."""
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
    say(f"warning: {message}")


def reason(error: Exception) -> str:
    """The first line of the error message, without its full stop, or the error's type if it is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
