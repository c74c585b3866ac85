"""`translate evaluate`: measures a run's model on the test split of its data set, with a floor and a ceiling for every
number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from translate.data.batch import Batch, Labelled, Plain
from translate.data.catalog.cards import user_data
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.evaluation.classifier import ClassifierSettings
from translate.evaluation.classifier_file import classifier_for
from translate.evaluation.digits import evaluate_digits
from translate.evaluation.drawn import evaluate_drawn
from translate.evaluation.fingerprint import fingerprint
from translate.evaluation.flips import gather_labelled
from translate.evaluation.labelled import evaluate_labelled
from translate.evaluation.samples import Spaces, gather
from translate.evaluation.spaces import WEIGHTS_DIR, Missing, Space, classifier_space, inception_file, inception_space
from translate.evaluation.table import Protocol, Score, are_scores, dumped
from translate.evaluation.teaching import Trained, train_on
from translate.evaluation.truth import evaluate_truth
from translate.evaluation.unpaired import evaluate_unpaired
from translate.evaluation.validation import Direction
from translate.models.base import ImageSpec, Relabeller, Sampler, Translator
from translate.models.unit_digits import UNITDigits
from translate.runs.image_sets import ImageSet, LabelledImages, LabelledSource, TwoDomains, spanned
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import Loaded, load_model
from translate.training.runtime import Runtime, choose_runtime
from translate.utils.atomic_files import write_atomic
from translate.utils.outputs import admit
from translate.utils.printing import Log
from translate.utils.progress import Progress

BATCH = 32
TRUTHS = 1000
"""The most test images of each direction whose truth is held in memory."""
DRAWN = 2000
"""Samples drawn from a model that generates from noise."""


def evaluate(
    run: str | Path,
    checkpoint: str | int = "latest",
    *,
    data: str | Path | None = None,
    device: str = "auto",
    weights_dir: str | Path | None = None,
    classifier: ClassifierSettings | None = None,
    log: Log = lambda line: None,
    quiet: bool = False,
) -> list[Score]:
    """Scores of a run's model on the test images of its own data set, or of `data`.

    The data decides what is measured: distance to the truth where it is known; what a classifier of real images reads
    where there are labels or two domains; change, diversity and distances for all. The classifier is trained once per
    data set and kept next to fetched data. `weights_dir` is the folder with Inception's weights, for FID as published.
    Raises ConfigurationError if there is no run, its data set is gone or `weights_dir` does not hold those weights.
    """
    choose_runtime(device)  # refuses an absent device before anything takes time
    _require_inception(weights_dir, log)
    loaded = _with_data(load_model(run, checkpoint), data)
    recipe = loaded.recipe
    images = open_data(recipe.data, recipe.method.batch_type, log).without(loaded.skipped)
    if images.domains != loaded.images.domains:
        raise ConfigurationError(
            f"{recipe.data.set}: its domains are now {', '.join(images.domains)}; the run knows "
            f"{', '.join(loaded.images.domains)}"
        )
    runtime = choose_runtime(device, recipe.training.precision)
    runtime.adopt(loaded.model)
    loaded.model.eval()
    return _Examiner(loaded, images, runtime, classifier or ClassifierSettings(), weights_dir, log, quiet).scores()


def _require_inception(weights_dir: str | Path | None, log: Log) -> None:
    """Raises ConfigurationError if the folder does not hold Inception's weights; only tells so of one that the
    environment names."""
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
    """Writes the scores as JSON to `scores_path`, replacing earlier ones, and returns the path."""
    path = scores_path(run, checkpoint, file)
    write_atomic(path, dumped(scores))
    return path


class _Examiner:
    """Evaluates one model on one data set, with one engine and one set of classifier settings."""

    def __init__(
        self,
        loaded: Loaded,
        images: ImageSet,
        runtime: Runtime,
        settings: ClassifierSettings,
        weights_dir: str | Path | None,
        log: Log,
        quiet: bool,
    ) -> None:
        self.loaded, self.images, self.runtime, self.settings = loaded, images, runtime, settings
        self.weights_dir, self.log, self.quiet = weights_dir, log, quiet
        self.data = loaded.recipe.data
        shape = "the middle square" if images.shape == "centre" else "stretched"
        self.protocol: Protocol = {
            "model": f"{loaded.recipe.name} after step {loaded.checkpoint.step}",
            "precision": f"the model in {runtime.precision}, what judges it in float32",
            "data": Path(str(self.data.set)).name,
            "split": "test",
            "resize": f"Pillow {self.data.interpolation} to {self.data.size}, {shape}",
        }

    def scores(self) -> list[Score]:
        model, images = self.loaded.model, self.images
        if isinstance(images, LabelledSource) and isinstance(model, UNITDigits):
            return self._digits(model, images)
        if isinstance(images, LabelledImages) and isinstance(model, Relabeller):
            return self._labelled(model, images) + self._truth(model, images)
        if isinstance(images, TwoDomains) and isinstance(model, Translator):
            unpaired = self._unpaired(model, images) if images.folder.kind == "unpaired" else []
            return unpaired + self._truth(model, images)
        if isinstance(images, LabelledImages) and isinstance(model, Sampler):
            return self._drawn(model, images)
        raise ConfigurationError(f"a {self.loaded.recipe.name} on {self.data.set}: there is nothing to measure")

    def _labelled(self, model: Relabeller, images: LabelledImages) -> list[Score]:
        train, test = images.folder.splits["train"], _test(images.folder.splits)
        trained = self._classifier(train.sources, train.labels, images.spec, flip=self.data.flip)
        spaces = self._spaces(trained)
        chosen = _spread(len(train.sources), 2000)
        sample = self._batches([train.sources[row] for row in chosen], Labelled, train.labels[chosen])
        with self._progress(len(test.sources)) as bar:
            return evaluate_labelled(
                model.relabel,
                self._batches(test.sources, Labelled, test.labels),
                images.spec,
                trained,
                self.runtime,
                spaces=spaces,
                reference=gather_labelled(sample, self.runtime, spaces),
                protocol=self.protocol,
                done=bar.advance,
            )

    def _unpaired(self, model: Translator, images: TwoDomains) -> list[Score]:
        train, test = images.folder.splits["train"], _test(images.folder.splits)
        spec = ImageSpec(self.data.channels, self.data.size, images.domains, (LabelGroup(2, exclusive=True),))
        labels = np.repeat(np.eye(2, dtype=np.float32), [len(train[0]), len(train[1])], axis=0)
        trained = self._classifier([*train[0], *train[1]], labels, spec, flip=self.data.flip)
        spaces, scores = self._spaces(trained), []
        for to in model.targets():
            with self._progress(len(test[1 - to])) as bar:
                scores += evaluate_unpaired(
                    _towards(model, to),
                    self._batches(test[1 - to], Plain),
                    self._batches(test[to], Plain),
                    to,
                    f"to {images.domains[to]}",
                    trained,
                    self.runtime,
                    spaces=spaces,
                    reference=gather(self._batches(train[to], Plain), self.runtime, spaces),
                    protocol=self.protocol,
                    done=bar.advance,
                )
        return scores

    def _truth(self, model: Translator, images: ImageSet) -> list[Score]:
        """Scores of every direction whose true translations are among the test images."""
        known = images.validations(model, TRUTHS, self.runtime)
        scores = []
        for direction in known:
            assert isinstance(direction, Direction)
            scores += evaluate_truth(
                _towards(model, direction.to),
                direction.inputs,
                direction.truths,
                direction.colour_map,
                direction.name,
                self.runtime,
                protocol={**self.protocol, "best colour map": f"fitted on {direction.fitted_on}"},
            )
        return scores

    def _digits(self, model: UNITDigits, images: LabelledSource) -> list[Score]:
        train = images.a.splits["train"]
        spec = ImageSpec(self.data.channels, self.data.size, images.a.domains, images.a.groups)
        trained = self._classifier(train.sources, train.labels, spec, flip=False)
        sets = []
        for folder in (images.a, images.b):
            test = _test(folder.splits)
            sets.append((folder.root.name, self._batches(test.sources, Labelled, test.labels)))
        return evaluate_digits(model, sets, trained, self.runtime, self.protocol)

    def _drawn(self, model: Sampler, images: LabelledImages) -> list[Score]:
        labelled = images.with_labels()
        train, test = labelled.splits["train"], _test(labelled.splits)
        spec = ImageSpec(self.data.channels, self.data.size, labelled.domains, labelled.groups)
        trained = self._classifier(train.sources, train.labels, spec, flip=self.data.flip)
        chosen = _spread(len(test.sources), 2000)
        reals = self._batches([test.sources[row] for row in chosen], Labelled, test.labels[chosen])
        return evaluate_drawn(model, reals, spec, trained, self._spaces(trained), self.runtime, self.protocol, DRAWN)

    def _classifier(self, sources: Sequence[Any], labels: np.ndarray, spec: ImageSpec, flip: bool) -> Trained:
        """The classifier for these images, trained if needed and kept next to fetched data; its name includes a
        fingerprint of what it learnt from."""
        (sources,) = spanned([sources], self.data.range)
        digest, called = fingerprint(sources, labels), Path(str(self.data.set)).name
        # Classifiers kept from before there was a choice were taught bicubically resized images.
        how = "" if self.data.interpolation == "bicubic" else f"-{self.data.interpolation}"
        data = {
            "set": called,
            "images": len(sources),
            "fingerprint": digest,
            "flip": flip,
            "resize": f"{self.images.shape}{how}",
            "range": self.data.range,
        }
        name = f"{called}-{digest[:12]}-{spec.size}px{how}"

        def train() -> Trained:
            self.log(f"training a classifier on {len(sources)} real images, once for this data set")
            return train_on(
                sources, labels, spec, self.settings, self.runtime,
                resize=self.images.shape, interpolation=self.data.interpolation, flip=flip, workers=self.data.workers,
                quiet=self.quiet,
            )  # fmt: skip

        folder = user_data().parent / "classifiers" / name
        trained = classifier_for(folder, spec, self.settings, data, train, self.runtime)
        self.log(f"classifier {folder}: {trained}")
        return trained

    def _spaces(self, trained: Trained) -> Spaces:
        inception: Space | Missing = Missing(
            "Inception", f"unavailable: takes grey or RGB, not {self.data.channels} bands"
        )
        if self.data.channels in (1, 3):
            inception = inception_space(self.weights_dir, self.runtime)
        return [classifier_space(trained), inception]

    def _batches(self, sources: Sequence[Any], make: type[Batch], labels: np.ndarray | None = None) -> Iterator[Any]:
        rows = [] if labels is None else [labels]
        return self.images.in_order([sources], make, BATCH, rows)

    def _progress(self, images: int) -> Progress:
        return Progress(images, unit="image", label="evaluating", quiet=self.quiet)


def _towards(model: Translator, to: int) -> Callable[[Tensor], Tensor]:
    return lambda images: model.convert(images, to)


def _test(splits: dict[str, Any]) -> Any:
    if "test" not in splits:
        raise ConfigurationError("the data set has no test images; nothing can be measured")
    return splits["test"]


def _spread(count: int, wanted: int) -> np.ndarray:
    """At most `wanted` integers from 0 to `count` - 1, evenly spaced."""
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int)
