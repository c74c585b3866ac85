"""How often the classifier that reads translations is wrong itself, and what that leaves of the shares it reads."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from translate.data.labels import UNKNOWN
from translate.evaluation.classifier_training import Trained
from translate.evaluation.intervals import Estimate, wilson
from translate.models.labels import one_hot

ENOUGH = 0.9
"""The share of held-out real images that a classifier must read right; with less, scores begin with a warning."""
INTERVAL = "widened by the classifier's own errors on held-out real images"
_NO_IMAGES = Estimate(0.0, 0.0, 1.0, 0)
_NAMED = 3


@dataclass(frozen=True)
class ClassifierErrors:
    """A classifier's errors on real images held out of its training, by domain: the share of the images that have the
    domain which it misses, and the share of those without it which it mistakes for such; each with an interval, from 0
    to 1 where no image was held out. `warning` is empty unless some domain is read right in less than `ENOUGH`."""

    missed: tuple[Estimate, ...]
    mistaken: tuple[Estimate, ...]
    warning: str

    @classmethod
    def of(cls, trained: Trained) -> Self:
        held_out = trained.facts["held_out"]
        missed, mistaken = (tuple(map(_wrong, held_out[kind].values())) for kind in ("present", "absent"))
        return cls(missed, mistaken, _warning(held_out, set(trained.classifier.labels.attributes)))

    def allowing(self, read: Estimate, asked: Tensor) -> Estimate:
        """`read`, the share of readings that are as asked for, with a 95 % interval for the share of images that are,
        and the warning.

        `asked` (images, domains) is what each reading should find: 1 the domain, 0 its absence, -1 nothing was asked.

        Let r be the share read as asked and t the share that is as asked. t - r is the share of images that are but are
        not read so, which is at most m, less the share of those that are not but are read so, at most f: so
        r - f <= t <= r + m. Where a domain is asked for, m is the share that the classifier misses and f the share it
        mistakes, and the other way round where its absence is; they are averaged over the readings. The bounds hold if
        translations are misread as often as held-out real images or less; Rogan and Gladen's corrected share (1978,
        American Journal of Epidemiology 107:71), which needs exactly as often, lies between them. r comes from test
        images, m and f from held-out ones, so the ends are those of a difference and a sum of independent shares
        (Newcombe 1998, Statistics in Medicine 17:873, method 10; Zou and Donner 2008, ibid. 27:1693). A classifier
        known never to be wrong leaves the interval of `read`.
        """
        present, absent = ((asked == wanted).sum(0) / (asked != UNKNOWN).sum() for wanted in (1, 0))
        falsely = _mean(zip([*self.mistaken, *self.missed], torch.cat([present, absent]).tolist(), strict=True))
        missed = _mean(zip([*self.missed, *self.mistaken], torch.cat([present, absent]).tolist(), strict=True))
        low = read.value - falsely.value - math.hypot(read.value - read.low, falsely.high - falsely.value)
        high = read.value + missed.value + math.hypot(read.high - read.value, missed.high - missed.value)
        how = f"{read.how}, {INTERVAL}"
        return Estimate(read.value, max(low, 0.0), min(high, 1.0), read.images, how, self.warning)


def asking(numbers: Tensor, domains: int, wanted: Tensor | float = 1.0) -> Tensor:
    """What `ClassifierErrors.allowing` takes where reading i is only about domain number `numbers[i]`, which should be
    `wanted[i]`: (readings, domains)."""
    column = torch.as_tensor(wanted).expand(len(numbers))[:, None]
    return torch.where(one_hot(numbers, domains), column, float(UNKNOWN))


def _wrong(right_of: tuple[int, int]) -> Estimate:
    """The share read wrong, given how many were read right, of how many."""
    right, images = right_of
    return wilson(images - right, images) if images else _NO_IMAGES


def _mean(weighted: Iterator[tuple[Estimate, float]]) -> Estimate:
    """The mean of estimates with weights that sum to 1. They come from the same images, so their deviations are added,
    as if they were fully correlated."""
    parts = [part.times(weight) for part, weight in weighted if weight]
    columns = zip(*((part.value, part.low, part.high, part.images) for part in parts), strict=True)
    value, low, high, images = map(sum, columns)
    return Estimate(value, low, high, int(images))


def _warning(held_out: Mapping[str, Any], attributes: set[int]) -> str:
    """What is read right in less than `ENOUGH` of the held-out images, worst first; empty if nothing is."""
    weak = [f"{name} in {right} of {images}" for _, name, right, images in sorted(_weak(held_out, attributes))]
    if not weak and held_out["all"] >= ENOUGH:
        return ""
    more = f" and {len(weak) - _NAMED} more" if len(weak) > _NAMED else ""
    which = f" ({', '.join(weak[:_NAMED])}{more})" if weak else ""
    return (
        f"the classifier used here reads {held_out['all']:.1%} of {held_out['images']} held-out real images "
        f"right{which}: below {ENOUGH:.0%}, what it says of a run may be its own error, which intervals allow for"
    )


def _weak(held_out: Mapping[str, Any], attributes: set[int]) -> Iterator[tuple[float, str, int, int]]:
    """Share, name, number read right and number of images of what is read right too rarely, or has no image.

    For a class, the images without it are those of the other classes, which are named for themselves.
    """
    for kind, named in (("present", "{}"), ("absent", "no {}")):
        for number, (name, (right, images)) in enumerate(held_out[kind].items()):
            if (kind == "present" or number in attributes) and right < ENOUGH * max(images, 1):
                yield right / max(images, 1), named.format(name), right, images
