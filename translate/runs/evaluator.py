"""What every way to evaluate a run needs: the images in order, the classifier, feature spaces and the protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from translate.data.batch import Batch, Labelled
from translate.data.catalog.cards import user_data
from translate.data.labelled import LabelledSplit
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.evaluation.classifier import ClassifierSettings
from translate.evaluation.classifier_file import classifier_for, fingerprint
from translate.evaluation.classifier_training import Trained, train_on
from translate.evaluation.features import Spaces
from translate.evaluation.spaces import Missing, classifier_space, inception_space
from translate.evaluation.table import Protocol
from translate.models.base import ImageSpec
from translate.recipe import DataSettings
from translate.runs.image_sets import ImageSet
from translate.runs.loading import Loaded
from translate.training.runtime import Runtime
from translate.utils.printing import Log
from translate.utils.progress import Progress

BATCH = 32


@dataclass(frozen=True)
class Evaluator:
    """A trained model, the images to evaluate it on, and how: device, the classifier's settings, Inception's folder."""

    loaded: Loaded
    images: ImageSet
    runtime: Runtime
    settings: ClassifierSettings
    weights_dir: str | Path | None
    log: Log
    quiet: bool

    @property
    def data(self) -> DataSettings:
        return self.loaded.recipe.data

    @property
    def protocol(self) -> Protocol:
        """What holds for every score."""
        middle = "the middle square" if self.data.crop.square else "the middle"
        shape = middle if self.images.shape == "centre" else "stretched"
        return {
            "model": f"{self.loaded.recipe.name} after step {self.loaded.checkpoint.step}",
            "precision": f"the model in {self.runtime.precision}, measures in float32",
            "data": Path(str(self.data.set)).name,
            "split": self.images.test_split,
            "resize": f"Pillow {self.data.interpolation} to {self.data.crop.pixels}, {shape}",
        }

    def spec(self, domains: Sequence[str], groups: tuple[LabelGroup, ...], channels: int | None = None) -> ImageSpec:
        """The images of this data set under other domains than those that the model was built for, or as so many
        channels."""
        return ImageSpec(channels or self.loaded.images.channels, self.data.size, tuple(domains), groups)

    def batches(self, sources: Sequence[Any], make: type[Batch], domain: int) -> Iterator[Any]:
        """Images of domain number `domain`."""
        return self.images.in_order([sources], make, BATCH, domains=[domain])

    def labelled(self, split: LabelledSplit, most: int | None = None, domain: int = 0) -> Iterator[Labelled]:
        """The images of a split of that domain with their labels; at most so many, evenly spaced."""
        count = len(split.sources)
        rows = np.linspace(0, count - 1, min(count, most or count)).round().astype(int)
        sources, labels = [split.sources[row] for row in rows], split.labels[rows]
        return self.images.in_order([sources], Labelled, BATCH, [labels], [domain])

    def classifier(self, sources: Sequence[Any], labels: np.ndarray, spec: ImageSpec, flip: bool) -> Trained:
        """The classifier for these images, which say the span of their values, trained if needed and kept next to
        fetched data; its name includes a fingerprint of what it learns from."""
        digest, called = fingerprint(sources, labels), Path(str(self.data.set)).name
        # Classifiers from before there was a choice were trained on bicubically resized images.
        how = "" if self.data.interpolation == "bicubic" else f"-{self.data.interpolation}"
        spans = [self.images.kind(number).span for number in range(len(spec.domains))]
        data = {
            "set": called,
            "images": len(sources),
            "fingerprint": digest,
            "flip": flip,
            "resize": f"{self.images.shape}{how}",
            "range": spans[0] if len(set(spans)) == 1 else spans,
        }
        name = f"{called}-{digest[:12]}-{spec.crop.pixels.replace(' ', '')}px{how}"

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

    def spaces(self, trained: Trained) -> Spaces:
        channels = trained.classifier.channels
        if channels in (1, 3):
            return [classifier_space(trained), inception_space(self.weights_dir, self.runtime)]
        reason = f"unavailable: takes grey or RGB, not {channels} bands"
        return [classifier_space(trained), Missing("Inception", reason)]

    def progress(self, images: int) -> Progress:
        return Progress(images, unit="image", label="evaluating", quiet=self.quiet)


def test_of(splits: dict[str, Any]) -> Any:
    """The test images. Raises ConfigurationError if there are none."""
    if "test" not in splits:
        raise ConfigurationError("the data set has no test images; nothing can be measured")
    return splits["test"]
