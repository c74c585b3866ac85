"""The contract between a method and the trainer.

A method is a `Model`: networks, what it paints, and the turns that its players take. The trainer does, each step:

    painted = model.paint(batch)                       # the images that discriminators judge, made once
    for turn in model.turns():                         # in this order, those that are due
        losses = turn.losses(batch, painted)
        sum(losses.values()).backward()                # moves turn.networks and no others
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from translate.data.batch import Batch
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.settings import Settings

Losses = dict[str, Tensor]
"""Named scalars, already weighted: their sum is minimised, and each is logged. One without a gradient (an accuracy, a
critic's estimate of a distance) is a measure: it is logged, and moves nothing."""
Painted = dict[str, Tensor]


@dataclass(frozen=True)
class ImageSpec:
    """The images a model is made for: channels, side of the training crop in pixels, and the domains' names.

    `groups`: how the domains are labelled, in their order; none where images have no labels. `alternatives`: sets of
    domain numbers, attributes of which an image has one at most, such as colours of hair. `span`: the values of
    floating-point files that became -1 and 1.
    """

    channels: int
    size: int
    domains: tuple[str, ...]
    groups: tuple[LabelGroup, ...] = ()
    alternatives: tuple[tuple[int, ...], ...] = ()
    span: tuple[float, float] = (0.0, 1.0)


def l1(images: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference, in float32: under autocast it would be summed in half precision."""
    return F.l1_loss(images.float(), wanted.float())


def nothing() -> None:
    """What most turns do afterwards."""


@dataclass(frozen=True)
class Turn:
    """One player's move.

    `networks`: whose weights move, and no others. `losses`: batch and painted images to losses.
    `paints`: the losses are differentiated through the painted images (a generator's turn); elsewhere they are
    read detached. `every`: taken at every n-th step only (critic turns before one generator turn).
    `afterwards`: run after the weights moved, e.g. WGAN's clipping.
    """

    name: str
    networks: Sequence[nn.Module]
    losses: Callable[[Any, Painted], Losses]
    paints: bool = False
    every: int = 1
    afterwards: Callable[[], None] = nothing


class Model(nn.Module, ABC):
    """A method. Its networks are attributes, complete after `__init__`, which takes the settings, a `Config`, and what
    images the model is for."""

    Config: ClassVar[type[Settings]]
    batch_type: ClassVar[type[Batch]]
    """What `paint`, `show` and the losses are given: paired, unpaired, labelled or plain images."""

    def __init__(self, config: Any, images: ImageSpec) -> None:
        super().__init__()

    @contextmanager
    def in_mode(self, mode: Literal["train", "eval"]) -> Iterator[None]:
        """Within, every module is in training or evaluation mode; afterwards as before."""
        before = self.training
        self.train(mode == "train")
        try:
            yield
        finally:
            self.train(before)

    @abstractmethod
    def paint(self, batch: Any) -> Painted:
        """The images that discriminators judge, by name; made once a step."""

    @abstractmethod
    def turns(self) -> Sequence[Turn]:
        """The players' moves, in the order taken."""

    @abstractmethod
    def show(self, batch: Any) -> dict[str, Tensor]:
        """Columns of the sample grid: captions and images (batch, channels, height, width) in [-1, 1]."""


class Translator(Model):
    """A model that turns images of one domain into images of another."""

    @abstractmethod
    def convert(self, images: Tensor, to: int) -> Tensor:
        """Images (batch, channels, height, width) in [-1, 1], height and width multiples of `stride`,
        translated to domain number `to`; same height and width, same range."""

    @abstractmethod
    def targets(self) -> Sequence[int]:
        """Numbers of the domains it can convert to."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Height and width that `convert` takes are multiples of this."""

    def edit(self, images: Tensor, changes: Mapping[int, bool]) -> Tensor:
        """`images` with domains, by number, set (True) or cleared (False); shapes and range are those of `convert`.

        One domain set is `convert`; models of attributes take any number of changes. Raises ValueError for changes
        that this model cannot make.
        """
        ((to, wanted),) = changes.items()
        if not wanted:
            raise ValueError("this model converts to a domain; it cannot clear one")
        return self.convert(images, to)

    def way_back(self, changes: Mapping[int, bool]) -> Callable[[Tensor], Mapping[int, bool]]:
        """What undoes `changes`: a function from an input (1, channels, height, width) to the changes that lead its
        translation back. Raises ConfigurationError where the model was not taught the way back."""
        (to,) = changes
        if sorted(self.targets()) != [0, 1]:
            raise ConfigurationError(
                "this model converts one way only; the way back is taught by cyclegan, unit, stargan"
            )
        return lambda image: {1 - to: True}

    @property
    def attributes(self) -> Sequence[int]:
        """Numbers of the domains that can be set and cleared one by one, beside others; none by default."""
        return ()


class Relabeller(Translator):
    """A translator that is told by label vectors where to go."""

    @abstractmethod
    def relabel(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images as `convert` takes and returns them, given the `labels` (batch, domains) that they are to have: 1 yes,
        0 no, -1 not asked."""


class Sampler(Model):
    """A model that draws images from noise."""

    @abstractmethod
    def sample(self, count: int, label: int | None = None) -> Tensor:
        """`count` images (count, channels, height, width) in [-1, 1], drawn from torch's global random state.

        `label`: the number of their class, for a model that knows classes; None: of all classes in turn.
        """

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes that can be asked for; none unless a model has them."""
        return ()
