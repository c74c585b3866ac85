"""Which step was the best so far, by a measure of the validations, and when to wait no longer for a better one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Measures = Mapping[str, Mapping[str, float]]
"""What validations measured, by their name."""
_IN_UNITS = "error/"  # the L1 in the target's unit, such as error/HU


@dataclass(frozen=True)
class Choice:
    """How the best step is chosen: by `measure`, of which `higher` values may be better; None is the error, as always:
    the L1 of images, what label maps lack of agreement. With `patience`, training ends after so many validations in a
    row that brought no better value."""

    measure: str | None = None
    higher: bool = False
    patience: int | None = None

    def value(self, measures: Measures) -> float | None:
        """The measure, averaged over the validations that have it; None if none has, as without known truth."""
        if self.measure is not None:
            return _mean([found.get(self.measure) for found in measures.values()])
        return _mean([_error(found) for found in measures.values()])

    def better(self, value: float, before: float | None) -> bool:
        if before is None:
            return value == value  # NaN is no better than nothing
        return value > before if self.higher else value < before

    def named(self, measures: Measures) -> dict[str, float]:
        """The value as people read it, by the measure's key; of an L1 also in the target's unit."""
        keys = dict.fromkeys(key for found in measures.values() for key in found)
        shown = [self.measure] if self.measure else ["mean_iou" if "mean_iou" in keys else "l1"]
        if shown == ["l1"]:
            shown += [key for key in keys if key.startswith(_IN_UNITS)]
        means = {key: _mean([found.get(key) for found in measures.values()]) for key in shown}
        return {key: mean for key, mean in means.items() if mean is not None}


class Best:
    """The best step so far, its value, and how many validations have come `since` then without a better one."""

    def __init__(self, choice: Choice, before: Mapping[str, Any]) -> None:
        self.choice = choice
        self.step: int | None = before.get("best")
        self.measured: dict[str, float] = dict(before.get("best_measured") or {})
        self.value: float | None = self.measured.get(choice.measure) if choice.measure else before.get("best_l1")
        self.since: int = before.get("validations_since_best", 0)

    @property
    def waited_enough(self) -> bool:
        """Whether `patience` has run out."""
        return self.choice.patience is not None and self.since >= self.choice.patience

    def improved_by(self, measures: Measures) -> bool:
        value = self.choice.value(measures)
        return value is not None and self.choice.better(value, self.value)

    def note(self, step: int, measures: Measures) -> None:
        self.step, self.value, self.measured = step, self.choice.value(measures), self.choice.named(measures)

    def facts(self) -> dict[str, Any]:
        """What `before` holds, as of now."""
        return {
            "best": self.step,
            "best_l1": None if self.choice.measure else self.value,
            "best_measured": self.measured,
            "validations_since_best": self.since,
            "stopped_early": self.waited_enough,
        }


def _error(measures: Mapping[str, float]) -> float | None:
    """What the best step has least of: the L1 of images, what label maps lack of agreement; None without truth."""
    if "mean_iou" in measures:
        return 1 - measures["mean_iou"]
    return measures.get("l1")


def _mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None
