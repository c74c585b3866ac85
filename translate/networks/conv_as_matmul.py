"""Convolutions over small maps as matrix products, which a CPU computes several times faster.

Deep inside a U-Net, or at the end of StarGAN's discriminator, millions of weights meet a map of a few pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

MOST_PLACES = 64
"""Places of the smaller map, over the batch, up to which products were faster (512 to 2048 channels, 4x4 kernels)."""


class Conv2d(nn.Conv2d):
    """nn.Conv2d of square kernels, computed as a product if `as_product` is set and its output map is small."""

    as_product = False

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride, padding = _square(self)
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in input.shape[2:])
        if not (self.as_product and _is_small(input, height, width)):
            return super().forward(input)
        patches = F.unfold(input, kernel, padding=padding, stride=stride)
        columns = patches.unflatten(1, (self.in_channels, -1)).permute(0, 3, 2, 1).flatten(2)
        made = F.linear(columns.flatten(0, 1), _rows(self.weight), self.bias)
        return _as_map(made, len(input), height, width)


class ConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d of square kernels, computed as a product if `as_product` is set and its input map is small."""

    as_product = False

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = input.shape[2:]
        if not (self.as_product and output_size is None and _is_small(input, height, width)):
            return super().forward(input, output_size)
        columns = input.permute(0, 2, 3, 1).flatten(0, 2) @ _rows(self.weight)
        drawn = columns.view(len(input), height * width, -1, self.out_channels).permute(0, 3, 2, 1).flatten(1, 2)
        kernel, stride, padding = _square(self)
        reach = kernel + self.output_padding[0] - 2 * padding
        size = (height - 1) * stride + reach, (width - 1) * stride + reach
        made = F.fold(drawn, size, kernel, padding=padding, stride=stride)
        return made if self.bias is None else made + self.bias.to(made.dtype)[:, None, None]


def set_conv_as_matmul(network: nn.Module, on: bool) -> None:
    """Sets whether these layers of `network` may be computed as products."""
    for layer in network.modules():
        if isinstance(layer, Conv2d | ConvTranspose2d):
            layer.as_product = on


def _square(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    """Side of the kernel, stride and padding, each the same in both directions."""
    return layer.kernel_size[0], layer.stride[0], int(layer.padding[0])


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
