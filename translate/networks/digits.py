"""UNIT's networks for digits of 32x32 pixels: parts that a domain owns or both share, and the parts assembled.

Liu et al. 2017, appendix B, tables 4 to 6, with the sizes of the released second version (96 filters in the
auto-encoders, 64 in the discriminators). As published, batch norm in shared parts sees both domains at once, and that
of a decoder all codes; statistics of anything less would fit neither domain.

Every part draws its own initial weights as published; `blocks.initialise` would undo that.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.networks.blocks import BatchNorm2d, named

SIZE = 32


class DigitEncoder(nn.Module):
    """A domain's own first layer: maps images (batch, channels, 32, 32) to features (batch, filters, 16, 16).

    Appends two planes to the images, each pixel's row and column in [-1, 1). Raises ValueError for other sizes.
    """

    coordinates: Tensor

    def __init__(self, channels: int, filters: int = 96) -> None:
        super().__init__()
        places = (torch.arange(SIZE) - SIZE / 2) / (SIZE / 2)
        planes = torch.stack(torch.meshgrid(places, places, indexing="ij"))
        self.register_buffer("coordinates", planes[None], persistent=False)
        self.layer = _normalised(nn.Conv2d(channels + 2, filters, 5, stride=2, padding=2, bias=False))
        _draw_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        _check_size(images)
        planes = self.coordinates.to(images.dtype).expand(images.shape[0], -1, -1, -1)
        return self.layer(torch.cat([images, planes], dim=1))


class DigitCode(nn.Module):
    """The shared rest of the encoders: maps features (batch, filters, 16, 16) to the code's mean and deviation.

    Each is (batch, 8 * filters, 1, 1); softplus makes the deviation positive.
    """

    def __init__(self, filters: int = 96) -> None:
        super().__init__()
        self.channels = 8 * filters
        self.layers = nn.Sequential(
            _normalised(nn.Conv2d(filters, 2 * filters, 5, stride=2, padding=2, bias=False)),
            _normalised(nn.Conv2d(2 * filters, 4 * filters, 8, bias=False)),
            _normalised(nn.Conv2d(4 * filters, 8 * filters, 1, bias=False)),
        )
        self.mean = nn.Conv2d(8 * filters, 8 * filters, 1)
        self.deviation = nn.Conv2d(8 * filters, 8 * filters, 1)
        _draw_normal(self)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(features)
        return self.mean(features), F.softplus(self.deviation(features))


class DigitCodeDecoder(nn.Module):
    """The shared start of the decoders: maps codes (batch, 8 * filters, 1, 1) to features (batch, 2 * filters, 16,
    16)."""

    def __init__(self, filters: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _normalised(nn.ConvTranspose2d(8 * filters, 8 * filters, 4, stride=2, bias=False)),
            _normalised(nn.ConvTranspose2d(8 * filters, 4 * filters, 4, stride=2, padding=1, bias=False)),
            _normalised(nn.ConvTranspose2d(4 * filters, 2 * filters, 4, stride=2, padding=1, bias=False)),
        )
        _draw_normal(self)

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes)


class DigitDecoder(nn.Module):
    """A domain's own last layers: maps features (batch, 2 * filters, 16, 16) to images (batch, channels, 32, 32) in
    [-1, 1]."""

    def __init__(self, channels: int, filters: int = 96) -> None:
        super().__init__()
        self.layer = _normalised(nn.ConvTranspose2d(2 * filters, filters, 4, stride=2, padding=1, bias=False))
        self.head = nn.Conv2d(filters, channels, 1)
        _draw_normal(self)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.head(self.layer(features)))


class DigitFront(nn.Module):
    """A domain's own first layer of the discriminator: maps images (batch, channels, 32, 32) to (batch, filters, 16,
    16)."""

    def __init__(self, channels: int, filters: int = 64) -> None:
        super().__init__()
        self.layer = _pooled(channels, filters)
        _draw_xavier(self)

    def forward(self, images: Tensor) -> Tensor:
        _check_size(images)
        return self.layer(images)


class DigitTrunk(nn.Module):
    """The shared rest of discriminator and classifier: maps a front's features (batch, filters, 16, 16) to logits.

    `forward` returns the logits (batch, 1) of being real and those of the classes (batch, `classes`), after the
    published dropout of 0.1, 0.3, 0.5, 0.5. `features` returns the heads' input without dropout, (batch, 32 * filters),
    for feature matching. The released score is a softmax over two logits; ours is their difference.
    """

    def __init__(self, filters: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _pooled(filters * width, 2 * filters * width)
            for width in (1, 2, 4)  # 16 pixels to 8, 4 and 2
        )
        self.dropouts = nn.ModuleList(nn.Dropout(share) for share in (0.1, 0.3, 0.5, 0.5))
        self.score_head = nn.Conv2d(8 * filters, 1, 2)
        self.class_head = nn.Conv2d(8 * filters, classes, 2)
        _draw_xavier(self)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = self.dropouts[0](features)
        for layer, dropout in zip(self.layers, list(self.dropouts)[1:], strict=True):
            features = dropout(layer(features))
        return self.score_head(features).flatten(1), self.class_head(features).flatten(1)

    def features(self, features: Tensor) -> Tensor:
        for layer in self.layers:
            features = layer(features)
        return features.flatten(1)


class Drawn(NamedTuple):
    """The auto-encoders' outputs for images a and b: `ab` is a translated to b; images (batch, channels, 32, 32).

    `mean` and `deviation` of the codes (2 * batch, code channels, 1, 1): those of a, then those of b.
    """

    aa: Tensor
    ab: Tensor
    ba: Tensor
    bb: Tensor
    mean: Tensor
    deviation: Tensor


class CoupledDigitAutoencoders(nn.Module):
    """Auto-encoders with each domain's own first and last layers around shared ones. Domain 0 is a, 1 is b."""

    def __init__(self, channels: int, filters: int = 96) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(DigitEncoder(channels, filters) for _ in "ab")
        self.code = DigitCode(filters)
        self.code_decoder = DigitCodeDecoder(filters)
        self.decoders = nn.ModuleList(DigitDecoder(channels, filters) for _ in "ab")

    def start_alike(self) -> None:
        """Copies a's own layers to b's, so that a translation starts as the decoded input."""
        for a, b in (self.encoders, self.decoders):
            b.load_state_dict(a.state_dict())

    def forward(self, a: Tensor, b: Tensor) -> Drawn:
        mean, deviation = self._codes(a, b)
        hidden = self._hidden(mean, deviation)
        as_a, as_b = self.decoders[0](hidden), self.decoders[1](hidden)
        return Drawn(as_a[: len(a)], as_b[: len(a)], as_a[len(a) :], as_b[len(a) :], mean, deviation)

    def swap(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Translates images of a to b, and images of b to a, from codes sampled as in `forward`."""
        hidden = self._hidden(*self._codes(a, b))
        return self.decoders[1](hidden[: len(a)]), self.decoders[0](hidden[len(a) :])

    def _codes(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.code(torch.cat([self.encoders[0](a), self.encoders[1](b)]))

    def _hidden(self, mean: Tensor, deviation: Tensor) -> Tensor:
        return self.code_decoder(mean + deviation * torch.randn_like(mean))

    def translate(self, images: Tensor, own: int, other: int) -> Tensor:
        """Translates images of domain `own` to domain `other`, from the mean of their codes."""
        mean, _ = self.code(self.encoders[own](images))
        return self.decoders[other](self.code_decoder(mean))


class CoupledDigitDiscriminators(nn.Module):
    """Discriminators with each domain's own first layer before a shared trunk with a score head and a class head."""

    def __init__(self, channels: int, filters: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.fronts = nn.ModuleList(DigitFront(channels, filters) for _ in "ab")
        self.trunk = DigitTrunk(filters, classes)

    def start_alike(self) -> None:
        """Copies a's own layer to b's, so that images of b are at first read like those of a."""
        self.fronts[1].load_state_dict(self.fronts[0].state_dict())

    def forward(self, images: Tensor, domain: int) -> tuple[Tensor, Tensor]:
        """Scores (batch, 1) and class logits (batch, classes) of images read as images of `domain`."""
        return self.trunk(self.fronts[domain](images))

    def features(self, images: Tensor, domain: int) -> Tensor:
        """The input of the heads, without dropout (batch, 32 * filters)."""
        return self.trunk.features(self.fronts[domain](images))


class _Bias2d(nn.Module):
    """Adds a bias per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.bias


def _normalised(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """A convolution with batch norm that shifts but does not scale, and LeakyReLU 0.01. The released convolution also
    has a bias, which batch norm cancels."""
    channels = conv.out_channels
    norm, bias = BatchNorm2d(channels, affine=False), _Bias2d(channels)
    return named(conv=conv, norm=norm, bias=bias, activation=nn.LeakyReLU(0.01))


def _pooled(channels_in: int, channels_out: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 5, padding=2)
    return named(conv=conv, activation=nn.ReLU(), pool=nn.MaxPool2d(2))


@torch.no_grad()
def _draw_normal(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, _Bias2d | nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias, 0.0, 0.002)


@torch.no_grad()
def _draw_xavier(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.xavier_uniform_(module.weight, gain=math.sqrt(2))
            nn.init.constant_(module.bias, 0.1)


def _check_size(images: Tensor) -> None:
    if images.shape[2:] != (SIZE, SIZE):
        height, width = images.shape[2:]
        raise ValueError(f"the digit networks take images of {SIZE}x{SIZE}, not {height}x{width}: set data.size to 32")
