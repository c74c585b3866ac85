"""Reads the files in a run's folder, whether the run has ended, was killed, or still trains."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from translate.errors import TranslateError, command
from translate.evaluation.metrics import key_of_table, measure_of
from translate.evaluation.table import Score
from translate.reporting.keys import VALIDATION, best_in_words, caption, is_validation, rescheduled_in_words, validated
from translate.reporting.report import baselines, read_summary
from translate.reporting.tracking import read_metrics
from translate.runs.comparing.rows import FOLDS
from translate.runs.not_a_run import require_recipe
from translate.runs.resuming import flat
from translate.training.checkpoint import folder_name, pointed
from translate.training.checkpoint_json import Facts, read_facts
from translate.utils.stored import UnreadableError, read_json, read_text
from translate.utils.yaml_reader import MAX_BYTES, read_yaml

EVALUATION = "evaluation-latest.json"
_VALIDATED_ON = (
    "data.also",
    "data.layout",
    "data.direction",
    "data.domains",
    "data.order",
    "data.channels",
    "data.range",
    "data.size",
    "data.resize",
    "data.interpolation",
    "data.shapes.styles",
    "data.shapes.palettes",
    "data.shapes.test",
    "data.shapes.seed",
    "training.validation_images",
)
"""Settings that decide which images a run is validated on, beside the data set."""


@dataclass(frozen=True)
class State:
    """How far a run came; None where its files do not say."""

    steps: int | None
    wanted: int | None
    """Steps of the whole run."""
    images: int | None
    """Images seen: steps x batch size x processes."""
    hours: float | None
    """Between the first and the last row of metrics.jsonl, pauses included."""
    checkpoint: int | None
    """Step of the newest checkpoint."""
    validated: int | None
    """Step of the last validation."""
    best: str | None
    """The best step, and its value where that was recorded, e.g. "400 (l1 0.0312)"."""
    rescheduled: str
    """Changes of its learning rates when it was resumed; empty if there are none."""
    ended: bool
    """Whether no step is left, or patience ended the run."""
    scored: str | None
    """What `translate evaluate` measured, e.g. "cyclegan after step 1000"."""


@dataclass(frozen=True)
class RunFiles:
    """One run; `name` is its folder as it was given."""

    name: str
    data: str
    """The data set's name: the last part of its path, so that a moved set stays the same."""
    settings: Mapping[str, Any]
    """From recipe.yaml, by dotted key."""
    rows: Sequence[Mapping[str, Any]]
    """From metrics.jsonl."""
    facts: Mapping[str, Any]
    """From the newest checkpoint."""
    summary: Mapping[str, Mapping[str, Any]]
    evaluated: Sequence[Score]

    def state(self) -> State:
        saved = self.facts.get("step")
        steps = max([*(row["step"] for row in self.rows), *([] if saved is None else [saved])], default=None)
        known = steps is not None and "processes" in self.facts
        wanted = self.settings.get("training.steps") or self.facts.get("total")
        batch = int(self.settings.get("training.batch_size") or 1)
        times = [row["time"] for row in self.rows if "time" in row]
        return State(
            steps=steps,
            wanted=wanted,
            images=(steps or 0) * batch * int(self.facts["processes"]) if known else None,
            hours=(times[-1] - times[0]) / 3600 if len(times) > 1 else None,
            checkpoint=saved,
            validated=max((row["step"] for row in self.rows if is_validation(row)), default=None),
            best=best_in_words(self.facts),
            rescheduled=rescheduled_in_words(self.facts.get("rescheduled", [])),
            ended=bool(self.facts.get("stopped_early")) or (saved is not None and saved >= (wanted or saved + 1)),
            scored=next((str(one.protocol["model"]) for one in self.evaluated if "model" in one.protocol), None),
        )

    def validated(self) -> list[Score]:
        """The last validation; with its baselines if the run has ended."""
        rows = [row for row in self.rows if is_validation(row)]
        last: dict[str, float] = {}
        for row in rows:
            if row["step"] == rows[-1]["step"]:
                last |= {key: row[key] for key in row if key.startswith(VALIDATION)}
        return [self._validated(key, value) for key, value in last.items()]

    def _validated(self, key: str, value: float) -> Score:
        name, measure = validated(key)
        entry = self.summary.get(key, {})
        shapes = self.settings.get("data.set") == "shapes"
        protocol = {
            key: json.dumps(self.settings.get(key))
            for key in _VALIDATED_ON
            if shapes or not key.startswith("data.shapes.")
        }
        known = {"measured": entry.get("protocol"), "precision": entry.get("precision", self.facts.get("precision"))}
        # The summary knows a user's own measure, whose file need not be loaded here.
        about: Mapping[str, Any] = measure_of(measure).about() or entry
        unit = about.get("unit", "")
        if measure == "ssim" and self.facts:  # until runs recorded their precision, it was wrongly computed on -1 to 1
            known["values"] = "0 to 1" if known["precision"] else "-1 to 1"
        protocol |= {key: str(value) for key, value in known.items() if value is not None}
        return Score(
            f"validation: {caption(measure, unit)}",
            caption(name),
            value,
            unit=unit,
            better=about.get("better", "neither"),
            floor=baselines(entry),
            protocol={"data": self.data, **protocol, **self.fold},
            key=measure,
        )

    @property
    def fold(self) -> dict[str, str]:
        """Part of the protocol of scores: which fold was measured; empty where test images were."""
        fold = self.settings.get("data.fold")
        if fold is None:
            return {}
        number, _, count = str(fold).partition("/")
        return {FOLDS: f"{count} folds, data.fold_seed {self.settings.get('data.fold_seed')}", "fold": number}


