"""Training images that teach little, whatever they show: too few of them, or enlarged far beyond their own pixels."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from translate.data.domain import Domain
from translate.data.settings import DataSettings

FEW = 10
"""Fewer training images of a domain than this are learned by heart."""
ENLARGED = 2.0
"""Images that are enlarged by more are mostly interpolated."""


def too_few(trained: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Says which of the domains have too few training images."""
    counts = [f"{len(images)} of {name}" for name, images in trained.items() if 0 < len(images) < FEW]
    if counts:
        yield f"few training images: {', '.join(counts)}; fewer than {FEW} are learned by heart: add more"


def enlarged(kinds: Iterable[Domain], data: DataSettings) -> Iterator[str]:
    """Says which domains, whose scale is known, are far smaller than training wants them, and what suits them."""
    for kind in kinds:
        if kind.scale is None or (factor := kind.scale.enlarged) <= ENLARGED:
            continue
        shorter = min(kind.scale.height, kind.scale.width)
        fitting = f"data.size={max(32, 2 ** round(math.log2(shorter)))}"
        loaded = "" if data.load_size is None else " and data.load_size=null"
        yield (
            f"{kind.name}: images of {kind.scale.width} x {kind.scale.height} pixels are enlarged {factor:.1f} times "
            f"to data.size={data.crop}, which adds nothing that can be learned; set {fitting}{loaded}"
        )
