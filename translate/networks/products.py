"""Convolutions over small maps as matrix products, which a CPU computes several times faster.

Inside a U-Net, or at the end of StarGAN's discriminator, millions of weights meet a map of a few pixels. The libraries'
convolutions then take many times as long as reading the weights would; a product takes little more.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

MOST_PLACES = 64
"""Places of the smaller map, over the batch, up to which products were the faster (512 to 2048 channels, 4x4)."""


class Conv2d(nn.Conv2d):
    """nn.Conv2d; where `as_product` is set and the map that it makes is small, as a product."""

    as_product = False

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, padding, bias=bias)
        self._kernel, self._stride, self._padding = kernel, stride, padding

    def forward(self, input: Tensor) -> Tensor:
        height, width = ((size + 2 * self._padding - self._kernel) // self._stride + 1 for size in input.shape[2:])
        if not (self.as_product and _is_small(input, height, width)):
            return super().forward(input)
        seen = F.unfold(input, self._kernel, padding=self._padding, stride=self._stride)
        columns = seen.unflatten(1, (self.in_channels, -1)).permute(0, 3, 2, 1).flatten(2)
        made = F.linear(columns.flatten(0, 1), _rows(self.weight), self.bias)
        return _as_map(made, len(input), height, width)


class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d; where `as_product` is set and the map that it is given is small, as a product."""

    as_product = False

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, padding, output_padding, bias=bias)
        self._kernel, self._stride, self._padding, self._more = kernel, stride, padding, output_padding

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = input.shape[2:]
        if not (self.as_product and output_size is None and _is_small(input, height, width)):
            return super().forward(input, output_size)
        columns = input.permute(0, 2, 3, 1).flatten(0, 2) @ _rows(self.weight)
        drawn = columns.view(len(input), height * width, -1, self.out_channels).permute(0, 3, 2, 1).flatten(1, 2)
        made = F.fold(drawn, self._size(height, width), self._kernel, padding=self._padding, stride=self._stride)
        return made if self.bias is None else made + self.bias.to(made.dtype)[:, None, None]

    def _size(self, height: int, width: int) -> tuple[int, int]:
        reach = self._kernel + self._more - 2 * self._padding
        return (height - 1) * self._stride + reach, (width - 1) * self._stride + reach


def set_products(network: nn.Module, on: bool) -> None:
    """Whether these layers of `network` may go as products."""
    for layer in network.modules():
        if isinstance(layer, Conv2d | ConvTranspose2d):
            layer.as_product = on


def _is_small(features: Tensor, height: int, width: int) -> bool:
    # Maps without memory and those of a graph that is traced are subclasses: they have rules for convolutions.
    return type(features) is Tensor and 0 < len(features) * height * width <= MOST_PLACES


def _as_map(places: Tensor, batch: int, height: int, width: int) -> Tensor:
    """(batch * height * width, channels) as (batch, channels, height, width), with the strides of channels last.

    At batch 1 other strides of the batch would do as well, but with them torch's batch norm is silently wrong backward.
    """
    return places.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _rows(weight: Tensor) -> Tensor:
    """Weights (a, b, height, width) as (a, height * width * b): no copy where they are channels last."""
    return weight.permute(0, 2, 3, 1).flatten(1)
