"""Convolutions over small maps as matrix products, which a CPU computes several times faster.

Deep inside a U-Net, or at the end of StarGAN's discriminator, millions of weights meet a map of a few pixels. The
libraries' convolutions then take many times as long as reading the weights; a product takes little longer than that.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

MOST_PLACES = 64
"""Places of the smaller map, over the batch, up to which products were faster (512 to 2048 channels, 4x4 kernels)."""


class Conv2d(nn.Conv2d):
    """nn.Conv2d, computed as a product if `as_product` is set and its output map is small."""

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
        patches = F.unfold(input, self._kernel, padding=self._padding, stride=self._stride)
        columns = patches.unflatten(1, (self.in_channels, -1)).permute(0, 3, 2, 1).flatten(2)
        made = F.linear(columns.flatten(0, 1), _rows(self.weight), self.bias)
        return _as_map(made, len(input), height, width)


class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d, computed as a product if `as_product` is set and its input map is small."""

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


def set_conv_as_matmul(network: nn.Module, on: bool) -> None:
    """Sets whether these layers of `network` may be computed as products."""
    for layer in network.modules():
        if isinstance(layer, Conv2d | ConvTranspose2d):
            layer.as_product = on


def _is_small(features: Tensor, height: int, width: int) -> bool:
    # Fake tensors and those of a traced graph are subclasses, and have rules for convolutions only.
    return type(features) is Tensor and 0 < len(features) * height * width <= MOST_PLACES


def _as_map(places: Tensor, batch: int, height: int, width: int) -> Tensor:
    """Views (batch * height * width, channels) as (batch, channels, height, width), with channels-last strides.

    At batch 1 other batch strides would be valid too, but with them the backward pass of torch's batch norm is silently
    wrong.
    """
    return places.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _rows(weight: Tensor) -> Tensor:
    """Weights (a, b, height, width) as (a, height * width * b), without a copy if they are channels last."""
    return weight.permute(0, 2, 3, 1).flatten(1)
