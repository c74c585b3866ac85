"""What the server has done, as text that Prometheus reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Seconds from the first byte of an upload to its answer."""


class Counts:
    """Answers to /api/convert by status, 499 where the client had left, and how long translations took."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self._within: Counter[float] = Counter()
        self._seconds = 0.0

    def add(self, status: int, seconds: float) -> None:
        self.answers[status] += 1
        if status == 200:
            self._seconds += seconds
            self._within.update(limit for limit in BUCKETS if seconds <= limit)

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it, with `gauges`: names, what they say, and values of this moment."""
        done = self.answers[200]
        lines = [
            "# HELP translate_answers_total Answers to /api/convert, by status.",
            "# TYPE translate_answers_total counter",
            *(f'translate_answers_total{{status="{status}"}} {n}' for status, n in sorted(self.answers.items())),
            "# HELP translate_seconds From the first byte of a picture to its translation.",
            "# TYPE translate_seconds histogram",
            *(f'translate_seconds_bucket{{le="{limit:g}"}} {self._within[limit]}' for limit in BUCKETS),
            f'translate_seconds_bucket{{le="+Inf"}} {done}',
            f"translate_seconds_sum {self._seconds:.6f}",
            f"translate_seconds_count {done}",
        ]
        for name, (about, value) in gauges.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"
