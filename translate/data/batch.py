"""Batches that models train on: each field declares what it holds, and whoever handles a batch asks the field.

    @dataclass(frozen=True)
    class Numbered(Batch):
        images: Images
        numbers: Index

is all that a new kind of batch takes: it is drawn, cropped, cached on the device, placed, split and trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Annotated, ClassVar, Literal, Self, get_type_hints

import torch
from torch import Tensor

from translate.data.domain import Domain
from translate.data.planes import planes

Kind = Literal["images", "labels", "index", "known", "reference", "reference labels"]

Images = Annotated[Tensor, "images"]
"""(batch, channels, height, width): uint8 or uint16 from the loader, float32 in [-1, 1] after `Runtime.place`. Of label
maps, one channel of uint8 from the loader, and after it a plane for each class (see `label_maps`)."""
Labels = Annotated[Tensor, "labels"]
"""(batch, labels), float32, of the first images."""
Index = Annotated[Tensor, "index"]
"""(batch,), int64: the places of the first images in their list."""
Known = Annotated[Tensor, "known"]
"""(batch,), bool: whether the images of that place show the same thing."""
Reference = Annotated[Tensor, "reference"]
"""Like `Images`: further images of the one list, drawn for themselves. All references of a place are different images
of one class (see `references`)."""
ReferenceLabels = Annotated[Tensor, "reference labels"]
"""(batch, labels), float32, of the references."""
_SEEN: tuple[Kind, ...] = ("images", "reference")


@dataclass(frozen=True)
class Batch:
    """Tensors that share their first dimension, as declared: images of one or two domains, and what belongs to them.

    Images of one domain that have labels are drawn in turn from several lists, if there are (see `labelled.buckets`).
    """

    called: ClassVar[str] = "images of its own kind"
    """What they are in messages."""
    pairs: ClassVar[bool] = False
    """Whether image i of each domain shows the same thing, so that they share their order, crops and geometry."""
    held: tuple[Domain, ...] = field(default=(), kw_only=True)
    """What the images of each domain are until they are placed; empty if they are nothing but images."""
    void: bool = field(default=False, kw_only=True)
    """Whether some pixels hold no data: those that are -1 in all channels, in the images of all domains alike."""

    @classmethod
    @cache
    def kinds(cls) -> tuple[Kind, ...]:
        """What each field holds. Raises TypeError for a field that does not declare it."""
        hints = get_type_hints(cls, include_extras=True)
        for name in cls.names():
            if not hasattr(hints[name], "__metadata__"):
                raise TypeError(f"{cls.__name__}.{name}: declare it as Images, Labels, Index, Known or Reference")
        return tuple(hints[name].__metadata__[0] for name in cls.names())

    @classmethod
    def names(cls) -> list[str]:
        """The fields that hold tensors."""
        return [each.name for each in fields(cls) if not each.kw_only]

    @classmethod
    def domains(cls) -> int:
        """The number of domains whose images have a field of their own."""
        return cls.kinds().count("images")

    @classmethod
    def references(cls) -> int:
        """How many fields hold references."""
        return cls.kinds().count("reference")

    @classmethod
    def in_order(cls) -> type[Batch]:
        """What batches of images in order are, for which nothing is drawn: those without references."""
        return Labelled if cls.references() else cls

    @classmethod
    def labelled(cls) -> bool:
        return "labels" in cls.kinds()

    @classmethod
    def labels_are_domains(cls) -> bool:
        """Whether images of all domains come together, and labels say which is of which."""
        return cls.labelled() and cls.domains() == 1

    @classmethod
    def made_of(cls, images: Sequence[Tensor], others: Callable[[Kind], Tensor], held: Sequence[Domain] = ()) -> Self:
        """Makes a batch from the images of each domain and the references, and what `others` returns for each further
        field; `held` as in the batch."""
        remaining = iter(images)
        tensors = [next(remaining) if kind in _SEEN else others(kind) for kind in cls.kinds()]
        told = any(one.numbered or one.layers or one.void for one in held)
        return cls(*tensors, held=tuple(held) if told else ())

    def __len__(self) -> int:
        return len(self.tensors()[0])

    def tensors(self) -> list[Tensor]:
        return [getattr(self, name) for name in self.names()]

    def sides(self) -> list[Tensor]:
        """The images of each domain."""
        return [tensor for kind, tensor in zip(self.kinds(), self.tensors(), strict=True) if kind == "images"]

    def known_pairs(self) -> Tensor | None:
        """(batch,), bool: which images of both domains show the same thing, in batches that say it; else None."""
        each = zip(self.kinds(), self.tensors(), strict=True)
        return next((tensor for kind, tensor in each if kind == "known"), None)

    def towards(self, to: int) -> tuple[Tensor, Tensor]:
        """Returns the images to translate to domain `to`, and real ones of it; if labels tell domains apart, all images
        as both."""
        sides = self.sides()
        return (sides[1 - to], sides[to]) if len(sides) == 2 else (sides[0], sides[0])

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Returns a batch with `function` applied to each tensor."""
        return self._of(map(function, self.tensors()))

    def map_images(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Returns a batch with `function` applied to the images of each domain, and to references."""
        pairs = zip(self.kinds(), self.tensors(), strict=True)
        tensors = [function(tensor) if kind in _SEEN else tensor for kind, tensor in pairs]
        return self._of(tensors)

    def floats(self, laid: Callable[[Tensor], Tensor]) -> Self:
        """The batch with its images as float32 in [-1, 1], label maps as planes, all `laid` out; points, which are
        floating point already, stay as they are."""
        held = iter(self.held or [Domain("")] * (self.domains() + self.references()))

        def placed(images: Tensor) -> Tensor:
            domain = next(held)
            if images.is_floating_point():
                return images
            return laid(planes(images, domain))

        placed_batch = replace(self.map_images(placed), held=(), void=self._may_be_void)
        return placed_batch.map_images(placed_batch.without_void) if placed_batch.void else placed_batch

    @property
    def _may_be_void(self) -> bool:
        """Whether pixels without data can be told: label maps and samples of several images have their own -1."""
        return any(one.void for one in self.held) and not any(one.numbered or one.layers for one in self.held)

    def without_void(self, images: Tensor) -> Tensor:
        """Images, or fakes made of them, with -1 where sample i of any domain holds no data: real and generated ones
        are alike there, no loss has a gradient, and discriminators see where the other domain has none, too. Where
        domains differ in size (super-resolution), only those of the same size count."""
        alike = [side for side in self.sides() if images.ndim == 4 and side.shape[-2:] == images.shape[-2:]]
        for one in [(side == -1).all(1, keepdim=True) for side in alike] if self.void else ():
            images = torch.where(one, -1, images)
        return images

    def split(self, parts: int) -> list[Self]:
        """Splits into `parts` batches of equal size, in order. Raises ValueError if the size is not divisible."""
        if len(self) % parts:
            raise ValueError(f"a batch of {len(self)} does not split into {parts} equal parts")
        chunks = [tensor.chunk(parts) for tensor in self.tensors()]
        return [self._of(chunk) for chunk in zip(*chunks, strict=True)]

    def _of(self, tensors: Iterable[Tensor]) -> Self:
        return type(self)(*tensors, held=self.held, void=self.void)


@dataclass(frozen=True)
class Paired(Batch):
    """Image i of `target` is the wanted translation of image i of `input`."""

    called = "pairs"
    pairs = True
    input: Images
    target: Images


@dataclass(frozen=True)
class Mapped(Paired):
    """Pairs whose inputs are label maps: planes that say of each pixel of `target` what it shows."""

    called = "label maps and what they are maps of"


@dataclass(frozen=True)
class Unpaired(Batch):
    """Images of two domains; image i of `a` has nothing to do with image i of `b`."""

    called = "two domains without pairs"
    a: Images
    b: Images


@dataclass(frozen=True)
class SomePaired(Unpaired):
    """Images of two domains; image i of `b` is the translation of image i of `a` where `known` says so."""

    known: Known


@dataclass(frozen=True)
class AllPaired(SomePaired):
    """Pairs, for methods that do without: all are `known`."""

    pairs = True


@dataclass(frozen=True)
class Plain(Batch):
    """Images of one domain, without labels."""

    called = "images without labels"
    images: Images


@dataclass(frozen=True)
class Labelled(Batch):
    """Images with labels: label (i, d) is 1 if image i belongs to domain d, 0 if it does not, and -1 if unknown
    (see `translate.data.labels`)."""

    called = "labelled images"
    images: Images
    labels: Labels


@dataclass(frozen=True)
class Referenced(Labelled):
    """Labelled images, and two others of the class that each is to go to, in whose style: images `reference` and
    `partner` have the labels `wanted`, drawn without regard to the image's own."""

    called = "labelled images and references"
    reference: Reference
    wanted: ReferenceLabels
    partner: Reference


@dataclass(frozen=True)
class SourceLabelled(Batch):
    """Unpaired images of two domains; those of `a` have one-hot labels (batch, classes)."""

    called = "a labelled source and a target"
    a: Images
    b: Images
    labels: Labels
