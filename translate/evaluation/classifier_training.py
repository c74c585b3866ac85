"""Trains the classifier on real labelled images and measures it on images held out of its training."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from translate.data.batch import Labelled
from translate.data.cache.memory import Memory
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.io.images import Interpolation
from translate.data.loader import Loader, evaluation_batches
from translate.data.source import Readable
from translate.evaluation.classifier import Classifier, ClassifierSettings
from translate.models.base import Fakes, ImageSpec, Losses, Model, Turn
from translate.training.optim import build_optimizer
from translate.training.runtime import Runtime
from translate.training.schedules import ScheduleSettings
from translate.training.trainer import Trainer
from translate.utils.progress import Progress
from translate.utils.ram import available_ram

HELD_OUT = 10
"""Every tenth training image, by position, is held out to measure the classifier."""
_CACHE_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Trained:
    """A classifier in evaluation mode and its facts, as JSON values: `held_out` (see `accuracy`), its `steps`
    and `seconds` of training, and, once it is saved, what it was trained on and the file's `sha256`."""

    classifier: Classifier
    facts: dict[str, Any]

    @property
    def protocol(self) -> dict[str, str]:
        """What scores say that it read."""
        return {"classifier": f"sha256 {self.facts['sha256']}, {self}"}

    def __str__(self) -> str:
        held_out = self.facts["held_out"]
        shares = {name: share for name, share in held_out["domains"].items() if share is not None}
        listed = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        right = f"{held_out['all']:.1%} of {held_out['images']} held-out training images right ({listed})"
        return f"reads {right} after {self.facts['steps']} steps"


class _ClassifierModel(Model):
    """The classifier as a model for the trainer, with a single player."""

    Config = ClassifierSettings
    batch_type = Labelled

    def __init__(self, config: ClassifierSettings, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.classifier = Classifier(images, config.size)

    def generate(self, batch: Labelled) -> Fakes:
        return {}

    def turns(self) -> list[Turn]:
        return [Turn("classifier", [self.classifier], self._losses)]

    def show(self, batch: Labelled) -> dict[str, Tensor]:
        return {"input": batch.images}

    def _losses(self, batch: Labelled, fakes: Fakes) -> Losses:
        logits = self.classifier(batch.images)
        labels = self.classifier.labels
        return {"labels": labels.loss(logits, batch.labels), "accuracy": labels.accuracy(logits, batch.labels)}


def train_on(
    sources: Sequence[Readable],
    labels: np.ndarray,
    images: ImageSpec,
    settings: ClassifierSettings,
    runtime: Runtime,
    *,
    resize: Literal["square", "centre"] = "square",
    interpolation: Interpolation = "bicubic",
    flip: bool = True,
    workers: int = 0,
    quiet: bool = False,
) -> Trained:
    """`train_classifier` on a data set's training images and their labels (images, domains), with a tenth held out; the
    number of steps is `settings.steps_for` the rest."""
    chosen = held_out_rows(len(sources))
    learnt = [source for source, out in zip(sources, chosen, strict=True) if not out]
    out = [source for source, out in zip(sources, chosen, strict=True) if out]
    decoding = Decoding(images.channels, images.size, resize, interpolation)
    loader = Loader(
        [learnt],
        Labelled,
        decoding,
        Cropping(images.size, flip),
        labels=[labels[~chosen]],
        batch_size=settings.batch_size,
        seed=settings.seed,
        workers=workers,
        cache=Memory(min(_CACHE_BYTES, available_ram() // 2)),
    )
    measured = evaluation_batches([out], Labelled, decoding, settings.batch_size, [labels[chosen]])
    settings = settings.model_copy(update={"steps": settings.steps_for(len(learnt))})
    stream = loader.stream()
    try:
        return train_classifier(stream, measured, images, settings, runtime, quiet=quiet)
    finally:
        stream.close()


def train_classifier(
    batches: Iterator[Labelled],
    held_out: Iterable[Labelled],
    images: ImageSpec,
    settings: ClassifierSettings,
    runtime: Runtime,
    quiet: bool = False,
) -> Trained:
    """Trains a classifier for `settings.steps` steps on `batches` from the loader, and measures it on `held_out`.

    Adam, with a rate that falls along half a cosine; the last weights are kept, without selection. The same seed and
    batches give the same weights on one machine; the caller's random state stays unchanged.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = _ClassifierModel(settings, images)
        runtime.adopt(model)
        model.train()
        optimizer = build_optimizer(model.classifier, "adam", settings.lr, (0.9, 0.999), 0.0)
        curve = ScheduleSettings(schedule="cosine", decay_from=0).curve(settings.steps)
        trainer = Trainer(model, {"classifier": optimizer}, runtime, curve=curve, seed=settings.seed)
        began = time.monotonic()
        with Progress(settings.steps, unit="step", label="classifier", quiet=quiet) as bar:
            for _ in range(settings.steps):
                trainer.step(runtime.place(next(batches)))
                bar.advance(images=settings.batch_size)
        seconds = time.monotonic() - began
    classifier = model.classifier.eval().requires_grad_(False)
    measured = accuracy(classifier, held_out, images.domains, runtime)
    return Trained(classifier, {"steps": settings.steps, "seconds": round(seconds, 1), "held_out": measured})


def held_out_rows(images: int) -> np.ndarray:
    """Which of the training images are held out, bool (images,): by position, so that consecutive classes all
    contribute."""
    return np.arange(images) % HELD_OUT == 0


@torch.no_grad()
def accuracy(
    classifier: Classifier, batches: Iterable[Labelled], domains: Sequence[str], runtime: Runtime
) -> dict[str, Any]:
    """`images`: how many there were; `all`: the share of labels read right; `domains`: the same share for each
    attribute's known labels or each class's images, None for a domain without any; `present` and `absent`: for each
    domain, how many of the images known to have it, and not to have it, were read right, and how many there were."""
    pairs = [(classifier(batch.images), batch.labels) for batch in map(runtime.place, batches)]
    logits, labels = map(torch.cat, zip(*pairs, strict=True))
    right, asked = classifier.labels.decide(logits) == labels, classifier.own(labels)
    shares = [float(right[rows, number].float().mean()) if rows.any() else None for number, rows in enumerate(asked.T)]
    return {
        "images": len(labels),
        "all": float(classifier.labels.accuracy(logits, labels)),
        "domains": dict(zip(domains, shares, strict=True)),
        "present": _counts(right, labels == 1, domains),
        "absent": _counts(right, labels == 0, domains),
    }


def _counts(right: Tensor, among: Tensor, domains: Sequence[str]) -> dict[str, list[int]]:
    """How many labels `among` those of each domain are right, and how many there are; both are (images, domains)."""
    return dict(zip(domains, torch.stack([(right & among).sum(0), among.sum(0)], 1).tolist(), strict=True))
