"""`translate evaluate`: measures a run's model on the test split of its data set, with a floor and a ceiling for every
number."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from translate.errors import ConfigurationError
from translate.evaluation.classifier import ClassifierSettings
from translate.evaluation.spaces import WEIGHTS_DIR, Missing, inception_file
from translate.evaluation.table import Score, are_scores, dumped
from translate.reporting.evaluated import FILE as EVALUATED
from translate.runs.evaluations import scores_of
from translate.runs.evaluator import Evaluator
from translate.runs.flicker import scores_of_flicker
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import Loaded, load_model
from translate.runs.report import report
from translate.training.runtime import choose_runtime
from translate.utils.atomic_files import write_atomic
from translate.utils.outputs import admit
from translate.utils.printing import Log


def evaluate(
    run: str | Path,
    checkpoint: str | int = "latest",
    *,
    data: str | Path | None = None,
    clips: str | Path | None = None,
    device: str = "auto",
    weights_dir: str | Path | None = None,
    classifier: ClassifierSettings | None = None,
    log: Log = lambda line: None,
    quiet: bool = False,
) -> list[Score]:
    """Scores of a run's model on the test images of its own data set, or of `data`.

    The data decides what is measured: distance to the truth where it is known; what a classifier of real images reads
    where there are labels or two domains; change, diversity and distances for all; flicker where the test images are
    clips, or of the video or folder `clips`. The classifier is trained once per data set and kept next to fetched data.
    `weights_dir` is the folder with Inception's weights, for FID as published.
    Raises ConfigurationError if there is no run, its data set is gone, `clips` holds none or `weights_dir` does not
    hold those weights.
    """
    choose_runtime(device)  # refuses an absent device before anything takes time
    _require_inception(weights_dir, log)
    loaded = _with_data(load_model(run, checkpoint), data)
    recipe = loaded.recipe
    images = open_data(recipe.data, recipe.method.batch_type, log, loaded.images.kinds).without(loaded.skipped)
    if images.domains != loaded.images.domains:
        raise ConfigurationError(
            f"{recipe.data.set}: its domains are now {', '.join(images.domains)}; the run knows "
            f"{', '.join(loaded.images.domains)}"
        )
    runtime = choose_runtime(device, recipe.training.precision)
    runtime.adopt(loaded.model)
    loaded.model.eval()
    settings = classifier or ClassifierSettings()
    evaluator = Evaluator(loaded, images, runtime, settings, weights_dir, log, quiet)
    flicker = scores_of_flicker(evaluator, Path(clips) if clips else None)  # first, as it refuses what is no clip
    return scores_of(evaluator) + flicker


def _require_inception(weights_dir: str | Path | None, log: Log) -> None:
    """Raises ConfigurationError if the folder does not hold Inception's weights; only warns of one that the environment
    names."""
    if weights_dir is not None and not Path(weights_dir).is_dir():
        raise ConfigurationError(f"--weights-dir {weights_dir}: no such folder")
    found = inception_file(weights_dir)
    if weights_dir is not None and isinstance(found, Missing):
        raise ConfigurationError(f"--weights-dir {weights_dir}: {found.reason}; or leave it out")
    if isinstance(found, Missing) and os.environ.get(WEIGHTS_DIR):
        log(f"warning: {WEIGHTS_DIR}: Inception's distances are {found.reason}")


def _with_data(loaded: Loaded, data: str | Path | None) -> Loaded:
    """The loaded run with its data set replaced by `data`, which must have the same domains; unchanged if `data` is
    None."""
    if data is None:
        return loaded
    before = Path(str(loaded.recipe.data.set))
    skipped = {Path(data, path.relative_to(before)) for path in loaded.skipped if path.is_relative_to(before)}
    settings = loaded.recipe.data.model_copy(update={"set": str(data)})
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"data": settings}), skipped=frozenset(skipped))


def scores_path(run: Path, checkpoint: str = "latest", file: Path | None = None) -> Path:
    """`file`, or RUN/evaluation-CHECKPOINT.json by default.

    Raises ConfigurationError if it cannot be written, or is there and does not hold scores.
    """
    path = file or run / f"evaluation-{checkpoint}.json"
    folder = path.absolute().parent
    admit(path, "--json", ours=are_scores, inside=run)
    if file and not folder.is_dir():
        raise ConfigurationError(f"--json {path}: there is no folder {path.parent} to write it to")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise ConfigurationError(f"{path}: cannot be written; name another file by --json")
    return path


def write_scores(scores: list[Score], run: Path, checkpoint: str = "latest", file: Path | None = None) -> Path:
    """Writes the scores as JSON to `scores_path`, replacing earlier ones, and returns the path; those that the page of
    the run shows are written into it, too."""
    path = scores_path(run, checkpoint, file)
    write_atomic(path, dumped(scores))
    if path == run / EVALUATED and (run / "report.html").is_file():
        report(run)
    return path