def read_run(run: Path) -> RunFiles:
    """Raises ConfigurationError for a folder that holds no run, TranslateError for a file that cannot be read."""
    recipe = run / "recipe.yaml"
    require_recipe(run)
    metrics = run / "metrics.jsonl"
    settings = flat(_numbered(read_yaml(read_text(recipe, MAX_BYTES), str(recipe))[0]))
    settings.setdefault("data.interpolation", "bicubic")  # of every run from before there was a choice
    data = Path(str(settings.get("data.set"))).name
    read = RunFiles(
        name=str(run),
        data=data,
        settings={key: value for key, value in settings.items() if key != "summary"},
        rows=read_metrics(metrics) if metrics.is_file() else [],
        facts=_newest_facts(run / "checkpoints"),
        summary=read_summary(run / "summary.json"),
        evaluated=_scores(run / EVALUATION, data),
    )
    return replace(read, evaluated=[replace(one, protocol={**one.protocol, **read.fold}) for one in read.evaluated])


def _numbered(value: Any) -> Any:
    """The same with lists of sections as sections by number, so that single settings of an augmentation compare."""
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        value = dict(enumerate(value))
    return {str(key): _numbered(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def _newest_facts(checkpoints: Path) -> Mapping[str, Any]:
    """Not verified, since they are only shown; empty if there is no checkpoint."""
    step = pointed(checkpoints, "latest")
    path = checkpoints / folder_name(step or 0) / "checkpoint.json"
    return read_facts(path, Facts) if path.is_file() else {}


def _scores(path: Path, data: str) -> list[Score]:
    """`data` is the data set of scores whose protocol does not name one."""
    if not path.is_file():
        return []
    try:
        scores: list[Score] = read_json(path, list[Score])
    except UnreadableError as error:
        raise TranslateError(
            f"{path}: not a file of scores ({error}); move it away and measure them again with "
            f"{command('evaluate', path.parent)}"
        ) from error
    return [
        replace(one, protocol={"data": data, **one.protocol}, key=one.key or key_of_table(one.table)) for one in scores
    ]
