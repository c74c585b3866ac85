"""Training images that teach little, whatever they show: too few of them, or enlarged far beyond their own pixels."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from translate.data.domain import Domain
from translate.data.scale import Scale
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
    """Says which domains, whose scale is known, are far smaller than training wants them, and what suits them; those of
    one size, such as the frames of clips, together."""
    alike: dict[Scale, list[str]] = {}
    for kind in kinds:
        if kind.scale is not None and kind.scale.enlarged > ENLARGED:
            alike.setdefault(kind.scale, []).append(kind.name)
    for scale, names in alike.items():
        fitting = f"data.size={max(32, 2 ** round(math.log2(min(scale.height, scale.width))))}"
        loaded = "" if data.load_size is None else " and data.load_size=null"
        yield (
            f"{', '.join(names)}: images of {scale.width} x {scale.height} pixels are enlarged {scale.enlarged:.1f} "
            f"times to data.size={data.crop}, which adds nothing that can be learned; set {fitting}{loaded}"
        )
