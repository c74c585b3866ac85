"""The contract between a method and the trainer.

A method is a `Model`: networks, the fakes that they generate, and the turns that its players take. The trainer does,
each step:

    fakes = model.generate(batch)                      # the images that discriminators score, made once
    for turn in model.turns():                         # in this order, those that are due
        losses = turn.losses(batch, fakes)
        sum(losses.values()).backward()                # moves turn.networks and no others
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.data.batch import Batch
from translate.errors import ConfigurationError
from translate.losses.adversarial import full_precision
from translate.models.images import ImageSpec as ImageSpec
from translate.models.images import Request as Request
from translate.models.images import Style as Style
from translate.models.images import no_steps, no_styles
from translate.networks.settings import GeneratorSettings
from translate.utils.settings import Settings

Losses = dict[str, Tensor]
"""Named scalars, already weighted: their sum is minimised, and each is logged. A loss without a gradient (an accuracy,
a critic's estimate of a distance) is a measure: only logged."""
Fakes = dict[str, Tensor]
TurnLosses = Callable[[Any, Fakes], Losses]
"""Maps a batch and the fakes generated from it to losses."""


def l1(images: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference on the scale of the images: from -1 to 1, twice the error where black is 0 and white 1.

    In float32 or better, because under autocast it would be summed in half precision.
    """
    return F.l1_loss(full_precision(images), full_precision(wanted))


@dataclass(frozen=True)
class Turn:
    """One player's move.

    `networks`: the only networks whose weights move. `losses`: maps the batch and the fakes to losses.
    `trains_generators`: whether the losses are differentiated through the fakes; otherwise the fakes arrive detached.
    If an earlier turn of the step moved a weight that they were generated with, they are generated again. `every`:
    taken only every n-th step (e.g. a generator's turn after several of the critic's). `after_step`: runs after the
    weights have moved, e.g. WGAN's clipping.
    """

    name: str
    networks: Sequence[nn.Module]
    losses: TurnLosses
    trains_generators: bool = False
    every: int = 1
    after_step: Callable[[], None] = lambda: None

    def plus(self, more: TurnLosses) -> Turn:
        """The same move with the losses of `more` added, which have names of their own: for a term that a method
        lacks."""

        def losses(batch: Any, fakes: Fakes) -> Losses:
            return {**self.losses(batch, fakes), **more(batch, fakes)}

        return replace(self, losses=losses)


class Model(nn.Module, ABC):
    """A method. Its networks are attributes, all set by `__init__`, which takes the settings (a `Config`) and the spec
    of the images the model is for."""

    Config: ClassVar[type[Settings]]
    batch_type: ClassVar[type[Batch]]
    """What `generate`, `show` and the losses receive: paired, unpaired, labelled or plain images."""
    step: Tensor
    """How many steps were taken before this one, an int64 scalar on the device, for weights that change with it:
    `0.5 ** (self.step / 1000)`. The trainer writes it in place, so that a recorded step reads it anew; it is not saved,
    and 0 in a model that is not trained."""

    takes_labels: ClassVar[bool] = False
    """Whether domains may hold label maps, which come as a plane for each class; `build_model` refuses them else."""
    takes_layers: ClassVar[bool] = False
    """Whether samples of the input may be several images, whose planes come one after another; likewise."""
    may_enlarge: ClassVar[bool] = False
    """Whether its generator may make images larger than those it takes; likewise."""
    only_for_losses: ClassVar[frozenset[str]] = frozenset()
    """Networks that move with the generators and have no part in what they make: their weights are not averaged."""

    def __init__(self, config: Any, images: ImageSpec) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64), persistent=False)

    @classmethod
    def require_images(cls, config: Any, images: ImageSpec) -> None:
        """Raises ConfigurationError, with the setting that helps, for domains that the method cannot take; by default
        for those of different channels."""
        images.require_equal_channels(f"model.name {config.name}", "pix2pix, cyclegan and unit take them as they are")

    @classmethod
    def enlarges(cls, config: Any) -> int:
        """How many times higher and wider than their inputs its translations are, by the settings of its generator."""
        generators = [value for _, value in config if isinstance(value, GeneratorSettings)]
        return max((generator.enlarges for generator in generators), default=1)

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
        """The images that discriminators score, by name; called once a step, and again for a turn that trains
        generators after one that moved what they were generated with."""

    @abstractmethod
    def turns(self) -> Sequence[Turn]:
        """The players' moves, in the order taken."""

    def port_networks(self) -> dict[str, nn.Module]:
        """The networks by the names that the widely used PyTorch port, or StarGAN's release, gives them (G_A, D_A, G,
        D). Raises ConfigurationError for a method that they lack."""
        raise ConfigurationError(
            f"there is no {type(self).__name__} in the PyTorch port; it has the generators of cyclegan, pix2pix and "
            "direct, and StarGAN's release that of stargan"
        )

    @abstractmethod
    def show(self, batch: Any) -> dict[str, Tensor]:
        """Columns of the sample grid: captions and images (batch, channels, height, width) in [-1, 1]."""

    def validations(self, test: Callable[[], Tensor]) -> Sequence[Any]:
        """The method's own validations (see `translate.training.validation`) on test images (count, channels, height,
        width) in [-1, 1] on the CPU, which `test` loads; none by default."""
        return ()


class ImageTranslator(nn.Module, ABC):
    """What converting and exporting ask of a trained network, whether a `Translator` or one of another origin."""

    remarks: str = ""
    """A line for users: what it is, and what was assumed where its file does not say."""
    evaluated: bool = False
    """Whether it is another project's, converted as with their --eval."""
    bytes_only: bool = False
    """Whether it takes 8-bit images only."""
    seed: int = 0
    """Of the noise in translations, if the model `draws_noise`: another seed, another translation."""
    styled: bool = False
    """Whether a domain has many styles, of which a request may name one."""
    stepped: bool = False
    """Whether it translates in steps, of which a request may say how many."""

    @abstractmethod
    def translate(self, images: Tensor, request: Request) -> Tensor:
        """Translates images (batch, channels, height, width) in [-1, 1] as requested, keeping the range; height and
        width become `scale` times as large.

        Height and width are multiples of `stride`. Raises ValueError for a request that `require` refuses.
        """

    def translate_at_once(self, images: Tensor, request: Request) -> Tensor:
        """`translate` in a single pass, for networks whose layers see one image at a time and draw no noise."""
        return self.translate(images, request)

    @abstractmethod
    def targets(self) -> Sequence[int]:
        """Numbers of the domains the model can convert to."""

    @property
    def attributes(self) -> Sequence[int]:
        """Numbers of the domains that can be set and cleared independently of others; none by default."""
        return ()

    @property
    @abstractmethod
    def stride(self) -> int:
        """Height and width of images to translate must be multiples of this."""

    @property
    def scale(self) -> int:
        """How many times higher and wider translations are than their inputs."""
        return 1

    @property
    def converts_in_training_mode(self) -> bool:
        """Whether it converts with batch statistics and active dropout, if its network has them."""
        return False

    @property
    def draws_noise(self) -> bool:
        """Whether one image has several translations, one for each `seed`."""
        return False

    @property
    def without_dropout(self) -> bool:
        """Whether it is another project's whose dropout, which their test scripts keep on, is off without --eval."""
        return False

    def require(self, request: Request, domains: Sequence[str]) -> None:
        """Raises ConfigurationError, which names the domains, unless the model can do what is requested."""
        if request.style and not self.styled:
            raise no_styles(request.style.name)
        if request.steps and not self.stepped:
            raise no_steps(request.steps)
        attributes = frozenset(self.attributes)
        if others := sorted(request.clear - attributes):
            name = domains[others[0]]
            raise ConfigurationError(f"--to -{name}: {name} is no attribute; name the domain to go to instead")
        if len(request.domains) > 1 and not request.domains <= attributes:
            names = " --to ".join(request.names(domains))
            raise ConfigurationError(f"--to {names}: an image goes to one domain at a time")

    def require_graph(self, request: Request) -> None:
        """Raises ConfigurationError, with what helps, if no graph can hold what is requested."""

    def drawn_style(self, seed: int, to: int) -> Style:
        """The style of domain `to` of that seed. Raises ConfigurationError without styles, as `read_style` does."""
        raise no_styles(f"seed:{seed}")

    def read_style(self, image: Tensor, to: int, name: str) -> Style:
        """The style of a reference image (1, channels, height, width) of domain `to`, at the size of training."""
        raise no_styles(name)

    def way_back(self, request: Request) -> Callable[[Tensor], Request]:
        """A function from an input image (1, channels, height, width) to the request that turns its translation back,
        undoing `request`. Raises ConfigurationError if the model was not trained to go back."""
        raise ConfigurationError("the file of a single generator cannot translate back; give a run")


class Translator(Model, ImageTranslator):
    """A model that turns images of one domain into images of another."""

    @abstractmethod
    def convert(self, images: Tensor, to: int) -> Tensor:
        """Translates images (batch, channels, height, width) in [-1, 1] to domain number `to`, keeping the range;
        height and width, multiples of `stride`, become `scale` times as large."""

    def translate(self, images: Tensor, request: Request) -> Tensor:
        if request.clear or len(request.set) != 1:
            raise ValueError("this model converts to one domain and has no attributes to clear")
        (to,) = request.set
        return self.convert(images, to)

    def way_back(self, request: Request) -> Callable[[Tensor], Request]:
        if sorted(self.targets()) != [0, 1]:
            raise ConfigurationError(
                "this model converts one way only; cyclegan, unit and stargan learn the way back, too"
            )
        (to,) = request.set
        return lambda image: Request.to(1 - to)


class Relabeller(Translator):
    """A translator whose target is given by label vectors."""

    @abstractmethod
    def relabel(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translates images, as `convert` does, to have the `labels` (batch, domains): 1 yes, 0 no, -1 unspecified."""


class ClassifyingTranslator(Translator):
    """A translator that learns to classify images of both domains, from labels of domain 0 only."""

    @abstractmethod
    def classify(self, images: Tensor, domain: int) -> Tensor:
        """Class logits (batch, classes) of images (batch, channels, height, width) of a domain."""


class Sampler(Model):
    """A model that generates images from noise."""

    @abstractmethod
    def sample(self, count: int, label: int | None = None) -> Tensor:
        """Draws `count` images (count, channels, height, width) in [-1, 1], using torch's global random state.

        `label`: the number of their class, for a model that knows classes; None cycles through all classes.
        """

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes that can be requested; empty unless the model has classes."""
        return ()
