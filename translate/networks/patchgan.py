"""Discriminators of patches: one logit per place in an image."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.networks import blocks
from translate.networks.batch_head import BatchHead, Head
from translate.networks.blocks import Downsampling, Normalisation, PaddedConv2d, layer_by_layer, layers_of, named
from translate.networks.settings import DiscriminatorSettings, require_at_least
from translate.utils.sides import Sides, Size


class PatchwiseSettings(DiscriminatorSettings):
    """Options that every discriminator of patches has, and its scales: one discriminator, one map of logits each."""

    layers: int = Field(3, ge=0, le=12)
    """Number of strided layers: with more of them, each logit sees a larger patch."""
    normalisation: Normalisation = "instance"
    """After each convolution but the first and the last."""
    spectral: bool | Literal["inner"] = False
    """Spectral norm on every convolution (Miyato et al. 2018); `inner`: on all but the first and the last (SPADE)."""
    scales: int = Field(1, ge=1, le=4)
    """Number of discriminators, each of which sees an image half as large as the one before."""

    @property
    def last_map(self) -> int:
        """Side of the map that the strided layers must leave of an image."""
        raise NotImplementedError

    def one(self, channels: int) -> nn.Module:
        """The discriminator of one scale."""
        raise NotImplementedError

    @property
    def least_size(self) -> int:
        """The smallest image side that leaves a logit."""
        # Each further scale is half as large, rounded up.
        return (self.last_map * 2**self.layers - 1) * 2 ** (self.scales - 1) + 1

    def build(self, channels: int, size: Size) -> nn.Module:
        fewer = "take fewer model.discriminator.layers or scales"
        require_at_least(size, self.least_size, f"discriminators of {self.layers} layers", fewer)
        if self.scales == 1:
            return self.one(channels)
        return MultiscaleDiscriminator(lambda: self.one(channels), self.scales)


class PatchSettings(PatchwiseSettings):
    """PatchGAN: `layers` strided layers see 16, 34, 70 (3), 142, 286 (5), ... pixels, and no layers a single one."""

    kind: Literal["patch"] = "patch"
    downsampling: Downsampling = "strided"
    """How maps are halved. `blur` is CUT's anti-aliased one, convolution first: 18, 40, 84 (3), 172, ... pixels."""
    head: Literal["logit", Head] = "logit"
    """What makes logits of the last features: a convolution, or layers that are told how images of a batch differ, so
    that translations that are all alike look generated: `batch_norm` or `batch_spread`, both of UVCGAN v2, which have
    no spectral norm."""
    padding: Literal[1, 2] = 1
    """Zeros around each map: 1 as in pix2pix, 2 as in pix2pixHD and SPADE, whose maps of logits are larger."""

    @model_validator(mode="after")
    def _has_features(self) -> Self:
        if self.head != "logit" and not self.layers:
            raise ValueError(f"head {self.head} is of features, and 0 layers have none; take 1 or more")
        return self

    @property
    def last_map(self) -> int:
        # The last two convolutions need a map of 3x3.
        return 3 if self.layers else 1

    def one(self, channels: int) -> nn.Module:
        return patch_discriminator(channels, **self.options)


class StridedSettings(PatchwiseSettings):
    """UNIT's: only strided layers and a 1x1 convolution, whatever `normalisation` says without normalisation."""

    kind: Literal["strided"] = "strided"
    layers: int = Field(3, ge=1, le=12)
    """Number of strided layers."""

    @property
    def last_map(self) -> int:
        return 1

    def one(self, channels: int) -> nn.Module:
        return StridedDiscriminator(channels, **self.options)


class PatchDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1, about height / 2 ** layers, ...).

    `layers` 4x4 convolutions of stride 2 to f, 2f, 4f, 8f, 8f, ... filters, one of stride 1, and one to the logit; the
    first and the last are not normalised (Isola et al. 2017, appendix 6.1.2). Each logit sees a square with sides of
    `receptive_field` pixels: 16, 34, 70, 142, 286 for 1 to 5 layers. With `downsampling: blur`, each convolution of
    stride 2 is one of stride 1, activated and blurred (CUT's code): 18, 40, 84, 172, 348 pixels. `options` are those of
    `PatchSettings` but for `scales`. Raises ValueError for others, and for 0 layers.
    """

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = PatchSettings(**options)
        layers, normalisation = own.layers, own.normalisation
        if layers < 1:
            raise ValueError(f"a patch discriminator needs at least 1 strided layer, not {layers}")
        blurred = own.downsampling == "blur"
        self.receptive_field = 11 * 2**layers - 4 if blurred else 9 * 2**layers - 2
        widths = [own.filters * min(2**level, 8) for level in range(layers + 1)]
        halving = 1 if blurred else 2
        conv4 = partial(_conv4, padding=own.padding)
        stages = [named(conv=conv4(channels, widths[0], halving, bias=True), activation=nn.LeakyReLU(0.2))]
        for level, width in enumerate(widths[1:], start=1):
            stride = halving if level < layers else 1
            stages.append(
                named(
                    conv=conv4(widths[level - 1], width, stride, blocks.needs_bias(normalisation)),
                    norm=blocks.normalisation(normalisation, width),
                    activation=nn.LeakyReLU(0.2),
                )
            )
        for stage in stages[:-1] if blurred else ():
            stage.add_module("blur", blocks.BlurPool2d())
        self.layers = nn.Sequential(*stages)
        self.width = widths[-1]
        if own.head == "logit":
            self.head: nn.Module = conv4(self.width, 1, 1, bias=True)
        else:
            self.head = BatchHead(self.width, own.head)
        _constrain(self if own.head == "logit" else self.layers, own.spectral)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))

    def maps(self, images: Tensor) -> list[list[Tensor]]:
        """What each layer makes of the images, the logits last; of this one scale."""
        return [layer_by_layer([*self.layers, self.head], images)]

    def features_of(self, size: Size) -> tuple[int, int, int]:
        """Channels, height and width of what its head sees of images of that size."""
        height, width = Sides.of(size)
        for layer in layers_of(self.layers, nn.Conv2d, blocks.BlurPool2d):
            halved = isinstance(layer, blocks.BlurPool2d) or layer.stride == (2, 2)
            lost = 3 - 2 * self.settings.padding if isinstance(layer, nn.Conv2d) else 0
            height, width = (-(-(side - lost) // 2) if halved else side - lost for side in (height, width))
        return self.width, height, width


class PixelDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1, height, width), one for each single pixel.

    Three 1x1 convolutions to f, 2f and 1 filters (Isola et al. 2017, appendix 6.1.2). `options` are those of
    `PatchSettings` but for `layers` and `scales`. Raises ValueError for others.
    """

    receptive_field = 1

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = PatchSettings(**(options | {"layers": 0}))
        filters, normalisation = own.filters, own.normalisation
        bias = blocks.needs_bias(normalisation)
        self.layers = nn.Sequential(
            named(conv=nn.Conv2d(channels, filters, 1), activation=nn.LeakyReLU(0.2)),
            named(
                conv=nn.Conv2d(filters, 2 * filters, 1, bias=bias),
                norm=blocks.normalisation(normalisation, 2 * filters),
                activation=nn.LeakyReLU(0.2),
            ),
        )
        self.head = nn.Conv2d(2 * filters, 1, 1, bias=bias)
        _constrain(self, own.spectral)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))

    def maps(self, images: Tensor) -> list[list[Tensor]]:
        """As `PatchDiscriminator.maps`."""
        return [layer_by_layer([*self.layers, self.head], images)]


