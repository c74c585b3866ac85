"""The one list of trackers, which of them are wanted, and how they are opened."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from translate.errors import ConfigurationError
from translate.reporting.tracking.tensorboard_tracker import TensorBoardTracker
from translate.reporting.tracking.trackers import TrackedRun, Tracker, Trackers, reason
from translate.reporting.tracking.wandb_tracker import MODES, WandbTracker
from translate.utils.printing import say

TRACKERS: dict[str, type[Tracker]] = {"wandb": WandbTracker, "tensorboard": TensorBoardTracker}


def choose_trackers(tracking: str | Sequence[str] = "auto") -> dict[str, str]:
    """The trackers to open and their modes on this machine. `tracking`: one or several of NAME, NAME:MODE and, from the
    time of a single tracker, a mode of wandb alone; of one name, the last counts.

    Raises ConfigurationError for an unknown name or mode, or if WANDB_MODE is not a valid mode.
    """
    wanted = {}
    for entry in [tracking] if isinstance(tracking, str) else tracking:
        name, _, mode = f"wandb:{entry}".partition(":") if entry in MODES else entry.partition(":")
        if name not in TRACKERS:
            raise ConfigurationError(f"no tracker '{name}'; expected {', '.join([*MODES, *TRACKERS])}")
        wanted[name] = mode
    resolved = {name: TRACKERS[name].resolve(mode) for name, mode in wanted.items()}
    return {name: mode for name, mode in resolved.items() if mode is not None}


def open_trackers(chosen: Mapping[str, str], run: TrackedRun) -> Trackers:
    """Opens the trackers that `choose_trackers` chose, without those that cannot be opened: one warning each."""
    running = []
    for name, mode in chosen.items():
        try:
            running.append(TRACKERS[name](run, mode))
        except Exception as error:  # trackers raise many exception types, none of them worth a training run
            title = TRACKERS[name].title
            why = f"{title} cannot track: {reason(error)}"
            say(f"warning: {why}. Training goes on without it; metrics.jsonl has every number.")
    return Trackers(running)


def left_to_do(chosen: Iterable[str], folders: Sequence[Path]) -> list[str]:
    """What is still to be done with the runs in `folders`, now that they have ended: at most a line a tracker."""
    lines = (TRACKERS[name].left_to_do(folders) for name in chosen)
    return [line for line in lines if line]
