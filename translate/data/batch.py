"""Batches that models train on.

Images are (batch, channels, height, width): uint8 or uint16 from the loader, float32 in [-1, 1] after `Engine.place`
has moved them to the device. Labels are (batch, domains), always float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Tensors that share their first dimension."""

    def __len__(self) -> int:
        return len(self.tensors()[0])

    def tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Returns a batch with `function` applied to each tensor."""
        return type(self)(*map(function, self.tensors()))

    def split(self, parts: int) -> list[Self]:
        """Splits into `parts` batches of equal size, in order. Raises ValueError if the size is not divisible."""
        if len(self) % parts:
            raise ValueError(f"a batch of {len(self)} does not split into {parts} equal parts")
        chunks = [tensor.chunk(parts) for tensor in self.tensors()]
        return [type(self)(*chunk) for chunk in zip(*chunks, strict=True)]


@dataclass(frozen=True)
class Paired(Batch):
    """Image i of `target` is the wanted translation of image i of `input`."""

    input: Tensor
    target: Tensor


@dataclass(frozen=True)
class Unpaired(Batch):
    """Images of two domains; image i of `a` has nothing to do with image i of `b`."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Plain(Batch):
    """Images of one domain, without labels."""

    images: Tensor


@dataclass(frozen=True)
class Labelled(Batch):
    """Images with labels: label (i, d) is 1 if image i belongs to domain d, 0 if it does not, and -1 if unknown
    (see `translate.data.labels`)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SourceLabelled(Batch):
    """Unpaired images of two domains; those of `a` have one-hot labels (batch, classes)."""

    a: Tensor
    b: Tensor
    labels: Tensor
