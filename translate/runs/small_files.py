"""The small files that a run keeps beside its checkpoints: recipe, summary, images left out, id."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from translate.errors import ConfigurationError
from translate.evaluation.metrics import measure_of
from translate.recipe import Recipe
from translate.recipe.plugins import BESIDE_RECIPE
from translate.reporting.keys import validation_key
from translate.training.checkpoint_json import PluginFacts, Rescheduled
from translate.training.validation import Validation
from translate.utils.atomic_files import write_atomic
from translate.utils.stored import json_text, read_text

MOST_OF_AN_ID = 100


RESCHEDULED = "rescheduled.json"
"""Holds the changes of a run's learning rates, the last of which no checkpoint knows until the next one is saved."""


def write_recipe(
    folder: Path, recipe: Recipe, plugins: Sequence[PluginFacts], changes: Sequence[Rescheduled] = ()
) -> None:
    """Writes recipe.yaml, with every setting, plugins.json if there are any, and first the changes that led to its
    learning rates. Raises ConfigurationError."""
    try:
        if changes:
            write_atomic(folder / RESCHEDULED, json_text(changes, indent=1) + "\n")
        if plugins:
            write_atomic(folder / BESIDE_RECIPE, json_text(plugins, indent=1) + "\n")
        write_atomic(folder / "recipe.yaml", recipe.to_yaml())
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror}); give another --out") from error


def write_skipped(folder: Path, skipped: Mapping[str, str]) -> None:
    """Writes skipped.txt: one line with the reason for each image left out."""
    if skipped:
        write_atomic(folder / "skipped.txt", "".join(f"{reason}\n" for reason in skipped.values()))


def write_summary(
    folder: Path, validations: Sequence[Validation], validation: Mapping[str, Mapping[str, float]], precision: str
) -> None:
    """Writes summary.json: the last validation next to its baselines, e.g. the untouched input and the best colour map,
    with what the measure is, its protocol in words and the precision that the model ran in."""
    if not validation:
        return
    rows = {}
    for kind in validations:
        baselines = kind.baselines()
        for measure, value in validation.get(kind.name, {}).items():
            rows[validation_key(kind.name, measure)] = {
                "value": value,
                # A baseline may lack some measures.
                **{name: measures[measure] for name, measures in baselines.items() if measure in measures},
                **measure_of(measure).about(),
                "protocol": kind.protocol,
                "precision": precision,
            }
    write_atomic(folder / "summary.json", json_text(rows, indent=1) + "\n")


def run_id(folder: Path) -> str:
    """The run's id, created once, so that a resumed run continues in the tracker where it stopped."""
    path = folder / "run_id"
    if not path.exists():
        write_atomic(path, secrets.token_hex(8) + "\n")
    return read_text(path, MOST_OF_AN_ID).strip()
