"""The segmenter that `translate evaluate` asks about images made of label maps: trained once a data set, and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from translate.data.batch import Paired
from translate.data.catalog.cards import user_data
from translate.errors import ConfigurationError
from translate.evaluation.classifier_file import fingerprint
from translate.evaluation.segmented import scores_by_segmenter
from translate.evaluation.segmenter import Segmenter, SegmenterSettings, kept_segmenter, train_segmenter
from translate.evaluation.table import Score
from translate.evaluation.validation import Direction
from translate.models.base import ImageSpec, Translator
from translate.runs.evaluator import Evaluator
from translate.runs.image_sets import TwoDomains
from translate.utils.printing import shown

SEEN = {"size", "load_size", "resize", "interpolation", "flip", "augment"}
"""Settings of data by which what it learns from differs."""


def scores_of_segmenter(
    evaluator: Evaluator, model: Translator, images: TwoDomains, directions: Sequence[Direction]
) -> list[Score]:
    """What a segmenter, trained on the training pairs, finds in translations of label maps; empty without such, or for
    sizes that it cannot halve."""
    known = [one for one in directions if one.given and one.given.classes and one.target and not one.target.numbered]
    if not known or images.folder.kind != "paired":
        return []
    settings = SegmenterSettings(steps=evaluator.settings.steps)
    try:
        segmenter, file = _segmenter(evaluator, images, settings)
    except ConfigurationError as error:
        evaluator.log(f"note: no segmenter: {error}")
        return []
    how = {
        **evaluator.protocol,
        "segmenter": f"U-Net of {settings.filters} filters, {settings.steps} steps on real training pairs, {file.stem}",
    }
    return scores_by_segmenter(model, known, segmenter, evaluator.runtime, how)


def _segmenter(evaluator: Evaluator, images: TwoDomains, settings: SegmenterSettings) -> tuple[Segmenter, Path]:
    maps, photos = images.kind(0), images.kind(1)
    most, names = max(maps.channels, photos.channels), images.domains[::-1]
    spec = ImageSpec(most, evaluator.data.size, names, each=(photos, maps))
    pairs = images.folder.splits["train"]
    learnt = fingerprint([*pairs[0], *pairs[1]], np.array([maps.classes]))
    seen = evaluator.data.model_dump_json(include=SEEN)
    facts = f"{learnt} {settings.model_dump_json()} {seen} {maps} {maps.colours}"
    called = Path(str(evaluator.data.set)).name
    digest = hashlib.sha256(facts.encode()).hexdigest()[:12]
    file = user_data().parent / "segmenters" / f"{called}-{digest}.safetensors"

    def train() -> Segmenter:
        evaluator.log(f"training a segmenter on {len(pairs[0])} real images, once for this data set")
        stream = images.loader(settings.batch_size, settings.seed).stream()
        return train_segmenter(_turned(stream), spec, settings, evaluator.runtime, quiet=evaluator.quiet)

    segmenter = kept_segmenter(file, spec, settings, evaluator.runtime, train)
    evaluator.log(f"segmenter {shown(file)}")
    return segmenter, file


def _turned(stream: Iterator[Paired]) -> Iterator[Paired]:
    """From photos to label maps."""
    for batch in stream:
        yield Paired(batch.target, batch.input, held=batch.held[::-1], void=batch.void)
