"""Records a run: always metrics.jsonl, sample grids as PNG, and the trackers that are wanted.

A tracker is a file with a class (`Tracker`) and a line in TRACKERS (`opening.py`); `--tracker NAME` then opens it."""

from translate.reporting.grids import (
    Places,
    is_marked,
    pictures_in,
    places_in,
    save_grid,
    save_marked,
    save_pictures,
)
from translate.reporting.tracking.metrics import MetricsLog, NoMetrics, read_metrics
from translate.reporting.tracking.opening import TRACKERS, choose_trackers, left_to_do, open_trackers
from translate.reporting.tracking.trackers import TrackedRun, Tracker, Trackers

__all__ = [
    "TRACKERS",
    "MetricsLog",
    "NoMetrics",
    "Places",
    "TrackedRun",
    "Tracker",
    "Trackers",
    "choose_trackers",
    "is_marked",
    "left_to_do",
    "open_trackers",
    "pictures_in",
    "places_in",
    "read_metrics",
    "save_grid",
    "save_marked",
    "save_pictures",
]
