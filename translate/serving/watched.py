"""One run as its files tell of it while it trains, read again only where they have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2s
from pathlib import Path
from typing import Any

from translate.reporting.keys import best_in_words, caption, current_key, is_validation
from translate.reporting.page import is_number
from translate.reporting.pictures import spread, steps_in
from translate.runs.folder import trains
from translate.serving.following import Curve, Tail
from translate.training.asked import FILE as ASKED
from translate.training.checkpoint import folder_name, pointed
from translate.training.checkpoint_json import Facts, read_facts
from translate.training.diagnostics import read_findings
from translate.training.progress_file import FILE as PROGRESS
from translate.training.progress_file import ProgressFacts
from translate.utils.stored import UnreadableError, parse_json, read_bytes, read_json, read_text
from translate.utils.yaml_reader import read_yaml

SPEED = "speed/images_a_second"
"""A curve of the times in metrics.jsonl, validations and pauses included."""
_NO_LOSS = ("learning_rate", "skipped_steps", "gradient_norm", "speed")
_ALIVE = 5.0
"""Seconds since something was written within which a run trains for sure, without a look at its lock."""
_MOST_SAMPLES = 1000
_MOST_STEPS = 1 << 53
_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class WatchedRun:
    """A run's folder as it was when it was `read` last. `begun`: how often metrics.jsonl began again.

    What cannot be read is among `troubles`, in words, by its name, and everything else is shown without it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.id = blake2s(str(path.absolute()).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        self.curves: dict[str, Curve] = {}
        self.samples: dict[int, tuple[Path, int]] = {}
        self.troubles: dict[str, str] = {}
        self.begun = 0
        self._tail = Tail(path / "metrics.jsonl")
        self._seen: dict[Path, Any] = {}
        self._progress: ProgressFacts = {}
        self._facts: Mapping[str, Any] = {}
        self._settings: Mapping[str, Any] = {}
        self._findings: list[str] = []
        self._step: int | None = None
        self._time: float | None = None
        self._changed = self._looked = float("-inf")
        self._held = False

    def read(self) -> bool:
        """Reads what has changed; returns whether more is to be read at once."""
        first = not self._seen
        self._if_changed(self.path / PROGRESS, self._read_progress)
        self._if_changed(self.path / "recipe.yaml", self._read_recipe)
        self._if_changed(self.path / "checkpoints", self._read_facts)
        self._try("metrics.jsonl", self._read_metrics)
        self._if_changed(self.path / "doctor.jsonl", self._read_findings)
        self._if_changed(self.path / "samples", self._read_samples)
        if first:  # when these were written is not known
            self._changed = float("-inf")
        if self._tail.more:
            return True
        if time.monotonic() - max(self._changed, self._looked) > _ALIVE:
            self._held, self._looked = trains(self.path), time.monotonic()
        return False

    @property
    def trains(self) -> bool:
        """Whether a process trains it now, as far as can be told."""
        return self._state() in ("starts", "trains")

    def _state(self) -> str:
        said, quiet = self._progress.get("state"), time.monotonic() - self._changed > _ALIVE
        if said in (None, "trains"):
            if self._held or not quiet:
                return "trains"
        elif self._held and quiet and self._looked > self._changed:
            return "starts"
        if self._facts.get("stopped_early") or (said == "ended" and self._progress.get("step", 0) < (self._total or 0)):
            return "early"
        if said is None:
            return "ended" if self._total and (self._facts.get("step") or 0) >= self._total else "unknown"
        return "broken" if said == "trains" else said

    @property
    def _total(self) -> int | None:
        found = self._progress.get("total") or self._facts.get("total") or self._setting("training", "steps")
        return found if isinstance(found, int) else None

    def summary(self, measure: str) -> dict[str, Any]:
        """What stands beside other runs; `measure`: the key of the curve to show, or nothing for what suits it."""
        state, key = self._state(), measure or self.main
        curve, progress = self.curves.get(key), self._progress
        steps = [step for step in (progress.get("step"), self._step) if step is not None]
        found = {
            "name": self.name,
            "state": state,
            "why": progress.get("why", "") if state in ("failed", "stopped") else "",
            "step": max(steps, default=None),
            "total": self._total,
            "measure": key,
            "value": curve.last if curve else None,
            "curve": [[_short(bin[0]), _short(bin[1])] for bin in spread(curve.bins, 120)] if curve else [],
            "best": best_in_words(self._facts),
            "saved": self._facts.get("step"),
            "asked": self._asked() if state == "trains" else "",
            "last": self._time,
        }
        if state == "trains":
            now = ("images_per_second", "seconds_left", "waiting", "memory", "memory_of", "runtime")
            found |= {name: progress[name] for name in now if name in progress}  # type: ignore[literal-required]
        return found

    def details(self) -> dict[str, Any]:
        """What is shown of a run that was chosen, beside its summary and its curves."""
        settings = {"method": ("model", "name"), "data": ("data", "set"), "batch size": ("training", "batch_size"),
                    "learning rate": ("training", "lr"), "seed": ("training", "seed")}  # fmt: skip
        facts = {name: self._setting(*keys) for name, keys in settings.items()}
        return {
            "facts": [[name, str(value)[:200]] for name, value in facts.items() if value is not None],
            "findings": self._findings,
            "samples": [[step, self.samples[step][1]] for step in spread(sorted(self.samples), _MOST_SAMPLES)],
            "troubles": list(self.troubles.values()),
        }

    @property
    def main(self) -> str:
        """The key of the curve that says most: a validation, or else the first loss."""
        validations = [key for key in self.curves if key.startswith("validation/")]
        errors = [key for key in validations if key.endswith("/l1")]
        losses = [key for key in self.curves if key.partition("/")[0] not in _NO_LOSS]
        return next(iter((*errors, *validations, *losses)), "")

    def _asked(self) -> str:
        with suppress(UnreadableError):  # nobody asked, or it has been taken
            return read_bytes(self.path / ASKED, 100).decode("ascii", "replace").strip()
        return ""

    def _read_metrics(self) -> None:
        again, lines = self._tail.lines()
        if again:
            self.curves, self.begun, self._step, self._time = {}, self.begun + 1, None, None
        damaged = sum(not self._add(line) for line in lines)
        if lines:
            self._changed = time.monotonic()
        if damaged:
            raise UnreadableError(f"metrics.jsonl: {damaged} lines are no rows of metrics, and left out")

    def _add(self, line: bytes) -> bool:
        """Adds a row to the curves; returns whether it is one."""
        try:
            row: dict[str, Any] = parse_json(line, dict[str, int | float | str], "metrics.jsonl")
            step = row.pop("step")
            if not isinstance(step, int) or not 0 <= step <= _MOST_STEPS:
                return False
            numbers = {key: _number(value) for key, value in row.items()}
        except (UnreadableError, KeyError, OverflowError):
            return False
        at = row.pop("time", None)
        if is_number(at) and not is_validation(row):
            self._add_speed(step, float(at))
        for key, number in numbers.items():
            if number is not None and key != "time":
                self.curves.setdefault(current_key(key), Curve()).add(step, number)
        self._step = max(step, self._step or 0)
        return True

    def _add_speed(self, step: int, at: float) -> None:
        images = self._setting("training", "batch_size")
        if self._time is not None and self._step is not None and isinstance(images, int) and step > self._step:
            seconds = at - self._time
            if seconds > 0:
                every = images * int(self._facts.get("processes", 1))
                self.curves.setdefault(SPEED, Curve()).add(step, (step - self._step) * every / seconds)
        self._time = at

    def _read_progress(self, path: Path) -> None:
        self._progress = read_json(path, ProgressFacts) if path.is_file() else {}
        self._changed = time.monotonic()

    def _read_recipe(self, path: Path) -> None:
        self._settings = read_yaml(read_text(path), "recipe.yaml")[0] if path.is_file() else {}

    def _read_findings(self, path: Path) -> None:
        self._findings = [str(finding) for finding in read_findings(path)]

    def _read_samples(self, folder: Path) -> None:
        found = {}
        for step, path in steps_in(folder).items():
            with suppress(FileNotFoundError):  # taken away meanwhile
                found[step] = (path, path.stat().st_mtime_ns // 1_000_000)
        self.samples = found

    def _read_facts(self, folder: Path) -> None:
        step = pointed(folder, "latest")
        path = folder / folder_name(step or 0) / "checkpoint.json"
        self._facts = read_facts(path, Facts) if path.is_file() else {}

    def _if_changed(self, path: Path, read: Callable[[Path], None]) -> None:
        """Folders change when a file in them is made, renamed or taken away, as all of a run's are."""
        try:
            here = path.stat()
            now = (here.st_ino, here.st_size, here.st_mtime_ns)
        except OSError:
            now = (0, 0, 0)
        if self._seen.get(path) != now:
            self._seen[path] = now
            self._try(path.name, lambda: read(path))

    def _try(self, name: str, read: Callable[[], None]) -> None:
        try:
            read()
        except Exception as error:  # what is strange in one file hides neither the others nor other runs
            self.troubles[name] = str(error).replace(f"{self.path}/", "")[:400]
        else:
            if name != "metrics.jsonl":
                self.troubles.pop(name, None)

    def _setting(self, section: str, key: str) -> Any:
        found = self._settings.get(section)
        return found.get(key) if isinstance(found, dict) else None


def curve_words(key: str) -> list[str]:
    """The title of the chart that a curve belongs to, and its name in there."""
    family, _, rest = key.partition("/")
    return [caption(family), caption(rest or family)]


def _number(value: float | str) -> float | None:
    """None if it is none. Raises OverflowError."""
    return _NUMBERS.get(value) if isinstance(value, str) else float(value)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
