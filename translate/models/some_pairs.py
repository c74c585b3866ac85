"""What methods for unpaired images learn from the pairs that are known among them (`data.pairs`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor

from translate.data.batch import Unpaired
from translate.losses.adversarial import full_precision
from translate.models.base import Fakes, Losses

PairedWeight = Annotated[float, Field(ge=0)]
"""The setting `paired_weight` of a method that learns from known pairs, by which recipes know that it does."""


def l1_where(known: Tensor, images: Tensor, wanted: Tensor) -> Tensor:
    """`models.base.l1` over those images alone that are `known` (batch,), bool; 0 where none is."""
    apart = (full_precision(images) - full_precision(wanted)).abs().flatten(1).mean(1)
    return (apart * known).sum() / known.sum().clamp_min(1)


def paired_losses(weight: float, batch: Unpaired, fakes: Fakes, names: Sequence[str] = ("a", "b")) -> Losses:
    """`paired/NAME`: the weighted L1 between the fakes of each domain and their truths, over the pairs that the batch
    knows. None without a weight, or in a batch that knows of none."""
    known = batch.known_pairs()
    if not weight or known is None:
        return {}
    return {f"paired/{name}": weight * l1_where(known, fakes[name], getattr(batch, name)) for name in names}
