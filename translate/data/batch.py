"""What a model is fed: images (batch, channels, height, width), uint8 or uint16 from the loader,
float32 in [-1, 1] once `Engine.place` has put them on the device; labels (batch, domains) float32 throughout."""

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
        """The same batch with `function` applied to each tensor."""
        return type(self)(*map(function, self.tensors()))

    def split(self, parts: int) -> list[Self]:
        """`parts` batches of equal size, in order. Raises ValueError where the size is no multiple of `parts`."""
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
    """Images of one kind, of which nothing is said."""

    images: Tensor


@dataclass(frozen=True)
class Labelled(Batch):
    """Images and what they belong to: label (i, d) is 1 where image i belongs to domain d, 0 where it does not, -1
    where nobody said (see `translate.data.labels`)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SourceLabelled(Batch):
    """Images of two domains without partners, of which those of `a` have labels (batch, classes), one-hot."""

    a: Tensor
    b: Tensor
    labels: Tensor
