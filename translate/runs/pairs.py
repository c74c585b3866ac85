"""Whether a model was trained on pairs, and whether a file to convert may be one."""

from pathlib import Path

from translate.data.io.images import dimensions
from translate.errors import ImageError
from translate.inference.converter import Converter
from translate.inference.jobs import Jobs
from translate.inference.partners import in_place_of
from translate.models.base import Request, Translator


def of_pairs(converter: Converter) -> bool:
    """Whether the model was trained on pairs."""
    return isinstance(converter.model, Translator) and converter.model.batch_type.pairs


def paired_truth(source: Path, model: Converter, request: Request) -> Path | None:
    """Where a folder of pairs has the truth: where the target's name stands in place of the input's."""
    given, target = model.images.to_translate(request).name, model.images.translated(request).name
    if not of_pairs(model) or given not in source.parts:
        return None
    place = in_place_of(given, target, source)
    return place if place.exists() and place != source else None


def perhaps_a_pair(converter: Converter, jobs: Jobs) -> Path | None:
    """The first file if it is twice as wide as high, like a side-by-side pair, and the model was trained on pairs."""
    if not jobs or jobs.partners.places:
        return None
    if not of_pairs(converter):
        return None
    try:
        height, width = dimensions(jobs[0].source)
    except ImageError:  # reported with its name when the image is read
        return None
    return jobs[0].source if width == 2 * height else None
