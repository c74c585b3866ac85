"""What `translate convert` delivers beside the truth: test files through conversion's own path, at their own size."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from translate.data.checks.looking import size_of
from translate.data.domain import Domain
from translate.data.io.images import Picture, to_float
from translate.data.planes import planes_of
from translate.data.source import Readable
from translate.data.written import as_written
from translate.evaluation.table import Score
from translate.evaluation.validation import Compared, Direction, scores_beside_truth
from translate.inference.converter import Converter
from translate.models.base import Request, Translator
from translate.runs.evaluator import Evaluator
from translate.runs.image_sets import LabelledImages, TwoDomains
from translate.runs.loading import as_derived
from translate.utils.sides import Sides


def scores_as_delivered(
    evaluator: Evaluator,
    model: Translator,
    images: TwoDomains | LabelledImages,
    directions: list[Direction],
    most: int,
) -> list[Score]:
    """Scores of every direction on the first `most` test files as `translate convert` converts them, compared with true
    files at their own size. Empty if all have the size that the directions were measured at, which is the same then but
    where something of the inputs is kept."""
    if not directions:
        return []
    alike = list(islice(zip(*images.side_by_side(), strict=True), most))
    derived = as_derived(evaluator.loaded.recipe)
    sizes = ((size_of(one), images.crop_of(number)) for several in alike for number, one in enumerate(several))
    if not (derived and derived.fills) and all(found == measured for found, measured in sizes):
        return []
    runtime = replace(evaluator.runtime, fused=False)
    converter = Converter(copy.deepcopy(model), evaluator.loaded.images, runtime)
    converter.derived = derived
    return [score for one in directions for score in _scores(evaluator, converter, alike, one)]


def _scores(
    evaluator: Evaluator, converter: Converter, alike: list[tuple[Readable, ...]], direction: Direction
) -> list[Score]:
    request = Request.to(direction.to)
    protocol = {
        **evaluator.protocol,
        **direction.colours,
        "resize": "files are compared at their own size",
        "translated": f"as `translate convert` does, at {str(converter.sizing(request)) or 'their own size'}",
    }
    with evaluator.progress(len(alike)) as bar:

        def compared() -> Iterator[Compared]:
            for each in alike:
                yield _compared(converter, request, each[direction.origin], each[direction.to], direction)
                bar.advance(1)

        name = f"{direction.name}, as converted"
        return scores_beside_truth(name, compared(), converter.images.domain(direction.to), protocol)


def _compared(
    converter: Converter, request: Request, source: Readable, true: Readable, direction: Direction
) -> Compared:
    given, target = converter.images.to_translate(request), converter.images.translated(request)
    picture = Picture(source.read(given.stored_channels))
    (translation,) = converter.convert_pictures([picture], request)
    height, width = Sides(*picture.pixels.shape[:2]).times(converter.model.scale)
    truth = _floats(Picture(target.resized(true.read(target.stored_channels), height, width)), target)
    references = direction.references(_floats(picture, given), truth)
    return Compared(as_written(_floats(translation, target), target), references, truth)


def _floats(picture: Picture, domain: Domain) -> Tensor:
    """A picture of the domain as (1, channels, height, width) in [-1, 1]."""
    return to_float(torch.tensor(planes_of(picture, domain))).permute(2, 0, 1)[None]
