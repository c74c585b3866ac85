"""Whether images made of label maps show what these say: a segmenter of real images finds the classes in them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from translate.evaluation.label_measures import OF_CONFUSION, confusions, estimated, mean_iou, pixel_accuracy
from translate.evaluation.segmenter import Segmenter
from translate.evaluation.table import Protocol, Score, score
from translate.evaluation.validation import Direction
from translate.models.base import Translator
from translate.training.runtime import Runtime

BATCH = 16
FOUND = {"segmented/mean_iou": mean_iou, "segmented/pixel_accuracy": pixel_accuracy}


def scores_by_segmenter(
    model: Translator, known: Sequence[Direction], segmenter: Segmenter, runtime: Runtime, protocol: Protocol
) -> list[Score]:
    """A row of each measure for each direction from label maps to images: what the segmenter finds in translations, in
    the label maps' best colours (the floor), and in the real images (the ceiling)."""
    return [row for one in known for row in _rows(model, one, segmenter, runtime, protocol)]


def _rows(
    model: Translator, known: Direction, segmenter: Segmenter, runtime: Runtime, protocol: Protocol
) -> list[Score]:
    colours = known.references(known.inputs, known.truths)["best colour map"]
    made = {"": known.translations(model, runtime), "best colour map": colours, "real images": known.truths}
    counts = {name: _counted(images, known.inputs, segmenter, runtime) for name, images in made.items()}
    how = {**protocol, **known.resized, **known.colours}
    return [
        score(
            key,
            known.name,
            estimated(measure, counts[""]),
            floor={"best colour map": _value(measure, counts["best colour map"])},
            ceiling={"real images": _value(measure, counts["real images"])},
            protocol=how,
        )
        for key, measure in FOUND.items()
    ]


def _value(measure: object, counts: Tensor) -> float:
    return float(OF_CONFUSION[measure](counts.sum(0)))  # type: ignore[index]


@torch.no_grad()
def _counted(images: Tensor, labels: Tensor, segmenter: Segmenter, runtime: Runtime) -> Tensor:
    """The confusions of each image."""
    pairs = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    found = (confusions(segmenter(some.float().to(runtime.device)).cpu(), true) for some, true in pairs)
    return torch.cat(list(found))
