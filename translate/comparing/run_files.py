"""What the files in a run's folder tell, whether it has ended, was killed, or still trains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from translate.checkpoint import folder_name, pointed
from translate.errors import ConfigurationError, TranslateError
from translate.evaluation.table import Better, Score
from translate.report import read_summary
from translate.run_folder import flat
from translate.tracking import read_metrics
from translate.yaml_reader import read_yaml

EVALUATION = "evaluation-latest.json"
_VALIDATION = "validation "
_BETTER: dict[str, Better] = {
    "l1": "lower",
    "psnr": "higher",
    "ssim": "higher",
    "evidence lower bound": "higher",
    "modes covered": "higher",
    "near a mode": "higher",
}
"""Of what is measured in training."""
_VALIDATED_ON = (
    "data.also",
    "data.layout",
    "data.direction",
    "data.domains",
    "data.channels",
    "data.range",
    "data.size",
    "data.resize",
    "data.shapes.styles",
    "data.shapes.test",
    "data.shapes.seed",
    "training.validation_images",
)
"""Settings that say which images are validated on, beside the data set."""


@dataclass(frozen=True)
class State:
    """How far a run came; None where its files do not tell."""

    steps: int | None
    wanted: int | None
    """Steps of the whole run."""
    images: int | None
    """Images seen: steps x batch size x processes."""
    hours: float | None
    """From the first to the last row of metrics.jsonl, with all pauses between."""
    checkpoint: int | None
    """Step of the newest checkpoint."""
    validated: int | None
    """Step of the last validation."""
    scored: str | None
    """What `translate evaluate` measured, e.g. "cyclegan after step 1000"."""


@dataclass(frozen=True)
class RunFiles:
    """One run, by the name that it was given."""

    name: str
    settings: Mapping[str, Any]
    """By dotted key, as recipe.yaml has them."""
    rows: Sequence[Mapping[str, Any]]
    """Of metrics.jsonl."""
    facts: Mapping[str, Any]
    """Of the newest checkpoint."""
    summary: Mapping[str, Mapping[str, Any]]
    evaluated: Sequence[Score]

    @property
    def data(self) -> str:
        """The data set's name: that of its folder, wherever it lies."""
        return Path(str(self.settings.get("data.set"))).name

    def state(self) -> State:
        saved = self.facts.get("step")
        steps = max([*(row["step"] for row in self.rows), *([] if saved is None else [saved])], default=None)
        seen = steps is not None and "processes" in self.facts
        return State(
            steps=steps,
            wanted=self.settings.get("training.steps") or self.facts.get("total"),
            images=(steps or 0) * self._images_a_step() if seen else None,
            hours=(self.rows[-1]["time"] - self.rows[0]["time"]) / 3600 if len(self.rows) > 1 else None,
            checkpoint=saved,
            validated=max((row["step"] for row in self.rows if _is_validation(row)), default=None),
            scored=next((str(one.protocol["model"]) for one in self.evaluated if "model" in one.protocol), None),
        )

    def _images_a_step(self) -> int:
        return int(self.facts["recipe"]["training"]["batch_size"]) * int(self.facts["processes"])

    def validated(self) -> list[Score]:
        """The last validation, with its baselines where the run has ended."""
        rows = [row for row in self.rows if _is_validation(row)]
        last: dict[str, float] = {}
        for row in rows:
            if row["step"] == rows[-1]["step"]:
                last |= {key.removeprefix(_VALIDATION): row[key] for key in row if key.startswith(_VALIDATION)}
        return [self._validated(*key.rpartition("/")[::2], value) for key, value in last.items()]

    def _validated(self, name: str, measure: str, value: float) -> Score:
        entry = self.summary.get(f"{name}, {measure}", {})
        shapes = self.settings.get("data.set") == "shapes"
        protocol = {
            key: json.dumps(self.settings.get(key))
            for key in _VALIDATED_ON
            if shapes or not key.startswith("data.shapes.")
        }
        if "protocol" in entry:
            protocol["measured"] = str(entry["protocol"])
        return Score(
            f"validation: {measure}",
            name,
            value,
            unit="dB" if measure == "psnr" else "",
            better="higher" if measure.startswith("log likelihood") else _BETTER.get(measure, "neither"),
            floor={key: number for key, number in entry.items() if key not in ("value", "protocol")},
            protocol={"data": self.data, **protocol},
        )


def read_run(run: Path) -> RunFiles:
    """Raises ConfigurationError for a folder that is no run's, TranslateError for a file that cannot be read."""
    recipe = run / "recipe.yaml"
    if not recipe.is_file():
        raise ConfigurationError(f"{run}: no run (no recipe.yaml in it); give the folder that `translate train` wrote")
    metrics = run / "metrics.jsonl"
    settings = flat(read_yaml(recipe.read_text("utf-8"), str(recipe))[0])
    files = RunFiles(
        name=str(run),
        settings={key: value for key, value in settings.items() if key != "summary"},
        rows=read_metrics(metrics) if metrics.is_file() else [],
        facts=_newest_facts(run / "checkpoints"),
        summary=read_summary(run / "summary.json"),
        evaluated=[],
    )
    return replace(files, evaluated=_scores(run / EVALUATION, files.data))


def _newest_facts(checkpoints: Path) -> Mapping[str, Any]:
    """Unverified, as they are only shown; empty where there is no checkpoint."""
    step = pointed(checkpoints, "latest")
    path = checkpoints / folder_name(step or 0) / "checkpoint.json"
    return _json(path) if path.is_file() else {}


def _scores(path: Path, data: str) -> list[Score]:
    """Of the run's own data set where the file does not say."""
    if not path.is_file():
        return []
    try:
        scores = [Score(**entry) for entry in _json(path)]
    except TypeError as error:
        raise TranslateError(
            f"{path}: no scores ({error}); have them measured again by `translate evaluate`"
        ) from error
    return [replace(one, protocol={"data": data, **one.protocol}) for one in scores]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise TranslateError(f"{path}: not JSON ({error})") from error


def _is_validation(row: Mapping[str, Any]) -> bool:
    return any(key.startswith(_VALIDATION) for key in row)
