"""Opens the tracker of a run: the wanted one, or the best available."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from translate.errors import ConfigurationError
from translate.reporting.tracking.trackers import NoTracker, Tracker
from translate.reporting.tracking.wandb_login import Mode, wanted_mode
from translate.reporting.tracking.wandb_tracker import WandbTracker, reason, warn

TrackingMode = Literal["auto", "online", "offline", "disabled"]
_INSTEAD = {
    "online": "Tracking offline instead; `wandb sync` uploads the run later.",
    "offline": "Training goes on without it; metrics.jsonl has every number.",
}


def tracking_mode(mode: TrackingMode) -> Mode:
    """Resolves `mode` on this machine. Raises ConfigurationError if it, or WANDB_MODE, is not a valid mode."""
    if mode not in get_args(TrackingMode):
        raise ConfigurationError(f"tracking is '{mode}'; expected {', '.join(get_args(TrackingMode))}")
    return wanted_mode() if mode == "auto" else mode


def open_tracker(
    mode: TrackingMode,
    *,
    folder: Path,
    name: str,
    config: dict[str, Any],
    run_id: str,
    project: str = "translate",
) -> Tracker:
    """Opens the tracker of the run in `folder`, within 30 seconds, whatever the network does.

    `auto` follows WANDB_MODE or `wandb online|offline|disabled`; otherwise it is online if `wandb login` stored a key
    or WANDB_API_KEY holds one, else disabled. A resumed run passes its old `run_id` and continues that record.
    If wandb fails, falls back from online to offline, and from offline to no tracking, with one warning on stderr each.
    Raises ConfigurationError as `tracking_mode` does.
    """
    wanted = tracking_mode(mode)
    if wanted == "disabled":
        return NoTracker()

    attempts: list[Mode] = ["online", "offline"] if wanted == "online" else ["offline"]
    for attempt in attempts:
        try:
            return WandbTracker.start(
                attempt,
                folder=folder,
                name=name,
                config=config,
                run_id=run_id,
                project=project,
            )
        except Exception as error:  # wandb raises many exception types, none of them worth a training run
            warn(f"Weights & Biases cannot track {attempt}: {reason(error)}. {_INSTEAD[attempt]}")
    return NoTracker()
