"""Settings that all networks have in common, and the training sizes that they refuse; their own stand beside each."""

import math
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.networks.blocks import Initialisation, initialise, layers_of
from translate.utils.settings import Settings
from translate.utils.sides import Sides, Size

Built = TypeVar("Built", bound=nn.Module)
LEAST = 8
"""The smallest `data.size` that a recipe may ask for."""


class Generator(nn.Module):
    """Maps images (batch, channels, height, width) to images in [-1, 1] of the same shape, or with other channels, or
    `scale` times higher and wider."""

    stride: int
    """Heights and widths must be multiples of this."""
    scale: int = 1
    """How many times higher and wider its images are than those it takes."""
    attends: bool = False
    """Whether each of its pixels depends on all of an image, which it therefore takes whole, never in bands of rows."""
    feature_channels: tuple[int, ...] = ()
    """Of the inner features that it gives, from the outermost inwards; empty for a generator that gives none."""

    def features(self, images: Tensor) -> list[Tensor]:
        """What its layers see of the images, one map (batch, channels, height, width) for each of `feature_channels`,
        for losses that compare images place by place; nothing behind the last of them is computed."""
        raise NotImplementedError

    def with_features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The images that it makes, and its `features` of those it takes, in one pass."""
        raise NotImplementedError


class SampleGenerator(nn.Module):
    """Maps codes (batch, code) to images (batch, channels, size, size) in [-1, 1]."""

    def forward(self, code: Tensor) -> Tensor:
        return torch.tanh(self.unbounded(code))

    def unbounded(self, code: Tensor) -> Tensor:
        """The images before the tanh. Twice this is the logit of a pixel (1 + tanh) / 2 in [0, 1]."""
        raise NotImplementedError


class InitialisationSettings(Settings):
    """Initial weights: the published N(0, 0.02) by default."""

    kind: Initialisation = "normal"
    """Distribution of the weights."""
    gain: float = Field(0.02, gt=0)
    """Standard deviation of `normal`; factor on the others."""

    def draw(self, network: Built) -> Built:
        """Draws new weights, in place, and returns the network; see `initialise`."""
        initialise(network, self.kind, self.gain)
        return network


class Options(Settings):
    """Options of a network, written once: keys that a recipe may set, and keyword arguments of the network's class."""

    section: ClassVar[str] = ""
    """Where in a recipe they stand, if always in the same place."""

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments: all fields but those that say which network, and how its weights begin."""
        return {name: value for name, value in self if name not in ("kind", "initialisation")}


WEIGHTLESS = {"initialisation", "checkpointing", "dropout", "dropout_placement"}
"""Options that change neither the number of weights nor what they mean."""


def settings_of(network: nn.Module) -> dict[str, Any]:
    """The settings of a recipe, dotted keys and values, that build a network of the same weights, from the options that
    it remembers (`network.settings`)."""
    own: Options = network.settings  # type: ignore[assignment]
    found = {f"{own.section}.{name}": value for name, value in own if name not in WEIGHTLESS}
    channels = layers_of(network, nn.Conv2d)[0].in_channels - getattr(network, "labels", 0)
    return found | ({"data.channels": channels} if channels != 3 else {})


class ImageNetworkSettings(Options, Generic[Built]):
    """Of a network that a number of channels and a training size are enough to build."""

    initialisation: InitialisationSettings = InitialisationSettings()

    def build(self, channels: int, size: Size) -> Built:
        """Builds the network for images (or stacks of them) of `channels`, trained at `size`: N for squares, or
        (height, width).

        Raises ConfigurationError for a size that it cannot take.
        """
        raise NotImplementedError

    def initialise(self, network: Built) -> None:
        """Draws the initial weights of the network, in place."""
        self.initialisation.draw(network)

    def initialised(self, channels: int, size: Size) -> Built:
        """The network with its initial weights; see `build`."""
        network = self.build(channels, size)
        self.initialise(network)
        return network


class GeneratorSettings(ImageNetworkSettings[Generator]):
    """Of a generator that keeps an image's height and width, or multiplies both."""

    section = "model.generator"
    kind: str

    @property
    def enlarges(self) -> int:
        """How many times higher and wider its images are than those it takes."""
        return 1

    def build(self, channels: int, size: Size) -> Generator:
        return self.build_between(channels, channels, size)

    def build_between(self, channels_in: int, channels_out: int, size: Size) -> Generator:
        """Builds the network for images of `channels_in`, which gives images of `channels_out`; see `build`.

        A kind that defines `build` instead gives as many channels as it takes, and refuses others.
        """
        raise ConfigurationError(
            f"model.generator.kind {self.kind}: gives as many channels as it takes, not {channels_out} from "
            f"{channels_in}; set model.generator.kind to unet or resnet, or let {type(self).__name__} define "
            "build_between"
        )

    def between(self, channels_in: int, channels_out: int, size: Size) -> Generator:
        """The network from images of `channels_in` to images of `channels_out`, with its initial weights."""
        if channels_in == channels_out:
            return self.initialised(channels_in, size)
        network = self.build_between(channels_in, channels_out, size)
        self.initialise(network)
        return network


class DiscriminatorSettings(ImageNetworkSettings[nn.Module]):
    """Of a discriminator: maps images to a map of logits, or to one map per scale."""

    section = "model.discriminator"
    kind: str
    filters: int = Field(64, ge=1)
    """Channels of the first layer; deeper ones have multiples of them."""


class SamplerNetworkSettings(Options):
    """Of a generator from noise (or a decoder) and of its discriminator (or an encoder, which returns a code)."""

    kind: str

    def generator(self, code: int, channels: int, size: int) -> SampleGenerator:
        """The generator with its initial weights. Raises ConfigurationError for a size that it cannot have."""
        raise NotImplementedError

    def discriminator(self, channels: int, size: int, labels: int, outputs: int) -> nn.Module:
        """Maps images, and labels (batch, `labels`) unless that is 0, to (batch, outputs); with its initial weights."""
        raise NotImplementedError


def require_multiple(size: Size, of: int, who: str, *otherwise: str) -> None:
    """Raises ConfigurationError, naming sizes and other ways out, unless both sides of the training size are multiples
    of `of`."""
    sides = Sides.of(size)
    if any(side % of for side in sides):
        below, above = (Sides(*(round_(side / of) * of for side in sides)) for round_ in (math.floor, math.ceil))
        nearest = " or ".join(str(sides) for sides in (below, above) if min(sides) >= LEAST)
        ways = ", or ".join([nearest, *otherwise])
        raise ConfigurationError(f"data.size is {sides}, and {who} take multiples of {of}: set data.size to {ways}")


def require_at_least(size: Size, least: int, who: str, otherwise: str) -> None:
    """Raises ConfigurationError, naming a size and another way out, if a side of the training size is below `least`."""
    sides = Sides.of(size)
    if min(sides) < least:
        enough = Sides(*(max(-(-least // 8) * 8, side) for side in sides))  # other networks take multiples
        raise ConfigurationError(
            f"data.size is {sides}, and {who} need {least} pixels at least: set data.size to {enough} or more, "
            f"or {otherwise}"
        )
