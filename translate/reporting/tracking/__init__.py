"""Records a run: always metrics.jsonl, sample grids as PNG, and Weights & Biases if wanted."""

from translate.reporting.grids import is_marked, save_grid, save_marked, save_pictures
from translate.reporting.tracking.metrics import MetricsLog, NoMetrics, read_metrics
from translate.reporting.tracking.opening import TrackingMode, open_tracker, tracking_mode
from translate.reporting.tracking.trackers import NoTracker, Tracker

__all__ = [
    "MetricsLog",
    "NoMetrics",
    "NoTracker",
    "Tracker",
    "TrackingMode",
    "is_marked",
    "open_tracker",
    "read_metrics",
    "save_grid",
    "save_marked",
    "save_pictures",
    "tracking_mode",
]