class StridedDiscriminator(nn.Module):
    """Maps images (batch, channels, height, width) to logits (batch, 1, height / 2 ** layers, width / 2 ** layers).

    MUNIT's and UNIT's discriminator of one scale: `layers` 4x4 convolutions of stride 2 to f, 2f, 4f, ... filters with
    reflection padding and LeakyReLU 0.2, then a 1x1 convolution to the logit. Published with `MultiscaleDiscriminator`
    at 3 scales, where each sees 46 pixels of its scale. `options` are those of `StridedSettings` but for `scales`, with
    4 layers unless given. Raises ValueError for others.
    """

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__()
        self.settings = own = StridedSettings(**({"layers": 4} | options))
        self.receptive_field = 3 * 2**own.layers - 2
        widths = [channels, *(own.filters * 2**level for level in range(own.layers))]
        self.layers = nn.Sequential(
            *(
                named(
                    conv=PaddedConv2d(narrow, wide, 4, stride=2, padding=1, padding_mode="reflect"),
                    activation=nn.LeakyReLU(0.2),
                )
                for narrow, wide in pairwise(widths)
            )
        )
        self.head = nn.Conv2d(widths[-1], 1, 1)
        _constrain(self, own.spectral)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))

    def maps(self, images: Tensor) -> list[list[Tensor]]:
        """As `PatchDiscriminator.maps`."""
        return [layer_by_layer([*self.layers, self.head], images)]


class MultiscaleDiscriminator(nn.Module):
    """Maps images to one map of logits per scale, finest first; each scale has half the size of the previous one.

    `make` builds the discriminator of one scale (Wang et al. 2018, pix2pixHD).
    """

    def __init__(self, make: Callable[[], nn.Module], scales: int) -> None:
        super().__init__()
        if scales < 1:
            raise ValueError(f"a multi-scale discriminator needs at least 1 scale, not {scales}")
        self.scales = nn.ModuleList(make() for _ in range(scales))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [discriminator(seen) for discriminator, seen in self._each(images)]

    def maps(self, images: Tensor) -> list[list[Tensor]]:
        """For each scale, finest first, what each of its layers makes of the images, the logits last."""
        return [maps for discriminator, seen in self._each(images) for maps in discriminator.maps(seen)]

    def begun_with(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights to begin with, given those of a run at lower resolution: of fewer scales, they are the coarsest
        here, and the finer ones begin with their own."""
        theirs = {int(found[1]) for key in weights if (found := re.match(r"scales\.(\d+)\.", key))}
        finer = len(self.scales) - len(theirs)
        if not theirs or finer < 1:
            return weights
        own = {f"scales.{number}.": self.scales[number].state_dict() for number in range(finer)}
        begun = {prefix + key: value for prefix, state in own.items() for key, value in state.items()}
        for number in theirs:
            old, new = f"scales.{number}.", f"scales.{number + finer}."
            begun |= {key.replace(old, new, 1): value for key, value in weights.items() if key.startswith(old)}
        return begun

    def _each(self, images: Tensor) -> Iterator[tuple[Any, Tensor]]:
        """Each scale's discriminator, and the images as large as it sees them."""
        for number, discriminator in enumerate(self.scales):
            if number:
                images = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
            yield discriminator, images


def patch_discriminator(channels: int, **options: Any) -> PatchDiscriminator | PixelDiscriminator:
    """The discriminator of one scale with these `PatchSettings`; with 0 layers, the one that sees single pixels."""
    return (PixelDiscriminator if options.get("layers") == 0 else PatchDiscriminator)(channels, **options)


def _conv4(channels_in: int, channels_out: int, stride: int, bias: bool, padding: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 4, stride=stride, padding=padding, bias=bias)


def _constrain(network: nn.Module, which: bool | Literal["inner"]) -> None:
    layers = layers_of(network, nn.Conv2d)
    for layer in (layers[1:-1] if which == "inner" else layers) if which else ():
        spectral_norm(layer)
