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
from translate.losses.adversarial import full_precision
from translate.utils.settings import Settings

Losses = dict[str, Tensor]
"""Named scalars, already weighted: their sum is minimised, and each is logged. A loss without a gradient (an accuracy,
a critic's estimate of a distance) is a measure: only logged."""
Fakes = dict[str, Tensor]


@dataclass(frozen=True)
class ImageSpec:
    """The images a model is built for: channels, side of the training crop in pixels, and the domains' names.

    `groups`: how the domains are labelled, in order; empty if images have no labels. `alternatives`: sets of domain
    numbers that are mutually exclusive attributes, such as hair colours. `span`: the range of values in floating-point
    files that is mapped to -1 and 1.
    """

    channels: int
    size: int
    domains: tuple[str, ...]
    groups: tuple[LabelGroup, ...] = ()
    alternatives: tuple[tuple[int, ...], ...] = ()
    span: tuple[float, float] = (0.0, 1.0)


def l1(images: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference on the scale of the images: from -1 to 1, twice the error where black is 0 and white 1.

    In float32 or better, because under autocast it would be summed in half precision.
    """
    return F.l1_loss(full_precision(images), full_precision(wanted))


def nothing() -> None:
    """The default `Turn.afterwards`: does nothing."""


@dataclass(frozen=True)
class Turn:
    """One player's move.

    `networks`: the only networks whose weights move. `losses`: maps the batch and the fakes to losses.
    `trains_generators`: whether the losses are differentiated through the fakes; otherwise the fakes arrive detached.
    If an earlier turn of the step moved a weight that they were generated with, they are generated anew. `every`: taken
    only every n-th step (e.g. a generator's turn after several of the critic's). `after_step`: runs after the weights
    have moved, e.g. WGAN's clipping.
    """

    name: str
    networks: Sequence[nn.Module]
    losses: Callable[[Any, Fakes], Losses]
    trains_generators: bool = False
    every: int = 1
    after_step: Callable[[], None] = nothing


class Model(nn.Module, ABC):
    """A method. Its networks are attributes, all set by `__init__`, which takes the settings (a `Config`) and the spec
    of the images the model is for."""

    Config: ClassVar[type[Settings]]
    batch_type: ClassVar[type[Batch]]
    """What `generate`, `show` and the losses receive: paired, unpaired, labelled or plain images."""

    def __init__(self, config: Any, images: ImageSpec) -> None:
        super().__init__()

    @contextmanager
    def in_mode(self, mode: Literal["train", "eval"]) -> Iterator[None]:
        """Context in which every module is in training or evaluation mode; restores the previous mode on exit."""
        before = self.training
        self.train(mode == "train")
        try:
            yield
        finally:
            self.train(before)

    def require_batch(self, size: int) -> None:
        """Raises ConfigurationError if batches of that size, or parts of them, are too small for the method."""

    @abstractmethod
    def generate(self, batch: Any) -> Fakes:
        """The images that discriminators judge, by name; called once a step, and again for a turn that paints after
        one that moved what they are painted with."""

    @abstractmethod
    def turns(self) -> Sequence[Turn]:
        """The players' moves, in the order taken."""

    @abstractmethod
    def show(self, batch: Any) -> dict[str, Tensor]:
        """Columns of the sample grid: captions and images (batch, channels, height, width) in [-1, 1]."""

    def validations(self, test: Callable[[], Tensor]) -> Sequence[Any]:
        """The method's own validations (see `translate.training.validation`) on test images (count, channels, height,
        width) in [-1, 1] on the CPU, which `test` loads; none by default."""
        return ()


class Translator(Model):
    """A model that turns images of one domain into images of another."""

    @abstractmethod
    def convert(self, images: Tensor, to: int) -> Tensor:
        """Translates images (batch, channels, height, width) in [-1, 1] to domain number `to`, keeping height, width
        and range. Height and width are multiples of `stride`."""

    @abstractmethod
    def targets(self) -> Sequence[int]:
        """Numbers of the domains the model can convert to."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Height and width of images passed to `convert` must be multiples of this."""

    def translate(self, images: Tensor, request: Mapping[int, bool]) -> Tensor:
        """Sets (True) or clears (False) domains, given by number, in `images`; shapes and range as for `convert`.

        Setting a single domain is `convert`; models of attributes take any number of changes. Raises ValueError for
        changes this model cannot make.
        """
        ((to, wanted),) = request.items()
        if not wanted:
            raise ValueError("this model converts to a domain; it cannot clear one")
        return self.convert(images, to)

    def way_back(self, request: Mapping[int, bool]) -> Callable[[Tensor], Mapping[int, bool]]:
        """A function from an input image (1, channels, height, width) to the changes that turn its translation back,
        undoing `request`. Raises ConfigurationError if the model was not trained to go back."""
        (to,) = request
        if sorted(self.targets()) != [0, 1]:
            raise ConfigurationError(
                "this model converts one way only; the way back is taught by cyclegan, unit, stargan"
            )
        return lambda image: {1 - to: True}

    @property
    def attributes(self) -> Sequence[int]:
        """Numbers of the domains that can be set and cleared independently of others; none by default."""
        return ()


class Relabeller(Translator):
    """A translator whose target is given by label vectors."""

    @abstractmethod
    def relabel(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translates images, as `convert` does, so that they have the `labels` (batch, domains): 1 yes, 0 no, -1
        unspecified."""


class ClassifyingTranslator(Translator):
    """A translator that learns to classify images of both domains, from labels of domain 0 only."""

    @abstractmethod
    def classify(self, images: Tensor, domain: int) -> Tensor:
        """Class logits (batch, classes) of images (batch, channels, height, width) of a domain."""


class Sampler(Model):
    """A model that draws images from noise."""

    @abstractmethod
    def sample(self, count: int, label: int | None = None) -> Tensor:
        """Draws `count` images (count, channels, height, width) in [-1, 1], using torch's global random state.

        `label`: the number of their class, for a model that knows classes; None cycles through all classes.
        """

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes that can be requested; empty unless the model has classes."""
        return ()
