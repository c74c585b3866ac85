"""How similar translations are to real images: their diversity, and their distances in the available feature spaces."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from translate.evaluation.distances import FEW_FOR_FRECHET, frechet, kid, spread
from translate.evaluation.features import Features, Spaces
from translate.evaluation.spaces import Space
from translate.evaluation.table import Protocol, Score, score

SPREAD_OVER = 1000
"""The most images whose pairwise distances are taken."""
FEW = f"of fewer than {FEW_FOR_FRECHET} images, so biased upwards: compare only values from as many images"


def evaluate_diversity(
    name: str, outputs: Features, inputs: Features, reals: Features, protocol: Protocol
) -> list[Score]:
    """The mean distance between two translations, 0 if all inputs give the same image, next to that between two inputs
    and between two real images of the domain. One row called `name`, or none for fewer than two translations."""
    if len(outputs) < 2:
        return []
    references = {"inputs": inputs, "real images": reals}
    return [
        score(
            "diversity",
            name,
            spread(_spaced(outputs).thumbnails),
            floor={"one image for all": 0.0},
            ceiling={what: spread(_spaced(of).thumbnails).value for what, of in references.items() if len(of) > 1},
            protocol=protocol,
        )
    ]


def evaluate_distances(
    name: str,
    outputs: Features,
    inputs: Features,
    reals: Features,
    spaces: Spaces,
    protocol: Protocol,
    reference: Features | None = None,
) -> list[Score]:
    """KID and Frechet distance from translations to real images of the wanted domain, in each space.

    The real images are those of `reference` (say, of the training set), and the ceiling is what the real images `reals`
    score; without `reference` the distances are to `reals`. The floor is what the untouched inputs score. A missing
    space or a set of fewer than two images gives a row without a value but with the reason.
    """
    against = reals if reference is None else reference
    ceiling = {} if reference is None else {"real test images": reals}
    beside = {"floor": {"untouched inputs": inputs}, "ceiling": ceiling}
    few = [what for what, of in (("translations", outputs), ("real images", against)) if len(of) < 2]
    too_few = f"unavailable: {' and '.join(few)} are fewer than two" if few else ""
    scores = []
    for space in spaces:
        if reason := too_few if isinstance(space, Space) else space.reason:
            scores.append(score("distances", name, None, space=space.name, note=reason))
        elif isinstance(space, Space):
            scores += _in_space(space, name, outputs, against, beside, protocol)
    return scores


def _in_space(
    space: Space,
    name: str,
    outputs: Features,
    against: Features,
    beside: Mapping[str, Mapping[str, Features]],
    protocol: Protocol,
) -> list[Score]:
    """KID and Frechet distance of `outputs` and, by side and name, of the sets `beside` them."""
    x, y = outputs.features[space.name], against.features[space.name]

    def of_others(distance: Callable[[Tensor, Tensor], float]) -> dict[str, Any]:
        return {
            side: {what: distance(of.features[space.name], y) for what, of in others.items() if len(of) > 1}
            for side, others in beside.items()
        }

    how = {**protocol, "extractor": space.extractor, "resize for it": space.resize, "reading": space.remark}
    known: dict[str, Any] = {"space": space.name, "reals": len(y), "protocol": how, "warning": space.warning}
    kids = of_others(lambda of, reals: 1000 * kid(of, reals, draws=0).value)
    extent: dict[str, Any] = {"images": len(x), "note": FEW if min(len(x), len(y)) < FEW_FOR_FRECHET else ""}
    return [
        score("kid", name, kid(x, y).times(1000), **kids, **known),
        score("frechet", name, frechet(x, y), **of_others(frechet), **extent, **known),
    ]


def _spaced(sample: Features) -> Features:
    """At most `SPREAD_OVER` images, evenly spaced."""
    if len(sample) <= SPREAD_OVER:
        return sample
    return sample.at(torch.linspace(0, len(sample) - 1, SPREAD_OVER).round().long())
